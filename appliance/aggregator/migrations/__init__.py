"""The history of the schema, for Alembic: a file for each version, and none is changed once it was published."""
