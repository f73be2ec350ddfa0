"""The appliance on a clock that what it hears moves: `python -m benchmarks.hurried CONFIG FIFO DAYS`.

All parts are those of `appliance run`, with three changes: the event loop's time and the store's clock go on with the
time that the messages tell, and upkeep lets the street send the next minutes once it has done what was due, so that a
machine that is slower than the hurry falls behind in nothing. Each day the questions of the site are asked; then it
prints what this process has in memory.

`python -m benchmarks.hurried street FIFO METERS EVERY_S CHANGE_S` is the street: it stands in for the receiver, prints
the lines of `appliance listen`, and waits for a byte in FIFO before each step.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from appliance import app
from appliance.model import Message
from appliance.store import queries
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store
from benchmarks.writing import START, Street

STEP_S = 300.0
DAY_MS = 24 * 3_600_000
ASKED_METERS = 10


def street(fifo: str, meters: int, every_s: float, change_s: float) -> None:
    """Print messages, so many seconds of them for each byte that comes."""
    told = Street(meters, every_s, change_s)
    with open(fifo, "rb", buffering=0) as go_on:
        while go_on.read(1):
            sys.stdout.writelines(f"{message.to_json()}\n" for message in told.messages(STEP_S))
            sys.stdout.flush()


class Hurry:
    """The time that the messages tell."""

    def __init__(self, fifo: Path) -> None:
        self.street = Street(1, 1.0, 1.0)
        self._fifo = os.open(fifo, os.O_RDWR)

    def heard(self, message: Message) -> None:
        """Time has come to this message."""
        self.street.now_ms = max(self.street.now_ms, (message.time - START) // timedelta(milliseconds=1))

    def go_on(self) -> None:
        """The street may send the next step."""
        os.write(self._fifo, b".")


class Loop(asyncio.SelectorEventLoop):
    """An event loop for which the time of the messages passes on top of its own."""

    def __init__(self, hurry: Hurry) -> None:
        super().__init__()
        self._hurry = hurry

    def time(self) -> float:
        """Seconds."""
        return super().time() + self._hurry.street.now_ms / 1000


def run(config: Path, fifo: Path, days: int) -> None:
    """Run the appliance for so many days of messages."""
    hurry, stop = Hurry(fifo), asyncio.Event()

    class HurriedStore(Store):
        def __init__(self, directory: Path, commit_interval_s: float) -> None:
            super().__init__(directory, commit_interval_s, hurry.street.clock())

        def hear(self, message: Message, simulated: bool) -> None:
            hurry.heard(message)
            super().hear(message, simulated)

    class HurriedUpkeep(Upkeep):
        def __init__(self, store: Store, budget_bytes: int | None, **more: Any) -> None:
            super().__init__(store, budget_bytes, **more)
            self._of, self._day = store, 0

        async def tend(self) -> str:
            short = await super().tend()
            await self._of.commit()
            if (day := hurry.street.now_ms // DAY_MS) > self._day:
                self._day = day
                await ask(self._of)
                print(f"day {day} {resident_kb()}", flush=True)
                if day >= days:
                    stop.set()
                    return short
            hurry.go_on()
            return short

    vars(app).update(Store=HurriedStore, Upkeep=HurriedUpkeep)
    with asyncio.Runner(loop_factory=lambda: Loop(hurry)) as runner:
        runner.run(app.run(config, stop))


async def ask(store: Store) -> None:
    """Ask what the site asks, of some meters."""
    now_ms = store.clock.utc_ms(store.clock.now())
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    for meter in (await store.ask(queries.meters))[:ASKED_METERS]:
        await store.ask(queries.series, meter.key, now_ms - 31 * DAY_MS, now_ms)
        await store.ask(queries.intervals, meter.key, now_ms - 31 * DAY_MS, now_ms)
        await store.ask(queries.days, meter.key, today - timedelta(days=31), today, UTC)
        await store.ask(queries.tamper_changes, meter.key)
    await store.ask(queries.coverage, now_ms - 31 * DAY_MS, now_ms)


def resident_kb() -> int:
    """What this process has in memory."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0])


if __name__ == "__main__":
    if sys.argv[1] == "street":
        street(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
    else:
        run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
