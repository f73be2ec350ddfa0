"""The live database: what was heard in the last hours, appended commit by commit in the order of arrival.

Quarters of an hour that are not over change with every message. They are written anew with each commit, packed into
one row, because as rows of a table they would take several times the room.
"""

import sqlite3
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from appliance.store.ledger import Meter
from appliance.store.rows import QUARTER_MS, SUSPECT, MeterKey, MeterRow, Reading, Reception

READING = "INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)"
RECEPTION = "INSERT INTO reception VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
COVERAGE = "INSERT INTO coverage VALUES (?, ?, ?, ?)"
EVENT = "INSERT OR IGNORE INTO event (id, number, at, kind, meter, detail) VALUES (?, ?, ?, ?, ?, ?)"
RUNNING = "INSERT OR REPLACE INTO running VALUES (1, ?)"
TABLES = ("reading", "reception", "coverage", "event")

_PACKED = struct.Struct("<IqHHHihiiI")
_NONE = -(2**15)


@dataclass(frozen=True)
class Remembered:
    """What the live database adds to the catalogue when the program starts."""

    readings: list[tuple[int, int, int, int | None, int | None]]
    quarters: list[tuple[int, int, int]]
    running: bytes
    next_id: int


def remembered(live: sqlite3.Connection) -> Remembered:
    """Readings in the order of arrival; meter, begin and count of each reception; the quarter that was running."""
    readings = live.execute(
        f"SELECT meter, at, consumption, tamper_phy, tamper_enc FROM reading WHERE NOT flags & {SUSPECT} ORDER BY id"
    ).fetchall()
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
        if meter is None or at <= max(meter.kept_at, meter.changed_at or 0):
            continue
        meter.kept_at = at
        if (consumption, tamper_phy, tamper_enc) == (meter.consumption, meter.tamper_phy, meter.tamper_enc):
            continue
        meter.changed_at = at
        if (tamper_phy, tamper_enc) != (meter.tamper_phy, meter.tamper_enc):
            meter.tamper_changed_at = at
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
    """The receptions of known meters in one piece."""
    packed = bytearray()
    for r in receptions:
        if (number := numbers.get(r.meter)) is not None:
            best = _NONE if r.snr_best_cdb is None else r.snr_best_cdb
            lowest, highest = r.frequency_min_hz or -1, r.frequency_max_hz or -1
            last_ms = min(max(0, r.last - r.at), 2 * QUARTER_MS)
            head = (number, r.at, min(r.count, 65_535), min(r.corrected, 65_535), min(r.levels, 65_535))
            packed += _PACKED.pack(*head, r.snr_sum_cdb, best, lowest, highest, last_ms)
    return zlib.compress(bytes(packed), 6)


def unpack(packed: bytes, keys: Mapping[int, MeterKey]) -> list[Reception]:
    """Inverse of `pack`; what cannot be read is left out."""
    try:
        rows = list(_PACKED.iter_unpack(zlib.decompress(packed))) if packed else []
    except (zlib.error, struct.error):
        return []
    found = []
    for number, at, count, corrected, levels, snr_sum, best, lowest, highest, last_ms in rows:
        if (key := keys.get(number)) is not None:
            reception = Reception(key, at, count, corrected, levels, snr_sum, last=at + last_ms)
            reception.snr_best_cdb = None if best == _NONE else best
            reception.frequency_min_hz = None if lowest < 0 else lowest
            reception.frequency_max_hz = None if highest < 0 else highest
            found.append(reception)
    return found


def reading_values(row_id: int, number: int, reading: Reading) -> tuple[object, ...]:
    """What `READING` takes."""
    return (row_id, number, *reading[1:])


def reception_values(row_id: int, number: int, r: Reception) -> tuple[object, ...]:
    """What `RECEPTION` takes."""
    levels = (r.levels, r.snr_sum_cdb, r.snr_best_cdb)
    return (row_id, number, r.at, r.count, r.corrected, *levels, r.frequency_min_hz, r.frequency_max_hz, r.last)


def coverage(receptions: Iterable[Reception]) -> Sequence[tuple[int, int, int]]:
    """Begin, meters and messages of each quarter."""
    quarters: dict[int, tuple[int, int]] = {}
    for r in receptions:
        heard, messages = quarters.get(r.at, (0, 0))
        quarters[r.at] = (heard + 1, messages + r.count)
    return [(at, *counts) for at, counts in sorted(quarters.items())]
