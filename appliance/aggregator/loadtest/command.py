"""`appliance aggregator loadtest`: whether an aggregator on this machine keeps up with so many appliances.

    1    an aggregator of its own is started, and the appliances are enrolled
    2    each delivers its first batch, as fast as that goes: what the machine can take at most
    3    each delivers a batch every interval, at a phase of its own: what is measured
    4    what is stored is compared with what was sent

What is measured is of step 3: processor time of the aggregator's processes, and of the database's server where that
runs on this machine, too. The appliances and their sealing are this process, which is not counted.
"""

import argparse
import asyncio
import os
import random
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from appliance.aggregator.loadtest.centre import Centre, running
from appliance.aggregator.loadtest.delivery import LATE_S, Delivery, Sender, amiss
from appliance.aggregator.loadtest.street import QUARTER_MS, Street, Tally
from appliance.errors import ApplianceError, UsageError
from appliance.file_handles import allow_file_handles

T = TypeVar("T")

INTERVAL_S, ROUND_S = 900.0, 960.0
MOST_METERS = 5_000
AT_ONCE = 16
# For what is on its way when the time is over.
GRACE_S = 30.0
# Above it there is no room for a busy minute, nor for those who look at what is stored.
MOST_SHARE = 0.6
MOST_LATE = 1 / 1_000
TICK_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--appliances", type=_count, default=5_000, metavar="N", help="how many (default 5000)")
    parser.add_argument("--meters", type=_count, default=50, metavar="N", help="that each of them hears (default 50)")
    parser.add_argument("--seconds", type=_seconds, default=ROUND_S, metavar="S", help="how long (default 960)")
    interval = "from one batch of an appliance to its next (default 900)"
    parser.add_argument("--interval", type=_seconds, default=INTERVAL_S, metavar="S", help=interval)
    workers = "processes of the aggregator (default 1); more than one need --database"
    parser.add_argument("--workers", type=_count, default=1, metavar="N", help=workers)
    address = "an empty PostgreSQL database, postgresql://…, which is empty again afterwards (default: SQLite)"
    parser.add_argument("--database", default="", metavar="ADDRESS", help=address)
    folder = "folder on the disk that is meant, for what is made and removed (default: here)"
    parser.add_argument("--directory", type=Path, default=Path(), metavar="DIR", help=folder)


async def run(arguments: argparse.Namespace) -> None:
    """Test, and print what came out. Raises ApplianceError, also when the machine does not keep up."""
    if arguments.meters > MOST_METERS:
        raise UsageError(f"--meters {arguments.meters} is more than {MOST_METERS}", "An appliance hears hundreds.")
    if arguments.workers > 1 and not arguments.database:
        raise UsageError("SQLite has one worker", "Name an empty PostgreSQL by --database, or leave --workers out.")
    if not arguments.directory.is_dir():
        raise UsageError(f"{arguments.directory} is no folder", "Name one by --directory, on the disk that is meant.")
    allow_file_handles()
    async with running(arguments.directory, arguments.database, arguments.workers) as centre:
        result = await _measured(centre, arguments)
    for name, words in result.lines():
        sys.stdout.write(f"{name:<22}{words}\n")
    if not result.keeps_up:
        hint = "Test fewer appliances, or another machine; docs/scale.md tells how to serve more."
        raise ApplianceError("this machine does not keep up with so many appliances", hint)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out. Shares are of one core; `database_share` is None if its server is not on this machine."""

    appliances: int
    meters: int
    interval_s: float
    seconds: float
    first_s: float
    first: Tally
    due: int
    latencies_s: list[float]
    failures: dict[str, int]
    rhythm: Tally
    worker_shares: list[float]
    database_share: float | None
    cores: int
    memory_bytes: int
    database_bytes: int
    amiss: list[str]

    @property
    def late(self) -> int:
        """How many batches were delivered too late."""
        return sum(latency_s > LATE_S for latency_s in self.latencies_s)

    @property
    def machine_share(self) -> float:
        """Of all cores, aggregator and database together."""
        return (sum(self.worker_shares) + (self.database_share or 0.0)) / self.cores

    @property
    def keeps_up(self) -> bool:
        """All is stored once, in time, and there is room for a busy minute."""
        in_time = len(self.latencies_s) == self.due and self.late <= MOST_LATE * self.due
        return not self.amiss and in_time and max(*self.worker_shares, self.machine_share) < MOST_SHARE

    def lines(self) -> Iterator[tuple[str, str]]:
        """The report, by name and words."""
        yield "appliances", f"{self.appliances:,} with {self.meters} meters, a batch every {self.interval_s:g} s"
        first_per_s = self.appliances / self.first_s
        readings_per_s = self.first.readings / self.first_s
        yield "all at once", f"{first_per_s:,.0f} batches/s, {readings_per_s:,.0f} readings/s: the first of each"
        told = f"{self.due:,} due in {self.seconds:.0f} s, {len(self.latencies_s):,} delivered"
        failed = f", {sum(self.failures.values()):,} attempts failed" if self.failures else ""
        yield "batches", f"{told}, {self.late:,} later than {LATE_S:g} s{failed}"
        for why, count in sorted(self.failures.items(), key=lambda item: -item[1])[:3]:
            yield "", f"{count:,} ×: {why}"[:100]
        if self.latencies_s:
            by_length = sorted(self.latencies_s)
            shares = (("half", 0.5), ("95 %", 0.95), ("99 %", 0.99), ("all", 1.0))
            told_in = [f"{name} {1000 * by_length[int(part * (len(by_length) - 1))]:.0f} ms" for name, part in shares]
            yield "from due to receipt", ", ".join(told_in)
        per_s = self.rhythm.readings / self.seconds
        yield "readings", f"{per_s:,.0f}/s; {self.rhythm.readings:,}, {self.rhythm.receptions:,} receptions"
        shares_of = " + ".join(f"{100 * share:.1f} %" for share in self.worker_shares)
        server = "" if self.database_share is None else f", its database's server {100 * self.database_share:.1f} %"
        yield "processor", f"aggregator {shares_of} of a core{server}"
        yield "", f"together {100 * self.machine_share:.1f} % of this machine's {self.cores} cores"
        yield "memory", f"{self.memory_bytes / 1e6:.0f} MB a worker at most"
        stored = self.first.with_(self.rhythm)
        each = self.database_bytes / max(1, stored.readings + stored.receptions)
        yield "database", f"{self.database_bytes / 1e6:,.1f} MB, {each:.0f} bytes a row"
        for words in self.amiss[:5]:
            yield "AMISS", words
        yield "stored exactly once", "no" if self.amiss else "yes, every batch that was sent"
        verdict = "keeps up" if self.keeps_up else "does not keep up"
        yield "verdict", f"{verdict}, by the measure of {100 * MOST_SHARE:.0f} % of the processor"


async def _measured(centre: Centre, arguments: argparse.Namespace) -> Result:
    street = Street(secrets.token_bytes(32), arguments.meters, time.time_ns() // 1_000_000 - 2 * QUARTER_MS)
    senders = [Sender(number, street.identity(number)) for number in range(arguments.appliances)]
    delivery = Delivery(street, centre, senders)
    line = _Line()
    try:
        await centre.enrol(street, arguments.appliances)
        for done, sender in enumerate(senders):
            await delivery.seal(sender)
            line.say(lambda done=done: f"sealing {done:,} of {len(senders):,}")  # type: ignore[misc]
        first_s = await _saying(
            delivery.introduce(AT_ONCE * len(centre.workers)),
            line,
            lambda: f"first batches: {sum(s.receipted for s in senders):,} of {len(senders):,}",
        )
        first = _told(senders)
        for sender in senders:
            await delivery.seal(sender)
        used = await _rhythm(delivery, centre, arguments, line)
        line.say(lambda: "comparing what is stored with what was sent", now=True)
        stored = await centre.stored()
        return Result(
            appliances=arguments.appliances, meters=arguments.meters, interval_s=arguments.interval, first_s=first_s,
            first=first, due=delivery.due, latencies_s=delivery.latencies_s, failures=delivery.failures,
            rhythm=Tally(*(a - b for a, b in zip(_told(senders), first, strict=True))),
            cores=len(os.sched_getaffinity(0)), memory_bytes=centre.memory_bytes(), seconds=used.seconds,
            worker_shares=used.worker_shares, database_share=used.database_share,
            database_bytes=await centre.database_bytes(), amiss=amiss(senders, *stored),
        )  # fmt: skip
    finally:
        line.end()
        await delivery.close()


@dataclass(frozen=True)
class _Used:
    """How long the rhythm was kept, and what share of a core it took."""

    seconds: float
    worker_shares: list[float]
    database_share: float | None


async def _rhythm(delivery: Delivery, centre: Centre, arguments: argparse.Namespace, line: "_Line") -> _Used:
    """Keep the rhythm for as long as was asked."""
    clock, interval_s = asyncio.get_running_loop(), arguments.interval
    before, server_before, begin_s = centre.processor_s(), centre.server_processor_s(), clock.time()
    end_s = begin_s + arguments.seconds
    tasks = [
        asyncio.create_task(delivery.keep_rhythm(sender, random.random(), interval_s, begin_s, end_s))  # noqa: S311
        for sender in delivery.senders
    ]

    def words() -> str:
        elapsed_s = max(0.001, clock.time() - begin_s)
        share = sum(now - then for now, then in zip(centre.processor_s(), before, strict=True)) / elapsed_s
        delivered = f"{len(delivery.latencies_s):,} of {delivery.due:,} delivered"
        return f"{elapsed_s:.0f} s of {arguments.seconds:.0f} s: {delivered}, processor {100 * share:.0f} % of a core"

    try:
        await _saying(asyncio.sleep(arguments.seconds), line, words)
        seconds = clock.time() - begin_s
        after, server_after = centre.processor_s(), centre.server_processor_s()
        done, _ = await asyncio.wait(tasks, timeout=GRACE_S)
        for task in done:
            # A fault of our own must not pass for a batch that is late.
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if ended := [worker for worker in centre.workers if worker.has_ended]:
        raise ApplianceError(f"{len(ended)} of the aggregator's processes ended: {ended[0].last_words}")
    shares = [(now - then) / seconds for now, then in zip(after, before, strict=True)]
    server = None if server_after is None or server_before is None else (server_after - server_before) / seconds
    return _Used(seconds, shares, server)


def _told(senders: list[Sender]) -> Tally:
    """What all that was receipted has told."""
    tally = Tally()
    for sender in senders:
        for number in range(1, sender.receipted + 1):
            tally = tally.with_(sender.sent[number].tally)
    return tally


async def _saying(work: Awaitable[T], line: "_Line", words: Callable[[], str]) -> T:
    """What some work comes to, while it is told how far it is."""

    async def tell() -> None:
        while True:
            line.say(words)
            await asyncio.sleep(TICK_S)

    telling = asyncio.create_task(tell())
    try:
        return await work
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


class _Line:
    """What goes on, in one line that is written over; nothing where standard error is no terminal."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()
        self._next_s = 0.0
        self._length = 0

    def say(self, words: Callable[[], str], *, now: bool = False) -> None:
        """Say it, unless something was said just now."""
        if self._shows and (now or time.monotonic() >= self._next_s):
            said = words()
            sys.stderr.write(f"\r{said:<{self._length}}")
            sys.stderr.flush()
            self._length, self._next_s = len(said), time.monotonic() + TICK_S

    def end(self) -> None:
        """Leave the line as if nothing had been there."""
        if self._length:
            sys.stderr.write(f"\r{' ' * self._length}\r")
            sys.stderr.flush()
            self._length = 0


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1_000_000:
        raise ValueError(text)
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 1_000_000:
        raise ValueError(text)
    return value


_count.__name__, _seconds.__name__ = "number from 1", "number of seconds from 1"
