"""Seals batches into the outbox: every quarter of an hour, soon after an event, and before history is sealed."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from appliance.errors import StoreError
from appliance.store.assign import assign
from appliance.store.assigned import Assigned
from appliance.store.connection import identity as file_identity
from appliance.store.history import History
from appliance.store.limits import FAULTS_AT_ONCE, FAULTS_PER_S, Bucket
from appliance.store.schema import in_words
from appliance.store.writer import Store
from appliance.sync.identity import is_new_key_due, open_identity
from appliance.sync.outbox import OUTBOX, Outbox
from appliance.sync.sparing import IN_WORDS, LEFT_OUT, Sparing
from appliance.timeline import ms_of

log = logging.getLogger(__name__)

T = TypeVar("T")

SEAL_S = 900.0
# What comes with an event, such as the reading that shows it, goes with it.
AFTER_EVENT_S = 2.0
# Anyone can cause events by transmitting, and each batch writes some ten pages to the card.
EVENTS_AT_ONCE, EVENTS_PER_S = 20, 1 / 300


class Sealing:
    """The outbox of a running store. `run` it under the supervisor. `made` is set with each new batch."""

    def __init__(
        self,
        store: Store,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._sleep = sleep
        self._history = History(store.directory)
        self._loop = asyncio.get_running_loop()
        self._outbox: Outbox | None = None
        self._opened: tuple[int, int] | None = None
        self._event = asyncio.Event()
        self._hurry = Bucket(EVENTS_AT_ONCE, EVENTS_PER_S)
        self._lock = asyncio.Lock()
        self._sparing = Sparing()
        self._told_sparing = Bucket(FAULTS_AT_ONCE, FAULTS_PER_S)
        self.made = asyncio.Event()

    def wake(self) -> None:
        """An event was written: it is to be told soon."""
        if self._hurry.take(round(self._monotonic() * 1000)):
            self._event.set()

    async def run(self, report: Callable[[str], None]) -> None:
        """Seal whenever it is due, for ever. Raises StoreError when the identity is damaged."""
        try:
            while True:
                report(await self.seal_now())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SEAL_S):
                        await self._event.wait()
                    await self._sleep(AFTER_EVENT_S)
                self._event.clear()
        finally:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Let go of all files."""
        self._history.close()

    async def of(self, work: Callable[[Outbox], T]) -> T:
        """Do `work` with the outbox. Raises StoreError, OSError, and what `work` raises."""
        async with self._lock:
            return await _through(lambda: work(self._current()))

    async def assign(self, assigned: Assigned) -> bool:
        """Keep a list unless the one that is kept has as high a version; whether it was kept. Raises StoreError."""
        return await assign(self._store, assigned)

    @property
    def assignments(self) -> int:
        """The version of the assignments in force, 0 for none."""
        return self._store.assigned.version

    async def catch_up(self) -> None:
        """Take what was committed, before it is sealed into history; what cannot be taken now is taken from there."""
        try:
            async with self._lock:
                await _through(lambda: self._seal(self._current()))
        except (StoreError, OSError) as fault:
            log.warning("outbox=%s not sealed before history: %s", self._store.directory / OUTBOX, fault)

    async def seal_now(self) -> str:
        """Seal all that is not told yet; returns what is wrong in words, or "". Raises StoreError on a bad identity."""
        self._look_at_card()
        # Without the lock of this: whoever holds the store's may wait for this one.
        if await self._store.commit():
            # The store tells of it.
            return ""
        async with self._lock:
            try:
                outbox = await _through(self._current)
                try:
                    await _through(lambda: self._seal(outbox))
                except StoreError as fault:
                    return str(fault)
            except OSError as fault:
                return in_words(fault)
        return IN_WORDS[self._sparing.scarcity]

    def _look_at_card(self) -> None:
        """Find out how little is to be told; that it changes is told itself."""
        store = self._store
        now = store.clock.now()
        if self._sparing.note(store.history.usage.scarcity, ms_of(now)) and self._told_sparing.take(now):
            store.record("delivery_reduced", {"left_out": LEFT_OUT[self._sparing.scarcity]})

    def _current(self) -> Outbox:
        """The outbox that lies in the data directory now. Raises StoreError, OSError."""
        folder = self._store.directory / OUTBOX
        if self._outbox is None or self._opened != file_identity(folder) or is_new_key_due(self._store.directory):
            # A restore puts another outbox, and another identity, in the place of the one before.
            self._outbox = Outbox(self._store.directory, open_identity(self._store.directory), self._sparing)
            self._outbox.open()
            self._opened = file_identity(folder)
        return self._outbox

    def _seal(self, outbox: Outbox) -> None:
        store = self._store
        self._history.show(store.segments, store.clock.timeline)
        if outbox.seal(self._history, store.clock.timeline, store.clock.now(), store.assigned.version):
            self._loop.call_soon_threadsafe(self.made.set)


async def _through(work: Callable[[], T]) -> T:
    """Do `work` in a thread; who is cancelled meanwhile waits until it is done, for its files are still in use."""
    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.gather(working, return_exceptions=True)
        raise
