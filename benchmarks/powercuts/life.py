"""A life of the store: hears a street of meters, commits, seals, joins and thins, and says what it acknowledged.

Marks, in their order:

    here                this process runs; the directory has not been opened
    boot NUMBER SECOND  the store is open; its boot of that number began at that second of the street
    hear NUMBER         the messages before this one are heard from now on
    kept NUMBER         the messages before this one, and all events told before, are acknowledged
    told NUMBER         an event with this token is acknowledged
    noted NUMBER        a note, and a password, with this token are acknowledged
    sealed NUMBER SUM   the segment and its SHA-256

The street's time passes as fast as messages can be taken. It is heard while a commit is under way, and history is
looked after beside, as in the appliance; with smaller limits, so that hours hold all that happens in a year.
"""

import argparse
import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from appliance.clock import Clock, KernelTime
from appliance.store import upkeep
from appliance.store.accounts import Accounts
from appliance.store.notes import add_note
from appliance.store.rows import MeterKey
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store
from benchmarks.powercuts import street

STEP = 45  # seconds between commits, and so many messages
COMMIT = 10  # that a commit takes, at most
TOKEN_STEPS = 20
PERSON = "ana"
SEAL_ROWS, JOIN, COPY_S = 1500, 3, 1800

T = TypeVar("T")


@dataclass
class Time:
    """The street's clocks, in a boot that began at `boot_second`."""

    second: int
    boot_second: int
    boot_id: str

    def clock(self) -> Clock:
        """As the store asks for it; a time service holds the system's clock."""
        return Clock(
            boottime_ms=lambda: (self.second - self.boot_second) * 1000,
            realtime_ms=lambda: street.BEGIN_UTC_MS + self.second * 1000,
            boot_id=self.boot_id,
            kernel=lambda: KernelTime(synchronized=True, uncertainty_ms=250),
        )


def teller(marks: Path) -> Callable[..., None]:
    """What says a mark, of so many words."""
    handle = os.open(marks, os.O_WRONLY | os.O_APPEND)

    def say(*words: object) -> None:
        os.write(handle, (" ".join(map(str, words)) + "\n").encode())

    return say


def small_limits() -> None:
    """Segments of hours become segments of minutes, a card of gigabytes one of a megabyte."""
    upkeep.SEAL_ROWS = SEAL_ROWS
    upkeep.JOIN = JOIN
    upkeep.COPY_S = COPY_S
    upkeep.SCRUB_S = COPY_S


def keeper(store: Store, time: Time, budget_bytes: int) -> Upkeep:
    """Looks after the history of a store in the street's time."""
    return Upkeep(store, budget_bytes, monotonic=lambda: float(time.second))


async def live(directory: Path, marks: Path, seed: int, time: Time, hours: float, budget_bytes: int) -> None:
    """Hear the street from `time` on."""
    say = teller(marks)
    say("here")
    small_limits()
    store = Store(directory, STEP, time.clock())
    try:
        await store.open()
        await _hear(store, keeper(store, time, budget_bytes), seed, time, hours, say)
        await store.close()
    finally:
        await store.disconnect()


async def _hear(store: Store, history: Upkeep, seed: int, time: Time, hours: float, say: Callable[..., None]) -> None:
    await history.tend()
    await _commit(store)
    say("boot", store.clock.boot, time.boot_second)
    sealed: set[int] = set()
    tending = asyncio.create_task(history.tend())
    begin = time.second
    committing = asyncio.create_task(_acknowledge(store, say, begin, None))
    for first in range(begin, begin + int(hours * 3600), STEP):
        say("hear", first + COMMIT)
        for number in range(first, first + STEP):
            if number == first + COMMIT:
                await committing
                say("hear", first + STEP)
            time.second = number
            store.hear(street.message(seed, number), simulated=False)
            await asyncio.sleep(0)
            if store.ledger.urgent and committing.done():
                committing = await _next(committing, _acknowledge(store, say, number + 1, None))
        time.second = first + STEP
        token = first if (first - begin) // STEP % TOKEN_STEPS == TOKEN_STEPS - 1 else None
        if token is not None:
            store.record("radio_failed", {"token": token})
            await _note(store, token)
            say("noted", token)
        committing = await _next(committing, _acknowledge(store, say, time.second, token))
        if tending.done():
            for row in store.segments:
                if row.number not in sealed:
                    say("sealed", row.number, row.sha256)
                    sealed.add(row.number)
            tending = await _next(tending, history.tend())
    await committing
    await tending


async def _next(task: asyncio.Task[T], following: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start what follows a task that is done, unless that failed."""
    await task
    return asyncio.create_task(following)


async def _note(store: Store, token: int) -> None:
    """What a person writes down, while all else goes on."""
    await add_note(store, MeterKey("scm", token, False), PERSON, str(token))
    accounts = Accounts(store)
    if await accounts.find(PERSON):
        await accounts.set_password(PERSON, str(token), accounts.now_ms())
    else:
        await accounts.add(PERSON, str(token), PERSON)


async def _acknowledge(store: Store, say: Callable[..., None], heard: int, token: int | None) -> None:
    await _commit(store)
    say("kept", heard)
    if token is not None:
        say("told", token)


async def _commit(store: Store) -> None:
    """Commit, and fail if that failed."""
    if trouble := await store.commit():
        raise SystemExit(f"commit: {trouble}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("marks", type=Path)
    for name in ("seed", "second", "boot_second"):
        parser.add_argument(name, type=int)
    parser.add_argument("boot_id")
    parser.add_argument("hours", type=float)
    parser.add_argument("budget_bytes", type=int)
    given = parser.parse_args()
    time = Time(given.second, given.boot_second, given.boot_id)
    asyncio.run(live(given.directory, given.marks, given.seed, time, given.hours, given.budget_bytes))


if __name__ == "__main__":
    main()
