"""Appliances that send batches to an aggregator under test, and what is found in its tables."""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Table, select

from appliance.aggregator.appliances import Appliances, claim_of
from appliance.aggregator.database import Database
from appliance.aggregator.ingest import Answer, Ingest, Stored
from appliance.sync.batch import NO_BATCH, Batch
from appliance.sync.envelope import BATCH, ENROLMENT, RECEIPT, ROTATION, key_id, opened, read, seal
from appliance.sync.identity import name_of
from appliance.sync.pack import pack
from appliance.sync.receipt import Receipt, unpack_receipt
from tests.sync.made_batch import batch

NOW = 1_774_001_000_000
CENTRE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CODE = "ABCD2345"


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(str(number).encode()).digest())


class Sender:
    """An appliance: its keys by epoch, and the batches that it has sealed."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.keys = {1: key(number)}
        self.identity = name_of(self.keys[1].public_key())
        self.sha256: dict[tuple[int, int], str] = {}

    def enrolment(self, **changed: object) -> bytes:
        said = {
            "appliance": self.identity, "public_key": public(self.keys[1]), "name": f"street {self.number}",
            "version": "0.1.0", "claim": claim_of(self.identity, CODE), "token": "",
        }  # fmt: skip
        return seal(ENROLMENT, json.dumps(said | changed).encode(), self.keys[1])

    def rotation(self, epoch: int, /, after: int | None = None, **changed: object) -> bytes:
        self.keys[epoch] = key(1000 * epoch + self.number)
        said = {"appliance": self.identity, "epoch": epoch, "public_key": public(self.keys[epoch])}
        return seal(ROTATION, json.dumps(said | changed).encode(), self.keys[after or epoch - 1])

    def sealed(self, sequence: int, *, epoch: int = 1, previous: str | None = None, **changed: object) -> bytes:
        """The line of a batch, which follows the one that was sealed before it."""
        before = self.sha256.get((epoch, sequence - 1), NO_BATCH) if previous is None else previous
        names = {"appliance": self.identity, "epoch": epoch, "sequence": sequence, "previous": before}
        payload = pack(batch(**(names | changed)))
        self.sha256[epoch, sequence] = hashlib.sha256(payload).hexdigest()
        return seal(BATCH, payload, self.keys[epoch])

    async def enrol(self, database: Database) -> "Sender":
        """Enrolled and approved."""
        await Appliances(database).enrol(self.enrolment(), NOW)
        await Appliances(database).approve(self.identity, NOW)
        return self


def public(private: Ed25519PrivateKey) -> str:
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def ingest(database: Database) -> Ingest:
    """A worker whose clock goes on by a minute with each look at it."""
    seconds = iter(range(0, 1 << 40, 60))
    return Ingest(database, CENTRE, lambda: next(seconds))


def receipt(answer: Answer) -> Receipt:
    """What a receipt says, its signature checked."""
    assert isinstance(answer, Stored), answer
    public_key = CENTRE.public_key()
    return unpack_receipt(opened(read(answer.receipt), RECEIPT, {key_id(public_key): public_key}))


async def rows(database: Database, table: Table, *order: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    columns = [table.c[name] for name in order] or list(table.primary_key.columns)
    async with database.reading() as connection:
        found = await connection.execute(select(table).order_by(*columns))
        return [dict(row) for row in found.mappings()]


def sealed_batch(line: bytes) -> Batch:
    from appliance.sync.unpack import unpack

    return unpack(read(line).payload)
