"""How long the card lasts at what is written to it now: an estimate, and what it assumes.

What the kernel wrote to the device since the machine was started, by its own account (Linux's
Documentation/block/stat.rst: sectors of 512 bytes), the system's own writing included. A card's cells bear some
thousand rewrites of the whole (3D TLC NAND is rated at 1,000 to 3,000), and small writes cost several times their
size inside the card, which no card tells; hence the two numbers below, on the careful side.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

REWRITES = 1000
AMPLIFICATION = 10
SECTOR_BYTES = 512
DAY_S = 86_400
# Starting up is not what it goes on like.
LEAST_S = 3600
_SECTORS_WRITTEN = 6


@dataclass(frozen=True, slots=True)
class Wear:
    """What is written to the card, and how many years it bears that, if all of it is this card's.

    `years` is None while too little time has passed to tell. `rewrites` and `amplification` are what is assumed.
    """

    written_bytes: int
    within_s: float
    capacity_bytes: int
    rewrites: int = REWRITES
    amplification: int = AMPLIFICATION

    @property
    def bytes_a_day(self) -> float | None:
        """At the pace since the start; None while too little time has passed."""
        return self.written_bytes * DAY_S / self.within_s if self.within_s >= LEAST_S else None

    @property
    def years(self) -> float | None:
        """How long the card lasts at this pace, from new."""
        pace = self.bytes_a_day
        return None if not pace else self.capacity_bytes * self.rewrites / self.amplification / pace / 365.25


def wear(directory: Path, uptime_s: float, devices: Path = Path("/sys/dev/block")) -> Wear | None:
    """Of the file system with a data directory; None where the kernel keeps no account of it."""
    try:
        device = directory.stat().st_dev
        words = (devices / f"{os.major(device)}:{os.minor(device)}" / "stat").read_text().split()
        return Wear(int(words[_SECTORS_WRITTEN]) * SECTOR_BYTES, uptime_s, shutil.disk_usage(directory).total)
    except (OSError, IndexError, ValueError):
        return None
