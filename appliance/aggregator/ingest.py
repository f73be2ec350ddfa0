"""Takes in a batch: verifies it in full, stores it once, and answers with the receipt.

The checks come in the order of what they cost: size, form, key, signature, whether the appliance is believed, whether
it is stored already; only then is anything unpacked. Batch and content commit together, while the transaction holds
the appliance; so any number of workers may be told the same batches at once. A receipt is made anew each time, and is
the same each time: Ed25519 has no chance in it, and all that it says is kept.
"""

import hashlib
import time
from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator import audit
from appliance.aggregator.chains import Chains, Missing, refuse_unless_believed
from appliance.aggregator.content import Content, check
from appliance.aggregator.database import Database
from appliance.aggregator.keys import Keys, Known
from appliance.aggregator.partitions import Months
from appliance.aggregator.refusals import Refusals
from appliance.aggregator.schema import NO_APPLIANCE, appliance, appliance_key, batch, chain
from appliance.errors import UsageError
from appliance.sync.batch import MOST_PAYLOAD_BYTES, Batch
from appliance.sync.envelope import BATCH, RECEIPT, Envelope, Refused, opened, read, seal
from appliance.sync.receipt import Receipt, pack_receipt
from appliance.sync.unpack import unpack

# Base64 of the payload, and the rest of the envelope.
MOST_LINE_BYTES = MOST_PAYLOAD_BYTES * 4 // 3 + 1_024


class Stored(NamedTuple):
    """The batch is stored, now or before: the receipt, an envelope as a line."""

    receipt: bytes


class Waiting(NamedTuple):
    """The batch came too early: the first one that is missing; and whether it was kept until that comes."""

    epoch: int
    sequence: int
    is_kept: bool


class Refusal(NamedTuple):
    """The batch is not believed: `reason` is the name by which it is counted, `words` say what was wrong."""

    reason: str
    words: str


Answer = Stored | Waiting | Refusal


class _Told(NamedTuple):
    """A batch that was verified, and what it is known by."""

    appliance_id: int
    batch: Batch
    sha256: str
    payload_bytes: int
    line: bytes


class Ingest:
    """One worker's way in. `key` signs the receipts; `monotonic` in seconds."""

    def __init__(
        self, database: Database, key: Ed25519PrivateKey, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.keys = Keys(database, monotonic)
        self.refusals = Refusals(database, monotonic)
        self._database = database
        self._key = key
        self._months = Months(database)

    async def ingest(self, line: bytes, received_utc_ms: int) -> Answer:
        """Take in the envelope of a batch, a line without its newline. Raises sqlalchemy.exc.DBAPIError, OSError.

        After an exception nothing of it is stored, and the appliance is to send it again.
        """
        signer = NO_APPLIANCE
        try:
            envelope, known = await self._verified(line)
            signer = known.appliance_id
            sha256 = hashlib.sha256(envelope.payload).hexdigest()
            if receipt := await self._stored_before(known, sha256):
                return Stored(receipt)
            told = _Told(signer, _content(envelope.payload, known), sha256, len(envelope.payload), line)
            await self._months.extend(received_utc_ms)
            answer, has_waiting, doubt = await self._database.write(lambda c: self._take_in(c, told, received_utc_ms))
        except Refused as fault:
            await self.refusals.note(signer, fault.reason, str(fault), line, received_utc_ms)
            return Refusal(fault.reason, str(fault))
        if doubt is not None:
            await self.refusals.note(signer, doubt.reason, str(doubt), line, received_utc_ms)
        if has_waiting and isinstance(answer, Stored):
            await self._drain(known.appliance_id, received_utc_ms)
        return answer

    async def receipts(self, identity: str, batches: list[tuple[int, int]]) -> list[bytes]:
        """The receipts of those batches, by epoch and sequence, that are stored."""
        asked: dict[int, set[int]] = {}
        for epoch, sequence in batches:
            asked.setdefault(epoch, set()).add(sequence)
        begun = select(chain.c.epoch).join(appliance).where(appliance.c.identity == identity)
        columns = (batch.c.epoch, batch.c.sequence, batch.c.sha256, batch.c.stored_utc_ms)
        question = select(*columns).join(appliance).where(appliance.c.identity == identity).order_by(batch.c.sequence)
        found = []
        async with self._database.reading() as connection:
            # Anybody may ask: one statement for each epoch that there is, however many are named.
            for epoch in asked.keys() & set(await connection.scalars(begun)):
                these = question.where(batch.c.epoch == epoch, self._database.among(batch.c.sequence, asked[epoch]))
                found += [self._receipt(identity, *row) for row in await connection.execute(these)]
        return found

    async def give_up_gap(self, identity: str, epoch: int, now_utc_ms: int, who: str = audit.CONSOLE) -> Missing:
        """Store what waits behind a gap of an epoch that will never be filled; returns the last batch of the gap.

        A batch of it that turns up nevertheless is stored then. The audit says `who` does it. Raises UsageError when
        there is no such gap.
        """
        async with self._database.reading() as connection:
            known = select(appliance.c.appliance_id).where(appliance.c.identity == identity)
            appliance_id = await connection.scalar(known)
        if appliance_id is None:
            raise UsageError(f"no appliance {identity!r:.40} has enrolled", "See 'appliance aggregator list'.")

        async def close(connection: AsyncConnection) -> Missing:
            chains = Chains(connection, appliance_id)
            await chains.lock()
            last = await chains.give_up(epoch, now_utc_ms)
            await audit.note(connection, now_utc_ms, who, audit.GAVE_UP, identity, f"{last.epoch}-{last.sequence}")
            return last

        given_up = await self._database.write(close)
        await self._drain(appliance_id, now_utc_ms)
        return given_up

    async def _verified(self, line: bytes) -> tuple[Envelope, Known]:
        """The envelope, and whose key has signed it. Raises Refused."""
        if len(line) > MOST_LINE_BYTES:
            raise Refused("too_large", f"{len(line)} bytes, at most {MOST_LINE_BYTES}")
        envelope = read(line)
        if envelope.kind != BATCH:
            opened(envelope, BATCH, {})
        known = await self.keys.find(envelope.key_id)
        opened(envelope, BATCH, {envelope.key_id: known.public} if known else {})
        assert known is not None
        return envelope, known

    async def _stored_before(self, known: Known, sha256: str) -> bytes | None:
        """The receipt, if the batch is stored. Raises Refused when the appliance is not believed."""
        mine = appliance.c.appliance_id == known.appliance_id
        question = (
            select(
                appliance.c.state, appliance_key.c.revoked_utc_ms, batch.c.epoch, batch.c.sequence,
                batch.c.stored_utc_ms,
            )
            .join(appliance_key, appliance_key.c.appliance_id == appliance.c.appliance_id)
            .outerjoin(batch, (batch.c.appliance_id == appliance.c.appliance_id) & (batch.c.sha256 == sha256))
            .where(mine, appliance_key.c.epoch == known.epoch)
        )  # fmt: skip
        async with self._database.reading() as connection:
            row = (await connection.execute(question)).one()
        refuse_unless_believed(row.state, row.revoked_utc_ms is not None)
        if row.stored_utc_ms is None:
            return None
        return self._receipt(known.identity, row.epoch, row.sequence, sha256, row.stored_utc_ms)

    async def _take_in(
        self, connection: AsyncConnection, told: _Told, now_utc_ms: int
    ) -> tuple[Answer, bool, Refused | None]:
        """Store a batch, or keep it; says whether others wait, and what of it does not count. Raises Refused."""
        chains = Chains(connection, told.appliance_id)
        await chains.lock()
        chains.check_believed(told.batch.epoch)
        place = await chains.place(told.batch, told.sha256)
        if isinstance(place, Missing):
            is_kept = await chains.keep(told.batch, told.sha256, told.line, now_utc_ms)
            return Waiting(*place, is_kept), True, None
        receipt, doubt = await self._store(connection, chains, told, place, now_utc_ms)
        return Stored(receipt), chains.has_waiting, doubt

    async def _store(
        self, connection: AsyncConnection, chains: Chains, told: _Told, stored_utc_ms: int, now_utc_ms: int
    ) -> tuple[bytes, Refused | None]:
        """Store a batch that has its place, unless that was done; returns the receipt, and what does not count."""
        this, doubt = told.batch, None
        if not stored_utc_ms:
            stored_utc_ms = now_utc_ms
            content = Content(self._database, connection, told.appliance_id, this.epoch)
            counts = await content.store(this)
            if content.otherwise:
                count = f"{content.otherwise} readings and events of batch {this.epoch}-{this.sequence}"
                doubt = Refused("contradiction", f"{count} differ from what was told before, which stands")
            row = {
                "appliance_id": told.appliance_id, "epoch": this.epoch, "sequence": this.sequence,
                "sha256": told.sha256, "previous": this.previous, "received_utc_ms": now_utc_ms,
                "stored_utc_ms": stored_utc_ms, "sealed_utc_ms": this.sealed.utc_ms, "simulated": this.simulated,
                "assignments": this.assignments, "payload_bytes": told.payload_bytes,
            }  # fmt: skip
            await connection.execute(insert(batch).values(row | counts._asdict()))
            await chains.move(this, told.sha256)
        if chains.has_waiting:
            await chains.forget(this.epoch, this.sequence)
        return self._receipt(this.appliance, this.epoch, this.sequence, told.sha256, stored_utc_ms), doubt

    async def _drain(self, appliance_id: int, now_utc_ms: int) -> None:
        """Store what waited and can be stored now, one batch after the other, each in its own transaction."""
        after: int | None = 0
        while after is not None:
            after = await self._drain_one(appliance_id, after, now_utc_ms)

    async def _drain_one(self, appliance_id: int, after: int, now_utc_ms: int) -> int | None:
        """Store one batch of an epoch after that one; returns after which to go on, None at the end."""

        async def store_next(connection: AsyncConnection) -> tuple[int | None, Refused | None, bytes]:
            chains = Chains(connection, appliance_id)
            await chains.lock()
            row = await chains.ready(after)
            if row is None or not chains.is_believed(row.epoch):
                return None, None, b""
            payload = read(row.line).payload
            told = _Told(appliance_id, unpack(payload), row.sha256, len(payload), row.line)
            try:
                place = await chains.place(told.batch, told.sha256)
            except Refused as fault:
                await chains.forget(row.epoch, row.sequence)
                return 0, fault, row.line
            if isinstance(place, Missing):
                return int(row.epoch), None, b""
            _, doubt = await self._store(connection, chains, told, place, now_utc_ms)
            return 0, doubt, row.line

        following, fault, line = await self._database.write(store_next)
        if fault is not None:
            await self.refusals.note(appliance_id, fault.reason, str(fault), line, now_utc_ms)
        return following

    def _receipt(self, identity: str, epoch: int, sequence: int, sha256: str, stored_utc_ms: int) -> bytes:
        return seal(RECEIPT, pack_receipt(Receipt(identity, epoch, sequence, sha256, stored_utc_ms)), self._key)


def _content(payload: bytes, known: Known) -> Batch:
    """What a payload holds, all of it checked. Raises Refused."""
    told = unpack(payload)
    if (told.appliance, told.epoch) != (known.identity, known.epoch):
        raise Refused("not_its_own", f"a batch of {told.appliance}, epoch {told.epoch}, under another's key")
    check(told)
    return told
