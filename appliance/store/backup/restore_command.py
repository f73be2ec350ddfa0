"""`appliance restore FILE`: a backup is unpacked and checked in full before anything that is there is touched.

Whoever holds the lock of the data directory puts it in place (`restore.take_up`): the appliance if it runs, which
looks every few seconds, else this command.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from appliance import config
from appliance.archive import passphrase, tar
from appliance.archive.container import Opener
from appliance.durable import sync
from appliance.errors import AlreadyRunning, InputError, StoreError
from appliance.progress import Progress
from appliance.store.backup import restore
from appliance.store.backup.restore import ABOUT, FORMAT, PART, READY
from appliance.store.backup.snapshot import REPLACED
from appliance.store.lock import sole_bringer, sole_user
from appliance.store.schema import DAMAGED, HANDOVER

POLL_S = 0.5
PATIENCE_S = 600
# Kept free for the appliance while both the present and the restored files are on the card.
SPARE_BYTES = 16 << 20

_LONGEST_ABOUT_BYTES = 65_536


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a backup made by `appliance backup`")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")
    passphrase.add_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Restore; returns the exit code. Raises InputError, StoreError, StoreTooNew, AlreadyRunning, ConfigError."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = config.load(arguments.config).store.directory
    file: Path = arguments.file
    with _opened(file) as source:
        secret = passphrase.known(arguments.passphrase_file)
        try:
            _restore(source, file, secret, directory)
        except OSError as fault:
            raise StoreError(f"cannot restore into {directory}: {fault.strerror}") from None
    _say(f"restored; what was there before is in {directory}/{REPLACED}…\n")
    return 0


def _restore(source: BinaryIO, file: Path, secret: str, directory: Path) -> None:
    with contextlib.ExitStack() as lock, sole_bringer(directory):
        running = not _locked(lock, directory)
        part = directory / HANDOVER / PART
        if restore.waiting(directory):
            if running:
                hint = "Wait until the appliance has taken it up, or stop the appliance, then try again."
                raise AlreadyRunning(f"another restore waits in {directory / HANDOVER}", hint)
            restore.take_up(directory)
        shutil.rmtree(part, ignore_errors=True)
        try:
            about = unpack(source, file, secret, directory)
            _say(f"{file} was made {about['made']} of {about['name']!r:.80}\n")
            for fault in restore.verify(part):
                _say(f"{fault} when the backup was made: the appliance keeps what of it is whole\n")
            ready(directory)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        if running:
            wait(directory)
        else:
            restore.take_up(directory)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        source = file.open("rb")
    except OSError as fault:
        raise InputError(f"{file} cannot be opened: {fault.strerror}") from None
    with source:
        yield source


def _locked(stack: contextlib.ExitStack, directory: Path) -> bool:
    try:
        stack.enter_context(sole_user(directory))
    except AlreadyRunning:
        return False
    return True


def unpack(source: BinaryIO, file: Path, secret: str, directory: Path) -> dict[str, Any]:
    """Decrypt the backup into `handover/restore.part`; returns what it says of itself."""
    size = os.fstat(source.fileno()).st_size
    free = shutil.disk_usage(directory).free
    if size + SPARE_BYTES > free:
        hint = f"Make room on the card: older {REPLACED}… folders in the data directory can be deleted."
        needed = (size + SPARE_BYTES) / 1e6
        raise StoreError(f"to restore, {needed:.0f} MB must be free, and {free / 1e6:.0f} MB are", hint)
    part = directory / HANDOVER / PART
    part.mkdir()
    # Root may restore for the user that runs the appliance.
    owner = directory.stat()
    _own(directory / HANDOVER, owner)
    _own(part, owner)
    progress = Progress(sys.stderr, 1e6, unit="MB")
    about: dict[str, Any] | None = None
    try:
        opener = Opener(source, secret, str(file))
        for member in tar.members(opener, size):
            if about is None and (member.name != ABOUT or member.size > _LONGEST_ABOUT_BYTES):
                raise InputError("the backup does not say what it is")
            _write(part, member, owner, lambda: progress(source.tell(), size))
            about = about or _about(part / ABOUT)
    finally:
        progress.end()
    if about is None:
        raise InputError(f"{file} is empty")
    return about


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_bytes())
        if about["format"] > FORMAT:
            hint = "Restore it with the version that made it, or a later one."
            raise InputError(f"the backup has the form {about['format']} of a later version", hint)
        return {"made": str(about["made"]), "name": str(about["name"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError("the backup does not say what it is") from None


def _write(part: Path, member: tar.Member, owner: os.stat_result, progress: Callable[[], None]) -> None:
    top = member.name.split("/")[0]
    if top in (HANDOVER, DAMAGED) or top.startswith(REPLACED):
        raise InputError(f"the backup holds {member.name!r:.80}, which no backup has")
    path = part / member.name
    for folder in reversed([p for p in path.parents if p.is_relative_to(part) and p != part]):
        if not folder.exists():
            folder.mkdir()
            _own(folder, owner)
    # Group and others get no more than to read.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 | member.mode & 0o444)
    with open(handle, "wb") as target:
        for piece in member.pieces():
            target.write(piece)
            progress()
        target.flush()
        os.fsync(target.fileno())
    _own(path, owner)


def _own(path: Path, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)


def ready(directory: Path) -> None:
    """What is unpacked and checked may be taken up."""
    part = directory / HANDOVER / PART
    for folder, _, _ in os.walk(part, topdown=False):
        sync(Path(folder))
    part.rename(directory / HANDOVER / READY)
    sync(directory / HANDOVER)


def wait(directory: Path, sleep: Callable[[float], None] = time.sleep) -> None:
    """Until the appliance, or if it ends this process, has taken up the restore. Raises StoreError."""
    for _ in range(round(PATIENCE_S / POLL_S)):
        if not restore.waiting(directory):
            return
        with contextlib.ExitStack() as lock:
            if _locked(lock, directory):
                restore.take_up(directory)
                return
        sleep(POLL_S)
    hint = "Stop the appliance and start it again: it begins with the restored data."
    raise StoreError("the appliance runs and has not taken up the restored data", hint)


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
