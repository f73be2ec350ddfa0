"""Kinds of values, as JSON Schema (2020-12) has them. Each says what it means, with its unit."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def text(meaning: str, **bounds: Any) -> Schema:
    """A text."""
    return {"type": "string", "description": meaning, **bounds}


def choice(meaning: str, *values: str) -> Schema:
    """One of some words."""
    return {"type": "string", "description": meaning, "enum": list(values)}


def yes(meaning: str) -> Schema:
    """Yes or no."""
    return {"type": "boolean", "description": meaning}


def whole(meaning: str, **bounds: Any) -> Schema:
    """A whole number, from 0 unless said otherwise."""
    return {"type": "integer", "description": meaning, "minimum": 0, **bounds}


def number(meaning: str, **bounds: Any) -> Schema:
    """A number."""
    return {"type": "number", "description": meaning, **bounds}


def exact(meaning: str) -> Schema:
    """A decimal number as a text, so that no reader of JSON rounds it."""
    return {"type": "string", "description": meaning, "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}


def time(meaning: str) -> Schema:
    """An instant by RFC 3339, with its offset to UTC."""
    return {"type": "string", "description": meaning, "format": "date-time"}


def estimate(of: str) -> Schema:
    """Whether a time beside it is one."""
    return yes(f"Whether {of} may be off by a minute or more, because nothing told the time then.")


def maybe(kind: Schema) -> Schema:
    """A value, or null where there is none."""
    loose = kind | {"type": [kind["type"], "null"]}
    return loose | {"enum": [*kind["enum"], None]} if "enum" in kind else loose


def listed(meaning: str, items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "description": meaning, "items": items}


def counts(meaning: str) -> Schema:
    """Numbers by name."""
    return {"type": "object", "description": meaning, "additionalProperties": {"type": "integer", "minimum": 0}}


def thing(meaning: str, fields: Mapping[str, Schema]) -> Schema:
    """Something with exactly these fields."""
    return {
        "type": "object",
        "description": meaning,
        "properties": dict(fields),
        "required": list(fields),
        "additionalProperties": False,
    }


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}
