"""What the card knows of the meters, read back when the program starts."""

import sqlite3
from collections import defaultdict
from datetime import UTC, datetime

import aiosqlite

from appliance.store.ledger import MAX_METERS, QUARTER_S, Meter, MeterKey

_METERS = """
SELECT m.key, protocol, meter_id, simulated, commodity, endpoint_type, first_heard_ms, tamper_changed_ms,
       r.time_ms AS reading_ms, consumption, tamper_phy, tamper_enc,
       EXISTS (SELECT 1 FROM reading WHERE meter = m.key AND key <> r.key) AS has_changed,
       coalesce(c.last_ms, r.time_ms) AS last_heard_ms, levels, snr_sum_cdb
FROM meter AS m
JOIN reading AS r ON r.key = (SELECT key FROM reading WHERE meter = m.key ORDER BY time_ms DESC, key DESC LIMIT 1)
LEFT JOIN reception AS c ON c.start_s = m.quarter_s AND c.meter = m.key
ORDER BY m.quarter_s DESC LIMIT ?
"""


async def meters(reader: aiosqlite.Connection, now: datetime) -> list[Meter]:
    """The meters heard last, at most as many as the ledger holds, the one heard longest ago first.

    Their level is the mean of the quarter of an hour in which they were last heard. Raises sqlite3.Error, also when
    a row holds what was never written there: damage need not stand out to SQLite.
    """
    reader.row_factory = aiosqlite.Row
    counts: defaultdict[int, dict[int, int]] = defaultdict(dict)
    oldest_s = int(now.timestamp()) // QUARTER_S * QUARTER_S - 4 * QUARTER_S
    async with reader.execute("SELECT meter, start_s, count FROM reception WHERE start_s >= ?", (oldest_s,)) as rows:
        async for row in rows:
            counts[row["meter"]][row["start_s"]] = row["count"]
    async with reader.execute(_METERS, (MAX_METERS,)) as rows:
        try:
            found = [_meter(row, counts[row["key"]]) async for row in rows]
        except (TypeError, ValueError, OverflowError):
            raise sqlite3.DatabaseError("the database is damaged") from None
    return sorted(found, key=lambda meter: meter.last_heard)


def _meter(row: aiosqlite.Row, quarters: dict[int, int]) -> Meter:
    return Meter(
        key=MeterKey(row["protocol"], row["meter_id"], bool(row["simulated"])),
        commodity=row["commodity"],
        endpoint_type=row["endpoint_type"],
        first_heard=_moment(row["first_heard_ms"]),
        last_heard=_moment(row["last_heard_ms"]),
        consumption=row["consumption"],
        tamper_phy=row["tamper_phy"],
        tamper_enc=row["tamper_enc"],
        changed=_moment(row["reading_ms"]) if row["has_changed"] else None,
        tamper_changed=None if row["tamper_changed_ms"] is None else _moment(row["tamper_changed_ms"]),
        snr_db=row["snr_sum_cdb"] / row["levels"] / 100 if row["levels"] else None,
        quarters=quarters,
    )


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)
