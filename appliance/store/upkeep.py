"""Looks after the history beside the writer: seals, joins, thins, drops, copies the catalogue, finds damage.

Files are made in a thread while the writer goes on; only the few rows that make a new segment valid are written under
its lock. Each step may be cut short anywhere: a segment counts once the catalogue lists it, and what the catalogue no
longer lists is removed when the program starts (`recovery.py`).
"""

import asyncio
import contextlib
import logging
import random
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from appliance.durable import PART, sync
from appliance.store import account_handover, catalogue, files, live, retention, segments
from appliance.store.backup import restore
from appliance.store.connection import transaction
from appliance.store.repair import recovery
from appliance.store.repair.soundness import sound
from appliance.store.rows import DAYS, SegmentRow
from appliance.store.schema import CATALOGUE, COPY, LIVE, in_words, read_only
from appliance.store.transfer import adopt, format1
from appliance.store.writer import Store
from appliance.timeline import BOOT_SHIFT

log = logging.getLogger(__name__)

TICK_S = 10.0
CLOCK_S = 16.0
SEAL_ROWS = 50_000
SEAL_MS = 24 * 3_600_000
JOIN = 8
LARGEST_SEGMENT_BYTES = 128 * 1024 * 1024
COPY_S = 24 * 3600.0
# What people change stands in the catalogue alone.
COPY_WANTED_S = 900.0
SCRUB_S = 3600.0
# After a fault the pause doubles, up to three quarters of an hour: what fails may write much until it does.
LONGEST_PAUSE_TICKS = 256


class Upkeep:
    """Keeps the history of a store in order and within `budget_bytes` (None: all but a reserve of the card).

    `before_seal` is called when the rows of the live database are about to become a segment, under the lock.
    """

    def __init__(
        self,
        store: Store,
        budget_bytes: int | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        before_seal: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._budget_bytes = budget_bytes
        self._monotonic = monotonic or asyncio.get_running_loop().time
        self._sleep = sleep
        self._before_seal = before_seal
        self._copied_s = self._scrubbed_s = self._monotonic()
        self._clock_s = -CLOCK_S
        self._scrub_after: int | None = None
        self._pause_ticks = 0
        self._resting_ticks = 0
        self._short = ""

    async def run(self, report: Callable[[str], None]) -> None:
        """Look after the history, for ever."""
        while True:
            if self._resting_ticks:
                self._resting_ticks -= 1
                self._ask_clock()
            else:
                report(await self._try_to_tend())
            await self._sleep(TICK_S)

    async def _try_to_tend(self) -> str:
        try:
            short = await self.tend()
        except (sqlite3.Error, OSError) as fault:
            self._resting_ticks = self._pause_ticks
            self._pause_ticks = min(2 * self._pause_ticks + 1, LONGEST_PAUSE_TICKS)
            return in_words(fault)
        self._pause_ticks = 0
        return short

    async def tend(self) -> str:
        """Do what is due now; returns why there is too little room, if there is.

        Raises the first sqlite3.Error or OSError; nothing is lost then, and it is due again.
        """
        self._ask_clock()
        if self._store.catalogue is None:
            await self._rescue()
            await self._connect()
        faults: list[sqlite3.Error | OSError] = []
        for step in (
            self._take_up_restore, self.adopt_accounts, self.adopt_imports, self._seal_if_due,
            self._stay_within_budget, self._join, self._copy, self._scrub,
        ):  # fmt: skip
            try:
                await step()
            except (sqlite3.Error, OSError) as fault:
                log.warning("store=%s step=%s failed: %s", self._store.directory, step.__name__, fault)
                faults.append(fault)
                # What was begun is put in order when the databases are opened again.
                async with self._store.lock:
                    await self._store.disconnect()
        if faults:
            raise faults[0]
        return self._short

    async def _connect(self) -> None:
        async with self._store.lock:
            try:
                await self._store.connect()
            except (sqlite3.Error, OSError):
                await self._store.disconnect()
                raise

    async def _rescue(self) -> None:
        """The databases are not open, perhaps because they cannot be: do what can be done about it from here."""
        store = self._store
        if await asyncio.to_thread(retention.is_full, store.directory):
            if store.segments:
                await self._stay_within_budget()
            else:
                async with store.lock:
                    await asyncio.to_thread(retention.make_room, store.directory, self._budget_bytes)
        elif store.doubted:
            await self._scrub_all()

    def _ask_clock(self) -> None:
        store, now_s = self._store, self._monotonic()
        if now_s - self._clock_s < CLOCK_S:
            return
        self._clock_s = now_s
        if told := store.clock.poll():
            store.record(told.kind, told.detail)
        store.history.show(store.segments, store.clock.timeline)
        if store.clock.has_changes:
            store.wake()

    def _is_seal_due(self) -> bool:
        with contextlib.closing(read_only(self._store.directory / LIVE)) as recent:
            rows, oldest_at = live.waiting(recent)
        if oldest_at is None or not rows:
            return False
        clock = self._store.clock
        return rows >= SEAL_ROWS or clock.utc_ms(clock.now()) - clock.utc_ms(oldest_at) >= SEAL_MS

    async def _seal_if_due(self) -> None:
        if await asyncio.to_thread(self._is_seal_due):
            await self._seal()

    async def _seal(self) -> None:
        """Make a segment of all that the live database holds, and empty it.

        Under the lock, so that no row comes meanwhile: to empty a table writes some pages to the card, to delete
        all but a few of its rows writes every page of it twice.
        """
        store = self._store
        before = next((row for row in reversed(store.segments) if row.from_at >= 1 << BOOT_SHIFT), None)
        if before is not None and not await self._is_intact(before):
            return
        async with store.lock:
            await store.connect()
            assert store.live is not None
            sealed_to = max((row.live_to for row in store.segments), default=0)
            async with transaction(store.live) as writer:
                # Nothing, unless the last time was cut short.
                for table in live.TABLES:
                    await writer.execute(f"DELETE FROM {table} WHERE id <= ?", (sealed_to,))
            if self._before_seal:
                await self._before_seal()
            number = files.next_number(store.directory, store.segments)
            made = await asyncio.to_thread(segments.seal, store.directory, number, store.writing.last_id, before)
            await self._list(made, ())
            async with transaction(store.live) as writer:
                for table in live.TABLES:
                    await writer.execute(f"DELETE FROM {table}")

    async def _join(self) -> None:
        store = self._store
        while parts := joinable(store.segments):
            if len(parts) == 1:
                # Too large to be joined with its neighbours: it rises alone.
                await self._rise(parts[0])
                continue
            for row in parts:
                if not await self._is_intact(row):
                    return
            number = files.next_number(store.directory, store.segments)
            made = await asyncio.to_thread(segments.join, store.directory, number, parts)
            await self._enter(made, parts)

    async def _rise(self, row: SegmentRow) -> None:
        async with self._store.lock:
            await self._store.connect()
            assert self._store.catalogue is not None
            await self._store.catalogue.execute("UPDATE segment SET rank = rank + 1 WHERE number = ?", (row.number,))
        await self._list_again()

    async def _enter(self, made: SegmentRow | None, gone: Sequence[SegmentRow]) -> None:
        """List a new segment in place of others, and remove these."""
        async with self._store.lock:
            await self._store.connect()
            await self._list(made, gone)

    async def _list(self, made: SegmentRow | None, gone: Sequence[SegmentRow]) -> None:
        store = self._store
        assert store.catalogue is not None
        async with transaction(store.catalogue) as writer:
            if made:
                await writer.execute(catalogue.SEGMENT, catalogue.segment_values(made))
            await writer.executemany("DELETE FROM segment WHERE number = ?", [(row.number,) for row in gone])
        await self._list_again()
        for row in gone:
            files.remove(store.directory, row.number)
        numbers = [row.number for row in gone]
        log.info("store=%s segment=%s replaces=%s", store.directory, made.number if made else None, numbers)

    async def _list_again(self) -> None:
        self._store.segments = await asyncio.to_thread(self._listed)
        self._store.history.show(self._store.segments, self._store.clock.timeline)

    async def _stay_within_budget(self) -> None:
        self._short = await retention.stay_within(self._store, self._budget_bytes, self._enter, self._is_intact)

    async def _copy(self) -> None:
        now_s, directory = self._monotonic(), self._store.directory
        after_s = COPY_WANTED_S if self._store.copy_wanted else COPY_S
        if now_s - self._copied_s < after_s and (directory / COPY).exists():
            return
        self._store.copy_wanted = False
        if not await asyncio.to_thread(copy_catalogue, directory):
            self._store.copy_wanted = True
            # Found by what happens whenever the databases are opened, which keeps the good copy.
            raise sqlite3.DatabaseError("the database is damaged")
        self._copied_s = now_s

    async def _scrub(self) -> None:
        """Compare one segment with its checksum, in turn; all, if a question met damage."""
        store, now_s = self._store, self._monotonic()
        if store.doubted:
            await self._scrub_all()
        if now_s - self._scrubbed_s < SCRUB_S or not store.segments:
            return
        self._scrubbed_s = now_s
        rows = sorted(store.segments, key=lambda row: row.number)
        if self._scrub_after is None:
            # A box that starts twice a day comes round all the same.
            self._scrub_after = random.choice(rows).number  # noqa: S311
        row = next((row for row in rows if row.number > self._scrub_after), rows[0])
        self._scrub_after = row.number
        await self._is_intact(row)

    async def _scrub_all(self) -> None:
        for row in await asyncio.to_thread(self._listed):
            await self._is_intact(row)
        self._store.doubted = False

    async def _is_intact(self, row: SegmentRow) -> bool:
        """Whether a segment is what was sealed; if not it is set aside, and what is left of it takes its place."""
        if intact := await asyncio.to_thread(segments.intact, self._store.directory, row):
            return intact
        await self._mend(row)
        return False

    async def _mend(self, row: SegmentRow) -> None:
        store = self._store

        def mend() -> recovery.Finding:
            with contextlib.closing(files.create(store.directory / CATALOGUE, "catalogue")) as writer:
                return recovery.mend(store.directory, row, writer)

        async with store.lock:
            # One connection writes: the store's own makes way meanwhile.
            await store.disconnect()
            kind, detail = await asyncio.to_thread(mend)
            await store.connect()
        await self._list_again()
        store.record(kind, detail)

    def _listed(self) -> list[SegmentRow]:
        with contextlib.closing(read_only(self._store.directory / CATALOGUE)) as known:
            return catalogue.segments(known)

    async def _take_up_restore(self) -> None:
        store = self._store
        if not restore.waiting(store.directory):
            return
        await store.commit()
        async with store.lock:
            await store.disconnect()
            store.begin_again()
            await store.connect()
        await self._list_again()

    async def adopt_accounts(self) -> None:
        """Take over what `appliance account` left. Raises OSError."""
        await account_handover.adopt(self._store)

    async def adopt_imports(self) -> None:
        """Take over what `appliance import` left, and the store of format 1. Raises sqlite3.Error, OSError."""
        await asyncio.to_thread(format1.convert, self._store.directory)
        for path in await asyncio.to_thread(adopt.waiting, self._store.directory):
            await adopt.adopt(self._store, self._enter, path)


def joinable(rows: list[SegmentRow]) -> list[SegmentRow]:
    """The first neighbours that should become one segment: eight of one rank, or as many as stay small enough.

    One alone means that it is too large to be joined.
    """
    for start in range(len(rows) - JOIN + 1):
        group = rows[start : start + JOIN]
        if group[0].rank >= DAYS or any(row.rank != group[0].rank for row in group):
            continue
        if (group[0].from_at < 1 << BOOT_SHIFT) != (group[-1].from_at < 1 << BOOT_SHIFT):
            continue
        size, fitting = 0, list[SegmentRow]()
        for row in group:
            size += row.bytes
            if fitting and size > LARGEST_SEGMENT_BYTES:
                break
            fitting.append(row)
        return fitting
    return []


def copy_catalogue(directory: Path) -> bool:
    """Make the automatic copy of the catalogue anew; False, and the last one stays, when it is damaged."""
    if not sound(directory / CATALOGUE, "catalogue"):
        return False
    part = directory / (COPY + PART)
    part.unlink(missing_ok=True)
    with contextlib.closing(read_only(directory / CATALOGUE)) as known:
        known.execute("PRAGMA query_only = OFF")
        known.execute("VACUUM INTO ?", (str(part),))
    sync(part)
    part.rename(directory / COPY)
    sync(directory)
    return True
