"""Runs a program under `recorder.c` and reads what it changed on its disk.

The directory is recorded from its state before the program began. Whether anything escaped the recorder is not
taken on trust: `read` replays the record and compares it with what the program left behind.
"""

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benchmarks.powercuts.disk import Disk, Entry, Kind, Tree, read_tree

SOURCE = Path(__file__).with_name("recorder.c")
_HEADER = struct.Struct("=IIIIQQ")


class Unrecorded(Exception):
    """The program changed its files in a way that the recorder does not follow."""


class Run(NamedTuple):
    """How a recorded program ended: its exit status and what it said on standard error."""

    status: int
    errors: str


@dataclass(frozen=True)
class Trace:
    """A directory as it was, with the inodes its files then had, and all that was done to it since."""

    before: Tree
    inodes: Mapping[str, int]
    entries: Sequence[Entry]

    def disk(self) -> Disk:
        """The disk before the first entry; all that is on it is durable."""
        return Disk(self.before, self.inodes)

    def marks(self, cut: int) -> list[str]:
        """What the program had said when it was cut off before entry `cut`."""
        said = b"".join(bytes(entry.data) for entry in self.entries[:cut] if entry.kind == Kind.MARK)
        return said.decode().splitlines()


@cache
def recorder() -> Path:
    """The compiled recorder. Raises FileNotFoundError when there is no C compiler, CalledProcessError when it fails."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("no C compiler (cc): the recorder of power cuts cannot be built")
    library = Path(tempfile.mkdtemp(prefix="powercuts-")) / "recorder.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return library


def record(command: Sequence[str], directory: Path, trace: Path, marks: Path, timeout_s: float = 600) -> Run:
    """Run `command` to its end; its changes below `directory` and its lines to `marks` go into `trace`.

    What `directory` holds before is kept beside the trace. Raises subprocess.TimeoutExpired.
    """
    tree, inodes = read_tree(directory)
    trace.with_suffix(".before").mkdir()
    tree.write(trace.with_suffix(".before"))
    trace.with_suffix(".inodes").write_text("\n".join(f"{inode} {name}" for name, inode in inodes.items()))
    trace.touch()
    marks.touch()
    about = {
        "LD_PRELOAD": str(recorder()),
        "POWERCUTS_ROOT": str(directory.resolve()),
        "POWERCUTS_MARKS": str(marks.resolve()),
        "POWERCUTS_TRACE": str(trace.resolve()),
    }
    done = subprocess.run(
        command,
        env=os.environ | about,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    return Run(done.returncode, done.stderr.decode(errors="replace"))


def read(trace: Path, left: Path | None = None) -> Trace:
    """A trace as `record` wrote it; when the directory it `left` is given, it must be what replaying makes.

    Raises Unrecorded when something was done that the recorder does not follow.
    """
    before, _ = read_tree(trace.with_suffix(".before"))
    inodes = {}
    for line in trace.with_suffix(".inodes").read_text().splitlines():
        inode, _, name = line.partition(" ")
        inodes[name] = int(inode)
    found = Trace(before, inodes, _entries(memoryview(trace.read_bytes())))
    if left is not None:
        disk = found.disk()
        for number, entry in enumerate(found.entries):
            disk.apply(number, entry)
        _compare(disk.now(), read_tree(left)[0])
    return found


def _entries(raw: memoryview) -> list[Entry]:
    entries, at = [], 0
    while at < len(raw):
        kind, name_length, other_length, data_length, inode, offset = _HEADER.unpack_from(raw, at)
        at += _HEADER.size
        name = bytes(raw[at : at + name_length]).decode()
        other = bytes(raw[at + name_length : at + name_length + other_length]).decode()
        at += name_length + other_length
        entry = Entry(Kind(chr(kind)), inode, offset, name, other, raw[at : at + data_length])
        at += data_length
        if entry.kind == Kind.UNKNOWN:
            raise Unrecorded(f"{name}: {other}")
        entries.append(entry)
    return entries


def _compare(replayed: Tree, real: Tree) -> None:
    if replayed.directories != real.directories or replayed.files.keys() != real.files.keys():
        names = (replayed.directories ^ real.directories) | (replayed.files.keys() ^ real.files.keys())
        raise Unrecorded(f"these names came or went unrecorded: {', '.join(sorted(names))}")
    for name, content in replayed.files.items():
        if content != real.files[name]:
            raise Unrecorded(f"{name} was changed unrecorded")
