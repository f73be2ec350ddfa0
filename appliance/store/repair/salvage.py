"""Saves what can be saved from a damaged file, as a new segment.

Of a sealed segment, whatever lies on a page with the right checksum is true, and nothing else is taken. The live
database has no checksums: of it SQLite is asked first, from both ends up to the damage, then its pages and those in
its log, and only rows that can be are taken. A reading whose meter nobody knows any more is left out: its number might
be given to another. What was last known of each meter before it is carried on, as into any other segment.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.store.live import TABLES, last_id
from appliance.store.repair import pages
from appliance.store.repair.pages import Value
from appliance.store.repair.soundness import DAMAGE_TOLD
from appliance.store.rows import CARRIED, SUSPECT, SegmentRow
from appliance.store.schema import (
    CATALOGUE,
    HISTORY,
    LIVE,
    LIVE_PAGE_BYTES,
    SEGMENT_PAGE_BYTES,
    read_only,
    segment_path,
    sums_path,
)
from appliance.store.segments import SUM_BYTES, build, carry, intact
from appliance.timeline import BOOT_SHIFT, boot_of

Row = tuple[Value, ...]

# Columns of the tables of a segment: what a row is known by when only its values are left.
WIDTHS = {"meter": 7, "boot": 4, "fix": 5, "event": 5, "coverage": 3, "reading": 6, "reception": 10}
LARGEST = 2**53
LARGEST_TAMPER = 2**16
_METER_COLUMNS = "number, protocol, meter_id, simulated, commodity, endpoint_type, first_at"


@dataclass
class Saved:
    """Rows by table, and how many pages were lost of how many."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in WIDTHS})
    pages: int = 0
    lost_pages: int = 0

    def told(self) -> dict[str, object]:
        """For the event that tells of it."""
        counts = {table: len(self.rows[table]) for table in ("reading", "reception")}
        return {"pages": self.pages, "lost_pages": self.lost_pages, "saved": counts}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was saved that was heard."""
        return not any(self.rows[table] for table in ("reading", "reception", "coverage", "event"))


def segment(
    directory: Path, number: int, row: SegmentRow, known: Sequence[SegmentRow]
) -> tuple[SegmentRow | None, Saved]:
    """Make segment `number` of what is left of `row`, one of those `known`; None if that is nothing."""
    saved = read_segment(segment_path(directory, row.number))
    if saved.is_empty:
        return None, saved
    span = (row.from_at, row.to_at) if row.sha256 else None
    before = _whole(directory, [other for other in known if other.from_at < row.from_at])
    made = build(
        directory, number, lambda new: _fill(new, saved, directory, before), rank=row.rank, live_to=row.live_to,
        replaces=[row.number], span=span,
    )  # fmt: skip
    return made, saved


def read_segment(damaged: Path) -> Saved:
    """The rows on those pages of a sealed segment whose checksum is right. Raises OSError when there is no file."""
    saved = Saved()
    try:
        sums = sums_path(damaged).read_bytes()
    except OSError:
        sums = b""
    for page in pages.read(damaged, SEGMENT_PAGE_BYTES):
        expected = sums[saved.pages * SUM_BYTES : (saved.pages + 1) * SUM_BYTES]
        saved.pages += 1
        if page is not None and hashlib.blake2b(page, digest_size=SUM_BYTES).digest() == expected:
            _sort(pages.rows(page, saved.pages), saved)
        else:
            saved.lost_pages += 1
    missing = max(0, len(sums) // SUM_BYTES - saved.pages)
    saved.pages, saved.lost_pages = saved.pages + missing, saved.lost_pages + missing
    return saved


def live(directory: Path, number: int, known: Sequence[SegmentRow]) -> tuple[SegmentRow | None, Saved]:
    """Make segment `number` of what is left of the live database and is in none of those `known`; None if nothing."""
    damaged, saved = directory / LIVE, Saved()
    live_to = max((row.live_to for row in known), default=0)
    ids: set[int] = set()
    if damaged.is_file():
        ids = _ask(damaged, saved, live_to)
        _search(damaged, saved, ids, live_to)
    for table in ("reading", "reception", "coverage"):
        saved.rows[table] = [row for row in saved.rows[table] if _can_be(table, row)]
    if saved.is_empty:
        return None, saved
    after = max((row.from_at for row in known if row.from_at >= 1 << BOOT_SHIFT), default=-1)
    live_to, before = max(ids, default=live_to), _whole(directory, known)
    made = build(
        directory, number, lambda new: _fill(new, saved, directory, before), rank=0, live_to=live_to, after=after
    )
    return made, saved


def _ask(damaged: Path, saved: Saved, live_to: int) -> set[int]:
    """Take the rows that SQLite can still read; returns their ids."""
    ids: set[int] = set()
    try:
        connection = read_only(damaged)
    except sqlite3.Error:
        return ids
    with contextlib.closing(connection):
        for table in TABLES:
            found: dict[int, Row] = {}
            for order in ("ASC", "DESC"):
                with contextlib.suppress(*DAMAGE_TOLD):
                    query = f"SELECT * FROM {table} WHERE id > ? ORDER BY rowid {order}"
                    for row in connection.execute(query, (live_to,)):
                        found.setdefault(row[0], row[1:])
            saved.rows[table].extend(found.values())
            ids.update(found)
        for table in ("meter", "boot", "fix"):
            with contextlib.suppress(*DAMAGE_TOLD):
                saved.rows[table].extend(connection.execute(f"SELECT * FROM {table}"))
        with contextlib.suppress(*DAMAGE_TOLD):
            ids.add(last_id(connection))
    return ids


def _search(damaged: Path, saved: Saved, ids: set[int], live_to: int) -> None:
    """Take the rows that SQLite did not reach from the pages themselves, those in the log first: they are newer."""
    found = list(pages.logged(damaged.with_name(damaged.name + "-wal"), LIVE_PAGE_BYTES))
    for page in pages.read(damaged, LIVE_PAGE_BYTES):
        saved.pages += 1
        if page is None:
            saved.lost_pages += 1
        else:
            found.append((saved.pages, page))
    widths = {WIDTHS[table] + 1: table for table in ("reading", "reception", "coverage")}
    for number, page in found:
        for row_id, values in pages.rows(page, number):
            if row_id is None or not values:
                continue
            if len(values) == WIDTHS["event"] + 1 and values[1] is None and isinstance(values[0], int):
                table, row_id, row = "event", values[0], (row_id, *values[2:])
            elif values[0] is None and len(values) in widths and _numbers(values):
                table, row = widths[len(values)], values[1:]
            else:
                continue
            if live_to < row_id < LARGEST and row_id not in ids:
                ids.add(row_id)
                saved.rows[table].append(row)


def _can_be(table: str, row: Row) -> bool:
    """Whether a row of numbers is one that the writer may have written."""
    at = 0 if table == "coverage" else 1
    if not all(value is None or (isinstance(value, int) and abs(value) < 2**63) for value in row):
        return False
    numbers = [value if isinstance(value, int) else None for value in row]
    if None in numbers[: at + 2]:
        return False
    if boot_of(numbers[at] or 0) < 1 or not all(0 <= (n or 0) < LARGEST for n in (*numbers[:at], numbers[at + 1])):
        return False
    if table == "reading":
        return numbers[5] in (0, SUSPECT, CARRIED) and all(0 <= (n or 0) < LARGEST_TAMPER for n in numbers[3:5])
    return True


def _numbers(row: Iterable[Value]) -> bool:
    return all(value is None or isinstance(value, int) for value in row)


def _sort(found: Iterator[tuple[int | None, Row]], saved: Saved) -> None:
    """Put each row where it belongs, by its width and by what its columns hold."""
    for row_id, values in found:
        if row_id is None and _numbers(values):
            for table in ("reading", "reception", "coverage"):
                if len(values) == WIDTHS[table]:
                    saved.rows[table].append(values)
        elif row_id is None and len(values) == WIDTHS["fix"]:
            saved.rows["fix"].append(values)
        elif row_id is not None and values[0] is None:
            for table in ("meter", "boot", "event"):
                if len(values) == WIDTHS[table]:
                    saved.rows[table].append((row_id, *values[1:]))


def _whole(directory: Path, rows: Sequence[SegmentRow]) -> SegmentRow | None:
    """The last of these segments that is not damaged too: it knows the last reading of each meter until then."""
    heard = sorted((row for row in rows if row.from_at >= 1 << BOOT_SHIFT), key=lambda row: row.from_at, reverse=True)
    return next((row for row in heard if intact(directory, row)), None)


def _fill(new: sqlite3.Connection, saved: Saved, directory: Path, before: SegmentRow | None) -> None:
    _insert(new, "meter", saved.rows["meter"])
    _insert(new, "boot", saved.rows["boot"])
    _insert(new, "fix", saved.rows["fix"])
    # What the catalogue and other segments still know of meters and clocks goes before nothing at all.
    others = sorted((directory / HISTORY).glob("[0-9]*.db"), reverse=True)
    for path in (directory / CATALOGUE, *others):
        if path.is_file():
            with contextlib.closing(read_only(path, immutable=path in others)) as known:
                for table, columns in (("boot", "*"), ("fix", "*"), ("meter", _METER_COLUMNS)):
                    with contextlib.suppress(*DAMAGE_TOLD):
                        _insert(new, table, known.execute(f"SELECT {columns} FROM {table}").fetchall())
        unknown = {row[0] for table in ("reading", "reception") for row in saved.rows[table]}
        if unknown <= {number for (number,) in new.execute("SELECT number FROM meter")}:
            break
    for table in ("event", "coverage", "reading", "reception"):
        rows = saved.rows[table]
        with contextlib.suppress(TypeError):
            rows.sort(key=lambda row: row[:2])
        _insert(new, table, rows)
    if before is not None:
        # Else what was last known of a meter would go with the segments before, once these have to.
        carry(new, directory, before)
    for table in ("reading", "reception"):
        new.execute(f"DELETE FROM {table} WHERE meter NOT IN (SELECT number FROM meter)")


def _insert(new: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    statement = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * WIDTHS[table])})"
    for row in rows:
        # Of a damaged database a column may hold what it never can.
        with contextlib.suppress(sqlite3.IntegrityError):
            new.execute(statement, row)
