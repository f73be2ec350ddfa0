"""Takes over what `appliance import` left in `handover/`: into the segments of the calendar, without doubles.

An import file has the form of a segment, with meters numbered by itself. It becomes one with the calendar segments
whose time it touches, so that these never overlap, under the catalogue's numbers. What is known already is left out:
the same log can come any number of times, and a log that has grown adds what is new. First the catalogue learns of
meters and events, then the segment is made, then it is listed, then the file goes: cut short anywhere, all of it is
done again and nothing is there twice.
"""

import asyncio
import contextlib
import heapq
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from appliance.errors import StoreTooNew
from appliance.store import catalogue, files, live
from appliance.store.repair.soundness import is_damage
from appliance.store.rows import SUSPECT, MeterRow, SegmentRow
from appliance.store.schema import BUSY_TIMEOUT_S, CATALOGUE, HANDOVER, check_version, read_only, segment_path
from appliance.store.segments import build
from appliance.store.writer import Store
from appliance.store.writing import MOST_METERS
from appliance.timeline import BOOT_SHIFT

PATTERN = "import-*.db"

# The catalogue may know a meter already, from the air or from another log.
_NEW_METERS = """
INSERT INTO main.meter (number, protocol, meter_id, simulated, commodity, endpoint_type, first_at, last_at,
                        consumption, tamper_phy, tamper_enc)
SELECT (SELECT coalesce(max(number), 0) FROM main.meter) + row_number() OVER (ORDER BY m.number),
       m.protocol, m.meter_id, m.simulated, m.commodity, m.endpoint_type, m.first_at,
       coalesce((SELECT max(last) FROM logged.reception WHERE meter = m.number), r.at),
       r.consumption, r.tamper_phy, r.tamper_enc
FROM logged.meter AS m JOIN logged.reading AS r ON r.meter = m.number AND r.at = (
    SELECT max(at) FROM logged.reading WHERE meter = m.number AND NOT flags & :suspect)
WHERE NOT EXISTS (SELECT 1 FROM main.meter AS k WHERE k.meter_id = m.meter_id AND k.protocol = m.protocol
                  AND k.simulated = m.simulated)
ORDER BY m.number LIMIT max(0, :most - (SELECT count(*) FROM main.meter))
"""
_FIRST_HEARD = """
UPDATE main.meter SET first_at = min(meter.first_at, known.first_at) FROM temp.known WHERE known.number = meter.number
"""
_KNOWN = """
CREATE TEMP TABLE known AS
SELECT m.number AS theirs, k.number AS number, m.first_at
FROM logged.meter AS m JOIN main.meter AS k
    ON k.meter_id = m.meter_id AND k.protocol = m.protocol AND k.simulated = m.simulated
"""
_NEW_EVENTS = """
INSERT INTO main.event (number, at, kind, meter, detail)
SELECT (SELECT coalesce(max(number), 0) FROM main.event) + row_number() OVER (ORDER BY e.number),
       e.at, e.kind, k.number, e.detail
FROM logged.event AS e JOIN temp.known AS k ON k.theirs = e.meter
WHERE NOT EXISTS (SELECT 1 FROM main.event AS o WHERE o.meter = k.number AND o.kind = e.kind AND o.at = e.at)
ORDER BY e.number
"""


_EVENT = "INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?)"
_EVENTS_BETWEEN = "SELECT number, at, kind, meter, detail FROM catalogue.event WHERE at BETWEEN ? AND ?"
_SIZE = """
SELECT (SELECT count(*) FROM reading), (SELECT count(*) FROM reception),
       (SELECT coalesce(sum(count), 0) FROM reception)
"""
_READING = "INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, ?, ?)"
_RECEPTION = """
INSERT INTO reception VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (meter, at) DO UPDATE SET count = max(count, excluded.count), last = max(last, excluded.last)
"""
_COVERAGE = "INSERT INTO coverage SELECT at, count(*), sum(count) FROM reception GROUP BY at ORDER BY at"

Row = tuple[int, ...]


def waiting(directory: Path) -> list[Path]:
    """The import files that wait."""
    return sorted((directory / HANDOVER).glob(PATTERN))


async def adopt(
    store: Store, enter: Callable[[SegmentRow | None, list[SegmentRow]], Awaitable[None]], path: Path
) -> None:
    """Take over one import file; `enter` lists a segment in place of others. Raises sqlite3.Error, OSError."""
    if await store.commit():
        return
    try:
        async with store.lock:
            # One connection writes: the store's own makes way meanwhile.
            await store.disconnect()
            found = await asyncio.to_thread(introduce, store.directory, path)
            await store.connect()
        number = files.next_number(store.directory, store.segments)
        made, gone = await asyncio.to_thread(merge, store.directory, path, number, store.segments)
    except (sqlite3.DatabaseError, StoreTooNew) as fault:
        if isinstance(fault, sqlite3.Error) and not is_damage(fault):
            raise
        await asyncio.to_thread(files.set_aside, store.directory, path)
        return
    if made is not None:
        await enter(made, gone)
    if made is not None or found.events:
        # Told before the file goes: who waits for that then finds it.
        readings = 0 if made is None else made.readings - sum(row.readings for row in gone)
        detail = {"file": path.stem, "readings": readings, "meters": found.meters, "events": found.events}
        store.record("log_imported", detail)
        if await store.commit():
            return
    unknown = [row for row in found.known if store.ledger.get(row.key) is None]
    store.ledger.restore(live.meters(unknown, live.Remembered([], [], b"", 0), {}))
    await asyncio.to_thread(path.unlink)


@dataclass(frozen=True, slots=True)
class Introduced:
    """How many meters and events were new, and all meters that there are now."""

    meters: int
    events: int
    known: list[MeterRow]


def introduce(directory: Path, path: Path) -> Introduced:
    """Give the catalogue the meters and the events of an import. Raises sqlite3.Error, StoreTooNew.

    Nobody else may write to the catalogue meanwhile.
    """
    with contextlib.closing(read_only(path, immutable=True)) as logged:
        check_version(logged, "segment", path)
        if logged.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError(f"{path.name} is damaged")
    uri = f"{(directory / CATALOGUE).absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as writer:
        writer.execute("PRAGMA synchronous = FULL")
        writer.execute("ATTACH ? AS logged", (_immutable(path),))
        writer.execute("BEGIN IMMEDIATE")
        # What is not committed is rolled back when the connection closes.
        meters = writer.execute(_NEW_METERS, {"most": MOST_METERS, "suspect": SUSPECT}).rowcount
        writer.execute(_KNOWN)
        writer.execute(_FIRST_HEARD)
        events = writer.execute(_NEW_EVENTS).rowcount
        writer.execute("DROP TABLE temp.known")
        writer.execute("COMMIT")
        return Introduced(meters, events, catalogue.meters(writer))


def merge(
    directory: Path, path: Path, number: int, known: Sequence[SegmentRow]
) -> tuple[SegmentRow | None, list[SegmentRow]]:
    """Make segment `number` of an import that was introduced and of the calendar segments whose time it touches.

    Returns it, None if these held all of it, and the segments that it replaces. Raises sqlite3.Error, OSError.
    """
    with contextlib.ExitStack() as stack:
        logged = stack.enter_context(contextlib.closing(sqlite3.connect(":memory:", uri=True, isolation_level=None)))
        logged.execute("ATTACH ? AS logged", (_immutable(path),))
        logged.execute("ATTACH ? AS catalogue", (f"{(directory / CATALOGUE).absolute().as_uri()}?mode=ro",))
        span = logged.execute("SELECT min(at), max(last) FROM logged.reception").fetchone()
        gone = touched([row for row in known if row.from_at < 1 << BOOT_SHIFT], *span)
        parts = []
        for row in gone:
            part = read_only(segment_path(directory, row.number), immutable=True)
            parts.append(stack.enter_context(contextlib.closing(part)))

        def fill(segment: sqlite3.Connection) -> None:
            _fill(segment, logged, parts)

        rank, live_to = min((row.rank for row in gone), default=0), max((row.live_to for row in gone), default=0)
        made = build(directory, number, fill, rank=rank, live_to=live_to, replaces=[row.number for row in gone])
        made_path = segment_path(directory, number)
        with contextlib.closing(read_only(made_path, immutable=True)) as segment:
            sizes = [segment.execute(_SIZE).fetchone(), *(part.execute(_SIZE).fetchone() for part in parts)]
    if sizes[0] == tuple(map(sum, zip(*sizes[1:], strict=True))) or sizes[0] == (0, 0, 0):
        files.remove(directory, number)
        return None, []
    return made, gone


def touched(rows: Sequence[SegmentRow], from_at: int | None, to_at: int | None) -> list[SegmentRow]:
    """The segments whose time overlaps, and those that overlap with them, in the order of time."""
    found: set[SegmentRow] = set()
    if from_at is None or to_at is None:
        return []
    while more := [row for row in rows if row not in found and row.from_at <= to_at and row.to_at >= from_at]:
        found.update(more)
        from_at, to_at = min(from_at, *(r.from_at for r in more)), max(to_at, *(r.to_at for r in more))
    return [row for row in rows if row in found]


def _fill(segment: sqlite3.Connection, logged: sqlite3.Connection, parts: Sequence[sqlite3.Connection]) -> None:
    for part in parts:
        segment.executemany("INSERT OR REPLACE INTO boot VALUES (?, ?, ?, ?)", part.execute("SELECT * FROM boot"))
        segment.executemany("INSERT OR REPLACE INTO fix VALUES (?, ?, ?, ?, ?)", part.execute("SELECT * FROM fix"))
    meters = logged.execute(
        "SELECT number, protocol, meter_id, simulated, commodity, endpoint_type, first_at FROM catalogue.meter"
    )
    segment.executemany("INSERT INTO meter VALUES (?, ?, ?, ?, ?, ?, ?)", meters)
    for table, statement in (("reading", _READING), ("reception", _RECEPTION)):
        sources = [part.execute(f"SELECT * FROM {table} ORDER BY meter, at") for part in parts]
        # What is known already comes first, and each table in its order, so that pages are filled one after the other.
        merged: Iterator[Row] = heapq.merge(*sources, _logged(logged, table), key=itemgetter(0, 1))
        segment.executemany(statement, merged)
    segment.execute(_COVERAGE)
    for part in parts:
        coverage = part.execute("SELECT at, meters, messages FROM coverage")
        segment.executemany("INSERT OR IGNORE INTO coverage VALUES (?, ?, ?)", coverage)
        segment.executemany(_EVENT, part.execute("SELECT number, at, kind, meter, detail FROM event"))
    span = segment.execute("SELECT min(at), max(last) FROM reception").fetchone()
    segment.executemany(_EVENT, logged.execute(_EVENTS_BETWEEN, span))


def _logged(logged: sqlite3.Connection, table: str) -> sqlite3.Cursor:
    """The rows of the import, by the catalogue's numbers."""
    columns = [name for _, name, *_ in logged.execute(f"PRAGMA logged.table_info({table})")]
    return logged.execute(
        f"SELECT k.number, {', '.join(f'r.{name}' for name in columns[1:])} FROM logged.{table} AS r "
        "JOIN logged.meter AS m ON m.number = r.meter JOIN catalogue.meter AS k "
        "ON k.meter_id = m.meter_id AND k.protocol = m.protocol AND k.simulated = m.simulated ORDER BY k.number, r.at"
    )


def _immutable(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1"
