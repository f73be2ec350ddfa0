"""Saves what can be saved from a damaged file, as a new segment.

Of a sealed segment, whatever lies on a page with the right checksum is true, and nothing else is taken. The live
database has no checksums: of it SQLite is asked first, from both ends up to the damage, then its pages, and only
rows that can be are taken.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.store.live import last_id
from appliance.store.pages import Value, rows
from appliance.store.rows import SegmentRow
from appliance.store.schema import (
    CATALOGUE,
    LIVE,
    LIVE_PAGE_BYTES,
    SEGMENT_PAGE_BYTES,
    read_only,
    segment_path,
    sums_path,
)
from appliance.store.segments import SUM_BYTES, build
from appliance.timeline import boot_of

# Columns of the tables of a segment: what a row is known by when only its values are left.
WIDTHS = {"reading": 6, "reception": 10, "coverage": 3, "boot": 4, "meter": 7, "event": 5, "fix": 5}
LARGEST_REGISTER = 2**53


@dataclass
class Saved:
    """Rows by table, and how many pages were lost of how many."""

    rows: dict[str, list[tuple[Value, ...]]] = field(default_factory=lambda: {table: [] for table in WIDTHS})
    pages: int = 0
    lost_pages: int = 0

    def told(self) -> dict[str, object]:
        """For the event that tells of it."""
        counts = {table: len(self.rows[table]) for table in ("reading", "reception")}
        return {"pages": self.pages, "lost_pages": self.lost_pages, "saved": counts}


def segment(directory: Path, number: int, row: SegmentRow) -> tuple[SegmentRow, Saved]:
    """Make segment `number` of what is left of `row`."""
    saved = read_segment(segment_path(directory, row.number))
    made = build(
        directory, number, lambda new: _fill(new, saved, directory), rank=row.rank, live_to=row.live_to,
        replaces=[row.number],
    )  # fmt: skip
    return made, saved


def read_segment(damaged: Path) -> Saved:
    """The rows on those pages of a sealed segment whose checksum is right."""
    saved = Saved()
    try:
        sums = sums_path(damaged).read_bytes()
    except OSError:
        sums = b""
    with contextlib.suppress(OSError), damaged.open("rb", buffering=0) as file:
        while page := file.read(SEGMENT_PAGE_BYTES):
            expected = sums[saved.pages * SUM_BYTES : (saved.pages + 1) * SUM_BYTES]
            saved.pages += 1
            if hashlib.blake2b(page, digest_size=SUM_BYTES).digest() == expected:
                _sort(rows(page, saved.pages), saved)
            else:
                saved.lost_pages += 1
    saved.lost_pages += max(0, len(sums) // SUM_BYTES - saved.pages)
    return saved


def live(directory: Path, number: int, live_to: int, most_boot: int) -> tuple[SegmentRow | None, Saved]:
    """Make segment `number` of what is left of the live database, which was sealed up to `live_to` before."""
    damaged, saved = directory / LIVE, Saved()
    ids = _ask(damaged, saved, live_to)
    _search(damaged, saved, ids, live_to)
    saved.rows["reading"] = [row for row in saved.rows["reading"] if _can_be(row, 1, most_boot)]
    saved.rows["reception"] = [row for row in saved.rows["reception"] if _can_be(row, 1, most_boot)]
    saved.rows["coverage"] = [row for row in saved.rows["coverage"] if _can_be(row, 0, most_boot)]
    if not any(saved.rows[table] for table in ("reading", "reception", "event")):
        return None, saved
    highest = max(ids, default=live_to)
    return build(directory, number, lambda new: _fill(new, saved, directory), rank=0, live_to=highest), saved


def _ask(damaged: Path, saved: Saved, live_to: int) -> set[int]:
    """Take the rows that SQLite can still read; returns their ids."""
    ids: set[int] = set()
    try:
        connection = read_only(damaged)
    except sqlite3.Error:
        return ids
    with contextlib.closing(connection):
        for table in ("reading", "reception", "coverage", "event"):
            found: dict[int, tuple[Value, ...]] = {}
            for order in ("ASC", "DESC"):
                with contextlib.suppress(sqlite3.Error):
                    query = f"SELECT * FROM {table} WHERE id > ? ORDER BY rowid {order}"
                    for row in connection.execute(query, (live_to,)):
                        found.setdefault(row[0], row[1:])
            saved.rows[table].extend(found.values())
            ids.update(found)
        for table in ("meter", "boot", "fix"):
            with contextlib.suppress(sqlite3.Error):
                saved.rows[table].extend(connection.execute(f"SELECT * FROM {table}"))
        with contextlib.suppress(sqlite3.Error):
            ids.add(last_id(connection))
    return ids


def _search(damaged: Path, saved: Saved, ids: set[int], live_to: int) -> None:
    """Take the rows that SQLite did not reach from the pages themselves."""
    widths = {7: "reading", 11: "reception"}
    with contextlib.suppress(OSError), damaged.open("rb", buffering=0) as file:
        while page := file.read(LIVE_PAGE_BYTES):
            saved.pages += 1
            for row_id, values in rows(page, saved.pages):
                table = widths.get(len(values))
                if table and row_id is not None and row_id > live_to and row_id not in ids and _numbers(values[1:]):
                    ids.add(row_id)
                    saved.rows[table].append(values[1:])


def _can_be(row: tuple[Value, ...], at: int, most_boot: int) -> bool:
    if not _numbers(row) or not all(isinstance(row[n], int) for n in range(at + 2)):
        return False
    return 0 <= boot_of(int(row[at] or 0)) <= most_boot and 0 <= int(row[at + 1] or 0) < LARGEST_REGISTER


def _numbers(row: Iterable[Value]) -> bool:
    return all(value is None or isinstance(value, int) for value in row)


def _sort(found: Iterator[tuple[int | None, tuple[Value, ...]]], saved: Saved) -> None:
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


def _fill(new: sqlite3.Connection, saved: Saved, directory: Path) -> None:
    for table, found in saved.rows.items():
        marks = ", ".join("?" * WIDTHS[table])
        with contextlib.suppress(TypeError, ValueError):
            found.sort(key=lambda row: tuple(value for value in row[:2] if isinstance(value, int)))
        new.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", found)
    # What the catalogue still knows of meters and clocks goes before nothing at all.
    if (directory / CATALOGUE).is_file():
        with contextlib.closing(read_only(directory / CATALOGUE)) as catalogue, contextlib.suppress(sqlite3.Error):
            for table, columns in (("boot", "*"), ("fix", "*"), ("meter", _METER_COLUMNS)):
                marks = ", ".join("?" * WIDTHS[table])
                known = catalogue.execute(f"SELECT {columns} FROM {table}")
                new.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", known)


_METER_COLUMNS = "number, protocol, meter_id, simulated, commodity, endpoint_type, first_at"
