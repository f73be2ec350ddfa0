"""The files of a backup one after the other, as a tar archive (POSIX.1-1988, "ustar") of nothing but regular files.

Written and read member by member, so that memory does not grow with the archive. What is read may come from anyone:
a member that is no regular file, whose name leads elsewhere or came before, or that claims more bytes than there are
is refused by name. tarfile's own reader is not used, since it understands links, devices and extensions of any length,
and the filters against them are not in every Python 3.11.
"""

import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Protocol

from appliance.errors import InputError, StoreError

BLOCK_BYTES = 512
CHUNK_BYTES = 1 << 20
END = bytes(2 * BLOCK_BYTES)


class Readable(Protocol):
    """Where members come from."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, none at the end."""


class Writable(Protocol):
    """Where members go."""

    def write(self, content: bytes, /) -> object:
        """Take `content`."""


Watch = Callable[[bytes], object]


def add(target: Writable, name: str, size: int, mode: int, source: Readable, watch: Watch = len) -> None:
    """Append a file, as `packed`."""
    for piece in packed(name, size, mode, source, watch):
        target.write(piece)


def packed(name: str, size: int, mode: int, source: Readable, watch: Watch = len) -> Iterator[bytes]:
    """A file of `size` bytes as it stands in an archive; `watch` sees each piece of its content.

    Raises StoreError when `source` has fewer.
    """
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, mode & 0o777
    try:
        header = member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError as fault:
        raise StoreError(f"{name} cannot go into a backup: {fault}", "Move it out of the data directory.") from None
    yield header
    left = size
    while left:
        piece = source.read(min(left, CHUNK_BYTES))
        if not piece:
            raise StoreError(f"{name} became shorter while it was read")
        watch(piece)
        left -= len(piece)
        yield piece
    yield bytes(-size % BLOCK_BYTES)


def end(target: Writable) -> None:
    """Append what says that no member follows."""
    target.write(END)


class Member:
    """A file of the archive; `pieces` gives its content, once."""

    def __init__(self, name: str, size: int, mode: int, source: Readable) -> None:
        self.name, self.size, self.mode = name, size, mode
        self._source = source
        self._left = size

    def pieces(self) -> Iterator[bytes]:
        """What has not been read yet, in pieces of bounded size."""
        while self._left:
            piece = _exactly(self._source, min(self._left, CHUNK_BYTES))
            self._left -= len(piece)
            yield piece


def members(source: Readable, most_bytes: int) -> Iterator[Member]:
    """The files of an archive of at most `most_bytes`. Raises InputError naming what may not be in a backup.

    The source is read to its end, past the last member.
    """
    seen: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    while (block := _exactly(source, BLOCK_BYTES)) != bytes(BLOCK_BYTES):
        member = _member(block, source, most_bytes)
        path = PurePosixPath(member.name)
        if path in seen or path in folders or seen & set(path.parents):
            raise InputError(f"the backup has two files called {_shown(member.name)}")
        seen.add(path)
        folders.update(path.parents)
        yield member
        for _ in member.pieces():
            pass
        _exactly(source, -member.size % BLOCK_BYTES)
    while piece := source.read(CHUNK_BYTES):
        if piece.strip(b"\0"):
            raise InputError("the backup goes on after its end")


def _member(block: bytes, source: Readable, most_bytes: int) -> Member:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError):
        raise InputError("the backup holds something that is no file") from None
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise InputError(f"the backup holds {_shown(info.name)}, which is no regular file")
    if not _plain(info.name):
        raise InputError(f"the backup holds a file with the name {_shown(info.name)}, which no backup has")
    if not 0 <= info.size <= most_bytes:
        raise InputError(f"the backup says that {_shown(info.name)} is larger than the backup")
    return Member(info.name, info.size, info.mode, source)


def _plain(name: str) -> bool:
    """A relative path that stays where it is put.

    >>> [_plain(name) for name in ("history/live.db", "../x", "/x", "a//b", "a/./b", ".x", "", "a/")]
    [True, False, False, False, False, False, False, False]
    """
    parts = name.split("/")
    return name.isprintable() and len(os.fsencode(name)) <= 255 and not any(p.startswith(".") or not p for p in parts)


def _shown(name: str) -> str:
    return repr(name)[:100]


def _exactly(source: Readable, size: int) -> bytes:
    pieces = []
    while size:
        piece = source.read(size)
        if not piece:
            raise InputError("the backup ends in the middle of a file")
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
