"""`appliance restore FILE`: a backup is unpacked and checked in full before anything that is there is touched.

Whoever holds the lock of the data directory puts it in place (`restore.take_up`): the appliance if it runs, which
looks every few seconds, else this command.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from appliance import config
from appliance.archive import passphrase
from appliance.errors import AlreadyRunning, InputError, StoreError
from appliance.progress import Progress
from appliance.store.backup import restore
from appliance.store.backup.bring import Brought, Source, bring
from appliance.store.backup.names import REPLACED
from appliance.store.lock import sole_bringer, sole_user
from appliance.store.schema import HANDOVER

POLL_S = 0.5
PATIENCE_S = 600


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
        if restore.waiting(directory):
            if running:
                hint = "Wait until the appliance has taken it up, or stop the appliance, then try again."
                raise AlreadyRunning(f"another restore waits in {directory / HANDOVER}", hint)
            restore.take_up(directory)
        size = os.fstat(source.fileno()).st_size
        progress = Progress(sys.stderr, 1e6, unit="MB")
        try:
            amiss = bring(
                Source(source, size, str(file)), secret, directory, _look(file), lambda done: progress(done, size)
            )
        finally:
            progress.end()
        for fault in amiss:
            _say(f"{fault} when the backup was made: the appliance keeps what of it is whole\n")
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


def _look(file: Path) -> Callable[[Path, Brought], None]:
    return lambda _part, about: _say(f"{file} was made {about.made} of {about.name!r:.80}\n")


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
