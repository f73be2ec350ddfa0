"""The live database: what was heard in the last hours, appended commit by commit in the order of arrival.

Quarters of an hour that are not over change with every message. They are written anew with each commit, packed into
one row, because as rows of a table they would take several times the room.
"""

import contextlib
import sqlite3
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.store.ledger import Meter
from appliance.store.rows import SUSPECT, MeterKey, MeterRow, Reading, Reception
from appliance.store.schema import read_only

READING = "INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)"
RECEPTION = "INSERT INTO reception VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
COVERAGE = "INSERT INTO coverage VALUES (?, ?, ?, ?)"
EVENT = "INSERT OR IGNORE INTO event (id, number, at, kind, meter, detail) VALUES (?, ?, ?, ?, ?, ?)"
RUNNING = "INSERT OR REPLACE INTO running VALUES (1, ?)"
TABLES = ("reading", "reception", "coverage", "event")

_LAST = f"""
SELECT r.meter, r.at, r.consumption, r.tamper_phy, r.tamper_enc
FROM meter AS m JOIN reading AS r ON r.meter = m.number AND r.at = (
    SELECT at FROM reading WHERE meter = m.number AND NOT flags & {SUSPECT} ORDER BY at DESC LIMIT 1)
"""
# Of each packed reception: meter and begin, less those before it; messages, corrected ones, those without a level;
# mean level, what the mean leaves, best level above it; lowest frequency, highest above it; seconds to the last one.
_COLUMNS = "iqIIIiiiqqI"


@dataclass(frozen=True)
class Remembered:
    """What the live database adds to the catalogue when the program starts."""

    readings: list[tuple[int, int, int, int | None, int | None]]
    quarters: list[tuple[int, int, int]]
    running: bytes
    next_id: int


def remembered(live: sqlite3.Connection, newest: Path | None) -> Remembered:
    """Readings in the order of arrival; meter, begin and count of each reception; the quarter that was running.

    Before the readings goes the last of each meter in the `newest` segment.
    """
    readings = live.execute(
        f"SELECT meter, at, consumption, tamper_phy, tamper_enc FROM reading WHERE NOT flags & {SUSPECT} ORDER BY id"
    ).fetchall()
    if newest:
        with contextlib.closing(read_only(newest, immutable=True)) as segment:
            readings = segment.execute(_LAST).fetchall() + readings
    quarters = live.execute("SELECT meter, at, count FROM reception ORDER BY id").fetchall()
    running = live.execute("SELECT receptions FROM running").fetchone()
    return Remembered(readings, quarters, running[0] if running else b"", last_id(live) + 1)


def last_id(live: sqlite3.Connection) -> int:
    """The id of the last row of any table."""
    largest = (f"SELECT max(id) AS id FROM {table}" for table in TABLES)
    return live.execute(f"SELECT max(id) FROM ({' UNION ALL '.join(largest)})").fetchone()[0] or 0


def waiting(live: sqlite3.Connection) -> tuple[int, int | None]:
    """How many rows wait to be sealed, and the stamp of the oldest."""
    rows = sum(live.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("reading", "reception"))
    first = (f"SELECT * FROM (SELECT at FROM {table} ORDER BY id LIMIT 1)" for table in TABLES)
    oldest = live.execute(f"SELECT min(at) FROM ({' UNION ALL '.join(first)})").fetchone()[0]
    return rows, oldest


def meters(rows: Iterable[MeterRow], known: Remembered, quarter_s: Mapping[int, int]) -> list[Meter]:
    """The meters as they were when the program ended, the one heard longest ago first.

    `quarter_s` gives for the begin of each quarter of the last hour its Unix seconds.
    """
    found = {row.number: _meter(row) for row in rows}
    for number, at, consumption, tamper_phy, tamper_enc in known.readings:
        meter = found.get(number)
        if meter is None or at <= meter.kept_at:
            continue
        # The catalogue tells a register of the last quarter of an hour, or one that did not get here: readings count.
        first, meter.kept_at = meter.kept_at < 0, at
        if (tamper_phy, tamper_enc) != (meter.tamper_phy, meter.tamper_enc) and not first:
            meter.tamper_changed_at = at
        if (consumption, tamper_phy, tamper_enc) != (meter.consumption, meter.tamper_phy, meter.tamper_enc):
            meter.changed_at = at
            meter.consumption, meter.tamper_phy, meter.tamper_enc = consumption, tamper_phy, tamper_enc
        meter.last_at = max(meter.last_at, at)
    for number, at, count in known.quarters:
        if number in found and at in quarter_s:
            counts = found[number].quarters
            counts[quarter_s[at]] = counts.get(quarter_s[at], 0) + count
    return sorted(found.values(), key=lambda meter: meter.last_at)


def _meter(row: MeterRow) -> Meter:
    return Meter(
        key=row.key,
        commodity=row.commodity,
        endpoint_type=row.endpoint_type,
        first_at=row.first_at,
        last_at=row.last_at,
        consumption=row.consumption,
        tamper_phy=row.tamper_phy,
        tamper_enc=row.tamper_enc,
        changed_at=row.changed_at,
        tamper_changed_at=row.tamper_changed_at,
        snr_db=None if row.snr_cdb is None else row.snr_cdb / 100,
    )


def pack(receptions: Iterable[Reception], numbers: Mapping[MeterKey, int]) -> bytes:
    """The receptions of known meters in one piece: column by column, because equal things compress when together."""
    known = sorted((numbers[r.meter], r.at, r) for r in receptions if r.meter in numbers)
    columns: list[list[int]] = [[] for _ in _COLUMNS]
    number = begin = 0
    for n, at, r in known:
        mean_cdb = r.snr_sum_cdb // max(1, r.levels)
        best = 0 if r.snr_best_cdb is None else r.snr_best_cdb - mean_cdb + 1
        low = 0 if r.frequency_min_hz is None else r.frequency_min_hz
        high = 0 if r.frequency_max_hz is None else r.frequency_max_hz - low
        rest = r.snr_sum_cdb - mean_cdb * max(1, r.levels)
        counts = (n - number, at - begin, r.count, r.corrected, r.count - r.levels)
        row = (*counts, mean_cdb, rest, best, low, high, (r.last - at) // 1000)
        for column, value in zip(columns, row, strict=True):
            column.append(value)
        number, begin = n, at
    packed = [array(kind, column) for kind, column in zip(_COLUMNS, columns, strict=True)]
    if sys.byteorder == "big":
        for values in packed:
            values.byteswap()
    return struct.pack("<I", len(known)) + zlib.compress(b"".join(map(bytes, packed)), 9)


def unpack(packed: bytes, keys: Mapping[int, MeterKey]) -> list[Reception]:
    """Inverse of `pack`, but for the second of `last`; what cannot be read is left out."""
    columns: list[array[int]] = []
    try:
        (count,) = struct.unpack_from("<I", packed)
        content, place = zlib.decompress(packed[4:]), 0
        for kind in _COLUMNS:
            column = array(kind)
            column.frombytes(content[place : place + count * column.itemsize])
            if sys.byteorder == "big":
                column.byteswap()
            place += count * column.itemsize
            columns.append(column)
        rows = list(zip(*columns, strict=True))
    except (zlib.error, struct.error, ValueError):
        return []
    found = []
    number = at = 0
    for ahead, later, heard, corrected, unlevelled, mean_cdb, rest, best, low, high, last_s in rows:
        number, at = number + ahead, at + later
        if (key := keys.get(number)) is not None:
            levels = heard - unlevelled
            reception = Reception(key, at, heard, corrected, levels, mean_cdb * max(1, levels) + rest)
            reception.last = at + 1000 * last_s
            reception.snr_best_cdb = best + mean_cdb - 1 if best else None
            reception.frequency_min_hz, reception.frequency_max_hz = (low, low + high) if low else (None, None)
            found.append(reception)
    return found


def reading_values(number: int, reading: Reading) -> tuple[object, ...]:
    """What `READING` takes after the id."""
    return (number, *reading[1:])


def reception_values(number: int, r: Reception) -> tuple[object, ...]:
    """What `RECEPTION` takes after the id."""
    levels = (r.levels, r.snr_sum_cdb, r.snr_best_cdb)
    return (number, r.at, r.count, r.corrected, *levels, r.frequency_min_hz, r.frequency_max_hz, r.last)


def coverage(receptions: Iterable[Reception]) -> Sequence[tuple[int, int, int]]:
    """Begin, meters and messages of each quarter."""
    quarters: dict[int, tuple[int, int]] = {}
    for r in receptions:
        heard, messages = quarters.get(r.at, (0, 0))
        quarters[r.at] = (heard + 1, messages + r.count)
    return [(at, *counts) for at, counts in sorted(quarters.items())]
