"""USB sticks for the tests: file systems in a file, mounted, filled up and pulled out."""

import contextlib
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

KINDS = ("vfat", "ext4")
SECTOR = 512


class Stick:
    """A stick that is plugged in and pulled out; `root` is where it is mounted."""

    def __init__(self, directory: Path, kind: str, size: int = 8 << 20) -> None:
        self.image, self.root, self.kind = directory / "stick.img", directory / "METERS", kind
        self.root.mkdir(parents=True)
        with self.image.open("wb") as file:
            file.truncate(size)
        if kind == "vfat":
            fat16(self.image, size // SECTOR)
        elif shutil.which(f"mkfs.{kind}"):
            subprocess.run([f"mkfs.{kind}", "-q", "-F", "-m", "0", "-L", "METERS", self.image], check=True)
        else:
            pytest.skip(f"mkfs.{kind} is not installed")

    def plug(self, *options: str) -> None:
        words = ["mount", "-o", ",".join(("loop", *options)), "-t", self.kind, self.image, self.root]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a file in the place of a stick cannot be mounted here: {done.stderr.strip()}")

    def pull(self) -> None:
        """Whoever has it open keeps it until then, as with a stick that is gone."""
        subprocess.run(["umount", "-l", self.root], check=True, capture_output=True)

    @contextlib.contextmanager
    def plugged(self, *options: str) -> Iterator[Path]:
        self.plug(*options)
        try:
            yield self.root
        finally:
            if self.root.is_mount():
                self.pull()


def fat16(path: Path, sectors: int) -> None:
    """Make an empty FAT16 (Microsoft, "FAT: General Overview of On-Disk Format", 1.03), a sector a cluster."""
    fat_sectors, root_entries = (sectors * 2 + SECTOR - 1) // SECTOR, 512
    about = (SECTOR, 1, 1, 2, root_entries, sectors, 0xF8, fat_sectors, 32, 2, 0, 0)
    boot = b"\xeb\x3c\x90METERS  " + struct.pack("<HBHBHHBHHHII", *about)
    boot += struct.pack("<BBBI", 0x80, 0, 0x29, 0x12345678) + b"NO NAME    FAT16   "
    fat = b"\xf8\xff\xff\xff".ljust(fat_sectors * SECTOR, b"\0")
    with path.open("r+b") as file:
        file.write(boot.ljust(SECTOR - 2, b"\0") + b"\x55\xaa" + 2 * fat)
