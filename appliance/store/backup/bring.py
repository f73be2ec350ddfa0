"""A backup is brought: unpacked beside what is there, checked in full, and only then left to be taken up.

What is there stays as it is until `restore.take_up`, by whoever holds the lock of the data directory.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from appliance.archive import tar
from appliance.archive.container import Opener
from appliance.archive.unusable import Unusable
from appliance.durable import sync, write
from appliance.errors import InputError, StoreError
from appliance.store.backup import restore
from appliance.store.backup.names import ABOUT, IDENTITY, REPLACED, TLS, Membership, membership
from appliance.store.backup.restore import FORMAT, PART, READY
from appliance.store.retention import reserve
from appliance.store.schema import HANDOVER

# Kept free for the appliance, at least, while both the present and the restored files are on the card.
SPARE_BYTES = 16 << 20
_LONGEST_ABOUT_BYTES = 65_536
_LONGEST_LINE = 200
# As the card counts, however small a file is.
_BLOCK_BYTES = 4096
_LOOK_BYTES = 16 << 20
# Each name is kept until the end. Five years of batches of which none was delivered, one each quarter of an hour.
MOST_FILES = 200_000


class NoRoom(StoreError):
    """The card has no room for both, in bytes."""

    def __init__(self, needed: int, free: int) -> None:
        hint = f"Make room on the card: older {REPLACED}… folders in the data directory can be deleted."
        words = f"to restore, {needed / 1e6:.0f} MB must be free, and {free / 1e6:.0f} MB are"
        super().__init__(words, hint)
        self.needed = needed
        self.free = free


class Brought(NamedTuple):
    """What a backup says of itself: when it was `made`, and the `name` of the appliance."""

    made: str
    name: str


class Source(NamedTuple):
    """A backup of `size` bytes, and what faults call it."""

    content: tar.Readable
    size: int
    name: str


def room_for(directory: Path) -> int:
    """The size of the largest backup that can be brought. Raises OSError."""
    return max(0, shutil.disk_usage(directory).free - _spare(directory))


def check_room(directory: Path, size: int) -> None:
    """Whether a backup of this size can be brought. Raises NoRoom, OSError."""
    if size > (room := room_for(directory)):
        raise NoRoom(size + _spare(directory), room + _spare(directory))


def _spare(directory: Path) -> int:
    """What stays free beside it, so that no history has to go for it."""
    return max(SPARE_BYTES, reserve(directory))


def bring(
    source: Source,
    secret: str,
    directory: Path,
    look: Callable[[Path, Brought], None],
    progress: Callable[[int], None] = lambda done: None,
    who: str = "",
) -> list[str]:
    """Unpack, check, and leave for `take_up`; returns which segments were amiss when the backup was made.

    `look` is given the unpacked folder, and may refuse it; `who` brought it, if it is known. The caller holds
    `sole_bringer`. Raises Unusable, InputError, StoreError, StoreTooNew, OSError; nothing is left then.
    """
    part = directory / HANDOVER / PART
    shutil.rmtree(part, ignore_errors=True)
    try:
        about = _unpack(source, secret, directory, progress, who)
        look(part, about)
        amiss = restore.verify(part)
        _ready(directory)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return amiss


def _unpack(source: Source, secret: str, directory: Path, progress: Callable[[int], None], who: str) -> Brought:
    check_room(directory, source.size)
    part = directory / HANDOVER / PART
    part.mkdir()
    # Root may restore for the user that runs the appliance.
    owner = directory.stat()
    _own(directory / HANDOVER, owner)
    _own(part, owner)
    about: Brought | None = None
    done = 0

    def count(piece: bytes) -> None:
        nonlocal done
        done += len(piece)
        progress(min(done, source.size))

    opener = Opener(source.content, secret, source.name)
    room, unseen = room_for(directory), 0
    for number, member in enumerate(tar.members(opener, source.size)):
        if number >= MOST_FILES:
            raise InputError(f"the backup holds more than {MOST_FILES} files, which no backup does")
        taken = -(-member.size // _BLOCK_BYTES) * _BLOCK_BYTES
        room, unseen = room - taken, unseen + taken
        if unseen >= _LOOK_BYTES:
            # Others write meanwhile.
            room, unseen = min(room, room_for(directory) - taken), 0
        if room < 0:
            raise NoRoom(source.size - room + _spare(directory), shutil.disk_usage(directory).free)
        if about is None and (member.name != ABOUT or member.size > _LONGEST_ABOUT_BYTES):
            raise Unusable("no backup", "the backup does not say what it is")
        what = membership(member.name)
        if what is Membership.FORBIDDEN:
            raise InputError(f"the backup holds {member.name!r:.80}, which no backup has")
        if about is None or what is Membership.OWN:
            _write(part, member, owner, count)
        if about is None:
            about = _about(part / ABOUT, who)
            _own(part / ABOUT, owner)
    if about is None:
        raise Unusable("no backup", f"{source.name} is empty")
    return about


def _about(path: Path, who: str) -> Brought:
    """What it says of itself; of that only what is known stays in the file, and who brought it."""
    try:
        about: dict[str, Any] = json.loads(path.read_bytes())
        if about["format"] > FORMAT:
            hint = "Restore it with the version that made it, or a later one."
            raise Unusable("later version", f"the backup has the form {about['format']} of a later version", hint)
        said = {name: _line(about[name]) for name in ("made", "name")} | {"program": _line(about.get("program", ""))}
        kept = {"format": int(about["format"])} | said | ({"who": who} if who else {})
        write(path, json.dumps(kept).encode())
        return Brought(said["made"], said["name"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise Unusable("no backup", "the backup does not say what it is") from None


def _line(said: object) -> str:
    if not isinstance(said, str):
        raise TypeError(said)
    return "".join(c if c.isprintable() else " " for c in said[:_LONGEST_LINE])


def _write(part: Path, member: tar.Member, owner: os.stat_result, watch: Callable[[bytes], None]) -> None:
    path = part / member.name
    is_secret = path.parent.name in (IDENTITY, TLS)
    if not path.parent.exists():
        path.parent.mkdir(0o700 if is_secret else 0o777)
        _own(path.parent, owner)
    # Group and others get no more than to read.
    mode = 0o600 if is_secret else 0o600 | member.mode & 0o444
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(handle, "wb") as target:
        for piece in member.pieces():
            target.write(piece)
            watch(piece)
        target.flush()
        os.fsync(target.fileno())
    _own(path, owner)


def _own(path: Path, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)


def _ready(directory: Path) -> None:
    """What is unpacked and checked may be taken up."""
    part = directory / HANDOVER / PART
    for folder, _, _ in os.walk(part, topdown=False):
        sync(Path(folder))
    part.rename(directory / HANDOVER / READY)
    sync(directory / HANDOVER)
