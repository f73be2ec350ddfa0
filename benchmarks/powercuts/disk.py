"""A disk with a write cache that forgets: what a power cut may leave of a program's files.

The model is that of the study by Pillai et al., "All File Systems Are Not Created Equal" (ALICE, OSDI 2014), with
what POSIX promises and no more: the data of a file is durable once the *file* was synced, a name (made, renamed,
removed) once its *directory* was. Of everything later, each piece may be there or not:

- A write is kept, dropped, or torn: some of its 512-byte sectors are there, others are not. Later writes may be kept
  without earlier ones. The kept size of a file whose data was dropped shows as zeros.
- A change of size (ftruncate, O_TRUNC, fallocate) is kept or dropped.
- A name is made, removed or renamed whole or not at all; a rename moves both names at once. Changes of one and the
  same name keep their order; different names do not ("any"), or do ("journal", which is how ext4, XFS and btrfs
  behave: their journal holds names in order, see "ext4: data=ordered" in the kernel's documentation).
- sync and syncfs make all durable; sync_file_range promises nothing.

Five manners of cutting: "none" and "all" of what was not durable kept, "prefix" (writes reach the disk in the order
they were made, up to one that is torn), "journal" and "any" as above with data in any combination.

Not modelled: sectors that were not written at all but lie in the same flash page as one that was (SQLite calls a
disk without that "powersafe overwrite"), a card that lies about having written, bits that rot, old blocks of other
files showing up in a new one (ext4's data=writeback). The store's checks and its copies are for those.
SQLite's -shm files are no part of the disk: they are rebuilt, so a cut leaves either none or one full of noise.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

SECTOR = 512
ROOT = 0
MANNERS = ("none", "all", "prefix", "journal", "any")
SHARED_MEMORY = "-shm"
SHARED_MEMORY_SIZE = 32768


class Kind(StrEnum):
    """What an entry of a trace is; the letters are those of `recorder.c`."""

    CREATE = "c"
    DIRECTORY = "d"
    WRITE = "w"
    RESIZE = "t"
    EXTEND = "e"
    SYNC = "s"
    SYNC_ALL = "a"
    RENAME = "r"
    LINK = "l"
    UNLINK = "u"
    MARK = "m"
    UNKNOWN = "?"


class Entry(NamedTuple):
    """One thing a program did: `offset` is a size for RESIZE and EXTEND; names are relative to the directory."""

    kind: Kind
    inode: int
    offset: int
    name: str
    other: str
    data: bytes | memoryview


@dataclass(frozen=True)
class Tree:
    """A directory: the names below it that are directories, and the content of each file."""

    directories: frozenset[str]
    files: Mapping[str, bytes]

    def write(self, directory: Path) -> None:
        """Make it below `directory`, which exists and is empty."""
        for name in sorted(self.directories):
            (directory / name).mkdir()
        for name, content in self.files.items():
            (directory / name).write_bytes(content)


def read_tree(directory: Path) -> tuple[Tree, dict[str, int]]:
    """What is below a directory, without SQLite's shared memory; and all inodes, "" being the directory's own."""
    directories, files, inodes = set(), {}, {"": directory.stat().st_ino}
    for folder, below, names in os.walk(directory):
        for name in (*below, *names):
            path = Path(folder, name)
            relative = path.relative_to(directory).as_posix()
            if name in below:
                directories.add(relative)
            elif not name.endswith(SHARED_MEMORY):
                files[relative] = path.read_bytes()
            inodes[relative] = path.stat().st_ino
    return Tree(frozenset(directories), files), inodes


class Change(NamedTuple):
    """Not yet durable data of a file: a write, or, with `data` None, a new size (`grow`: never a smaller one)."""

    number: int
    offset: int
    data: bytes | memoryview | None
    grow: bool = False


@dataclass
class File:
    """A file's durable content and what was done to it since."""

    durable: bytearray = field(default_factory=bytearray)
    changes: list[Change] = field(default_factory=list)


Name = tuple[int, str]  # a directory's identity and a name in it


class Naming(NamedTuple):
    """Not yet durable change of names: all of `now` at once; None removes a name."""

    number: int
    now: dict[Name, int | None]


class Disk:
    """The files of one directory, durable and not; entries of a trace are applied one after the other.

    Files and directories have identities of their own, because the numbers of inodes are used again.
    """

    def __init__(self, tree: Tree, inodes: Mapping[str, int]) -> None:
        self._files: dict[int, File] = {}
        self._directories = {ROOT}
        self._names: dict[Name, int] = {}  # as the program sees them
        self._durable: dict[Name, int] = {}
        self._namings: list[Naming] = []
        self._identities = {inodes[""]: ROOT}
        for path in sorted(inodes.keys() - {""}):
            identity = self._identify(inodes[path])
            if path in tree.directories:
                self._directories.add(identity)
            else:
                self._files[identity] = File(bytearray(tree.files.get(path, b"")))
            self._names[self._name(path)] = identity
        self._durable = dict(self._names)

    def apply(self, number: int, entry: Entry) -> None:
        """Take up what the program did as the `number`th thing; numbers grow."""
        match entry.kind:
            case Kind.CREATE | Kind.DIRECTORY:
                identity = self._identify(entry.inode)
                if entry.kind == Kind.DIRECTORY:
                    self._directories.add(identity)
                else:
                    self._files[identity] = File()
                self._rename(number, {self._name(entry.name): identity})
            case Kind.WRITE:
                self._file(entry.inode).changes.append(Change(number, entry.offset, entry.data))
            case Kind.RESIZE | Kind.EXTEND:
                change = Change(number, entry.offset, None, grow=entry.kind == Kind.EXTEND)
                self._file(entry.inode).changes.append(change)
            case Kind.RENAME:
                source, target = self._name(entry.name), self._name(entry.other)
                if source != target:
                    self._rename(number, {target: self._names[source], source: None})
            case Kind.LINK:
                self._rename(number, {self._name(entry.other): self._names[self._name(entry.name)]})
            case Kind.UNLINK:
                self._rename(number, {self._name(entry.name): None})
            case Kind.SYNC:
                self._sync(self._identities[entry.inode])
            case Kind.SYNC_ALL:
                for identity in (*self._files, *self._directories):
                    self._sync(identity)

    def now(self) -> Tree:
        """What the program sees."""
        return self._tree(self._names, {identity: _content(file, None, "all") for identity, file in self._visible()})

    @property
    def at_risk(self) -> int:
        """How many changes are not durable."""
        return len(self._namings) + sum(len(file.changes) for file in self._files.values())

    def cut(self, random: Random, manner: str) -> Tree:
        """What may be left when the power fails now: one of many, chosen by `random`, in one of MANNERS."""
        numbers = sorted(
            [naming.number for naming in self._namings]
            + [change.number for file in self._files.values() for change in file.changes]
        )
        last = random.choice(numbers) if numbers else 0
        names = self._surviving_names(random, manner, last)
        share = random.choice(
            (0.1, 0.5, 0.9)
        )  # of what is at risk; always one half would hardly leave 20 changes whole
        contents = {}
        for identity in sorted(set(names.values()) & self._files.keys()):
            contents[identity] = _content(self._files[identity], random, manner, last, share)
        tree = self._tree(names, contents)
        if manner in ("none", "all") or random.random() < 0.5:
            return tree
        noise = {
            name.removesuffix("-wal") + SHARED_MEMORY: random.randbytes(SHARED_MEMORY_SIZE)
            for name in tree.files
            if name.endswith("-wal")
        }
        return Tree(tree.directories, {**tree.files, **noise})

    def _surviving_names(self, random: Random, manner: str, last: int) -> dict[Name, int]:
        kept: list[Naming] = []
        needed: set[Name] = set()
        upto = random.randint(0, len(self._namings))
        for index, naming in reversed(list(enumerate(self._namings))):
            match manner:
                case "none":
                    keep = False
                case "all":
                    keep = True
                case "prefix":
                    keep = naming.number <= last
                case "journal":
                    keep = index < upto
                case _:
                    keep = random.random() < 0.5 or not needed.isdisjoint(naming.now)
            if keep:
                kept.append(naming)
                needed.update(naming.now)
        names = dict(self._durable)
        for naming in reversed(kept):
            _settle(names, naming.now)
        return names

    def _sync(self, identity: int) -> None:
        """A directory's names are durable, and with them older changes of the same names elsewhere (renames)."""
        if identity in self._files:
            file = self._files[identity]
            for change in file.changes:
                _write(file.durable, change)
            file.changes.clear()
            return
        needed: set[Name] = set()
        left: list[Naming] = []
        durable: list[Naming] = []
        for naming in reversed(self._namings):
            if any(directory == identity for directory, _ in naming.now) or not needed.isdisjoint(naming.now):
                needed.update(naming.now)
                durable.append(naming)
            else:
                left.append(naming)
        for naming in reversed(durable):
            _settle(self._durable, naming.now)
        self._namings = left[::-1]

    def _rename(self, number: int, now: dict[Name, int | None]) -> None:
        _settle(self._names, now)
        self._namings.append(Naming(number, now))

    def _identify(self, inode: int) -> int:
        self._identities[inode] = identity = len(self._files) + len(self._directories)
        return identity

    def _file(self, inode: int) -> File:
        return self._files[self._identities[inode]]

    def _name(self, path: str) -> Name:
        *folders, last = path.split("/")
        directory = ROOT
        for folder in folders:
            directory = self._names[directory, folder]
        return directory, last

    def _visible(self) -> Iterator[tuple[int, File]]:
        return ((identity, self._files[identity]) for identity in set(self._names.values()) & self._files.keys())

    def _tree(self, names: Mapping[Name, int], contents: Mapping[int, bytes]) -> Tree:
        below: dict[int, list[tuple[str, int]]] = {}
        for (directory, name), identity in names.items():
            below.setdefault(directory, []).append((name, identity))
        directories, files, waiting = set(), {}, [(ROOT, "")]
        while waiting:
            directory, prefix = waiting.pop()
            for name, identity in below.get(directory, ()):
                if identity in self._directories:
                    directories.add(prefix + name)
                    waiting.append((identity, f"{prefix}{name}/"))
                elif not name.endswith(SHARED_MEMORY):
                    files[prefix + name] = contents[identity]
        return Tree(frozenset(directories), files)


def _settle(names: dict[Name, int], now: Mapping[Name, int | None]) -> None:
    for name, identity in now.items():
        if identity is None:
            names.pop(name, None)
        else:
            names[name] = identity


def _write(content: bytearray, change: Change) -> None:
    if change.data is None:
        if len(content) < change.offset:
            content.extend(bytes(change.offset - len(content)))
        elif not change.grow:
            del content[change.offset :]
        return
    end = change.offset + len(change.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[change.offset : end] = change.data


def _content(file: File, random: Random | None, manner: str, last: int = 0, share: float = 0.5) -> bytes:
    content = bytearray(file.durable)
    for change in file.changes:
        if random is None or manner == "all" or (manner == "prefix" and change.number < last):
            _write(content, change)
        elif manner == "none" or (manner == "prefix" and change.number > last):
            continue
        elif manner != "prefix" and random.random() < share:
            _write(content, change)
        elif change.data is not None and random.random() < 0.5:
            _tear(content, change.offset, change.data, random)
    return bytes(content)


def _tear(content: bytearray, offset: int, data: bytes | memoryview, random: Random) -> None:
    """Write some of the sectors; sectors are those of the disk, so a write may begin and end within one."""
    borders = [0, *range(SECTOR - offset % SECTOR, len(data), SECTOR), len(data)]
    share = random.random()
    for begin, end in pairwise(borders):
        if random.random() < share:
            _write(content, Change(0, offset + begin, data[begin:end]))
    if random.random() < 0.25:
        _write(content, Change(0, offset + len(data), None, grow=True))
