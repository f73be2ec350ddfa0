"""Connections of the writer: how they are opened, and how what is written through one is all or nothing."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite

from appliance.store.schema import BUSY_TIMEOUT_S


@contextlib.asynccontextmanager
async def transaction(writer: aiosqlite.Connection) -> AsyncIterator[aiosqlite.Connection]:
    """All that is written inside, or nothing of it."""
    await writer.execute("BEGIN IMMEDIATE")
    try:
        yield writer
        await writer.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            await writer.execute("ROLLBACK")
        raise


async def open_writer(path: Path, *pragmas: str) -> aiosqlite.Connection:
    """A connection that writes. Raises sqlite3.Error."""
    writer = await aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        # FULL: a commit is on the card when it returns; NORMAL would put that off until a checkpoint. What is deleted
        # need not be overwritten: that would be written to the card too.
        for pragma in ("synchronous = FULL", "temp_store = MEMORY", "secure_delete = OFF", *pragmas):
            await writer.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        await writer.close()
        raise
    return writer


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another of its name; None if there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino
