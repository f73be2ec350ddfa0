"""`appliance backup FILE`: all that the appliance keeps in one encrypted file, while it runs or not.

The databases are copied into the system's folder for temporary files first, not beside FILE: the copies are not
encrypted. A segment that is damaged, or that the card cannot read in places, goes in as far as it can be read; what is
known of its other pages is still true, and the store that gets it back takes care of it.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from errno import EEXIST
from pathlib import Path
from typing import BinaryIO

from appliance import __version__, config
from appliance.archive import passphrase, tar
from appliance.archive.container import USUAL, Cost, Sealer
from appliance.durable import sync
from appliance.errors import InputError, StoreError, UsageError
from appliance.model import format_time
from appliance.progress import Progress
from appliance.store.backup.restore import ABOUT, FORMAT
from appliance.store.backup.snapshot import Snapshot, others, snapshot
from appliance.store.schema import CATALOGUE, SEGMENT_PAGE_BYTES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the backup to write; never overwrites")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")
    passphrase.add_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the backup; returns the exit code. Raises UsageError, InputError, StoreError, ConfigError."""
    # So that the copies in the clear are taken away then, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = config.load(arguments.config)
    file: Path = arguments.file
    directory = settings.store.directory
    _check(file, directory)
    secret = passphrase.new(arguments.passphrase_file)
    about = {"format": FORMAT, "program": __version__, "made": format_time(datetime.now(UTC))[:19] + "Z"}
    progress = Progress(sys.stderr, 1e6, unit="MB")
    try:
        damaged = backup(directory, file, secret, about | {"name": settings.site.name}, progress)
    finally:
        progress.end()
    for name in damaged:
        sys.stderr.write(f"{name} is damaged on the card; the backup has it as it is\n")
    sys.stderr.write(f"{file}: {file.stat().st_size / 1e6:.1f} MB\n")
    return 0


def _check(file: Path, directory: Path) -> None:
    if not (directory / CATALOGUE).exists():
        raise InputError(f"there is nothing to back up: {directory} holds no readings", "Check the path of --config.")
    if file.is_symlink() or file.exists():
        raise UsageError(f"{file} is there already", "Choose another name, or move that file away.")
    if file.absolute().parent.resolve().is_relative_to(directory.resolve()):
        hint = "Put the backup on another disk, such as a USB stick."
        raise UsageError(f"{file} would be inside the data directory and be lost with it", hint)


def backup(
    directory: Path,
    file: Path,
    secret: str,
    about: dict[str, object],
    progress: Callable[[int, int | None], None],
    cost: Cost = USUAL,
) -> list[str]:
    """Write `file`, named only when it is whole; returns the segments found damaged. Raises StoreError."""
    part = file.with_name(file.name + ".part")
    try:
        with contextlib.ExitStack() as stack:
            part.unlink(missing_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            stack.callback(part.unlink, missing_ok=True)
            target = stack.enter_context(open(handle, "wb"))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="appliance-backup-")))
            taken = stack.enter_context(snapshot(directory, folder))
            sealer = Sealer(target, secret, cost)
            writing = _Writing(sealer, taken, progress)
            writing.everything(directory, about)
            sealer.close()
            target.flush()
            os.fsync(target.fileno())
            if file.exists():
                raise FileExistsError(EEXIST, os.strerror(EEXIST))
            part.rename(file)
        sync(file.absolute().parent)
    except OSError as fault:
        hint = "Name a file in a folder that exists, that you may write to and that has room."
        raise StoreError(f"{file}: cannot be written: {fault.strerror}", hint) from None
    return writing.damaged


class _Writing:
    """An archive in the making, what of it is done, and which segments were found damaged."""

    def __init__(self, sealer: Sealer, taken: Snapshot, progress: Callable[[int, int | None], None]) -> None:
        self._sealer = sealer
        self._taken = taken
        self._progress = progress
        self._done = 0
        self._total = sum(path.stat().st_size for path in taken.databases.values())
        self._total += sum(os.fstat(segment.fileno()).st_size for segment in taken.segments.values())
        self.damaged: list[str] = []

    def everything(self, directory: Path, about: dict[str, object]) -> None:
        description = json.dumps(about).encode()
        tar.add(self._sealer, ABOUT, len(description), 0o600, io.BytesIO(description))
        for name, path in self._taken.databases.items():
            self._file(name, path)
        for name, segment in self._taken.segments.items():
            self._segment(name, segment)
        for name, path in others(directory):
            # What was delivered and put away meanwhile is not missed.
            with contextlib.suppress(FileNotFoundError):
                self._file(name, path)
        tar.end(self._sealer)

    def _file(self, name: str, path: Path) -> None:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            tar.add(self._sealer, name, about.st_size, about.st_mode, file, self._count)

    def _segment(self, name: str, file: BinaryIO) -> None:
        about = os.fstat(file.fileno())
        whole = hashlib.sha256()

        def watch(piece: bytes) -> None:
            whole.update(piece)
            self._count(piece)

        source = Lenient(file)
        tar.add(self._sealer, name, about.st_size, about.st_mode, source, watch)
        if source.unreadable or self._taken.sha256.get(name, whole.hexdigest()) != whole.hexdigest():
            self.damaged.append(name)

    def _count(self, piece: bytes) -> None:
        self._done += len(piece)
        self._progress(min(self._done, self._total), self._total)


class Lenient:
    """A file of a failing card: pages that cannot be read are zeros, which their checksums tell from content."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.unreadable = 0

    def read(self, size: int, /) -> bytes:
        start = self._file.tell()
        try:
            return self._file.read(size)
        except OSError:
            pages = [
                self._page(at, min(SEGMENT_PAGE_BYTES, start + size - at))
                for at in range(start, start + size, SEGMENT_PAGE_BYTES)
            ]
            self._file.seek(start + size)
            return b"".join(pages)

    def _page(self, start: int, size: int) -> bytes:
        try:
            self._file.seek(start)
            return self._file.read(size)
        except OSError:
            self.unreadable += 1
            return bytes(size)
