"""Keys: the aggregator's own, and those by which it knows appliances.

    key/aggregator.key, key/aggregator.copy    in the aggregator's directory, as `appliance/sync/keyfile.py` says

An appliance's key never changes and is never taken away, so each worker keeps those it has seen in memory; whether
their appliance is approved is asked of the database for each batch. Keys that nobody knows cost a question to the
database at most once a second, whoever sends them: the one for all keys that are new.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator.database import Database
from appliance.aggregator.schema import appliance, appliance_key
from appliance.errors import StoreError
from appliance.sync.envelope import read
from appliance.sync.keyfile import keep_key, kept_key

FOLDER, NAME = "key", "aggregator"
ASK_AGAIN_S = 1.0
# Numbers are given before the commit: one that is lower may be seen later.
LATE = 100

_HINT = (
    "Restore the aggregator's backup. A new key is made by 'appliance aggregator init' in a new directory; each"
    " appliance must then be told its fingerprint."
)


class Known(NamedTuple):
    """An appliance's key of one epoch."""

    appliance_id: int
    identity: str
    epoch: int
    public: Ed25519PublicKey


class Keys:
    """The keys of all appliances, by their ids. `monotonic` in seconds."""

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._known: dict[str, Known] = {}
        self._last_number = 0
        self._asked_s = float("-inf")
        self._asking = asyncio.Lock()

    async def find(self, key_id: str) -> Known | None:
        """The key with that id; None if there is none, or none that is a second old."""
        if key_id not in self._known:
            async with self._asking:
                if key_id not in self._known and self._monotonic() - self._asked_s >= ASK_AGAIN_S:
                    await self.refresh()
                    self._asked_s = self._monotonic()
        return self._known.get(key_id)

    async def refresh(self) -> None:
        """Learn the keys that were added since."""
        question = (
            select(
                appliance_key.c.number,
                appliance_key.c.key_id,
                appliance_key.c.appliance_id,
                appliance.c.identity,
                appliance_key.c.epoch,
                appliance_key.c.public_key,
            )
            .join(appliance, appliance.c.appliance_id == appliance_key.c.appliance_id)
            .where(appliance_key.c.number > self._last_number - LATE)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(question)).all()
        for number, key_id, appliance_id, identity, epoch, public in rows:
            key = Ed25519PublicKey.from_public_bytes(public)
            self._known[key_id] = Known(appliance_id, identity, epoch, key)
            self._last_number = max(self._last_number, number)


async def followed(connection: AsyncConnection, appliance_id: int) -> dict[int, int]:
    """The epoch of the key that each later key of an appliance follows, by epoch: whose signature its statement has."""
    mine = appliance_key.c.appliance_id == appliance_id
    columns = (appliance_key.c.epoch, appliance_key.c.key_id, appliance_key.c.statement)
    rows = (await connection.execute(select(*columns).where(mine))).all()
    epochs = {row.key_id: row.epoch for row in rows}
    return {row.epoch: epochs[read(row.statement).key_id] for row in rows if row.epoch > 1}


async def lineage(connection: AsyncConnection, appliance_id: int, epoch: int) -> list[int]:
    """An epoch and those that it follows, back to the first."""
    before, line = await followed(connection, appliance_id), [epoch]
    while line[-1] in before:
        line.append(before[line[-1]])
    return line


def make_key(directory: Path) -> Ed25519PrivateKey:
    """The aggregator's key, made at its first start. Raises StoreError, OSError."""
    folder = directory / FOLDER
    if folder.exists() and any(folder.glob(f"{NAME}.*")):
        return open_key(directory)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep_key(folder, NAME, Ed25519PrivateKey.generate())
    return open_key(directory)


def open_key(directory: Path) -> Ed25519PrivateKey:
    """The aggregator's key, which must be there: another one would be believed by no appliance.

    Raises StoreError, OSError.
    """
    folder = directory / FOLDER
    if not folder.is_dir():
        raise StoreError(f"{directory} has no key", "Make it ready by 'appliance aggregator init'.")
    for part in folder.glob("*.part"):
        part.unlink()
    return kept_key(folder, NAME, _HINT)
