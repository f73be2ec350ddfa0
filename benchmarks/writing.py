"""What store and outbox write to the card in a day of 300 meters, by the kernel's own accounts.

Two of them: `write_bytes` of /proc/self/io, the pages that this process made dirty, and, where a file system may be
mounted (root), the sectors that reach an ext4 made for the purpose, with its journal: what a card would get. The
store runs on a clock that the feed moves, so a day takes some seconds. Meters are heard every 30 s and their
registers change every 5 minutes, as those of electric meters do that count 10 Wh.
"""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from appliance.clock import Clock, KernelTime
from appliance.model import Message
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store
from appliance.sync.sealing import SEAL_S, Sealing

START = datetime(2026, 3, 1, tzinfo=UTC)
COMMIT_S = 50.0
CARD_MB = 256


class Street:
    """Meters that are heard once in each round, in another order each time, and the clock that they move.

    Levels, carriers and steps of registers are drawn by chance: what is all alike would take less room than it does.
    """

    def __init__(self, meters: int, every_s: float, change_s: float) -> None:
        self.now_ms = 1_000
        self._gap_s = every_s / meters
        self._change_s = change_s
        self._sent = 0
        self._chance = random.Random(1)
        self._order = list(range(meters))
        self._ids = self._chance.sample(range(10_000_000, 70_000_000), meters)
        self._levels_db = [self._chance.uniform(8, 30) for _ in range(meters)]
        self._carriers_hz = [self._chance.randrange(-3_000, 3_000) for _ in range(meters)]
        self._registers = [self._chance.randrange(10_000_000) for _ in range(meters)]
        self._changes = [0] * meters

    def clock(self) -> Clock:
        """The store's clock: synchronized, and as late as the street."""
        start_ms = round(START.timestamp() * 1000)
        return Clock(
            boottime_ms=lambda: self.now_ms,
            realtime_ms=lambda: start_ms + self.now_ms,
            boot_id="benchmark",
            kernel=lambda: KernelTime(True, 10, None),
        )

    def messages(self, seconds: float) -> Iterator[Message]:
        """What is heard in so many seconds; the clock goes on with it."""
        until = self._sent + round(seconds / self._gap_s)
        while self._sent < until:
            now_s = self._sent * self._gap_s
            self.now_ms = 1_000 + round((now_s + self._chance.random() * self._gap_s) * 1000)
            place = self._sent % len(self._order)
            if not place:
                self._chance.shuffle(self._order)
            number = self._order[place]
            self._sent += 1
            # Each meter brings its register up to date at a moment of its own.
            changes = int((now_s + 7.3 * number) // self._change_s)
            if changes > self._changes[number]:
                self._registers[number] += self._chance.randint(1, 5)
                self._changes[number] = changes
            channel, drift_hz = self._chance.randrange(50), self._chance.gauss(0, 300)
            yield Message(
                time=START + timedelta(milliseconds=self.now_ms), protocol="scm", meter_id=self._ids[number],
                endpoint_type=7, commodity="electric", tamper_phy=0, tamper_enc=0,
                consumption=self._registers[number], checksum=0,
                frequency_hz=round(909_586_000 + 196_568 * channel + self._carriers_hz[number] + drift_hz),
                snr_db=round(self._levels_db[number] + self._chance.gauss(0, 2), 2), corrected_bits=0, sample=0,
            )  # fmt: skip


async def live(directory: Path, street: Street, hours: float) -> None:
    """Run a store in `directory` for some hours of the street, with commits and upkeep."""
    store = Store(directory, COMMIT_S, street.clock())
    await store.open()
    sealing = Sealing(store)
    upkeep = Upkeep(store, monotonic=lambda: street.now_ms / 1000, before_seal=sealing.catch_up)
    for n in range(round(hours * 3600 / COMMIT_S)):
        for message in street.messages(COMMIT_S):
            store.hear(message, False)
        if trouble := await store.commit():
            raise SystemExit(f"the store says: {trouble}")
        await upkeep.tend()
        if n % round(SEAL_S / COMMIT_S) == 0:
            await sealing.catch_up()
        if n % 72 == 0:
            print(f"\r  written: hour {n // 72} of {hours:.0f} ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    sealing.close()
    await store.close()


@dataclass(frozen=True)
class Written:
    """Bytes a second of simulated time: what the process made dirty, and what an ext4 got (None: not measured)."""

    process: float
    device: float | None


def measure(meters: int = 300, hours: float = 24.0) -> Written:
    """Feed a store for so long and see what was written. The first hour, when everything is new, counts too."""
    with card() as (directory, sectors):
        before, before_device = _write_bytes(), sectors()
        asyncio.run(live(directory, Street(meters, 30.0, 300.0), hours))
        os.sync()
        seconds = hours * 3600
        device = None if before_device is None else ((sectors() or 0) - before_device) * 512 / seconds
        return Written((_write_bytes() - before) / seconds, device)


@contextlib.contextmanager
def card() -> Iterator[tuple[Path, "Sectors"]]:
    """A directory on an ext4 of its own if that may be mounted, else a plain one; and what counts its sectors."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        image, mount = folder / "card.img", folder / "card"
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(CARD_MB * 1024 * 1024)
        made = _quiet("mkfs.ext4", "-q", "-F", str(image)) and _quiet("mount", "-o", "loop", str(image), str(mount))
        if not made:
            yield mount, Sectors(None)
            return
        try:
            yield mount, Sectors(_loop_of(mount))
        finally:
            subprocess.run(["umount", str(mount)], check=True)


class Sectors:
    """Counts the sectors written to a block device since it was made; None if there is none."""

    def __init__(self, device: str | None) -> None:
        self._path = Path(f"/sys/block/{device}/stat") if device else None

    def __call__(self) -> int | None:
        os.sync()
        # Field 7 of Documentation/block/stat.rst.
        return int(self._path.read_text().split()[6]) if self._path else None


def _loop_of(mount: Path) -> str:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return next(line.split()[0].rsplit("/", 1)[-1] for line in lines if line.split()[1] == str(mount))


def _quiet(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _write_bytes() -> int:
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["write_bytes"])


if __name__ == "__main__":
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 24.0
    print(measure(hours=hours))
