"""What an aggregator has put on a stick for appliances, looked for and read with care.

    receipts.jsonl, assignments.jsonl    signed envelopes, a line each, in any folder; its own ones come first

A stick may come from anybody: so many entries are looked at and so deep, plain files alone are opened, as much is read
of each, and one that is full of garbage is given up. A technician's stick has files for many appliances; what is for
others is counted without being looked at further.
"""

import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from appliance.errors import InputError
from appliance.sync.envelope import RECEIPT, Refused, read
from appliance.sync.receipt import unpack_receipt
from appliance.sync.stick import ASSIGNED, RECEIPTS, folder_of, shelves_in
from appliance.sync.taking import MOST_LINE_BYTES, Outcome, Tally

NAMES = (RECEIPTS, ASSIGNED)
MOST_ENTRIES, MOST_DEPTH = 20_000, 12
MOST_FILE_BYTES = 64 << 20
MOST_REFUSED = 100


class Found(NamedTuple):
    """The files that are to be read, and whether there was more than is looked at."""

    files: list[Path]
    is_cut: bool = False


def own(root: Path, appliance: str) -> Found:
    """The files in the folders of one appliance. Raises OSError."""
    folder = folder_of(root, appliance)
    if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
        return Found([])
    paths = [place / name for place in (folder, *shelves_in(folder)) for name in NAMES]
    return Found([path for path in paths if _is_plain(path)])


def find(place: Path, appliance: str) -> Found:
    """The files below a folder, or the file that `place` is. Raises InputError."""
    if place.is_file():
        return Found([place])
    if not place.is_dir():
        raise InputError(f"{place} is neither a file nor a folder", "Name the folder where the stick is mounted.")
    first = own(place, appliance).files
    found, folders, entries = dict.fromkeys(first), [(place, 0)], 0
    while folders:
        folder, depth = folders.pop()
        for entry in _entries(folder):
            entries += 1
            if entries > MOST_ENTRIES:
                return Found(list(found), is_cut=True)
            if entry.is_dir(follow_symlinks=False) and depth < MOST_DEPTH:
                folders.append((Path(entry.path), depth + 1))
            elif entry.name in NAMES and entry.is_file(follow_symlinks=False):
                found[Path(entry.path)] = None
    return Found(list(found))


def addressed(files: list[Path], appliance: str, tally: Tally) -> Iterator[bytes]:
    """The lines that say they are for this appliance; `tally` counts the others. Raises OSError."""
    for path in files:
        bad = 0
        for line in _lines(path):
            try:
                named = _named(line)
            except Refused as fault:
                tally.add(Outcome("refused", fault.reason, f"{path.name}: {fault}"[:300]))
                bad += 1
                if bad >= MOST_REFUSED:
                    break
                continue
            if named not in ("", appliance):
                tally.add(Outcome("refused", "not_its_own", f"for the appliance {named!r:.40}"))
            else:
                yield line


def _named(line: bytes) -> str:
    """For which appliance a receipt says it is, nothing of which is believed; "" of what is dearer to look at.

    Raises Refused.
    """
    envelope = read(line)
    return unpack_receipt(envelope.payload).appliance if envelope.kind == RECEIPT else ""


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            yield from itertools.islice(entries, MOST_ENTRIES + 1)
    except OSError:
        return


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a plain file that are not empty. Raises OSError."""
    left = MOST_FILE_BYTES
    # A pipe that somebody put there would have nobody at its other end.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return
        while left > 0 and (line := file.readline(min(MOST_LINE_BYTES + 2, left))):
            left -= len(line)
            if line := line.rstrip(b"\r\n"):
                yield line


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
