"""Puts a list of assignments in the place of the one before, in one transaction, version and all."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from appliance.errors import StoreError
from appliance.store.assigned import Assigned, read
from appliance.store.connection import transaction
from appliance.store.files import create
from appliance.store.schema import CATALOGUE, in_words
from appliance.store.writer import Store

_DELETE = "DELETE FROM assignment"
_INSERT = "INSERT INTO assignment (meter_id, protocol, name, address, multiplier) VALUES (?, ?, ?, ?, ?)"
_VERSION = "INSERT OR REPLACE INTO assigned (one, version, made_utc_ms) VALUES (1, ?, ?)"


async def assign(store: Store, assigned: Assigned) -> bool:
    """Keep a list in a running store, as `keep` does; once begun it is not cut short. Raises StoreError."""
    keeping = asyncio.create_task(_assign(store, assigned))
    try:
        return await asyncio.shield(keeping)
    except asyncio.CancelledError:
        await asyncio.gather(keeping, return_exceptions=True)
        raise


async def _assign(store: Store, assigned: Assigned) -> bool:
    async with store.lock:
        try:
            await store.connect()
            if assigned.version <= store.assigned.version:
                return False
            assert store.catalogue is not None
            # By the writer's own connection: no other one checkpoints the log of a running store.
            async with transaction(store.catalogue) as writer:
                for statement, rows in _steps(assigned):
                    await writer.executemany(statement, rows)
        except (sqlite3.Error, OSError) as fault:
            await store.disconnect()
            raise _not_kept(fault) from fault
        store.assigned = assigned
        return True


def keep(directory: Path, assigned: Assigned) -> bool:
    """Keep a list, unless the one that is kept has as high a version; whether it was kept, on the card for certain.

    Nobody else has the directory open. Raises StoreError; nothing has changed then.
    """
    try:
        if not (directory / CATALOGUE).exists():
            raise StoreError(f"{directory} holds no data of an appliance", "Start the appliance once, and try again.")
        # Closing it undoes what is not committed.
        with contextlib.closing(create(directory / CATALOGUE, "catalogue")) as writer:
            writer.execute("BEGIN IMMEDIATE")
            if assigned.version <= read(writer).version:
                return False
            for statement, rows in _steps(assigned):
                writer.executemany(statement, rows)
            writer.execute("COMMIT")
            return True
    except (sqlite3.Error, OSError) as fault:
        raise _not_kept(fault) from fault


def _steps(assigned: Assigned) -> Iterator[tuple[str, list[tuple[int | str, ...]]]]:
    """What replaces the list, in one transaction."""
    yield _DELETE, [()]
    yield _INSERT, [meter.row() for meter in assigned.meters]
    yield _VERSION, [(assigned.version, assigned.made_utc_ms)]


def _not_kept(fault: sqlite3.Error | OSError) -> StoreError:
    return StoreError(f"what is assigned cannot be kept: {in_words(fault)}")
