"""Serves the stick that is named for it, by itself, whenever it is plugged in.

The system mounts a stick of that name on one folder, which is looked at every few seconds. Is something mounted there,
what came back is taken in, what waits is put on it, and a text is left that says what was done and that it may be
pulled out. That is done once, and again every hour for one that stays. Pulled out before the end it is served anew the
next time. All goes through a handle of the mounted folder: once it is gone, nothing lands on the card in its place.
"""

import asyncio
import itertools
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from appliance.durable import write
from appliance.errors import InputError, StoreError
from appliance.store.writer import Store
from appliance.sync.courier import About
from appliance.sync.identity import Identity
from appliance.sync.returned import addressed, own
from appliance.sync.sealing import Sealing
from appliance.sync.stick import Exported, export, folder_of
from appliance.sync.taking import Taking, Tally
from appliance.timeline import Moment

log = logging.getLogger(__name__)

LOOK_S = 3.0
AGAIN_S = 3_600.0
PORTION_LINES = 200
RESULT = "RESULT.txt"
HINT = "What waits stays in the outbox: see to the stick, and plug it in again."


class _Stopped(Exception):
    """The program is being stopped."""


class Plugged:
    """Serves what is mounted on `place`. `run` it."""

    def __init__(
        self,
        place: Path,
        store: Store,
        sealing: Sealing,
        taking: Taking,
        about: About,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._store = store
        self._sealing = sealing
        self._taking = taking
        self._about = about
        self._sleep = sleep
        self._monotonic = monotonic

    async def run(self, report: Callable[[str, str], None]) -> None:
        """Look, and serve, for ever. `report` is told what is wrong and what to do about it, empty while nothing is."""
        is_new, served_s = True, self._monotonic()
        while True:
            handle = await asyncio.to_thread(mounted, self._place)
            is_due = self._monotonic() - served_s >= AGAIN_S
            if handle is None:
                is_new = True
                if is_due:
                    # Nobody came back with the stick that failed.
                    report("", "")
            else:
                try:
                    if is_new or is_due:
                        wrong = await self.serve(Path(f"/proc/self/fd/{handle}"))
                        report(wrong, HINT if wrong else "")
                        is_new, served_s = False, self._monotonic()
                finally:
                    os.close(handle)
            await self._sleep(LOOK_S)

    async def serve(self, root: Path) -> str:
        """Take in what is on a stick, and put on it what waits; returns what was wrong, or ""."""
        identity = await self._sealing.of(lambda outbox: outbox.identity)
        tally = Tally()
        try:
            await asyncio.to_thread(_unfinished, folder_of(root, identity.appliance))
            await self._take_in(root, identity.appliance, tally)
            await self._sealing.seal_now()
            done = await self._export(identity, root)
            await self._sealing.of(lambda outbox: outbox.note_sent(done.names))
            for name in done.damaged:
                await self._sealing.of(lambda outbox, name=name: outbox.sound_line(name))  # type: ignore[misc]
            text = result(identity, self._now(), tally, done)
            path = folder_of(root, identity.appliance) / RESULT
            await asyncio.to_thread(write, path, text.encode("utf-8-sig"), 0o644)
        except (InputError, StoreError) as fault:
            return self._failed(root, str(fault))
        except OSError as fault:
            return self._failed(root, fault.strerror or str(fault))
        log.info(
            "stick=%s batches=%d new=%d receipts=%d known=%d refused=%d",
            self._place, len(done.names), done.written, tally.taken, tally.known, tally.refused.total(),
        )  # fmt: skip
        return ""

    def _failed(self, root: Path, words: str) -> str:
        words = words.replace(str(root), str(self._place))
        log.warning("stick=%s not done: %s", self._place, words)
        return f"the stick at {self._place} was not served: {words}"

    def _now(self) -> Moment:
        clock = self._store.clock
        return clock.timeline.moment(clock.now())

    async def _take_in(self, root: Path, appliance: str, tally: Tally) -> None:
        found = await asyncio.to_thread(own, root, appliance)
        lines = addressed(found.files, appliance, tally)
        while portion := await asyncio.to_thread(lambda: list(itertools.islice(lines, PORTION_LINES))):
            tally.add(*await self._taking.take(portion))

    async def _export(self, identity: Identity, root: Path) -> Exported:
        stopping = threading.Event()

        def go_on(_done: int, _total: int | None) -> None:
            if stopping.is_set():
                raise _Stopped

        introduction = identity.introduction(self._about.name, self._about.version)
        work = asyncio.to_thread(export, self._store.directory, identity, introduction, root, go_on)
        working = asyncio.create_task(work)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            stopping.set()
            await asyncio.gather(working, return_exceptions=True)
            raise


def mounted(place: Path) -> int | None:
    """A handle of the folder, if a file system is mounted there; to be closed."""
    try:
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Read after it was opened, which may be what mounts it.
        if os.fstat(handle).st_dev != place.resolve().parent.stat().st_dev:
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def result(identity: Identity, now: Moment, tally: Tally, done: Exported) -> str:
    """What was done, for whoever looks at the stick; lines end as every system's editor takes them."""
    about = "" if now.source != "estimate" else " ?"
    when = f"{datetime.fromtimestamp(now.utc_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC{about}"
    refused = tally.refused.total()
    lines = [
        f"{identity.fingerprint}, {when}",
        "",
        "Done: this stick may be pulled out.",
        f"Waiting batches on it: {len(done.names)}, {done.size} bytes, {done.written} of them new.",
        f"Receipts taken in: {tally.taken}; known already: {tally.known}; refused: {refused}.",
        "At the centre: appliance aggregator ingest FOLDER",
        "",
        "Listo: este pendrive se puede retirar.",
        f"Lotes en espera que lleva: {len(done.names)}, {done.size} bytes, {done.written} de ellos nuevos.",
        f"Recibos incorporados: {tally.taken}; ya conocidos: {tally.known}; rechazados: {refused}.",
        "En la central: appliance aggregator ingest CARPETA",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def _unfinished(folder: Path) -> None:
    """Let nothing say that all is done, as long as it is not. Raises OSError."""
    if folder.is_dir() and not folder.is_symlink() and not folder.parent.is_symlink():
        (folder / RESULT).unlink(missing_ok=True)
