"""A table as a file to keep: CSV for spreadsheets, JSON for programs.

A text that a spreadsheet would take for a formula begins with an apostrophe in CSV: names come from outside.
(OWASP, "CSV Injection".) JSON has it as it is.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

FORMATS = ("csv", "json")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# So that spreadsheets take it for UTF-8.
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


def answer(kind: str, name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> web.Response:
    """Rows as a file of a kind that `FORMATS` has, to be kept under a name; each row has all `columns`."""
    if kind == "csv":
        response = web.Response(text=_csv(rows, columns), content_type="text/csv")
    else:
        response = web.json_response(rows if isinstance(rows, list) else list(rows), dumps=_json)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    response.headers["Cache-Control"] = "no-store"
    response.enable_compression()
    return response


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    out = io.StringIO(_BOM)
    out.seek(0, io.SEEK_END)
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """A value as CSV has it.

    >>> [_cell(value) for value in ("=1+1", -3, None, True, ["a", "b"])]
    ["'=1+1", -3, '', 'true', 'a b']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
