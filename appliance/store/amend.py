"""What a person changes in the catalogue: on the card for certain when it is said to be done, or not at all."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiosqlite

from appliance.errors import StoreError
from appliance.store.connection import transaction
from appliance.store.schema import in_words
from appliance.store.writer import Store

T = TypeVar("T")

Work = Callable[[aiosqlite.Connection], Awaitable[T]]


async def amend(store: Store, what: str, work: Work[T], then: Callable[[], None] = lambda: None) -> T:
    """Do `work` in one transaction of the catalogue, through the writer's connection, and `then` what follows from it.

    It is not cut short once begun. Raises StoreError that says that `what` cannot be kept, and why, and what `work`
    raises; nothing has changed then.
    """
    working = asyncio.create_task(_amend(store, what, work, then))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.gather(working, return_exceptions=True)
        raise


async def _amend(store: Store, what: str, work: Work[T], then: Callable[[], None]) -> T:
    async with store.lock:
        try:
            await store.connect()
            assert store.catalogue is not None
            async with transaction(store.catalogue) as writer:
                done = await work(writer)
        except (sqlite3.Error, OSError) as fault:
            await store.disconnect()
            raise StoreError(f"{what} cannot be kept: {in_words(fault)}") from fault
        # It stands nowhere but in the catalogue: a copy of that is due.
        store.copy_wanted = True
        then()
        return done
