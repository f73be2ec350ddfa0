"""The months of the large tables on PostgreSQL: made ahead by the program itself.

    reading_before_2015, reading_2015_2019, reading_2020_2024    made with the table: such years come by import
    reading_2025_01, reading_2025_02, … up to MONTHS_AHEAD from now
    reading_later                                                whatever claims to be later than that

A row finds its place whatever its time: clocks that were never set say 1970, and others 2106. Of those that are later
than the last month there are few. When a month is added, the ones of it move there out of `later`, in the same
transaction, so that no month ever stands in the way of another. Each table is extended in a transaction of its own:
one that locked two could wait for a worker that waits for it.
"""

import logging
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator.database import Database
from appliance.aggregator.schema import LARGE

log = logging.getLogger(__name__)

FIRST_YEAR = 2025
MONTHS_AHEAD = 3
# Any number that all of our workers agree on.
EXTENDING = 0x6D6F6E7468
# Whoever reads a whole table, as a backup does, may take hours; who waits for it to end holds up all batches. There are
# months ahead, and behind them `later`.
WAITS_MS, AGAIN_MS = 1_000, 3_600_000
LOCK_TIMEOUT = "55P03"


class Months:
    """Which months there are; knows it from the first question on, so that the next ones cost nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._until_utc_ms = 0

    async def extend(self, now_utc_ms: int) -> None:
        """Make the months up to `MONTHS_AHEAD` from now that are not there yet."""
        if not self._database.is_postgresql or now_utc_ms < self._until_utc_ms:
            return
        wanted = month_of(now_utc_ms) + MONTHS_AHEAD + 1
        try:
            for table in LARGE:
                async with self._database.writing() as connection:
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": EXTENDING})
                    await connection.execute(text(f"SET LOCAL lock_timeout = '{WAITS_MS}ms'"))
                    await _extend(connection, table, wanted)
        except DBAPIError as fault:
            if getattr(fault.orig, "sqlstate", "") != LOCK_TIMEOUT:
                raise
            log.info("months not extended: a table is being read as a whole, as by a backup; again later")
            self._until_utc_ms = now_utc_ms + AGAIN_MS
        else:
            self._until_utc_ms = begin_utc_ms(wanted - MONTHS_AHEAD)


async def _extend(connection: AsyncConnection, table: str, wanted: int) -> None:
    names = await connection.scalars(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:name AS regclass)"),
        {"name": table},
    )
    known = {name.removeprefix(f"{table}_") for name in names}
    missing = [month for month in range(12 * FIRST_YEAR, wanted) if name_of(month) not in known]
    if not missing:
        return
    later, end = f"{table}_later", begin_utc_ms(wanted)
    statements = [f"ALTER TABLE {table} DETACH PARTITION {later}"]
    for month in missing:
        bounds = f"FROM ({begin_utc_ms(month)}) TO ({begin_utc_ms(month + 1)})"
        statements.append(f"CREATE TABLE {table}_{name_of(month)} PARTITION OF {table} FOR VALUES {bounds}")
    statements += [
        f"WITH moved AS (DELETE FROM {later} WHERE at < {end} RETURNING *) INSERT INTO {table} SELECT * FROM moved",  # noqa: S608
        f"ALTER TABLE {table} ATTACH PARTITION {later} FOR VALUES FROM ({end}) TO (MAXVALUE)",
    ]
    for statement in statements:
        await connection.exec_driver_sql(statement)


def month_of(utc_ms: int) -> int:
    """The number of a month, 0 for January of the year 0.

    >>> name_of(month_of(1_774_000_000_000))
    '2026_03'
    """
    moment = datetime.fromtimestamp(utc_ms / 1000, UTC)
    return 12 * moment.year + moment.month - 1


def begin_utc_ms(month: int) -> int:
    """When a month begins."""
    return round(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp() * 1000)


def name_of(month: int) -> str:
    """How the partition of a month is called after its table."""
    return f"{month // 12}_{month % 12 + 1:02}"
