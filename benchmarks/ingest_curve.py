"""Whether ingest slows down as more is stored: `python -m benchmarks.ingest --curve`.

Forty appliances with 300 meters each tell a quarter of an hour every ten hours, so that months pass and partitions
follow each other. Every million readings a round of the forty is ingested on the whole path: envelope, signature,
checks, transaction, receipt. Another round goes in as rows alone, by COPY or `executemany` and a transaction a batch,
into the same tables: what the database takes of it at least. The rounds between are copies that the database makes of a
round, moved in time, in the same order: signing and packing them would take the machine hours, and tables and indexes
become the same.

Both are measured by the clock and by the processor time of this process and, with PostgreSQL, of its server.
"""

import asyncio
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select, text, update

from appliance.aggregator.database import Database
from appliance.aggregator.ingest import Ingest, Stored
from appliance.aggregator.loadtest.usage import family_processor_s, parent_of
from appliance.aggregator.partitions import Months
from appliance.aggregator.schema import boot, chain, meter, reading, reception
from benchmarks.ingest import (
    AT_ONCE,
    BEGIN_UTC_MS,
    CENTRE,
    METERS,
    QUARTER_MS,
    READINGS_EACH,
    Place,
    batches,
    ready,
)  # fmt: skip

APPLIANCES = 40
# Quarters of an hour from one round to the next.
APART = 40
A_ROUND = APPLIANCES * METERS * READINGS_EACH
BEFORE = hashlib.sha256(b"what was filled in").hexdigest()

COPIED = {table.name: table.columns.keys() for table in (reading, reception)}

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Cost:
    """What a round took for each reading, in µs."""

    wall_us: float
    processor_us: float


@dataclass(frozen=True)
class Point:
    """What a round cost with so many readings stored, through the aggregator and as rows alone."""

    stored: int
    ingest: Cost
    raw: Cost
    bytes_each: float


class Curve:
    """A database that is filled and measured on the way."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._database = Database(place)
        self._round = 0
        self._server: int | None = None
        self._numbers: dict[int, int] = {}

    async def points(self, millions: int) -> "list[Point]":
        """A point at each million of readings, the first when nothing is stored."""
        await ready(self._place, APPLIANCES)
        if self._database.is_postgresql:
            async with self._database.reading() as connection:
                self._server = parent_of(int(await connection.scalar(text("SELECT pg_backend_pid()")) or 0), "postgres")
        # Meters, boots and statements are known then.
        await self._ingest(self._lines())
        async with self._database.reading() as connection:
            listed = await connection.execute(select(meter.c.endpoint_id, meter.c.meter_id))
            self._numbers = dict(map(tuple, listed))
        await self._keep_round()
        found = []
        for million in range(millions + 1):
            while self._round * A_ROUND < million * 1_000_000:
                await Months(self._database).extend(self._now_utc_ms)
                await self._copy_round()
            stored = self._round * A_ROUND
            await Months(self._database).extend(self._now_utc_ms)
            await self._link()
            await self._settle()
            ingested = await self._cost(self._ingest, self._lines())
            raw = await self._cost(self._add_rows, self._rows())
            found.append(Point(stored, ingested, raw, await self._bytes() / (self._round * A_ROUND)))
            point = found[-1]
            print(
                f"  {stored / 1e6:6.2f} million: {1e6 / point.ingest.wall_us:8,.0f} readings/s, processor"
                f" {point.ingest.processor_us:5.1f} µs each; rows alone {1e6 / point.raw.wall_us:8,.0f}/s,"
                f" {point.raw.processor_us:5.1f} µs; {point.bytes_each:.0f} bytes a reading",
                flush=True,
            )
        await self._database.close()
        return found

    async def _cost(self, work: Any, prepared: Any) -> Cost:
        begin_s, used_s = time.perf_counter(), self._processor_s()
        await work(prepared)
        scale = 1e6 / A_ROUND
        return Cost(scale * (time.perf_counter() - begin_s), scale * (self._processor_s() - used_s))

    def _processor_s(self) -> float:
        return time.process_time() + (family_processor_s(self._server) if self._server else 0.0)

    @property
    def _now_utc_ms(self) -> int:
        return BEGIN_UTC_MS + self._round * APART * QUARTER_MS

    def _quarter(self) -> int:
        """The next round's, which it then is."""
        self._round += 1
        return (self._round - 1) * APART

    def _lines(self) -> list[bytes]:
        """The next round, sealed: the batch of each appliance after the one that `_link` says was before it."""
        quarter = self._quarter()
        found = []
        for number in range(1, APPLIANCES + 1):
            ((line, _),) = batches(number, quarter, quarter + 1, BEFORE if quarter else "")
            found.append(line)
        return found

    async def _ingest(self, lines: list[bytes]) -> None:
        """Ingest a round on the whole path."""
        worker, now_utc_ms = Ingest(self._database, CENTRE), self._now_utc_ms
        await worker.keys.refresh()
        waiting = list(lines)

        async def serve() -> None:
            while waiting:
                answer = await worker.ingest(waiting.pop(), now_utc_ms)
                if not isinstance(answer, Stored):
                    raise SystemExit(f"a batch was not stored: {answer}")

        await asyncio.gather(*(serve() for _ in range(AT_ONCE)))

    async def _link(self) -> None:
        """Let the next batch of each appliance be the one of the next round."""
        quarter = self._round * APART
        async with self._database.writing() as connection:
            await connection.execute(update(chain).values(sequence=quarter, sha256=BEFORE))
            ms = quarter * QUARTER_MS - 1
            await connection.execute(update(boot).values(reading_ms=ms, reception_ms=ms, last_at=BEGIN_UTC_MS + ms))

    def _rows(self) -> list[tuple[Rows, Rows]]:
        """The next round as rows, batch by batch."""
        quarter = self._quarter()
        return [_rows_of(number, quarter, self._numbers) for number in range(1, APPLIANCES + 1)]

    async def _add_rows(self, rows: list[tuple[Rows, Rows]]) -> None:
        """Add a round's rows alone, a transaction a batch."""
        for readings, receptions in rows:
            async with self._database.writing() as connection:
                await connection.exec_driver_sql("SELECT 1")
                await self._database.add(connection, reading, readings)
                await self._database.add(connection, reception, receptions)

    async def _keep_round(self) -> None:
        """Keep what is stored, in the order in which it came, to be copied."""
        async with self._database.writing() as connection:
            for table in COPIED:
                order = "ORDER BY appliance_id, meter_id, ms"
                await connection.exec_driver_sql(f"CREATE TABLE {table}_round AS SELECT * FROM {table} {order}")

    async def _copy_round(self) -> None:
        """The next round, as a copy of the first."""
        ms = self._quarter() * QUARTER_MS
        async with self._database.writing() as connection:
            if self._database.is_postgresql:
                # Its meters are those of the first.
                await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            for table, columns in COPIED.items():
                moved = ", ".join(f"{c} + {ms}" if c in ("at", "ms", "last_ms") else c for c in columns)
                await connection.exec_driver_sql(f"INSERT INTO {table} SELECT {moved} FROM {table}_round")

    async def _settle(self) -> None:
        """Let the disk take what was filled in, which is no part of what is measured."""
        if not self._database.is_postgresql:
            async with self._database.engine.connect() as connection:
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        await asyncio.to_thread(os.sync)

    async def _bytes(self) -> int:
        if isinstance(self._place, Path):
            return sum(path.stat().st_size for path in self._place.iterdir())
        async with self._database.reading() as connection:
            return int(await connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)


def _rows_of(number: int, quarter: int, numbers: dict[int, int]) -> tuple[Rows, Rows]:
    """The rows of a batch as they would be stored; `numbers` of meters by their endpoints."""
    begin_ms = quarter * QUARTER_MS
    mine = [numbers[1_000 * number + n] for n in range(METERS)]
    at = BEGIN_UTC_MS + begin_ms
    readings: Rows = []
    for n in range(METERS):
        for step in range(READINGS_EACH):
            # Any moment of its third of the quarter.
            ms = step * QUARTER_MS // READINGS_EACH + (n * 7_919 + quarter * 104_729 + step) % 250_000
            register = 10_000 + 100 * n + quarter * READINGS_EACH + step
            readings.append((mine[n], at + ms, 50, "ntp", number, 1, begin_ms + ms, register, 0, 0, 0))
    receptions: Rows = [
        (mine[n], at, 50, "ntp", number, 1, begin_ms, begin_ms + 890_000, 30, 1, 30, 45_000 + n, 2_500,
         910_000_000, 920_000_000)
        for n in range(METERS)
    ]  # fmt: skip
    return readings, receptions


def draw(curves: dict[str, list[Point]], path: Path) -> None:
    """Processor time of a reading, and how many times as long as rows alone it takes, by what is stored."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (costs, ratios) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for name, points in curves.items():
        stored = [point.stored / 1e6 for point in points]
        line = costs.plot(stored, [point.ingest.processor_us for point in points], label=name)
        color = line[0].get_color()
        raw = [point.raw.processor_us for point in points]
        costs.plot(stored, raw, color=color, linestyle=":", label=f"{name}, rows alone")
        ratios.plot(stored, [point.ingest.wall_us / point.raw.wall_us for point in points], color=color, label=name)
    costs.set(xlabel="readings stored (million)", ylabel="processor time of each (µs)", ylim=0)
    ratios.set(xlabel="readings stored (million)", ylabel="time, against rows alone", ylim=0)
    for axes in (costs, ratios):
        axes.grid(alpha=0.25)
    costs.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
