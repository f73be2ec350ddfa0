"""The file in which an operator writes which meters are assigned to an appliance: CSV, as spreadsheets write it.

    meter_id,protocol,name,address,multiplier
    60243827,scm,"Calle 5, 12","Calle 5 nº 12, Ñuñoa",0.01

UTF-8, with or without the mark that Excel puts first; columns in any order, between commas or, as a spreadsheet set to
Chile writes them, between semicolons. `protocol` and `multiplier` may be missing or empty: whichever protocol the meter
speaks, and 1. A multiplier may have a decimal comma. Where a comma or a point before three digits may as well group
thousands, it is refused: 1.000 is one thing in Santiago and another in New York.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

from appliance.assignment import MOST_ASSIGNED, Assignment, listed
from appliance.errors import InputError

COLUMNS = Assignment._fields
NEEDED = ("meter_id", "name", "address")
MOST_BYTES = 16 << 20
_HINT = (
    f"The first line names the columns: {', '.join(COLUMNS)}. 'appliance aggregator assignments' prints such a file."
)
_NUMBER = re.compile(r"([0-9]+)(?:[.,]([0-9]+))?")
_LEAST_GROUPED = 1_000


class Wrong(InputError):
    """Lines of a list are wrong: `lines` are their numbers, and what is wrong in words."""

    def __init__(self, path: Path, lines: list[tuple[int, str]]) -> None:
        count = "1 line is" if len(lines) == 1 else f"{len(lines)} lines are"
        super().__init__(f"{count} wrong in {path}; nothing was changed", "Correct them, and assign the list again.")
        self.lines = lines


def read_list(path: Path) -> tuple[Assignment, ...]:
    """The meters that a file lists, in order. Raises Wrong, InputError."""
    meters: dict[Assignment, int] = {}
    wrong: list[tuple[int, str]] = []
    seen: dict[int, tuple[str, int]] = {}
    for line, row in _rows(path):
        try:
            meter = _assignment(row)
            protocol, before = seen.get(meter.meter_id, ("", 0))
            if before and (meter.protocol in ("", protocol) or not protocol):
                raise ValueError(f"meter {meter.meter_id} stands in line {before} already")
        except ValueError as fault:
            wrong.append((line, str(fault)))
            continue
        seen.setdefault(meter.meter_id, (meter.protocol, line))
        meters[meter] = line
        if len(meters) > MOST_ASSIGNED:
            raise InputError(f"{path} lists more than {MOST_ASSIGNED} meters", "Divide them among several appliances.")
    if wrong:
        raise Wrong(path, wrong)
    try:
        return listed(meters)
    except ValueError as fault:
        raise InputError(f"{path}: {fault}") from None


def written(meters: Iterable[Assignment]) -> str:
    """The same as text, to be edited and read again."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for meter in meters:
        writer.writerow((*meter.row()[:-1], _unmistakable(meter.multiplier)))
    return text.getvalue()


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows that are not empty, each with the number of its first line. Raises InputError."""
    text = _text(path)
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    try:
        names = [" ".join(name.split()).lower() for name in next(reader, [])]
        _check_names(path, names)
        line = reader.line_num
        for cells in reader:
            first, line = line + 1, reader.line_num
            # Whatever kinds of space a spreadsheet puts there.
            values = [" ".join(cell.split()) for cell in cells]
            if not any(values):
                continue
            if len(values) != len(names):
                yield first, {"": f"{len(values)} cells, expected {len(names)}"}
            else:
                yield first, dict(zip(names, values, strict=True))
    except csv.Error as fault:
        raise InputError(f"{path} is no CSV: {fault}, in line {reader.line_num}", _HINT) from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as fault:
        raise InputError(f"{path} cannot be read: {fault.strerror}", "Check the name and the rights.") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{path} has more than {MOST_BYTES >> 20} MB", "Check that it is the file you meant.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        hint = "Save it as 'CSV UTF-8', so that accents arrive as they are."
        raise InputError(f"{path} is not UTF-8, in line {line}", hint) from None


def _check_names(path: Path, names: list[str]) -> None:
    """Raises InputError when the first line does not name the columns."""
    for what, found in (
        ("has no column", [name for name in NEEDED if name not in names]),
        ("has an unknown column", [name for name in names if name not in COLUMNS]),
        ("has twice the column", [name for name in names if names.count(name) > 1]),
    ):
        if found:
            raise InputError(f"{path} {what} {found[0][:40]!r}", _HINT)


def _assignment(row: dict[str, str]) -> Assignment:
    """What a row says. Raises ValueError."""
    if "" in row:
        raise ValueError(row[""])
    meter_id = row["meter_id"]
    if not re.fullmatch("[0-9]{1,16}", meter_id):
        raise ValueError(f"meter_id is {meter_id!r:.40}, expected digits alone, such as 60243827")
    multiplier = str(_multiplier(row.get("multiplier") or "1"))
    return Assignment.of(int(meter_id), row.get("protocol", "").lower(), row["name"], row["address"], multiplier)


def _multiplier(text: str) -> Decimal:
    """A number as people write it, without zeros at its end. Raises ValueError.

    >>> [str(_multiplier(text)) for text in ("40", "0,01", "0.010", "1.50", "1,2500")]
    ['40', '0.01', '0.01', '1.5', '1.25']
    """
    found = _NUMBER.fullmatch(text)
    if not found or len(text) > 20:
        raise ValueError(f"multiplier is {text!r:.40}, expected a number such as 40, 0.01 or 0,01")
    whole, decimals = int(found[1]), (found[2] or "").rstrip("0")
    multiplier = Decimal(f"{whole}.{decimals}" if decimals else str(whole))
    if len(found[2] or "") == 3 and 0 < whole < _LEAST_GROUPED:
        plain = f"{found[1]}{found[2]}"
        either = f"may mean {plain} or {multiplier}: write {plain}, or {_unmistakable(multiplier)}"
        raise ValueError(f"multiplier is {text!r}, which {either}")
    return multiplier


def _unmistakable(multiplier: Decimal) -> str:
    """A multiplier that `_multiplier` reads as what it is.

    >>> [_unmistakable(Decimal(text)) for text in ("40", "0.001", "1.125", "12.5")]
    ['40', '0.001', '1.1250', '12.5']
    """
    text = str(multiplier)
    grouped = re.fullmatch(r"[1-9][0-9]{0,2}\.[0-9]{3}", text)
    return f"{text}0" if grouped else text
