"""Writes a backup: an archive of plain files under a passphrase, named only when it is whole and was read back.

    aggregator.json             when it was made, of which aggregator (its public key), by which version
    aggregator.toml             settings
    key/…, tls/…                the key that signs; the certificate and its key, if they lie in the directory
    database/000001, 000002, …  the database: SQLite's file, or what `pg_dump` wrote; cut into pieces

In pieces, since a file in such an archive ends at 8 GB, and its size must be known before it comes.
"""

import asyncio
import contextlib
import hashlib
import io
import json
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import UTC, datetime
from errno import EEXIST
from pathlib import Path
from typing import Any, BinaryIO

from appliance import __version__
from appliance.aggregator import settings
from appliance.aggregator.backup import programs
from appliance.aggregator.backup.copying import pieces
from appliance.aggregator.database import Database
from appliance.aggregator.keys import FOLDER as KEY_FOLDER
from appliance.aggregator.keys import NAME as KEY_NAME
from appliance.aggregator.keys import open_key
from appliance.archive import tar
from appliance.archive.container import USUAL, Cost, Opener, Sealer
from appliance.durable import PART, sync
from appliance.errors import InputError, StoreError, UsageError
from appliance.model import format_time

ABOUT, FORMAT = "aggregator.json", 1
DATABASE = "database"
PIECE_BYTES = 8 << 20

Progress = Callable[[int, int | None], None]


async def backup(
    directory: Path, database: Database, file: Path, secret: str, progress: Progress, cost: Cost = USUAL
) -> list[str]:
    """Write `file`; returns the files of the certificate that are not in it, for they lie elsewhere.

    Raises UsageError, StoreError, AlreadyRunning, sqlalchemy.exc.DBAPIError.
    """
    _check(file, directory)
    try:
        with _named_when_whole(file) as target:
            sealer = Sealer(target, secret, cost)
            about = await _about(directory, database)
            kept, elsewhere = _files(directory)
            written = await _write(sealer, about, kept, pieces(database, directory), progress)
            sealer.close()
            target.flush()
            os.fsync(target.fileno())
            # What is read back is to come from the disk.
            os.posix_fadvise(target.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if await _digest(target, secret, progress) != written:
                raise StoreError(f"{file}: what was written is not what is there", "Use another disk.")
    except OSError as fault:
        hint = "Name a file in a folder that exists, that you may write to and that has room."
        raise StoreError(f"{fault.filename or file}: {fault.strerror}", hint) from None
    return elsewhere


@contextlib.contextmanager
def _named_when_whole(file: Path) -> Iterator[BinaryIO]:
    """A file under another name; it gets its own when all went well, else it goes. Raises OSError."""
    part = file.with_name(f"{file.name}{PART}")
    part.unlink(missing_ok=True)
    try:
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(handle, "w+b") as target:
            yield target
        if file.exists():
            raise FileExistsError(EEXIST, os.strerror(EEXIST), str(file))
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    sync(file.absolute().parent)


def _check(file: Path, directory: Path) -> None:
    if file.is_symlink() or file.exists():
        raise UsageError(f"{file} is there already", "Choose another name, or move that file away.")
    if file.absolute().parent.resolve().is_relative_to(directory.resolve()):
        hint = "Put the backup on another disk."
        raise UsageError(f"{file} would be inside the aggregator's directory and be lost with it", hint)


async def _about(directory: Path, database: Database) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "program": __version__,
        "made": format_time(datetime.now(UTC))[:19] + "Z",
        "public_key": open_key(directory).public_key().public_bytes_raw().hex(),
        "database": "postgresql" if database.is_postgresql else "sqlite",
        "server": await programs.server_version(database) if database.is_postgresql else 0,
    }


def _files(directory: Path) -> tuple[dict[str, Path], list[str]]:
    """What is kept beside the database, by name; the files of the certificate that lie elsewhere."""
    found = {settings.FILE: directory / settings.FILE}
    for path in sorted((directory / KEY_FOLDER).glob(f"{KEY_NAME}.*")):
        if not path.name.endswith(PART):
            found[f"{KEY_FOLDER}/{path.name}"] = path
    elsewhere = []
    files = settings.read(directory).tls
    for name in filter(None, (files.certificate, files.key)):
        path = directory / name
        inside = os.path.relpath(os.path.normpath(path), os.path.normpath(directory))
        if "/." in f"/{inside}" or path.resolve() != directory.resolve() / inside:
            elsewhere.append(str(path))
        else:
            found[inside] = path
    return found, elsewhere


async def _write(
    sealer: Sealer,
    about: dict[str, Any],
    kept: dict[str, Path],
    database: AsyncGenerator[bytes, None],
    progress: Progress,
) -> str:
    """Write the archive; returns the SHA-256 of what is in it."""
    whole = hashlib.sha256()

    def add(name: str, content: bytes) -> None:
        whole.update(f"{name}\n".encode())
        tar.add(sealer, name, len(content), 0o600, io.BytesIO(content), whole.update)

    add(ABOUT, json.dumps(about).encode())
    for name, path in kept.items():
        add(name, path.read_bytes())
    number, done, waiting = 0, 0, bytearray()
    async with contextlib.aclosing(database) as found:
        async for piece in found:
            waiting += piece
            done += len(piece)
            if len(waiting) >= PIECE_BYTES:
                number += 1
                add(f"{DATABASE}/{number:06}", bytes(waiting))
                waiting.clear()
            progress(done, None)
    add(f"{DATABASE}/{number + 1:06}", bytes(waiting))
    tar.end(sealer)
    return whole.hexdigest()


async def _digest(source: BinaryIO, secret: str, progress: Progress) -> str:
    """The SHA-256 of what can be read of a backup."""
    whole = hashlib.sha256()
    size = source.tell()
    source.seek(0)
    try:
        for member in tar.members(Opener(source, secret, ""), size):
            whole.update(f"{member.name}\n".encode())
            for piece in member.pieces():
                whole.update(piece)
            progress(source.tell(), size)
            await asyncio.sleep(0)
    except InputError:
        return ""
    return whole.hexdigest()
