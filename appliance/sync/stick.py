"""What waits in the outbox, put on a USB stick: the files that `appliance aggregator ingest` takes in.

    meter-appliance/<identity>/introduction.enrolment               who this is, for one that never heard of it
    meter-appliance/<identity>/000002.rotation                      its later keys, each with the word of the one before
    meter-appliance/<identity>/000001-0000/000001-00000017.batch    what waits, as it lies in the outbox
    meter-appliance/<identity>/000001-0000/receipts.jsonl           put there by the aggregator
    meter-appliance/<identity>/000001-0000/assignments.jsonl        the same

Ten thousand batches lie together: a folder of a FAT file system has room for some twenty thousand such names.
The outbox is only read, so that this may be done beside the program that runs. Each file is whole on the stick, or not
there: one that is pulled out halfway has fewer batches, and all of them wait here still. What the aggregator has
receipted is removed from the stick. It may come from anybody: nothing is written through links, and no file is opened
but a plain one.
"""

import contextlib
import errno
import io
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.durable import PART, sync, write_one
from appliance.errors import InputError, StoreError
from appliance.sync.envelope import BATCH, Refused, key_id, opened, read
from appliance.sync.identity import Identity, epoch_of
from appliance.sync.outbox import OUTBOX, Name, batches_in, delivered_from
from appliance.sync.receipt import unpack_receipt

FOLDER = "meter-appliance"
RECEIPTS, ASSIGNED = "receipts.jsonl", "assignments.jsonl"
MOST_RECEIPTS_BYTES = 64 << 20
ON_A_SHELF = 10_000
HINT = "What waits stays in the outbox: see to the stick, and do it again."
_WORDS = {
    errno.ENOSPC: "the stick is full",
    errno.EDQUOT: "the stick is full",
    errno.EFBIG: "the stick's file system takes no more",
    errno.EROFS: "the stick is write-protected",
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
    errno.ENOENT: "the stick was pulled out",
    errno.ENODEV: "the stick was pulled out",
    errno.ENXIO: "the stick was pulled out",
    errno.EIO: "the stick was pulled out, or is broken",
}


@dataclass(slots=True)
class Exported:
    """What is on the stick now: the batches that wait, oldest first, and their bytes.

    `written` of them are new; `removed` were receipted; `damaged` ones on the card are left out.
    """

    names: list[Name] = field(default_factory=list)
    size: int = 0
    written: int = 0
    removed: int = 0
    damaged: list[Name] = field(default_factory=list)


def folder_of(root: Path, appliance: str) -> Path:
    """Where an appliance's files are on a stick."""
    return root / FOLDER / appliance


def shelf_of(name: Name) -> str:
    """The folder in which a batch lies with its neighbours."""
    return f"{name.epoch:06}-{name.sequence // ON_A_SHELF:04}"


def shelves_in(folder: Path) -> list[Path]:
    """The folders of batches in that of an appliance. Raises OSError."""
    found = (path for path in folder.iterdir() if re.fullmatch(r"\d{6,16}-\d{4,}", path.name))
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())


def waiting_in(directory: Path) -> list[Name]:
    """The batches that wait in a data directory, which another program may be using. Raises StoreError, OSError."""
    if not (directory / OUTBOX).is_dir():
        raise StoreError(f"{directory} holds no outbox yet", "Start the appliance once, or name its settings: --config")
    delivered = delivered_from(directory / OUTBOX)
    return [name for name in batches_in(directory / OUTBOX) if name not in delivered]


def export(
    directory: Path,
    identity: Identity,
    introduction: bytes,
    root: Path,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Exported:
    """Put what waits in a data directory on the stick at `root`; it is there for certain then.

    Raises InputError when `root` is no folder; StoreError when it takes no more, saying how much is on it.
    """
    names, done = waiting_in(directory), Exported()
    folders: set[Path] = set()
    try:
        if not root.is_dir():
            raise InputError(f"{root} is no folder", "Name the folder where the stick is mounted.")
        folder = folder_of(root, identity.appliance)
        for path in (folder.parent, folder):
            _make(path)
        delivered, shelves = delivered_from(directory / OUTBOX), shelves_in(folder)
        folders = {root, folder.parent, folder, *shelves}
        done.removed = sum(_tidied(path, identity.appliance, delivered) for path in (folder, *shelves))
        _put(folder / "introduction.enrolment", introduction)
        for rotation in identity.rotations:
            _put(folder / f"{epoch_of(rotation):06}.rotation", rotation)
        for number, name in enumerate(names):
            progress(number, len(names))
            line = _line(directory, name, identity, done)
            if line is not None:
                shelf = folder / shelf_of(name)
                if shelf not in folders:
                    _make(shelf)
                    folders.add(shelf)
                done.written += _put(shelf / name.file, line)
                done.names.append(name)
                done.size += len(line)
        for path in folders:
            sync(path)
    except OSError as fault:
        # Of a stick that is full, what is on it is there for certain all the same.
        with contextlib.suppress(OSError):
            for path in folders:
                sync(path)
        words = _WORDS.get(fault.errno or 0) or f"{fault.strerror}: {fault.filename}"
        raise StoreError(f"{words}; {len(done.names)} of {len(names)} batches are on it", HINT) from fault
    return done


def _line(directory: Path, name: Name, identity: Identity, done: Exported) -> bytes | None:
    """The envelope of a batch; None when its receipt has come meanwhile, or it is damaged. Raises StoreError."""
    try:
        line = (directory / OUTBOX / name.file).read_bytes()
        envelope = read(line)
        if key := identity.public_keys.get(name.epoch):
            opened(envelope, BATCH, {key_id(key): key})
    except FileNotFoundError:
        return None
    except Refused:
        done.damaged.append(name)
        return None
    except OSError as fault:
        words = f"batch {name.epoch}-{name.sequence} cannot be read from the card: {fault.strerror}"
        raise StoreError(words) from fault
    return line


def _make(path: Path) -> None:
    """Make a folder, unless it is there and is where it seems to be. Raises InputError, OSError."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path} is no folder, but a link or a file", "Remove it: somebody put it there.")
    path.mkdir(exist_ok=True)


def _tidied(folder: Path, appliance: str, delivered: set[Name]) -> int:
    """Remove what was receipted, and what was begun when a stick was pulled out; returns how many batches went."""
    gone = [name for name in batches_in(folder) if name in delivered]
    for name in gone:
        (folder / name.file).unlink()
    for path in folder.glob(f"*{PART}"):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
    receipts = _content(folder / RECEIPTS, MOST_RECEIPTS_BYTES)
    with contextlib.suppress(Refused):
        if receipts and _receipted(receipts, appliance) <= delivered:
            (folder / RECEIPTS).unlink()
    return len(gone)


def _receipted(receipts: bytes, appliance: str) -> set[Name]:
    """What receipts are of, whoever signed them. Raises Refused."""
    # A line at a time: of a file full of nothing but line ends a list would be eight times as large.
    lines = (line.rstrip(b"\r\n") for line in io.BytesIO(receipts))
    found = [unpack_receipt(read(line).payload) for line in lines if line]
    if any(receipt.appliance != appliance for receipt in found):
        raise Refused("not_its_own", "receipts of another appliance")
    return {Name(receipt.epoch, receipt.sequence) for receipt in found}


def _put(path: Path, content: bytes) -> bool:
    """Write a file unless it is there, its name not for certain yet; returns whether it was not. Raises OSError."""
    if _content(path, len(content)) == content:
        return False
    try:
        write_one(path, content, 0o644)
    except OSError:
        with contextlib.suppress(OSError):
            path.with_name(f"{path.name}{PART}").unlink()
        raise
    return True


def _content(path: Path, most_bytes: int) -> bytes:
    """What a plain file holds; empty when it is none, or larger. Raises OSError."""
    try:
        about = path.lstat()
    except FileNotFoundError:
        return b""
    if not stat.S_ISREG(about.st_mode) or about.st_size > most_bytes:
        return b""
    return path.read_bytes()
