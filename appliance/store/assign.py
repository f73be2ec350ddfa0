"""Puts a list of assignments in the place of the one before, in one transaction, version and all."""

import asyncio
import sqlite3

import aiosqlite

from appliance.errors import StoreError
from appliance.store.assigned import Assigned
from appliance.store.connection import transaction
from appliance.store.schema import in_words
from appliance.store.writer import Store

_INSERT = "INSERT INTO assignment (meter_id, protocol, name, address, multiplier) VALUES (?, ?, ?, ?, ?)"
_VERSION = "INSERT OR REPLACE INTO assigned (one, version, made_utc_ms) VALUES (1, ?, ?)"


async def assign(store: Store, assigned: Assigned) -> bool:
    """Keep a list, unless the one that is kept has as high a version; returns whether it was kept.

    It is on the card then, and once begun it is not cut short. Raises StoreError; nothing has changed then.
    """
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
            await _replace(store.catalogue, assigned)
        except (sqlite3.Error, OSError) as fault:
            await store.disconnect()
            raise StoreError(f"what is assigned cannot be kept: {in_words(fault)}") from fault
        store.assigned = assigned
        return True


async def _replace(catalogue: aiosqlite.Connection, assigned: Assigned) -> None:
    async with transaction(catalogue) as writer:
        await writer.execute("DELETE FROM assignment")
        await writer.executemany(_INSERT, [meter.row() for meter in assigned.meters])
        await writer.execute(_VERSION, (assigned.version, assigned.made_utc_ms))
