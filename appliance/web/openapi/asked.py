"""Whether a query is one that the description has: anything else is refused, so that a slip gives no other data."""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

from appliance.web.frame.problems import BadQuery
from appliance.web.openapi.description import OPERATIONS

_QUERIES = {
    path: {one["name"]: one["schema"] for one in operation["parameters"] if one["in"] == "query"}
    for path, operation in OPERATIONS.items()
}


@web.middleware
async def refuse_undescribed(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse a query that is not described for its address."""
    resource = request.match_info.route.resource
    if resource is not None and (parameters := _QUERIES.get(resource.canonical)) is not None:
        check(request.query.items(), parameters)
    return await handler(request)


def check(query: Iterable[tuple[str, str]], parameters: dict[str, dict[str, Any]]) -> None:
    """Raises BadQuery naming the parameter; what was said of it is not repeated.

    >>> check([("step", "day"), ("from", "0")], _QUERIES["/api/v1/meters/{protocol}/{meter}/chart"])
    """
    seen = set()
    for name, value in query:
        if name not in parameters:
            known = f"it takes {', '.join(parameters)}" if parameters else "it takes none"
            raise BadQuery(f"The address has a parameter that is not known here: {known}.")
        if name in seen:
            raise BadQuery(f"The parameter {name} comes twice.")
        if wanted := _wrong(value, parameters[name]):
            raise BadQuery(f"The parameter {name} is not {wanted}.")
        seen.add(name)


def _wrong(value: str, schema: dict[str, Any]) -> str:
    """What a value should be and is not, or an empty text."""
    if "enum" in schema:
        return "" if value in schema["enum"] else f"one of {', '.join(schema['enum'])}"
    if schema["type"] == "integer":
        low, high = schema["minimum"], schema["maximum"]
        digits = value.isascii() and value.isdigit() and len(value) <= len(str(high))
        return "" if digits and low <= int(value) <= high else f"a whole number from {low} to {high}"
    if "pattern" in schema and not re.fullmatch(schema["pattern"].strip("^$"), value):
        return f"as the pattern {schema['pattern']} has it"
    if len(value) > (most := schema.get("maxLength", len(value))):
        return f"a text of at most {most} characters"
    return ""
