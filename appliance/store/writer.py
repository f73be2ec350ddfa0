"""Carries the ledger to the card: one writer, one commit for all that gathered.

A commit is due when the oldest pending row has waited for the commit interval, when many wait, or at once for an
event. What cannot be written goes back into the ledger and is tried again, so that a full or read-only card costs
nothing once it can be written to again. `writing.py` has what a commit writes; `upkeep.py` seals, joins and drops
history beside it, under the same lock.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import aiosqlite

from appliance.clock import Clock
from appliance.model import Message
from appliance.store import assigned, catalogue, live, people
from appliance.store.backup import restore
from appliance.store.connection import identity, open_writer
from appliance.store.history import History
from appliance.store.ledger import Batch, Ledger
from appliance.store.limits import FAULTS_AT_ONCE, FAULTS_PER_S, Bucket
from appliance.store.repair.recovery import Finding, prepare
from appliance.store.repair.soundness import is_damage
from appliance.store.rows import QUARTER_MS, Event, EventKind, MeterKey, MeterRow, SegmentRow, StoreStatus
from appliance.store.schema import (
    CATALOGUE,
    CATALOGUE_CHECKPOINT_PAGES,
    LIVE,
    LIVE_CHECKPOINT_PAGES,
    in_words,
    read_only,
    segment_path,
)
from appliance.store.writing import Writing
from appliance.timeline import BOOT_SHIFT

log = logging.getLogger(__name__)

# With so many rows waiting a commit is due whatever the time.
MANY_ROWS = 5_000

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """The readings in `directory`. `open` it, `run` it under the supervisor, `close` it."""

    def __init__(self, directory: Path, commit_interval_s: float, clock: Clock | None = None) -> None:
        self.directory = directory
        self.commit_interval_s = commit_interval_s
        self.clock = clock or Clock()
        self.ledger = Ledger(self.clock.utc_ms)
        self.history = History(directory)
        self.lock = asyncio.Lock()
        self.catalogue: aiosqlite.Connection | None = None
        self.live: aiosqlite.Connection | None = None
        self.segments: list[SegmentRow] = []
        self.assigned = assigned.Assigned()
        self.people = people.People()
        self.copy_wanted = False
        self.trouble = ""
        self.doubted = False
        self.saved_at: int | None = None
        self._faults, self._told = Bucket(FAULTS_AT_ONCE, FAULTS_PER_S), ""
        self.writing = Writing()
        self._restored = False
        self._files: tuple[tuple[int, int] | None, ...] = ()
        self.on_events: Callable[[], None] = lambda: None
        self._wake = asyncio.Event()
        self._due = asyncio.Event()
        self._readers = ThreadPoolExecutor(1, "history")

    def hear(self, message: Message, simulated: bool) -> None:
        """Take a message; it is on the card within the commit interval."""
        self.ledger.hear(message, simulated, self.clock.stamp_of(message.time))
        self._gather()

    def record(self, kind: EventKind, detail: Mapping[str, object], meter: MeterKey | None = None) -> None:
        """Take an event; it is written at once."""
        self.ledger.record(Event(self.clock.now(), kind, meter, dict(detail)))
        self._gather()

    def wake(self, *, at_once: bool = False) -> None:
        """There is something to write besides what the ledger holds; it is written within the commit interval."""
        self._wake.set()
        if at_once:
            self._due.set()

    def _gather(self) -> None:
        self._wake.set()
        if self.ledger.urgent or self.ledger.pending_readings >= MANY_ROWS:
            self._due.set()

    async def ask(self, question: Callable[Concatenate[History, P], T], *args: P.args, **options: P.kwargs) -> T:
        """Run one of `queries` beside the event loop. Raises sqlite3.Error."""
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._readers, partial(question, self.history, *args, **options)
            )
        except sqlite3.Error as fault:
            self._doubt(fault)
            raise

    def _doubt(self, fault: sqlite3.Error | OSError) -> None:
        """Have the segments looked through soon if that is what a fault is about."""
        self.doubted |= isinstance(fault, sqlite3.Error) and is_damage(fault)

    async def open(self) -> None:
        """Put the directory in order and take up what the card knows, if it can be read; raises StoreTooNew."""
        try:
            await self.connect()
        except (sqlite3.Error, OSError) as fault:
            self.trouble = in_words(fault)
            log.warning("store=%s not usable yet: %s", self.directory, self.trouble)
            await self.disconnect()

    async def run(self, report: Callable[[str], None]) -> None:
        """Commit whenever it is due, for ever."""
        while True:
            report(self.trouble)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.commit_interval_s):
                    await self._due.wait()
            if not (self._wake.is_set() or self.trouble):
                continue
            await self.commit()
            if self.trouble and self._due.is_set():
                # What is urgent stays so, but a card that refuses is not asked without a pause.
                await asyncio.sleep(min(1.0, self.commit_interval_s))

    async def commit(self) -> str:
        """Write all that is pending; returns why it could not, or an empty text. Once begun it is not cut short."""
        writing = asyncio.create_task(self._commit())
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise

    async def _commit(self) -> str:
        async with self.lock:
            self._wake.clear()
            self._due.clear()
            batch = Batch()
            try:
                await self.connect()
                batch = self.ledger.take(self.clock.now())
                await self._write(batch)
            except (sqlite3.Error, OSError) as fault:
                self.ledger.put_back(batch)
                self._tell(in_words(fault))
                self._doubt(fault)
                await self.disconnect()
            else:
                self.saved_at = self.clock.now()
                self._tell("")
                if batch.events:
                    self.on_events()
                if any(event.kind == "restored" for event in batch.events):
                    await asyncio.to_thread(restore.told, self.directory)
            return self.trouble

    def _tell(self, trouble: str) -> None:
        """Note how the card is; what changes about it is an event, written once it can be."""
        before, self.trouble = self.trouble, trouble
        if trouble and not before and self._faults.take(self.clock.now()):
            self._told = trouble
            self.record("storage_failed", {"why": trouble})
        elif self._told and not trouble:
            self.record("storage_recovered", {"why": before})
            self._told = ""

    async def close(self) -> None:
        """Write what is pending and let go of the files."""
        self.writing.with_running()
        if trouble := await self.commit():
            lost = self.ledger.pending_readings
            log.error("store=%s lost=%d readings not saved: %s", self.directory, lost, trouble)
        # Readers first: only a connection that can write puts the logs away when it is the last one.
        await asyncio.get_running_loop().run_in_executor(self._readers, self.history.close)
        self._readers.shutdown()
        await self.disconnect()

    def status(self) -> StoreStatus:
        """How the store is now; the bytes as of the last upkeep."""
        usage = self.history.usage
        return StoreStatus(
            bytes_used=usage.used,
            bytes_budget=usage.budget,
            bytes_free=usage.free,
            segments=len(self.segments),
            damaged_segments=usage.damaged_files,
            readings_waiting=self.ledger.pending_readings,
            readings_lost=self.ledger.lost_readings,
            last_commit_age_s=None if self.saved_at is None else (self.clock.now() - self.saved_at) / 1000,
            oldest_utc_ms=self.clock.utc_ms(self.segments[0].from_at) if self.segments else None,
            trouble=self.trouble,
        )

    async def connect(self) -> None:
        """Open the databases unless they are. Raises sqlite3.Error, OSError, StoreTooNew."""
        if self.catalogue is not None and self._files != self._found():
            # SQLite goes on writing to a file that was moved or deleted, and says nothing.
            log.warning("store=%s files gone or exchanged, opening them anew", self.directory)
            await self.disconnect()
        if self.catalogue is not None:
            return
        findings = await asyncio.to_thread(prepare, self.directory)
        self.catalogue = await open_writer(
            self.directory / CATALOGUE, f"wal_autocheckpoint = {CATALOGUE_CHECKPOINT_PAGES}"
        )
        self.live = await open_writer(self.directory / LIVE, f"wal_autocheckpoint = {LIVE_CHECKPOINT_PAGES}")
        files, self._files = self._files, self._found()
        # A file that is made anew may have the number of the one that was deleted.
        kinds = {kind for kind, _ in findings}
        exchanged = bool(files) and (files != self._files or "catalogue_restored" in kinds)
        if await asyncio.to_thread(self._take_up, exchanged, "restored" in kinds):
            self.record("boot", {"number": self.clock.boot})
        self._report(findings)

    def _take_up(self, exchanged: bool, restored: bool) -> bool:
        """Learn what the databases know: numbers of meters, the next of rows and events, and once the ledger.

        Returns whether this is the first time in this boot.
        """
        first = False
        with (
            contextlib.closing(read_only(self.directory / CATALOGUE)) as known,
            contextlib.closing(read_only(self.directory / LIVE)) as recent,
        ):
            rows = catalogue.meters(known)
            numbers = {row.key: row.number for row in rows}
            next_event = known.execute("SELECT coalesce(max(number), 0) + 1 FROM event").fetchone()[0]
            self.segments = catalogue.segments(known)
            self.assigned = assigned.read(known)
            newest = next((row for row in reversed(self.segments) if row.from_at >= 1 << BOOT_SHIFT), None)
            last = segment_path(self.directory, newest.number) if newest else None
            remembered = live.remembered(recent, last)
            next_id = max([remembered.next_id, *(row.live_to + 1 for row in self.segments)])
            self.writing.resume(numbers, next_id, next_event)
            if restored or not self._restored:
                self.people = people.read(known)
            elif exchanged:
                self.people.write_again()
            if exchanged:
                self.clock.put_back(self.clock.fixes)
                self.ledger.write_again()
            if not self._restored:
                boot = self.clock.boot
                boots, fixes = catalogue.clocks(known)
                self.clock.begin(boots, fixes)
                self.ledger.renumber(boot, self.clock.boot)
                first = self.clock.boot not in {known_boot.number for known_boot in boots}
                self._restore(rows, remembered)
                self._restored = True
        self.history.show(self.segments, self.clock.timeline)
        return first

    def _restore(self, rows: list[MeterRow], remembered: live.Remembered) -> None:
        now_ms = self.clock.utc_ms(self.clock.now())
        begins = {at for _, at, _ in remembered.quarters}
        quarter_s = {at: self.clock.utc_ms(at) // QUARTER_MS * (QUARTER_MS // 1000) for at in begins}
        recent = {at: s for at, s in quarter_s.items() if s * 1000 > now_ms - 5 * QUARTER_MS}
        meters = live.meters(rows, remembered, recent)
        running = live.unpack(remembered.running, {row.number: row.key for row in rows})
        by_key = {meter.key: meter for meter in meters}
        for reception in running:
            by_key[reception.meter].last_at = max(by_key[reception.meter].last_at, reception.last)
        self.ledger.restore(sorted(meters, key=lambda meter: meter.last_at), running)

    def _report(self, findings: Iterable[Finding]) -> None:
        for kind, detail in findings:
            log.warning("store=%s %s %s", self.directory, kind, detail)
            self.record(kind, detail)
            if kind == "restored":
                self.people.end_all()

    def _found(self) -> tuple[tuple[int, int] | None, ...]:
        """What tells the database files from others of their names."""
        return tuple(identity(self.directory / name) for name in (CATALOGUE, LIVE))

    async def disconnect(self) -> None:
        """Close the databases; the next commit opens them again."""
        for connection in (self.catalogue, self.live):
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    await connection.close()
        self.catalogue = self.live = None

    async def _write(self, batch: Batch) -> None:
        assert self.catalogue is not None
        assert self.live is not None
        changes = self.clock.take_changes()
        if changes is None and batch.meters:
            changes = (self.clock.current, [])
        told = self.people.take()
        try:
            await self.writing.to_live(self.live, batch, changes, self.ledger.receptions, self.clock.now())
            await self.writing.to_catalogue(self.catalogue, batch, changes, self.people.steps(told))
        except BaseException:
            self.people.put_back(told)
            self.clock.put_back(changes[1] if changes else [])
            raise

    def begin_again(self) -> None:
        """Forget what is in memory: the directory now holds other data. Called while nothing is pending."""
        self.ledger = Ledger(self.clock.utc_ms)
        self._restored, self._files = False, ()
        self.writing.with_running()
