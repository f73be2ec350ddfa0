"""The description of the JSON API below `/api/v1` (OpenAPI 3.1): what is said to programs, and what is asked of them.

Columns of tables are those of the schemas here, and queries are checked by the parameters here, so that neither can
differ from what is described; `tests/web/test_api_contract.py` compares each answer with the rest.
"""
