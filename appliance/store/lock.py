"""One instance per data directory: an advisory lock (flock(2)) on the directory itself.

The kernel drops it when the process ends, however that happens, so there is no stale lock to clean up; and
since nothing is written, a read-only or full card can be locked too.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from appliance.errors import AlreadyRunning, StoreError
from appliance.store.schema import HANDOVER


@contextmanager
def sole_user(directory: Path) -> Iterator[None]:
    """Hold `directory`, made if missing, for this process alone.

    Raises AlreadyRunning when another holds it, StoreError when it cannot be made or opened.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as fault:
        hint = "Make the directory writable, or set [store] directory to another one."
        is_file = isinstance(fault, FileExistsError | NotADirectoryError)
        words = "there is a file in its place" if is_file else fault.strerror
        raise StoreError(f"data directory {directory}: {words}", hint) from fault
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"another instance uses the data directory {directory}") from None
        yield
    finally:
        os.close(handle)


@contextmanager
def sole_bringer(directory: Path) -> Iterator[None]:
    """Hold `handover/`, for one command at a time that brings data, beside whoever writes it.

    Raises AlreadyRunning when another holds it, StoreError when it cannot be made or opened.
    """
    with ExitStack() as lock:
        try:
            lock.enter_context(sole_user(directory / HANDOVER))
        except AlreadyRunning:
            hint = "Wait until it has ended, then try again."
            raise AlreadyRunning(f"another restore or import into {directory} is under way", hint) from None
        yield
