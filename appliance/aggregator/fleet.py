"""How each appliance stands: regarded as what, heard of until when, what is missing."""

from typing import Any, NamedTuple, cast

from sqlalchemy import Select, func, select

from appliance.aggregator.chains import Gap, gaps
from appliance.aggregator.database import Database
from appliance.aggregator.schema import appliance, batch, chain
from appliance.sync.answer import Standing


class Member(NamedTuple):
    """An appliance; its last batch, by epoch and sequence, and when that was sealed; the gaps before what waits."""

    identity: str
    name: str
    state: str
    last: tuple[int, int] | None
    sealed_utc_ms: int | None
    gaps: tuple[Gap, ...]


async def standing(database: Database, identity: str) -> Standing:
    """How the aggregator regards an appliance."""
    async with database.reading() as connection:
        state = await connection.scalar(select(appliance.c.state).where(appliance.c.identity == identity))
    return cast(Standing, state or "unknown")


def with_last_batch(question: Select[Any]) -> Select[Any]:
    """A question about appliances, which may then name the `chain` of which a batch came last, and that `batch`."""
    is_tip = (
        (batch.c.appliance_id == chain.c.appliance_id)
        & (batch.c.epoch == chain.c.epoch)
        & (batch.c.sequence == chain.c.sequence)
    )
    # Of keys that several restores began the highest is not the latest.
    latest = (func.coalesce(batch.c.received_utc_ms, 0).desc(), chain.c.epoch.desc())
    place = func.row_number().over(partition_by=chain.c.appliance_id, order_by=latest).label("place")
    newest = select(chain.c.appliance_id, chain.c.epoch, place).select_from(chain).outerjoin(batch, is_tip)
    newest_of = newest.where(chain.c.sequence > 0).subquery()
    return (
        question.outerjoin(newest_of, (newest_of.c.appliance_id == appliance.c.appliance_id) & (newest_of.c.place == 1))
        .outerjoin(chain, (chain.c.appliance_id == newest_of.c.appliance_id) & (chain.c.epoch == newest_of.c.epoch))
        .outerjoin(batch, is_tip)
    )


async def fleet(database: Database) -> list[Member]:
    """All appliances, in the order in which they enrolled."""
    question = with_last_batch(
        select(
            appliance.c.identity, appliance.c.name, appliance.c.state, chain.c.epoch, chain.c.sequence,
            batch.c.sealed_utc_ms,
        )
    ).order_by(appliance.c.appliance_id)  # fmt: skip
    missing: dict[str, list[Gap]] = {}
    for gap in await gaps(database):
        missing.setdefault(gap.identity, []).append(gap)
    async with database.reading() as connection:
        rows = (await connection.execute(question)).all()
    return [
        Member(
            row.identity, row.name, row.state, None if row.epoch is None else (row.epoch, row.sequence),
            row.sealed_utc_ms, tuple(missing.get(row.identity, ())),
        )
        for row in rows
    ]  # fmt: skip
