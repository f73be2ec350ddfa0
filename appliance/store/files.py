"""The files of a data directory: how they are made, numbered, removed and set aside."""

import contextlib
import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from appliance.durable import PART, sync
from appliance.store.rows import SegmentRow
from appliance.store.schema import (
    BUSY_TIMEOUT_S,
    DAMAGED,
    HISTORY,
    LIVE_PAGE_BYTES,
    Kind,
    migrate,
    segment_path,
    sums_path,
)

log = logging.getLogger(__name__)

SIDE_FILES = ("-wal", "-shm", "-journal")


def create(path: Path, kind: Kind) -> sqlite3.Connection:
    """Open a database for writing, made or brought to today's version where needed. Raises sqlite3.Error, OSError."""
    if not path.exists():
        _make(path, kind)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, kind)
    except BaseException:
        connection.close()
        raise
    return connection


def _make(path: Path, kind: Kind) -> None:
    """Make an empty database that is whole from the first instant: one without tables is a damaged one."""
    part = path.with_name(path.name + PART)
    part.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        if kind == "live":
            connection.execute(f"PRAGMA page_size = {LIVE_PAGE_BYTES}")
        migrate(connection, kind)
    publish(part, path)


def publish(part: Path, path: Path) -> None:
    """Put a whole new database in its place, where no log of another one may lie. Raises OSError."""
    for suffix in SIDE_FILES:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    sync(part)
    sync(path.parent)
    part.rename(path)
    sync(path.parent)


def next_number(directory: Path, known: Sequence[SegmentRow]) -> int:
    """A number that no segment has, also none that was set aside: it may still be open under its number."""
    names = [path.name for path in (directory / HISTORY).glob("[0-9]*.db")]
    names += [path.name.partition("-")[2] for _, path in aside(directory)]
    found = [int(name[:-3]) for name in names if name[-3:] == ".db" and name[:-3].isdecimal()]
    return max([*found, *(row.number for row in known)], default=0) + 1


def remove(directory: Path, number: int) -> None:
    """Unlink a segment that is no longer listed. Raises OSError."""
    path = segment_path(directory, number)
    path.unlink(missing_ok=True)
    sums_path(path).unlink(missing_ok=True)


def set_aside(directory: Path, path: Path) -> Path:
    """Move a file and what belongs to it into `damaged/`; returns where it is now. Raises OSError."""
    away = directory / DAMAGED
    away.mkdir(exist_ok=True)
    number = max((place for place, _ in aside(directory)), default=0) + 1
    # The file itself first: SQLite deletes a log without a database, but believes a database without its log.
    for side in (str(path), str(sums_path(path)), *(f"{path}{suffix}" for suffix in SIDE_FILES)):
        with contextlib.suppress(FileNotFoundError):
            Path(side).rename(away / f"{number}-{Path(side).name}")
    sync(away)
    sync(path.parent)
    log.error("store=%s damaged file=%s set aside as %d-%s", directory, path.name, number, path.name)
    return away / f"{number}-{path.name}"


def aside(directory: Path) -> list[tuple[int, Path]]:
    """What was set aside, the oldest first, by the number it was given then; what somebody else put there is not."""
    found = []
    away = directory / DAMAGED
    for path in away.iterdir() if away.is_dir() else ():
        number, _, name = path.name.partition("-")
        if name and number.isdecimal():
            found.append((int(number), path))
    return sorted(found)
