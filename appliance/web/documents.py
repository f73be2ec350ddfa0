"""JSON for programs: exact decimal numbers are texts, and nothing is kept by whoever it passes through."""

import json
from decimal import Decimal
from typing import Any

from aiohttp import web


def written(value: Any) -> str:
    """A value as JSON.

    >>> written({"quantity": Decimal("0.10"), "name": "Ñuñoa"})
    '{"quantity":"0.10","name":"Ñuñoa"}'
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_exact)


def document(value: Any) -> web.Response:
    """A value as an answer."""
    response = web.json_response(value, dumps=written, headers={"Cache-Control": "no-store"})
    response.enable_compression()
    return response


def _exact(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} is not told")
