"""What stands in the catalogue, read into rows, and the statements by which the writer changes it."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import get_args

from appliance.fixes import Fix
from appliance.model import COMMODITIES
from appliance.store.ledger import Meter
from appliance.store.rows import Event, EventKind, MeterKey, MeterRow, SegmentRow
from appliance.timeline import Boot

METER = """
INSERT INTO meter VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET
    commodity = excluded.commodity, endpoint_type = excluded.endpoint_type,
    first_at = min(first_at, excluded.first_at), last_at = excluded.last_at, consumption = excluded.consumption,
    tamper_phy = excluded.tamper_phy, tamper_enc = excluded.tamper_enc,
    changed_at = coalesce(excluded.changed_at, changed_at),
    tamper_changed_at = coalesce(excluded.tamper_changed_at, tamper_changed_at), snr_cdb = excluded.snr_cdb
"""
EVENT = "INSERT OR IGNORE INTO event (number, at, kind, meter, detail) VALUES (?, ?, ?, ?, ?)"
BOOT = """
INSERT INTO boot VALUES (?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET last_ms = excluded.last_ms, system_offset_ms = excluded.system_offset_ms
"""
FIX_COLUMNS = "boot, ms, utc_ms, uncertainty_ms, source"
FIX = f"INSERT OR REPLACE INTO fix ({FIX_COLUMNS}) VALUES (?, ?, ?, ?, ?)"
SEGMENT = "INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def clocks(connection: sqlite3.Connection) -> tuple[list[Boot], list[Fix]]:
    """The boots and the fixes of the clock, in order."""
    boots = [Boot(*row) for row in connection.execute("SELECT * FROM boot ORDER BY number")]
    fixes = [Fix(*row) for row in connection.execute(f"SELECT {FIX_COLUMNS} FROM fix ORDER BY boot, ms")]
    return boots, fixes


def meters(
    connection: sqlite3.Connection, which: str = "ORDER BY last_at, number", values: Sequence[int] = ()
) -> list[MeterRow]:
    """Every meter, the one heard longest ago first; or those that a condition chooses, in an order of its own.

    Raises sqlite3.DatabaseError for what was never written there.
    """
    found = []
    for row in connection.execute(f"SELECT * FROM meter {which}", values):
        if row[4] not in COMMODITIES:
            raise sqlite3.DatabaseError("the database is damaged")
        found.append(MeterRow(row[0], MeterKey(row[1], row[2], bool(row[3])), *row[4:]))
    return found


def segments(connection: sqlite3.Connection) -> list[SegmentRow]:
    """The sealed segments, in the order of time."""
    rows = connection.execute(
        "SELECT number, rank, from_at, to_at, readings, receptions, bytes, sha256, live_to FROM segment "
        "ORDER BY from_at, number"
    )
    return [SegmentRow(*row) for row in rows]


def events(rows: Iterable[tuple[int, int, str, int | None, str]], keys: dict[int, MeterKey]) -> list[Event]:
    """Rows of an event table as events; `keys` are the meters by number."""
    return [
        Event(at, kind, None if meter is None else keys.get(meter), json.loads(detail), number)  # type: ignore[arg-type]
        for number, at, kind, meter, detail in rows
        if kind in get_args(EventKind)
    ]


def setting(connection: sqlite3.Connection, name: str, otherwise: str = "") -> str:
    """What is noted under a name."""
    row = connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return row[0] if row else otherwise


def meter_values(number: int, meter: Meter) -> tuple[object, ...]:
    """What `METER` takes."""
    snr_cdb = None if meter.snr_db is None else round(meter.snr_db * 100)
    state = (meter.first_at, meter.last_at, meter.consumption, meter.tamper_phy, meter.tamper_enc)
    changes = (meter.changed_at, meter.tamper_changed_at, snr_cdb)
    return (number, *meter.key, meter.commodity, meter.endpoint_type, *state, *changes)


def event_values(event: Event, numbers: dict[MeterKey, int]) -> tuple[object, ...]:
    """What `EVENT` takes; an event of a meter that the catalogue does not know names it in its detail."""
    number = None if event.meter is None else numbers.get(event.meter)
    detail = event.detail if event.meter is None or number is not None else event.detail | {"of": list(event.meter)}
    return (event.number, event.at, event.kind, number, json.dumps(detail, separators=(",", ":")))


def segment_values(row: SegmentRow) -> tuple[object, ...]:
    """What `SEGMENT` takes."""
    head = (row.number, row.rank, row.from_at, row.to_at, row.readings, row.receptions)
    return (*head, row.bytes, row.sha256, row.live_to)
