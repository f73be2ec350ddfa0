"""Where a batch belongs among those of its appliance: next, already stored, ahead of a gap, or nowhere.

The batches of an epoch follow each other without gaps, and each names the one before it. The first of an epoch names
any batch of an earlier one, for a restored appliance continues from the last that its backup knows of; or none. A batch
that comes too early waits, within bounds, until those before it are there or an operator gives them up.
"""

from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy import exists as exists_
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator.appliances import APPROVED, REVOKED
from appliance.aggregator.database import Database
from appliance.aggregator.keys import followed
from appliance.aggregator.schema import appliance, appliance_key, batch, chain, given_up, waiting_batch
from appliance.errors import UsageError
from appliance.sync.batch import NO_BATCH, Batch
from appliance.sync.envelope import Refused

MOST_WAITING, MOST_WAITING_BYTES = 1_000, 64 << 20


class Tip(NamedTuple):
    """How far the batches of an epoch have come."""

    sequence: int
    sha256: str


class Missing(NamedTuple):
    """The first batch that must come before another can be stored."""

    epoch: int
    sequence: int


class Gap(NamedTuple):
    """Batches that are missing while later ones wait since then.

    Sequence 0 is the batch of an earlier epoch that the first of this one follows.
    """

    identity: str
    epoch: int
    first_sequence: int
    last_sequence: int
    waiting: int
    since_utc_ms: int


class Chains:
    """The chains of one appliance, locked for the transaction of `connection`. `lock` first."""

    def __init__(self, connection: AsyncConnection, appliance_id: int) -> None:
        self._connection = connection
        self._appliance_id = appliance_id
        self._tips: dict[int, Tip] = {}
        self._revoked: set[int] = set()
        self._state = ""
        self.has_waiting = False

    async def lock(self) -> None:
        """Have the appliance for ourselves until the end of the transaction."""
        waits = exists_(select(waiting_batch.c.epoch).where(waiting_batch.c.appliance_id == self._appliance_id))
        mine = chain.c.appliance_id == self._appliance_id
        # Which waits for whoever has it; what is read after that is what they left.
        await self._connection.execute(
            select(chain.c.epoch).where(mine).order_by(chain.c.epoch).with_for_update(key_share=False)
        )
        question = (
            select(chain, appliance.c.state, appliance_key.c.revoked_utc_ms, waits.label("waits"))
            .join(appliance, appliance.c.appliance_id == chain.c.appliance_id)
            .join(
                appliance_key,
                (appliance_key.c.appliance_id == chain.c.appliance_id) & (appliance_key.c.epoch == chain.c.epoch),
            )
            .where(mine)
        )
        for row in await self._connection.execute(question):
            self._tips[row.epoch] = Tip(row.sequence, row.sha256)
            self._state, self.has_waiting = row.state, bool(row.waits)
            if row.revoked_utc_ms is not None:
                self._revoked.add(row.epoch)

    def check_believed(self, epoch: int) -> None:
        """Raises Refused when the appliance or its key is not believed."""
        refuse_unless_believed(self._state, epoch in self._revoked)

    def is_believed(self, epoch: int) -> bool:
        """Whether the appliance and its key of an epoch are believed."""
        return self._state == APPROVED and epoch not in self._revoked

    async def place(self, told: Batch, sha256: str) -> int | Missing:
        """Where a batch belongs: what is missing before it, or, if it can be stored now, 0.

        When it is stored already: when that was, in ms UTC. Raises Refused when it belongs nowhere.
        """
        question = select(batch.c.sha256, batch.c.stored_utc_ms).where(self._is(batch, told.epoch, told.sequence))
        if stored := (await self._connection.execute(question)).first():
            if stored.sha256 != sha256:
                raise Refused("fork", f"another batch {told.epoch}-{told.sequence} is stored")
            return int(stored.stored_utc_ms)
        tip = self._tips[told.epoch]
        if told.sequence <= tip.sequence:
            await self._check_neighbours(told, sha256)
        elif told.sequence > tip.sequence + 1:
            return Missing(told.epoch, tip.sequence + 1)
        elif told.previous != tip.sha256:
            return await self._place_unlinked(told)
        return 0

    async def _place_unlinked(self, told: Batch) -> int | Missing:
        """Where a batch belongs that is the next one, but does not name the one before it."""
        mine = batch.c.appliance_id == self._appliance_id
        known = select(batch.c.epoch).where(mine, batch.c.sha256 == told.previous)
        epoch = await self._connection.scalar(known)
        if told.sequence == 1 and told.epoch > 1:
            if told.previous == NO_BATCH or (epoch is not None and epoch < told.epoch):
                return 0
            if epoch is None:
                earlier = (await followed(self._connection, self._appliance_id))[told.epoch]
                return Missing(earlier, self._tips[earlier].sequence + 1)
        if epoch is not None or told.previous == NO_BATCH:
            raise Refused("fork", f"batch {told.epoch}-{told.sequence} follows another one than the last")
        raise Refused("broken_chain", f"batch {told.epoch}-{told.sequence} follows one that is not known")

    async def _check_neighbours(self, told: Batch, sha256: str) -> None:
        """A batch that was given up and has turned up must fit what is known on both sides of it."""
        near = batch.c.sequence.in_([told.sequence - 1, told.sequence + 1])
        mine = (batch.c.appliance_id == self._appliance_id) & (batch.c.epoch == told.epoch)
        for row in await self._connection.execute(select(batch).where(mine, near)):
            before, after = (row.sha256, told.previous) if row.sequence < told.sequence else (sha256, row.previous)
            if before != after:
                raise Refused("broken_chain", f"batch {told.epoch}-{told.sequence} does not follow or lead to another")

    async def move(self, told: Batch, sha256: str) -> None:
        """The tip is that batch now, which was `place`d; one that was given up is behind it."""
        if told.sequence > self._tips[told.epoch].sequence:
            await self._set(told.epoch, Tip(told.sequence, sha256))

    async def keep(self, told: Batch, sha256: str, line: bytes, received_utc_ms: int) -> bool:
        """Keep a batch that came too early, if there is room for it. Raises Refused when another waits in its place."""
        this = self._is(waiting_batch, told.epoch, told.sequence)
        waiting = await self._connection.scalar(select(waiting_batch.c.sha256).where(this))
        if waiting is not None and waiting != sha256:
            raise Refused("fork", f"another batch {told.epoch}-{told.sequence} is waiting")
        if waiting is not None:
            return True
        columns = waiting_batch.c
        room = select(func.count(), func.coalesce(func.sum(columns.line_bytes), 0))
        row = (await self._connection.execute(room.where(columns.appliance_id == self._appliance_id))).one()
        if row[0] >= MOST_WAITING or row[1] + len(line) > MOST_WAITING_BYTES:
            return False
        kept = {
            "appliance_id": self._appliance_id, "epoch": told.epoch, "sequence": told.sequence, "sha256": sha256,
            "previous": told.previous, "received_utc_ms": received_utc_ms, "line": line, "line_bytes": len(line),
        }  # fmt: skip
        await self._connection.execute(insert(waiting_batch).values(kept))
        return True

    async def ready(self, after: int) -> Any:
        """The first waiting batch that is the next one of its epoch, of the epochs after that one."""
        next_one = (chain.c.appliance_id == waiting_batch.c.appliance_id) & (chain.c.epoch == waiting_batch.c.epoch)
        next_one &= waiting_batch.c.sequence == chain.c.sequence + 1
        question = select(waiting_batch).join(chain, next_one).where(chain.c.appliance_id == self._appliance_id)
        question = question.where(chain.c.epoch > after).order_by(chain.c.epoch).limit(1)
        return (await self._connection.execute(question)).first()

    async def forget(self, epoch: int, sequence: int) -> None:
        """A batch waits no longer."""
        await self._connection.execute(delete(waiting_batch).where(self._is(waiting_batch, epoch, sequence)))

    async def give_up(self, epoch: int, now_utc_ms: int) -> Missing:
        """Close the gap before the first batch of an epoch that waits; returns the last one that is given up.

        Raises UsageError when none waits.
        """
        columns = waiting_batch.c
        mine = (columns.appliance_id == self._appliance_id) & (columns.epoch == epoch)
        first = (await self._connection.execute(select(waiting_batch).where(mine).order_by(columns.sequence))).first()
        if first is None:
            raise UsageError(f"no batch of epoch {epoch} waits for another one", "See 'appliance aggregator list'.")
        missing = self._tips[epoch].sequence + 1
        # Where the next one waits, it is for what its epoch began with.
        begin, end = (missing, first.sequence - 1) if first.sequence > missing else (0, 0)
        row = {"appliance_id": self._appliance_id, "epoch": epoch, "first_sequence": begin, "last_sequence": end}
        await self._connection.execute(insert(given_up).values(row | {"given_up_utc_ms": now_utc_ms}))
        await self._set(epoch, Tip(first.sequence - 1, first.previous))
        return Missing(epoch, end)

    async def _set(self, epoch: int, tip: Tip) -> None:
        this = (chain.c.appliance_id == self._appliance_id) & (chain.c.epoch == epoch)
        await self._connection.execute(update(chain).where(this).values(tip._asdict()))
        self._tips[epoch] = tip

    def _is(self, table: Any, epoch: int, sequence: int) -> Any:
        columns = table.c
        mine = columns.appliance_id == self._appliance_id
        return mine & (columns.epoch == epoch) & (columns.sequence == sequence)


def refuse_unless_believed(state: str, is_key_revoked: bool) -> None:
    """Raises Refused when an appliance, or the key that it used, is not believed."""
    if state == REVOKED or is_key_revoked:
        raise Refused("revoked", "the appliance, or the key that it used, is revoked")
    if state != APPROVED:
        raise Refused("not_approved", "the appliance is not approved yet")


async def gaps(database: Database, identity: str | None = None) -> list[Gap]:
    """The gaps of all appliances, or of one, the oldest first."""
    columns = waiting_batch.c
    since = func.min(columns.received_utc_ms)
    question = (
        select(
            appliance.c.identity, chain.c.epoch, chain.c.sequence, func.min(columns.sequence), func.count(), since
        )
        .join(chain, (chain.c.appliance_id == columns.appliance_id) & (chain.c.epoch == columns.epoch))
        .join(appliance, appliance.c.appliance_id == columns.appliance_id)
        .group_by(appliance.c.identity, chain.c.epoch, chain.c.sequence)
        .order_by(since, appliance.c.identity, chain.c.epoch)
    )  # fmt: skip
    if identity is not None:
        question = question.where(appliance.c.identity == identity)
    async with database.reading() as connection:
        rows = (await connection.execute(question)).all()
    found = []
    for identity, epoch, reached, first, count, since_utc_ms in rows:
        begin, end = (reached + 1, first - 1) if first > reached + 1 else (0, 0)
        found.append(Gap(identity, epoch, begin, end, count, since_utc_ms))
    return found
