"""Writes what gathered since the last commit, and gives each meter, row and event the number that it keeps.

The live database is written first, and holds all of a commit: what a power cut then keeps from the catalogue, that
takes from there when the program starts (`repair/recovery.py`).
"""

from collections.abc import Iterable

import aiosqlite

from appliance.fixes import Fix
from appliance.store import catalogue, live, people
from appliance.store.connection import transaction
from appliance.store.ledger import Batch
from appliance.store.limits import Bucket
from appliance.store.rows import MeterKey, Reception
from appliance.timeline import Boot

# How often meters were heard in the quarter that is running changes with every message: written with each commit it
# would be a fourth of all that is. A power cut may cost this much of it.
RUNNING_MS = 300_000
# Anyone can transmit any ID: so many new meters at once, then so many a second, and so many in all.
NEW_METERS_AT_ONCE, NEW_METERS_PER_S = 2_000, 1 / 60
MOST_METERS = 20_000

Changes = tuple[Boot, list[Fix]] | None
"""What the clock has learned: the boot as it is now, and its new fixes."""


class Writing:
    """The numbers given so far; what to take up from the databases is told by `resume` whenever they are opened."""

    def __init__(self) -> None:
        self.refused_meters = 0
        self._numbers: dict[MeterKey, int] = {}
        self._admission = Bucket(NEW_METERS_AT_ONCE, NEW_METERS_PER_S)
        self._admitted: set[MeterKey] = set()
        self._next_id = self._next_event = 1
        self._running_at = -RUNNING_MS

    def resume(self, numbers: dict[MeterKey, int], next_id: int, next_event: int) -> None:
        """Go on from what the databases hold."""
        self._numbers, self._next_id, self._next_event = numbers, next_id, next_event

    @property
    def last_id(self) -> int:
        """The id of the last row written to the live database."""
        return self._next_id - 1

    def with_running(self) -> None:
        """Let the next commit write the quarter that is running, however lately that was done."""
        self._running_at = -RUNNING_MS

    async def to_live(
        self,
        database: aiosqlite.Connection,
        batch: Batch,
        changes: Changes,
        running: Iterable[Reception],
        now: int,
    ) -> None:
        """Write all of `batch` at the stamp `now`; its readings and receptions are done with then."""
        new = self._admit(batch, now)
        # Numbered before anything is written: what has to be written again has the same number then.
        batch.events = [e if e.number else e._replace(number=self._next_event + n) for n, e in enumerate(batch.events)]
        self._next_event += len(batch.events)
        async with transaction(database) as writer:
            await _write_clock(writer, changes)
            await writer.executemany("INSERT OR IGNORE INTO meter VALUES (?, ?, ?, ?, ?, ?, ?)", new)
            next_id, with_running = await self._write_rows(writer, batch, running, now)
        self._next_id, batch.readings, batch.receptions = next_id, [], {}
        self._running_at = now if with_running else self._running_at
        self._admitted.clear()

    async def to_catalogue(
        self, database: aiosqlite.Connection, batch: Batch, changes: Changes, steps: people.Steps
    ) -> None:
        """Write what the catalogue has of `batch`, and the `steps` that people took."""
        if not (batch.meters or batch.events or changes or steps):
            return
        async with transaction(database) as writer:
            for statement, rows in steps:
                await writer.executemany(statement, rows)
            await _write_clock(writer, changes)
            numbered = [(self._numbers[key], m) for key, m in batch.meters.items() if key in self._numbers]
            await writer.executemany(catalogue.METER, [catalogue.meter_values(n, m) for n, m in numbered])
            events = [catalogue.event_values(event, self._numbers) for event in batch.events]
            await writer.executemany(catalogue.EVENT, events)

    def _admit(self, batch: Batch, now: int) -> list[tuple[object, ...]]:
        """Give each new meter a number, unless there are too many; returns their rows."""
        new: list[tuple[object, ...]] = []
        for key, meter in batch.meters.items():
            if key in self._numbers:
                continue
            # One that was admitted before may have to be written again.
            admitted = key in self._admitted or self._admission.take(now)
            if not admitted or len(self._numbers) >= MOST_METERS:
                self.refused_meters += 1
                continue
            self._admitted.add(key)
            number = self._numbers[key] = max(self._numbers.values(), default=0) + 1
            new.append((number, *key, meter.commodity, meter.endpoint_type, meter.first_at))
        return new

    async def _write_rows(
        self, writer: aiosqlite.Connection, batch: Batch, running: Iterable[Reception], now: int
    ) -> tuple[int, bool]:
        """Returns the next free id, and whether the quarter that is running was written too."""
        numbers, row_id = self._numbers, self._next_id

        async def write(statement: str, rows: Iterable[tuple[object, ...]]) -> int:
            values = [(row_id + n, *row) for n, row in enumerate(rows)]
            await writer.executemany(statement, values)
            return row_id + len(values)

        readings = [r for r in batch.readings if r.meter in numbers]
        receptions = [r for r in batch.receptions.values() if r.meter in numbers]
        row_id = await write(live.READING, (live.reading_values(numbers[r.meter], r) for r in readings))
        row_id = await write(live.RECEPTION, (live.reception_values(numbers[r.meter], r) for r in receptions))
        row_id = await write(live.COVERAGE, live.coverage(receptions))
        row_id = await write(live.EVENT, (catalogue.event_values(event, numbers) for event in batch.events))
        # What became rows must not stand there too.
        if with_running := bool(receptions) or now - self._running_at >= RUNNING_MS:
            await writer.execute(live.RUNNING, (live.pack(running, numbers),))
        return row_id, with_running


async def _write_clock(writer: aiosqlite.Connection, changes: Changes) -> None:
    if changes:
        boot, fixes = changes
        await writer.execute(catalogue.BOOT, (boot.number, boot.boot_id, boot.last_ms, boot.system_offset_ms))
        values = [(fix.boot, fix.ms, fix.utc_ms, fix.uncertainty_ms, fix.source) for fix in fixes]
        await writer.executemany(catalogue.FIX, values)
