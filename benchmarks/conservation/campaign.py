"""Runs the appliances, the network and the aggregator; kills both ends, fills their disks, and has the end checked."""

import asyncio
import contextlib
import random
import re
import signal
import subprocess
import sys
import tempfile
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database, migrate
from appliance.aggregator.keys import make_key
from appliance.aggregator.settings import FILE, written
from appliance.sync.identity import open_identity
from benchmarks.conservation.check import Heard, Life, Lost, check
from benchmarks.conservation.life import EVERY_S, METERS
from benchmarks.conservation.network import Network
from benchmarks.powercuts.street import BEGIN_UTC_MS
from tests.aggregator.postgresql import running

MEMORY = Path("/dev/shm")
OUTAGE_S = 600
STARTS_WITHIN_S, ENDS_WITHIN_S = 60.0, 180.0
DISK_MB = 48
REBOOTS = 0.3
FULL_S = 1.0
LOG_BYTES = 4_000


@dataclass(frozen=True)
class Campaign:
    """So many appliances with so many readings each, and at least so many `faults`, of the network and of both ends.

    `share` of the requests meet a fault of the network; every `every_s` seconds something is killed or filled.
    """

    appliances: int = 10
    readings: int = 10_000
    faults: int = 1_000
    share: float = 0.65
    every_s: float = 1.5
    pace_s: float = 0.15
    workers: int = 1

    def run(self, seed: int, database: str = "", progress: Callable[["Tally"], None] = lambda tally: None) -> "Tally":
        """Run it, on SQLite or on the PostgreSQL database of that address. Raises Lost."""
        with (
            tempfile.TemporaryDirectory(
                dir=MEMORY if MEMORY.is_dir() else None, prefix="conservation-", ignore_cleanup_errors=True
            ) as work,
            contextlib.ExitStack() as stack,
        ):
            return asyncio.run(_Run(self, seed, Path(work), stack, database, progress).run())


@dataclass
class Tally:
    """What happened, by its name, and how many readings there were in the end."""

    happened: Counter[str] = field(default_factory=Counter)
    readings: int = 0

    @property
    def faults(self) -> int:
        """How many there were."""
        return self.happened.total()


LONG = Campaign()
QUICK = Campaign(appliances=3, readings=1_000, faults=40, every_s=1.5, pace_s=0.1)


def measure(seed: int, *, quick: bool = False, postgresql: bool = False) -> Tally:
    """The long campaign, or a quick one, with its progress on standard error. Raises Lost."""
    campaign = QUICK if quick else LONG

    def show(tally: Tally) -> None:
        print(f"\r  faults: {tally.faults} of {campaign.faults}", end="", file=sys.stderr, flush=True)

    try:
        if postgresql:
            with running() as server:
                return replace(campaign, workers=2).run(seed, server.new_database(), show)
        return campaign.run(seed, "", show)
    finally:
        print(file=sys.stderr)


class Box:
    """An appliance: its files, and its lives one after the other. It hears until `second` and until `enough` exists."""

    def __init__(self, number: int, directory: Path, until: int) -> None:
        self.number = number
        self.directory = directory
        self.marks, self.log, self.enough = (directory.parent.with_suffix(end) for end in (".marks", ".log", ".enough"))
        self.lives: list[Life] = []
        self.process: Process | None = None
        self.boot_id, self.boot_second, self.boots, self.second = "boot 1", 0, 1, 0
        self._until = until

    @property
    def has_heard(self) -> bool:
        """Whether it has heard what it is to hear at least."""
        return max(self.second, self.said().heard) >= self._until

    def is_done(self) -> bool:
        """Whether it has ended by itself, with all delivered. Raises Lost when it ended by a fault of its own."""
        if self.process is None or self.process.returncode is None:
            return False
        if self.process.returncode not in (0, -signal.SIGKILL):
            raise Lost(f"appliance {self.number} ended with {self.process.returncode}: {_end(self.log)}")
        return self.process.returncode == 0

    async def start(self, address: str, key: str, pace_s: float, *, reboots: bool) -> None:
        """Begin another life; `reboots` if the machine was started anew."""
        self.marks.write_bytes(b"")
        if reboots:
            self.boots += 1
            self._until += OUTAGE_S + EVERY_S
            self.boot_second, self.second = self.second + OUTAGE_S, self.second + OUTAGE_S + EVERY_S
            self.boot_id = f"boot {self.boots}"
        words = (
            self.directory, self.marks, self.enough, address, key, self.number, self.second, self.boot_second,
            self.boot_id, self._until, pace_s,
        )  # fmt: skip
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.conservation.life", *map(str, words), stdout=log, stderr=log
            )

    def ended(self) -> bool:
        """Whether a life is over, and note what it said."""
        if self.process is None or self.process.returncode is None:
            return False
        self.lives.append(self.said())
        self.second = self.lives[-1].heard
        return True

    def said(self) -> Life:
        """What its life of now has said so far."""
        kept = heard = self.second
        for line in self.marks.read_text().splitlines():
            match line.split():
                case ["hear", second]:
                    heard = int(second)
                case ["kept", second]:
                    kept = int(second)
        return Life(self.second, heard, kept)


class Worker:
    """A process of the aggregator."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory.parent / f"{directory.name}.log"
        self.process: Process | None = None
        self.address = ""

    async def start(self) -> None:
        """Start it, and learn where it listens. Raises Lost when it does not start."""
        self.address, seen = "", self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            words = ("-m", "appliance", "aggregator", "run", "--directory", str(self.directory))
            self.process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=log, stderr=log)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STARTS_WITHIN_S):
                while self.process.returncode is None:
                    said = self.log.read_bytes()[seen:].decode(errors="replace")
                    if found := re.search(r"serving http://127\.0\.0\.1:(\d+)\s", said):
                        self.address = f"http://127.0.0.1:{found[1]}"
                        return
                    await asyncio.sleep(0.05)
        if "full" in _end(self.log):
            # It comes when there is room again.
            return
        raise Lost(f"the aggregator does not start: {_end(self.log)}")


class _Run:
    """One run of a campaign."""

    def __init__(
        self, campaign: Campaign, seed: int, work: Path, stack: contextlib.ExitStack, database: str,
        progress: Callable[[Tally], None],
    ) -> None:  # fmt: skip
        self._campaign, self._work, self._stack, self._progress = campaign, work, stack, progress
        self._chance = random.Random(f"campaign {seed}")
        self._address = database
        self._tally = Tally()
        until = EVERY_S * (campaign.readings // METERS)
        self._boxes = [Box(n, self._disk(f"appliance-{n}"), until) for n in range(campaign.appliances)]
        centre = self._disk("aggregator")
        self._key = make_key(centre)
        web = {"host": "127.0.0.1", "port": 0, "plain": True}
        (centre / FILE).write_text(written(web=web, database={"url": database}))
        self._workers = [Worker(centre) for _ in range(campaign.workers)]
        self._network = Network(seed, lambda: [worker.address for worker in self._workers if worker.address])

    def _disk(self, name: str) -> Path:
        """A directory on a small disk of its own, where one may be mounted; else there is none that can be full."""
        folder = self._work / name
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode == 0:
            self._stack.callback(subprocess.run, ["umount", "-l", str(folder)], check=False)
        (folder / "data").mkdir()
        return folder / "data"

    async def run(self) -> Tally:
        """Run it."""
        database = Database(self._address or self._workers[0].directory)
        try:
            await migrate(database.engine)
            async with self._network.serving(), self._running():
                await self._enrol(database)
                await self._trouble()
                await self._calm_down()
            tally, key = self._now(), self._key.public_key()
            heard = [
                Heard(box.number, open_identity(box.directory).appliance, box.directory, [*box.lives, box.said()])
                for box in self._boxes
            ]
            tally.readings = await check(database, key, heard)
            return tally
        finally:
            await database.close()

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """All processes, ended at the end."""
        try:
            await asyncio.gather(*(worker.start() for worker in self._workers))
            await asyncio.gather(*(self._start(box, reboots=False) for box in self._boxes))
            yield
        finally:
            for process in [one.process for one in self._boxes] + [one.process for one in self._workers]:
                if process is not None and process.returncode is None:
                    process.kill()
                    await process.wait()

    async def _start(self, box: Box, *, reboots: bool) -> None:
        public = self._key.public_key().public_bytes_raw().hex()
        await box.start(self._network.address, public, self._campaign.pace_s, reboots=reboots)

    async def _enrol(self, database: Database) -> None:
        """Approve whoever enrols, before the trouble begins."""
        appliances = Appliances(database)
        async with asyncio.timeout(STARTS_WITHIN_S):
            while len(known := await appliances.all()) < len(self._boxes):  # noqa: ASYNC110 - of other processes
                await asyncio.sleep(0.1)
        for one in known:
            await appliances.approve(one.identity, BEGIN_UTC_MS)

    async def _trouble(self) -> None:
        """Trouble of all kinds, until there was enough of it and all was heard that is to be. Raises Lost."""
        self._network.share = self._campaign.share
        actions = [self._kill_appliance] * 5 + [self._kill_worker] * 3
        if all(box.directory.parent.is_mount() for box in self._boxes):
            actions += [self._fill_appliance] * 2 + [self._fill_aggregator] * (not self._address)
        while self._now().faults < self._campaign.faults or not all(box.has_heard for box in self._boxes):
            await asyncio.sleep(self._chance.uniform(0, 2 * self._campaign.every_s))
            await self._chance.choice(actions)()
            await self._restart()
            self._progress(self._now())

    async def _calm_down(self) -> None:
        """No trouble any more: all that is under way arrives. Raises Lost."""
        self._network.share = 0.0
        for box in self._boxes:
            box.enough.touch()
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                while not all(box.is_done() for box in self._boxes):
                    await self._restart()
                    await asyncio.sleep(0.2)
        except TimeoutError:
            slow = [f"{box.number}: {_end(box.log)}" for box in self._boxes if not box.is_done()]
            raise Lost(f"not delivered within {ENDS_WITHIN_S:.0f} s without any trouble: {'; '.join(slow)}") from None

    def _now(self) -> Tally:
        return Tally(self._tally.happened + self._network.happened)

    async def _restart(self) -> None:
        """Start again what was killed. Raises Lost when something ended otherwise."""
        for box in self._boxes:
            if not box.is_done() and box.ended():
                await self._start(box, reboots=self._chance.random() < REBOOTS)
        for worker in self._workers:
            if worker.process is not None and worker.process.returncode is not None:
                await worker.start()

    async def _kill_appliance(self) -> None:
        box = self._chance.choice(self._boxes)
        if box.process is not None and box.process.returncode is None:
            box.process.kill()
            await box.process.wait()
            self._tally.happened["appliance killed"] += 1

    async def _kill_worker(self) -> None:
        worker = self._chance.choice(self._workers)
        if worker.process is not None and worker.address:
            worker.process.kill()
            await worker.process.wait()
            worker.address = ""
            self._tally.happened["aggregator killed"] += 1

    async def _fill_appliance(self) -> None:
        await self._fill(self._chance.choice(self._boxes).directory.parent, "appliance's disk full")

    async def _fill_aggregator(self) -> None:
        await self._fill(self._workers[0].directory.parent, "aggregator's disk full")

    async def _fill(self, disk: Path, name: str) -> None:
        """Leave no room on a disk for a while."""
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(1 << 16)):
                pass
        self._tally.happened[name] += 1
        await asyncio.sleep(FULL_S)
        filler.unlink()


def _end(log: Path) -> str:
    """The last words of a process."""
    return log.read_bytes()[-LOG_BYTES:].decode(errors="replace") if log.exists() else ""
