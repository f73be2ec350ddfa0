"""Makes an aggregator of a backup: in a directory that is empty or not there, on a database that is blank.

The whole backup is read and checked before anything is put in place. All of it is unpacked into a folder beside the
directory, which becomes the directory by one rename at the end; a database on PostgreSQL is filled in one transaction
just before that. Cut short before the rename, there is no aggregator, and the next attempt clears up.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from appliance.aggregator import blank, settings
from appliance.aggregator.backup import programs
from appliance.aggregator.backup.write import ABOUT, DATABASE, FORMAT, PIECE_BYTES
from appliance.aggregator.database import FILE, Database, migrate
from appliance.aggregator.keys import open_key
from appliance.archive import tar
from appliance.archive.container import Opener
from appliance.durable import PART, sync, write
from appliance.errors import InputError, StoreError, UsageError

SPARE_BYTES = 64 << 20
_LONGEST_ABOUT_BYTES = 65_536
_OTHER = "Use another backup."

Progress = Callable[[int, int | None], None]


class About(NamedTuple):
    """What a backup says of itself. `server` is the version of its PostgreSQL, 0 for SQLite."""

    made: str
    public_key: str
    server: int


async def restore(source: BinaryIO, name: str, secret: str, directory: Path, url: str, progress: Progress) -> About:
    """Make `directory`, and fill the database at `url` if there is one; returns what the backup says of itself.

    Raises InputError, UsageError, ConfigError, StoreError, StoreTooNew, sqlalchemy.exc.DBAPIError, OSError.
    """
    _check_empty(directory)
    async with contextlib.AsyncExitStack() as stack:
        if url:
            database = Database(url)
            stack.push_async_callback(database.close)
            if not await blank.is_blank(database):
                raise UsageError("the database is not empty", "Make a new one (createdb), and name that.")
        part = stack.enter_context(_folder_beside(directory))
        dump = part / f"{DATABASE}.dump"
        about = await _unpack(source, name, secret, part, dump, progress)
        if bool(url) != bool(about.server):
            raise UsageError(*(_NO_POSTGRESQL if url else _NO_ADDRESS))
        await _check(part, about, url)
        if url:
            await programs.restored(database, about.server, _pieces(dump))
            dump.unlink()
            await _migrated(database)
        else:
            dump.rename(part / FILE)
            await _sqlite(part)
        try:
            for folder, _, files in os.walk(part, topdown=False):
                for path in (*(Path(folder) / file for file in files), Path(folder)):
                    sync(path)
            part.rename(directory)
            sync(directory.parent)
        except OSError:
            if url:
                await blank.clear(database)
            raise
    return about


_NO_ADDRESS = ("the backup is of a PostgreSQL database", "Name an empty one for it by --database postgresql://….")
_NO_POSTGRESQL = ("the backup is of an SQLite database, which lies in the directory", "Leave --database out.")


def _check_empty(directory: Path) -> None:
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise UsageError(f"{directory} is there already, and is no folder", "Name one that is empty or not there.")
    if directory.is_dir() and any(directory.iterdir()):
        hint = "Name a folder that is empty or not there; what is in this one stays as it is."
        raise UsageError(f"{directory} is not empty", hint)
    if directory.is_mount():
        raise UsageError(f"{directory} is a disk of its own", "Name a folder in it that is not there yet.")
    if not directory.parent.is_dir():
        raise UsageError(f"{directory.parent} is no folder", "Make it first.")


@contextlib.contextmanager
def _folder_beside(directory: Path) -> Iterator[Path]:
    """A folder to unpack into, which goes unless it is renamed; what one that was killed left goes, too."""
    prefix = f".{directory.name}-"
    for left in directory.parent.glob(f"{prefix}*{PART}"):
        with _locked(left) as is_ours:
            if is_ours:
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=PART, dir=directory.parent))
    with _locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether nobody else has it, who then has not as long as this is entered."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        is_ours = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_ours = False
        yield is_ours
    finally:
        os.close(handle)


async def _unpack(source: BinaryIO, name: str, secret: str, part: Path, dump: Path, progress: Progress) -> About:
    """Decrypt the backup into a folder, its database into one file."""
    size = os.fstat(source.fileno()).st_size
    free = shutil.disk_usage(part).free
    if size + SPARE_BYTES > free:
        needed, there = (size + SPARE_BYTES) / 1e6, free / 1e6
        raise StoreError(f"{needed:,.0f} MB must be free, and {there:,.0f} MB are", "Make room on that disk.")
    about: About | None = None
    with dump.open("xb") as database:
        os.fchmod(database.fileno(), 0o600)
        # A backup that is cut off may claim a piece more than there is; that it is cut off is found out by itself.
        for number, member in enumerate(tar.members(Opener(source, secret, name), size + 2 * PIECE_BYTES)):
            if number == 0:
                about = _about(member, name)
            elif member.name.startswith(f"{DATABASE}/"):
                for piece in member.pieces():
                    database.write(piece)
            else:
                path = part / member.name
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write(path, b"".join(member.pieces()))
            progress(source.tell(), size)
            await asyncio.sleep(0)
    if about is None:
        raise InputError(f"{name} is empty")
    return about


def _about(member: tar.Member, name: str) -> About:
    fault = InputError(f"{name} is not a backup of an aggregator", "An appliance's is for 'appliance restore'.")
    if member.name != ABOUT or member.size > _LONGEST_ABOUT_BYTES:
        raise fault
    try:
        told: dict[str, Any] = json.loads(b"".join(member.pieces()))
        if told["format"] > FORMAT:
            hint = "Restore it with the version that made it, or a later one."
            raise InputError(f"{name} has the form {told['format']} of a later version", hint)
        return About(str(told["made"]), str(told["public_key"]), int(told["server"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise fault from None


async def _check(part: Path, about: About, url: str) -> None:
    """What was unpacked is an aggregator; its settings name the database that it gets."""
    found = settings.read(part)
    if open_key(part).public_key().public_bytes_raw().hex() != about.public_key:
        raise InputError("the key in the backup is another one than the backup says", _OTHER)
    if url:
        changed = {name: asdict(getattr(found, name)) for name in settings.TABLES} | {"database": {"url": url}}
        write(part / settings.FILE, settings.written(**changed).encode())


async def _sqlite(part: Path) -> None:
    """Check the database, and bring it to today's schema."""
    database = Database(part)
    try:
        try:
            async with database.reading() as connection:
                found = await connection.scalar(text("PRAGMA quick_check(1)"))
        except DBAPIError as fault:
            found = str(fault.orig)
        if found != "ok":
            raise InputError(f"the database in the backup is damaged: {found}", _OTHER)
        await _migrated(database)
    finally:
        await database.close()


async def _migrated(database: Database) -> None:
    try:
        await migrate(database.engine)
    except BaseException:
        if database.is_postgresql:
            await blank.clear(database)
        raise


async def _pieces(path: Path) -> AsyncGenerator[bytes, None]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
