"""What has not been delivered yet: rows of the store after a position, in portions.

Rows of the live database have ids that only grow, so how far delivery has come is one number. Where rows were sealed
before they were taken, because the outbox could not be written to or the live database had to be salvaged, their
segment is gone through instead, table by table; some of it may then be told a second time.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, NamedTuple

from appliance.errors import StoreError
from appliance.model import Commodity
from appliance.store import live
from appliance.store.history import History, Unreadable, View
from appliance.store.rows import CARRIED, MeterKey, SegmentRow
from appliance.store.schema import in_words
from appliance.timeline import boot_of

_READING = "meter, at, consumption, tamper_phy, tamper_enc, flags"
_RECEPTION = "meter, at, count, corrected, levels, snr_sum_cdb, snr_best_cdb, frequency_min_hz, frequency_max_hz, last"
_EVENT = "number, at, kind, meter, detail"
_LIVE = {
    "reading": f"SELECT {_READING} FROM reading WHERE id > ? AND id <= ?",
    "reception": f"SELECT {_RECEPTION} FROM reception WHERE id > ? AND id <= ?",
    "event": f"SELECT {_EVENT} FROM event WHERE id > ? AND id <= ? ORDER BY id",
}
# In pages of the primary key, which is two columns or one.
_SEALED = {
    "reading": f"SELECT {_READING} FROM reading WHERE (meter, at) > (?, ?) AND NOT flags & {CARRIED} "
    "ORDER BY meter, at LIMIT ?",
    "reception": f"SELECT {_RECEPTION} FROM reception WHERE (meter, at) > (?, ?) ORDER BY meter, at LIMIT ?",
    "event": f"SELECT {_EVENT} FROM event WHERE (number, 0) > (?, ?) ORDER BY number LIMIT ?",
}
_PASSES = tuple(_SEALED)
_BOOT_IDS = "SELECT number, boot_id FROM boot"

Row = tuple[Any, ...]


class Position(NamedTuple):
    """How far delivery has come: the last live row; and in a segment gone through meanwhile, the last row of a pass."""

    row: int = 0
    segment: int = 0
    walk: int = 0
    first: int = 0
    second: int = 0


@dataclass(frozen=True, slots=True)
class OutgoingMeter:
    """A meter that rows are of."""

    key: MeterKey
    endpoint_type: int
    commodity: Commodity


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A portion of rows, and the position after it.

    `readings` and `receptions` begin with the number of the meter and a stamp, and go on as `store.rows.Reading` and
    `Reception` do; `events` are number, stamp, kind, number of the meter or None, and detail.
    """

    position: Position
    meters: dict[int, OutgoingMeter]
    boot_ids: dict[int, str]
    readings: list[Row]
    receptions: list[Row]
    events: list[Row]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.readings or self.receptions or self.events)


def from_live(history: History, after: Position) -> Position:
    """A position that is not beyond the beginning of the live database. Raises StoreError, OSError.

    In a backup the outbox may be younger than the databases: the rows that it told of last are not there, and their
    numbers are given anew.
    """
    try:
        return after._replace(row=min(after.row, history.answer(lambda view: view.live_to)))
    except sqlite3.Error as fault:
        raise StoreError(f"what is to be delivered cannot be read: {in_words(fault)}") from fault


def outgoing(history: History, after: Position, most: int) -> Outgoing:
    """The next portion, of at most so many rows. Raises StoreError, OSError."""
    try:
        return history.answer(lambda view: _outgoing(view, after, most))
    except sqlite3.Error as fault:
        raise StoreError(f"what is to be delivered cannot be read: {in_words(fault)}") from fault


def _outgoing(view: View, after: Position, most: int) -> Outgoing:
    missed = next((row for row in view.sealed if row.live_to > after.row), None)
    found: dict[str, list[Row]] = {table: [] for table in _PASSES}
    if missed:
        position = _walk(view.segment(missed), missed, after, most, found)
    else:
        last = max(live.last_id(view.live), view.live_to)
        # Other data than was told of has come into the directory.
        begin = after.row if after.row <= last else view.live_to
        end = min(last, begin + most)
        for table, query in _LIVE.items():
            found[table] = view.live.execute(query, (begin, end)).fetchall()
        position = Position(end)
    numbers = {row[0] for table in ("reading", "reception") for row in found[table]}
    meters = _meters(view.catalogue, numbers | {row[3] for row in found["event"] if row[3] is not None})
    boots = {boot_of(row[1]) for rows in found.values() for row in rows}
    return Outgoing(
        position,
        meters,
        {number: boot_id for number, boot_id in view.catalogue.execute(_BOOT_IDS) if number in boots},
        [row for row in found["reading"] if row[0] in meters],
        [row for row in found["reception"] if row[0] in meters],
        [
            (number, at, kind, meter if meter in meters else None, json.loads(detail))
            for number, at, kind, meter, detail in found["event"]
        ],
    )


def _walk(
    segment: sqlite3.Connection, row: SegmentRow, after: Position, most: int, found: dict[str, list[Row]]
) -> Position:
    """Take the next rows of a segment; the position after its last one is that after all the rows it holds."""
    walk, first, second = (after.walk, after.first, after.second) if after.segment == row.number else (0, 0, 0)
    table = _PASSES[walk]
    try:
        found[table] = rows = segment.execute(_SEALED[table], (first, second, most)).fetchall()
    except sqlite3.DatabaseError as fault:
        raise Unreadable(row.number) from fault
    if len(rows) == most:
        return Position(after.row, row.number, walk, rows[-1][0], rows[-1][1] if table != "event" else 0)
    if walk + 1 < len(_PASSES):
        return Position(after.row, row.number, walk + 1)
    return Position(row.live_to)


def _meters(known: sqlite3.Connection, numbers: set[int]) -> dict[int, OutgoingMeter]:
    query = (
        "SELECT number, protocol, meter_id, simulated, endpoint_type, commodity FROM meter "
        "WHERE number IN (SELECT value FROM json_each(?))"
    )
    return {
        number: OutgoingMeter(MeterKey(protocol, meter_id, bool(simulated)), endpoint_type, commodity)
        for number, protocol, meter_id, simulated, endpoint_type, commodity in known.execute(
            query, (json.dumps(sorted(numbers)),)
        )
    }
