"""The data directory as it was at one moment, while its one writer goes on writing.

The catalogue and the live database are copied through connections that cannot write: the writer is not held up, and
nobody else checkpoints its logs. Every sealed segment is opened before anything of it is read, and neither database
may have changed until then; else all that is done again. A segment that is joined or dropped afterwards is still read
through its open file.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from appliance.errors import StoreError
from appliance.store.backup.names import SEGMENT, Membership, membership
from appliance.store.schema import CATALOGUE, HISTORY, LIVE, in_words, read_only

_TRIES = 50
_REPAIR = "Start the appliance, which repairs what can be repaired, then try again."


class NoRoomForCopies(StoreError):
    """There is none where the databases are copied to."""


class Snapshot(NamedTuple):
    """What was taken at one moment: copies of the databases, and segments with their checksums, opened; by name."""

    databases: dict[str, Path]
    segments: dict[str, BinaryIO]
    sha256: dict[str, str]


@contextlib.contextmanager
def snapshot(directory: Path, folder: Path) -> Iterator[Snapshot]:
    """The databases copied into `folder` and the segments opened, as they were at one moment. Raises StoreError."""
    with contextlib.ExitStack() as connections:
        sources = {}
        for name in (LIVE, CATALOGUE):
            if (directory / name).exists():
                sources[name] = connections.enter_context(contextlib.closing(_open(directory, name)))
        for _ in range(_TRIES):
            with contextlib.ExitStack() as stack:
                before = [_changes(source) for source in sources.values()]
                databases = {name: _copy(source, folder / Path(name).name, name) for name, source in sources.items()}
                segments: dict[str, BinaryIO] = {}
                try:
                    for path in sealed(directory):
                        segments[f"{HISTORY}/{path.name}"] = stack.enter_context(
                            cast(BinaryIO, path.open("rb", buffering=0))
                        )
                except FileNotFoundError:
                    continue
                if before == [_changes(source) for source in sources.values()]:
                    yield Snapshot(databases, segments, _listed(databases[CATALOGUE]))
                    return
    raise StoreError("the store changes faster than it can be copied", "Try again, or stop the appliance first.")


def _open(directory: Path, name: str) -> sqlite3.Connection:
    path = directory / name
    try:
        connection = read_only(path)
        try:
            connection.execute("SELECT 1 FROM sqlite_schema").fetchall()
        except sqlite3.OperationalError:
            connection.close()
            log = path.with_name(path.name + "-wal")
            if log.exists() and log.stat().st_size:
                raise
            # A database with nothing in its log, on a card that has become read-only.
            connection = read_only(path, immutable=True)
            connection.execute("SELECT 1 FROM sqlite_schema").fetchall()
    except sqlite3.Error as fault:
        raise StoreError(f"{path}: {in_words(fault)}", _REPAIR) from None
    return connection


def _changes(source: sqlite3.Connection) -> int:
    return int(source.execute("PRAGMA data_version").fetchone()[0])


def _copy(source: sqlite3.Connection, target: Path, name: str) -> Path:
    target.unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as fault:
        if getattr(fault, "sqlite_errorname", "") == "SQLITE_FULL":
            hint = "Make room there, or set TMPDIR to a folder with more of it."
            raise NoRoomForCopies(f"{target.parent} has no room for a copy of {name}", hint) from None
        raise StoreError(f"{name} cannot be copied: {in_words(fault)}", _REPAIR) from None
    if found != "ok":
        raise StoreError(f"{name} is damaged", _REPAIR)
    return target


def sealed(directory: Path) -> list[Path]:
    """The segments that are there, and their sums."""
    folder = directory / HISTORY
    return sorted(path for path in folder.iterdir() if SEGMENT.fullmatch(path.name)) if folder.is_dir() else []


def _listed(catalogue: Path) -> dict[str, str]:
    with contextlib.closing(read_only(catalogue, immutable=True)) as connection:
        rows = connection.execute("SELECT number, sha256 FROM segment").fetchall()
    return {f"{HISTORY}/{number:06d}.db": sha256 for number, sha256 in rows}


def others(directory: Path) -> Iterator[tuple[str, Path]]:
    """The other files that belong to the appliance, such as its keys."""
    for path in sorted([*directory.glob("[!.]*"), *directory.glob("[!.]*/[!.]*")]):
        name = path.relative_to(directory).as_posix()
        is_other = name != CATALOGUE and not name.startswith(f"{HISTORY}/") and membership(name) is Membership.OWN
        if is_other and path.is_file() and not path.is_symlink() and not path.parent.is_symlink():
            yield name, path
