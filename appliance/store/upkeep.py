"""Looks after the history beside the writer: seals, joins, thins, drops, copies the catalogue, finds damage.

Files are made in a thread while the writer goes on; only the few rows that make a new segment valid are written under
its lock. Each step may be cut short anywhere: a segment counts once the catalogue lists it, and what the catalogue no
longer lists is removed when the program starts (`recovery.py`).
"""

import asyncio
import contextlib
import logging
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from pathlib import Path

from appliance.store import adopt, catalogue, live, recovery, restore, segments
from appliance.store.history import Usage
from appliance.store.rows import DAYS, EventKind, SegmentRow
from appliance.store.schema import CATALOGUE, COPY, DAMAGED, LIVE, in_words, read_only, segment_path
from appliance.store.segments import PART, Unsound
from appliance.store.writer import Store, transaction
from appliance.timeline import BOOT_SHIFT

log = logging.getLogger(__name__)

TICK_S = 10.0
CLOCK_S = 16.0
SEAL_ROWS = 50_000
SEAL_MS = 24 * 3_600_000
JOIN = 8
LARGEST_SEGMENT_BYTES = 128 * 1024 * 1024
COPY_S = 24 * 3600.0
SCRUB_S = 3600.0
# What is left to others on the same file system: a twentieth, at most 256 MB.
RESERVE_SHARE, RESERVE_BYTES = 20, 256 * 1024 * 1024


class Upkeep:
    """Keeps the history of a store in order and within `budget_bytes` (None: all but a reserve of the card)."""

    def __init__(
        self,
        store: Store,
        budget_bytes: int | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._budget_bytes = budget_bytes
        self._monotonic = monotonic or asyncio.get_running_loop().time
        self._sleep = sleep
        self._copied_s = self._scrubbed_s = self._monotonic()
        self._clock_s = -CLOCK_S
        self._scrub_after = 0

    async def run(self, report: Callable[[str], None]) -> None:
        """Look after the history, for ever."""
        while True:
            try:
                await self.tend()
                report("")
            except (sqlite3.Error, OSError) as fault:
                report(in_words(fault))
            except Unsound as fault:
                report(str(fault))
            await self._sleep(TICK_S)

    async def tend(self) -> None:
        """Do what is due now. Raises sqlite3.Error, OSError, Unsound; nothing is lost then, and it is due again."""
        store, now_s = self._store, self._monotonic()
        if now_s - self._clock_s >= CLOCK_S:
            self._clock_s = now_s
            self._ask_clock()
        if store.catalogue is None:
            return
        if restore.waiting(store.directory):
            await self._take_up_restore()
        await self.adopt_imports()
        if await asyncio.to_thread(self._is_seal_due):
            await self._seal()
        while parts := joinable(store.segments):
            await self._join(parts)
        await self._stay_within_budget()
        if now_s - self._copied_s >= COPY_S or not (store.directory / COPY).exists():
            self._copied_s = now_s
            await asyncio.to_thread(copy_catalogue, store.directory)
        if now_s - self._scrubbed_s >= SCRUB_S:
            self._scrubbed_s = now_s
            await self._scrub()

    def _ask_clock(self) -> None:
        store = self._store
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

    async def _seal(self) -> None:
        """Make a segment of all that the live database holds, and empty it.

        Under the lock, so that no row comes meanwhile: to empty a table writes some pages to the card, to delete
        all but a few of its rows writes every page of it twice.
        """
        store = self._store
        async with store.lock:
            await store.connect()
            assert store.live is not None
            sealed_to = max((row.live_to for row in store.segments), default=0)
            async with transaction(store.live) as writer:
                # Nothing, unless the last time was cut short.
                for table in live.TABLES:
                    await writer.execute(f"DELETE FROM {table} WHERE id <= ?", (sealed_to,))
            before = next((row for row in reversed(store.segments) if row.from_at >= 1 << BOOT_SHIFT), None)
            number = recovery.next_number(store.directory, store.segments)
            made = await asyncio.to_thread(segments.seal, store.directory, number, store.last_id, before)
            await self._list(made, ())
            async with transaction(store.live) as writer:
                for table in live.TABLES:
                    await writer.execute(f"DELETE FROM {table}")

    async def _join(self, parts: list[SegmentRow]) -> None:
        store = self._store
        number = recovery.next_number(store.directory, store.segments)
        if len(parts) == 1:
            # Too large to be joined with its neighbours: it rises alone.
            await self._rise(parts[0])
            return
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
            recovery.remove(store.directory, row.number)
        log.info("store=%s segment=%s in place of %s", store.directory, made, [row.number for row in gone])

    async def _list_again(self) -> None:
        def listed() -> list[SegmentRow]:
            with contextlib.closing(read_only(self._store.directory / CATALOGUE)) as known:
                return catalogue.segments(known)

        self._store.segments = await asyncio.to_thread(listed)
        self._store.history.show(self._store.segments, self._store.clock.timeline)

    async def _stay_within_budget(self) -> None:
        """What was set aside goes first, then the oldest history is thinned, then it goes; each is told."""
        store = self._store
        while True:
            usage = store.history.usage = await asyncio.to_thread(measure, store.directory, self._budget_bytes)
            if usage.used <= usage.budget:
                return
            if usage.damaged_files:
                await asyncio.to_thread(_remove_oldest_damaged, store.directory)
            elif whole := next((row for row in store.segments if row.rank != DAYS), None):
                await self._thin(whole)
            elif store.segments:
                oldest = store.segments[0]
                await self._enter(None, [oldest])
                self._tell("history_dropped", oldest)
            else:
                return

    async def _thin(self, row: SegmentRow) -> None:
        store = self._store
        number = recovery.next_number(store.directory, store.segments)
        timeline = store.clock.timeline
        try:
            made = await asyncio.to_thread(
                segments.thin, store.directory, number, row, lambda at: local_day(timeline.utc_ms(at)).toordinal()
            )
        except (sqlite3.Error, OSError) as fault:
            if in_words(fault) != "the card is full":
                raise
            # Not even room for the few rows that would stay: the whole has to go.
            await self._enter(None, [row])
            self._tell("history_dropped", row)
            return
        await self._enter(made, [row])
        self._tell("history_thinned", row)

    def _tell(self, kind: EventKind, row: SegmentRow) -> None:
        utc_ms = self._store.clock.utc_ms
        span = {"from_utc_ms": utc_ms(row.from_at), "to_utc_ms": utc_ms(row.to_at)}
        self._store.record(kind, {"segment": row.number, "readings": row.readings, "receptions": row.receptions} | span)

    async def _scrub(self) -> None:
        """Compare one segment with its checksum, in turn; what is damaged is set aside and salvaged."""
        store = self._store
        row = next((r for r in store.segments if r.number > self._scrub_after), None)
        self._scrub_after = row.number if row else 0
        if row is None:
            return
        path = segment_path(store.directory, row.number)
        try:
            found, _ = await asyncio.to_thread(segments.digest, path)
        except FileNotFoundError:
            found = ""
        if found != row.sha256:
            await self._mend(row)

    async def _mend(self, row: SegmentRow) -> None:
        store = self._store

        def mend() -> recovery.Finding:
            with contextlib.closing(recovery.create(store.directory / CATALOGUE, "catalogue")) as writer:
                return recovery.mend(store.directory, row, writer)

        async with store.lock:
            # One connection writes: the store's own makes way meanwhile.
            await store.disconnect()
            kind, detail = await asyncio.to_thread(mend)
            await store.connect()
        await self._list_again()
        store.record(kind, detail)

    async def _take_up_restore(self) -> None:
        store = self._store
        await store.commit()
        async with store.lock:
            await store.disconnect()
            store.begin_again()
            await store.connect()
        await self._list_again()

    async def adopt_imports(self) -> None:
        """Take over what `appliance import` left. Raises sqlite3.Error, OSError, Unsound."""
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


def copy_catalogue(directory: Path) -> None:
    """Make the automatic copy of the catalogue anew."""
    part = directory / (COPY + PART)
    part.unlink(missing_ok=True)
    with contextlib.closing(read_only(directory / CATALOGUE)) as known:
        known.execute("PRAGMA query_only = OFF")
        known.execute("VACUUM INTO ?", (str(part),))
    segments.sync(part)
    part.rename(directory / COPY)
    segments.sync(directory)


def measure(directory: Path, budget_bytes: int | None) -> Usage:
    """The bytes of the data directory, and what it may have: those and what is free, less a reserve for others."""
    used = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    space = shutil.disk_usage(directory)
    most = max(0, used + space.free - min(space.total // RESERVE_SHARE, RESERVE_BYTES))
    damaged = sum(1 for _ in (directory / DAMAGED).glob("*.db"))
    return Usage(used, most if budget_bytes is None else min(most, budget_bytes), space.free, damaged)


def _remove_oldest_damaged(directory: Path) -> None:
    files = sorted((directory / DAMAGED).iterdir(), key=lambda path: int(path.name.split("-")[0]))
    prefix = files[0].name.split("-")[0]
    for path in files:
        if path.name.startswith(f"{prefix}-"):
            path.unlink()


def local_day(utc_ms: int) -> date:
    """The day of an instant where the appliance stands."""
    return datetime.fromtimestamp(utc_ms / 1000).astimezone().date()
