"""A table as a file to keep: CSV for spreadsheets, JSON for programs.

CSV is written as RFC 4180 says, or with decimal commas and semicolons, as a spreadsheet set to Spanish reads it;
the address says which. A text that would be taken for a formula there begins with an apostrophe: names come from
outside. (OWASP, "CSV Injection".) JSON has it as it is.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from aiohttp import web

from appliance.web.documents import document

FORMATS = ("csv", "json")
# What a spreadsheet takes for a formula, also where it divides the line otherwise than it was written.
_FORMULA = re.compile(r"(^|[;,\t\r\n])(?=[=+\-@\t\r])")
# So that spreadsheets take it for UTF-8.
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


def answer(request: web.Request, name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> web.Response:
    """Rows as the file that an address asks for by its `kind`, to be kept under a name; each row has all `columns`."""
    kind = request.match_info["kind"]
    if kind == "csv":
        text = in_csv(rows, columns, "," if request.query.get("numbers") == "comma" else ".")
        response = web.Response(text=text, content_type="text/csv", headers={"Cache-Control": "no-store"})
        response.enable_compression()
    else:
        response = document(list(rows))
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return response


def in_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], point: str = ".") -> str:
    """Rows as CSV, with this decimal point."""
    out = io.StringIO(_BOM)
    out.seek(0, io.SEEK_END)
    writer = csv.writer(out, delimiter=";" if point == "," else ",")
    writer.writerow(columns)
    writer.writerows([_cell(row[column], point) for column in columns] for row in rows)
    return out.getvalue()


def _cell(value: Any, point: str) -> Any:
    """A value as CSV has it.

    >>> [_cell(value, ",") for value in ("=1+1", "a;=1", -3, Decimal("-1.50"), 0.5, None, True, ["a", "b"])]
    ["'=1+1", "a;'=1", -3, '-1,50', '0,5', '', 'true', 'a b']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal | float):
        return format(value, "f" if isinstance(value, Decimal) else "").replace(".", point)
    if isinstance(value, list | tuple):
        value = " ".join(map(str, value))
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
