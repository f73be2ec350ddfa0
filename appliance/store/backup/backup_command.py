"""`appliance backup FILE`: all that the appliance keeps in one encrypted file, while it runs or not."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from errno import EEXIST
from pathlib import Path

from appliance import config
from appliance.archive import passphrase
from appliance.archive.container import USUAL, Cost
from appliance.durable import sync
from appliance.errors import InputError, StoreError, UsageError
from appliance.progress import Progress
from appliance.store.backup.write import Backup, about_now
from appliance.store.schema import CATALOGUE


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
    progress = Progress(sys.stderr, 1e6, unit="MB")
    try:
        damaged = backup(directory, file, secret, about_now(settings.site.name), progress)
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
    making = Backup(directory, secret, about, progress, cost)
    try:
        with contextlib.ExitStack() as stack:
            part.unlink(missing_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            stack.callback(part.unlink, missing_ok=True)
            target = stack.enter_context(open(handle, "wb"))
            for piece in stack.enter_context(contextlib.closing(making.pieces())):
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
            if file.exists():
                raise FileExistsError(EEXIST, os.strerror(EEXIST))
            part.rename(file)
        sync(file.absolute().parent)
    except OSError as fault:
        hint = "Name a file in a folder that exists, that you may write to and that has room."
        raise StoreError(f"{file}: cannot be written: {fault.strerror}", hint) from None
    return making.damaged
