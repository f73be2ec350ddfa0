"""The settings in force, of the secret ones only whether they are set."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from appliance.config import TABLES, Config

SET, NOT_SET = "(set, left out)", ""
# Where it hangs is an address.
LEFT_OUT = {("site", "place")}


def shown(config: Config) -> dict[str, Any]:
    """The tables with their values."""
    tables = {table: _table(table, getattr(config, table)) for table in TABLES if table != "receiver"}
    return tables | {"receiver": [_table("receiver", receiver) for receiver in config.receivers]}


def secrets(config: Config) -> set[str]:
    """What is secret among them, to be looked for wherever it might stand."""
    found = {str(value) for table, one, value in _entries(config) if _is_secret(table, one) and value}
    return found.union(*(receiver.untold for receiver in config.receivers))


def _entries(config: Config) -> list[tuple[str, Any, Any]]:
    tables = [(table, getattr(config, table)) for table in TABLES if table != "receiver"]
    return [(table, one, getattr(settings, one.name)) for table, settings in tables for one in fields(settings)]


def _is_secret(table: str, one: Any) -> bool:
    return bool(one.metadata["secret"]) or (table, one.name) in LEFT_OUT


def _table(table: str, settings: Any) -> dict[str, Any]:
    return {one.name: _value(table, one, getattr(settings, one.name)) for one in fields(settings)}


def _value(table: str, one: Any, value: Any) -> Any:
    if _is_secret(table, one):
        return SET if value else NOT_SET
    if one.name == "command" and value:
        return [value[0], f"({len(value) - 1} arguments, left out)"]
    if isinstance(value, Path):
        return str(value)
    return "(a certificate)" if isinstance(value, str) and "\n" in value else value
