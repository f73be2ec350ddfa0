"""PostgreSQL's own programs, `pg_dump` and `pg_restore`: which of those on this machine fits, and how it is run.

`pg_dump` reads servers of its own version and of older ones; `pg_restore` reads what an older `pg_dump` wrote. Which
server, as whom and by which password they are told in the environment, where other users of the machine do not see it.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Literal

from sqlalchemy import text

from appliance.aggregator.database import Database
from appliance.errors import StoreError

Name = Literal["pg_dump", "pg_restore"]
# Where Debian and Red Hat keep those of several versions beside each other.
_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
_ASKED_WITHIN_S = 10.0
_PIECE_BYTES = 1 << 20
_SAID_BYTES = 4_096
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "database": "PGDATABASE",
    "ssl": "PGSSLMODE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "servicefile": "PGSERVICEFILE",
}


async def server_version(database: Database) -> int:
    """The server's major version. Raises sqlalchemy.exc.DBAPIError, OSError."""
    async with database.reading() as connection:
        return int(await connection.scalar(text("SHOW server_version_num")) or 0) // 10_000


async def find(name: Name, least: int) -> str:
    """The path of a program of that version, else of the next later one. Raises StoreError."""
    found: dict[int, str] = {}
    for path in _paths(name):
        version = await _version(path)
        if version is not None:
            found.setdefault(version, str(path))
    if fitting := [version for version in found if version >= least]:
        return found[min(fitting)]
    there = f"found is version {max(found)}" if found else "there is none"
    hint = (
        f"Install PostgreSQL's client programs, on Debian the package postgresql-client-{least}, and have them in PATH."
    )
    raise StoreError(f"{name} of PostgreSQL {least} or later is needed, and {there}", hint)


def _paths(name: Name) -> list[Path]:
    folders = [Path(folder) for folder in os.get_exec_path() if os.path.isabs(folder)]
    folders += [path for pattern in _FOLDERS for path in Path("/").glob(pattern[1:])]
    return [folder / name for folder in folders if os.access(folder / name, os.X_OK)]


async def _version(path: Path) -> int | None:
    with contextlib.suppress(OSError, TimeoutError):
        async with running([str(path), "--version"], os.environ) as process:
            said, _ = await asyncio.wait_for(process.communicate(), _ASKED_WITHIN_S)
            if found := re.search(rb"\(PostgreSQL\) (\d+)", said):
                return int(found[1])
    return None


def environment(database: Database) -> dict[str, str]:
    """What tells PostgreSQL's programs which database is meant, and by which password."""
    engine = database.engine
    _, told = engine.dialect.create_connect_args(engine.url)
    found = {key: value for key, value in os.environ.items() if not key.startswith("PG") or key == "PGPASSFILE"}
    for name, variable in _VARIABLES.items():
        if (value := told.get(name)) not in (None, []):
            found[variable] = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return found


@contextlib.asynccontextmanager
async def running(words: list[str], environ: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program while it runs, which is no longer than this is entered."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *words, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, start_new_session=True, limit=_PIECE_BYTES
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        # Which also lets go of its pipes.
        await process.communicate()


async def dumped(database: Database) -> AsyncGenerator[bytes, None]:
    """What `pg_dump` says of a database as it is at one moment, in its custom format. Raises StoreError."""
    words = [await find("pg_dump", await server_version(database)), "--format=custom", "--no-password"]
    # It waits for nobody who changes a table; that happens once a month, and takes no minute.
    words += ["--no-owner", "--no-privileges", "--lock-wait-timeout=60000"]
    async with running(words, environment(database)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        saying = asyncio.create_task(_said(process.stderr))
        while piece := await process.stdout.read(_PIECE_BYTES):
            yield piece
        words_said = await saying
        if await process.wait():
            raise StoreError(f"the database cannot be copied: {words_said}", _DATABASE)


async def restored(database: Database, version: int, pieces: AsyncIterator[bytes]) -> None:
    """Put what `pg_dump` of that version said into a blank database, all of it or nothing. Raises StoreError."""
    words = [await find("pg_restore", max(version, await server_version(database))), "--single-transaction"]
    environ = environment(database)
    words += ["--exit-on-error", "--no-owner", "--no-privileges", "--no-password", f"--dbname={environ['PGDATABASE']}"]
    async with running(words, environ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        listening = [asyncio.create_task(_said(stream)) for stream in (process.stderr, process.stdout)]
        # Where it stops reading, what it says tells why.
        with contextlib.suppress(ConnectionError):
            async for piece in pieces:
                process.stdin.write(piece)
                await process.stdin.drain()
            process.stdin.close()
            await process.stdin.wait_closed()
        words_said = (await asyncio.gather(*listening))[0]
        if await process.wait():
            raise StoreError(f"the database cannot be restored: {words_said}", _DATABASE)


_DATABASE = "Check the database, its user's rights and its room, and try again; nothing was changed."


async def _said(stream: asyncio.StreamReader) -> str:
    """The first of what a program complains of, in one line; it is read to its end."""
    said = b""
    while piece := await stream.read(_SAID_BYTES):
        said += piece[: _SAID_BYTES - len(said)]
    lines = said.decode(errors="replace").splitlines()
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "it does not say why")[:300]
