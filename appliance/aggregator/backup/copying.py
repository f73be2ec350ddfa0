"""The aggregator's database as it is at one moment, in pieces, while workers write into it.

PostgreSQL: what `pg_dump` says. SQLite: its pages, copied within one reading transaction, in steps: with a write-ahead
log a reader holds up no writer, and what is written meanwhile is not in the copy. The copy lies in the aggregator's
directory, where it is as safe as what it is a copy of, until it is in the backup.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from appliance.aggregator.backup import programs
from appliance.aggregator.database import FILE, Database
from appliance.aggregator.schema import appliance
from appliance.errors import AlreadyRunning, StoreError

FOLDER = "backup.part"
STEP_PAGES = 256
PIECE_BYTES = 1 << 20
SPARE_BYTES = 64 << 20


async def pieces(database: Database, directory: Path) -> AsyncGenerator[bytes, None]:
    """The database, in pieces of bounded size. Raises StoreError, AlreadyRunning, OSError."""
    if database.is_postgresql:
        async with contextlib.aclosing(programs.dumped(database)) as dump:
            async for piece in dump:
                yield piece
        return
    with _own_folder(directory) as folder:
        copy = folder / FILE
        _check_room(directory)
        await _copy(database, copy)
        with copy.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
                await asyncio.sleep(0)


@contextlib.contextmanager
def _own_folder(directory: Path) -> Iterator[Path]:
    """A folder for one backup at a time; what one that was killed left there goes."""
    folder = directory / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning("another backup is under way", "Wait until it is done.") from None
        for path in folder.iterdir():
            path.unlink()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _check_room(directory: Path) -> None:
    size = sum(path.stat().st_size for path in directory.glob(f"{FILE}*"))
    free = shutil.disk_usage(directory).free
    if size + SPARE_BYTES > free:
        needed, there = (size + SPARE_BYTES) / 1e6, free / 1e6
        hint = f"Make room on the disk of {directory}: the database is copied there first."
        raise StoreError(f"{needed:,.0f} MB must be free, and {there:,.0f} MB are", hint)


async def _copy(database: Database, copy: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{copy}", poolclass=NullPool)
    try:
        async with database.reading() as source, engine.connect() as target:
            # The moment that is copied; steps of a copy outside of a transaction would begin anew with each write.
            await source.execute(select(appliance.c.appliance_id).limit(1))
            drivers = [(await connection.get_raw_connection()).driver_connection for connection in (source, target)]
            assert all(drivers)
            await _all_pages(*drivers)
            await target.exec_driver_sql("PRAGMA journal_mode = DELETE")
            found = (await target.exec_driver_sql("PRAGMA quick_check(1)")).scalar_one()
            if found != "ok":
                raise StoreError(f"the database is damaged: {found}", "Restore an earlier backup.")
    finally:
        await engine.dispose()


async def _all_pages(source: object, target: object) -> None:
    """Copy all pages; when this is cancelled, no more than a step is waited for."""
    stop = threading.Event()

    def look(_status: int, _left: int, _total: int) -> None:
        if stop.is_set():
            raise InterruptedError

    copying = asyncio.ensure_future(source.backup(target, pages=STEP_PAGES, progress=look))  # type: ignore[attr-defined]
    try:
        await asyncio.shield(copying)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(copying, return_exceptions=True)
        raise
