"""What an operator asks of the fleet: how many need somebody, which ones, and one of them in detail.

Each question is one statement whatever the number of appliances, and a list comes a page at a time.

An approved appliance is silent when nothing of it came for `SILENT_MS`. One that hears meters seals a batch every
quarter of an hour and tries again at least as often, so that six hours are two dozen chances missed; what a mobile
network is out for at night, or works on a line by day, is over by then.
"""

from collections import Counter
from typing import Any, Literal, NamedTuple

from sqlalchemy import Select, case, false, func, or_, select

from appliance.aggregator.appliances import APPROVED, REVOKED, WAITING
from appliance.aggregator.database import Database
from appliance.aggregator.fleet import with_last_batch
from appliance.aggregator.keys import followed
from appliance.aggregator.schema import (
    appliance,
    appliance_key,
    batch,
    chain,
    refusal,
    refusal_count,
    waiting_batch,
)

SILENT_MS = 6 * 3_600_000
LATELY_MS = 24 * 3_600_000
SILENT = "silent"
PER_PAGE = 50

Filter = Literal["all", "waiting", "silent", "gaps", "refused", "revoked"]
Order = Literal["need", "name", "heard", "lag", "new"]


class Member(NamedTuple):
    """An appliance in the list; times are ms UTC.

    `state` is as it is kept, or `SILENT`. `heard_utc_ms`: when a batch of it came last; `sealed_utc_ms`: when the last
    one was sealed that is stored, `simulated` whether that was made up. `waiting` counts batches that came too early,
    `missing` those that they wait for.
    """

    identity: str
    name: str
    state: str
    enrolled_utc_ms: int
    heard_utc_ms: int | None
    sealed_utc_ms: int | None
    waiting: int
    missing: int
    refused_utc_ms: int | None
    simulated: bool


class Summary(NamedTuple):
    """How many appliances there are of each kind; `refused`: had something refused in the last day."""

    all: int
    waiting: int
    silent: int
    gaps: int
    refused: int
    revoked: int


class Key(NamedTuple):
    """A key of an appliance; it `follows` that of another epoch, whose word it has, and so may others (`is_beside`)."""

    epoch: int
    follows: int | None
    is_beside: bool
    key_id: str
    added_utc_ms: int
    revoked_utc_ms: int | None


class BatchRow(NamedTuple):
    """A batch that is stored."""

    epoch: int
    sequence: int
    sealed_utc_ms: int
    received_utc_ms: int
    simulated: bool
    readings: int
    receptions: int
    events: int
    payload_bytes: int


class Refused(NamedTuple):
    """Something refused, without its evidence; `identity` and `name` are "" where nobody knows whose it was."""

    number: int
    identity: str
    name: str
    received_utc_ms: int
    reason: str
    words: str
    line_bytes: int


class Reason(NamedTuple):
    """How often, and of how many appliances, something was refused for a reason."""

    reason: str
    times: int
    appliances: int
    last_utc_ms: int


async def summary(database: Database, now_utc_ms: int) -> Summary:
    """The whole fleet counted."""
    base = _base(now_utc_ms).subquery()
    columns = [func.count(), *(_sum(_is(base, kind, now_utc_ms)) for kind in Summary._fields[1:])]
    async with database.reading() as connection:
        row = (await connection.execute(select(*columns).select_from(base))).one()
    return Summary(*(int(value or 0) for value in row))


async def members(
    database: Database, now_utc_ms: int, which: str, order: str, words: str, page: int
) -> tuple[list[Member], int]:
    """A page, from 1 on, of those appliances that fit; and how many fit. `words` are of a name or an identity."""
    base = _base(now_utc_ms).subquery()
    fits = [] if which == "all" else [_is(base, which, now_utc_ms)]
    if words:
        identity = "".join(words.split()).lower()
        fits.append(
            or_(base.c.name.icontains(words, autoescape=True), base.c.identity.contains(identity, autoescape=True))
        )
    question = select(*(base.c[name] for name in Member._fields)).where(*fits)
    question = question.order_by(*_order(base, order)).limit(PER_PAGE).offset((page - 1) * PER_PAGE)
    async with database.reading() as connection:
        count = await connection.scalar(select(func.count()).select_from(base).where(*fits))
        rows = (await connection.execute(question)).all()
    return [Member(*row) for row in rows], int(count or 0)


def _base(now_utc_ms: int) -> Select[Any]:
    """A row for each appliance."""
    by_epoch = (
        select(
            waiting_batch.c.appliance_id,
            waiting_batch.c.epoch,
            func.count().label("waiting"),
            func.min(waiting_batch.c.sequence).label("first"),
            func.max(waiting_batch.c.received_utc_ms).label("heard"),
        )
        .group_by(waiting_batch.c.appliance_id, waiting_batch.c.epoch)
        .subquery()
    )
    # Where the next one waits, it is for what its epoch began with.
    missing = case((by_epoch.c.first > chain.c.sequence + 1, by_epoch.c.first - chain.c.sequence - 1), else_=1)
    gaps = (
        select(
            by_epoch.c.appliance_id,
            func.sum(by_epoch.c.waiting).label("waiting"),
            func.sum(missing).label("missing"),
            func.max(by_epoch.c.heard).label("heard"),
        )
        .join(chain, (chain.c.appliance_id == by_epoch.c.appliance_id) & (chain.c.epoch == by_epoch.c.epoch))
        .group_by(by_epoch.c.appliance_id)
        .subquery()
    )
    refused = (
        select(refusal_count.c.appliance_id, func.max(refusal_count.c.last_utc_ms).label("last"))
        .group_by(refusal_count.c.appliance_id)
        .subquery()
    )
    heard = case(
        (func.coalesce(gaps.c.heard, 0) > func.coalesce(batch.c.received_utc_ms, 0), gaps.c.heard),
        else_=batch.c.received_utc_ms,
    )
    is_silent = (appliance.c.state == APPROVED) & (
        func.coalesce(heard, appliance.c.approved_utc_ms) < now_utc_ms - SILENT_MS
    )
    question = with_last_batch(
        select(
            appliance.c.appliance_id,
            appliance.c.identity,
            appliance.c.name,
            case((is_silent, SILENT), else_=appliance.c.state).label("state"),
            appliance.c.enrolled_utc_ms,
            heard.label("heard_utc_ms"),
            batch.c.sealed_utc_ms,
            func.coalesce(gaps.c.waiting, 0).label("waiting"),
            func.coalesce(gaps.c.missing, 0).label("missing"),
            refused.c.last.label("refused_utc_ms"),
            func.coalesce(batch.c.simulated, false()).label("simulated"),
        )
    )
    return question.outerjoin(gaps, gaps.c.appliance_id == appliance.c.appliance_id).outerjoin(
        refused, refused.c.appliance_id == appliance.c.appliance_id
    )


def _is(base: Any, which: str, now_utc_ms: int) -> Any:
    if which == "gaps":
        return base.c.waiting > 0
    if which == "refused":
        return (func.coalesce(base.c.refused_utc_ms, 0) > now_utc_ms - LATELY_MS) & (base.c.state != REVOKED)
    return base.c.state == which


def _sum(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))


def _order(base: Any, order: str) -> list[Any]:
    never = base.c.heard_utc_ms.is_(None)
    by_name = [func.lower(base.c.name), base.c.appliance_id]
    if order == "name":
        return by_name
    if order == "heard":
        return [never, base.c.heard_utc_ms.desc(), *by_name]
    if order == "lag":
        return [never, base.c.sealed_utc_ms, *by_name]
    if order == "new":
        return [base.c.appliance_id.desc()]
    need = case(
        (base.c.state == WAITING, 0),
        (base.c.state == SILENT, 1),
        (base.c.waiting > 0, 2),
        (base.c.state == REVOKED, 4),
        else_=3,
    )
    return [need, *by_name]


async def keys(database: Database, identity: str) -> list[Key]:
    """The keys of an appliance, the one last known first."""
    question = select(appliance_key).join(appliance).where(appliance.c.identity == identity)
    async with database.reading() as connection:
        rows = (await connection.execute(question.order_by(appliance_key.c.number.desc()))).all()
        before = await followed(connection, rows[0].appliance_id) if rows else {}
    begun = Counter(before.values())
    return [
        Key(
            row.epoch, before.get(row.epoch), begun[before.get(row.epoch, 0)] > 1, row.key_id, row.added_utc_ms,
            row.revoked_utc_ms,
        )
        for row in rows
    ]  # fmt: skip


async def last_batches(database: Database, identity: str, most: int) -> list[BatchRow]:
    """The last batches of an appliance that are stored, the newest first."""
    question = select(*(batch.c[name] for name in BatchRow._fields)).select_from(batch).join(appliance)
    question = question.join(chain, (chain.c.appliance_id == batch.c.appliance_id) & (chain.c.epoch == batch.c.epoch))
    # Only the last of each key are looked at.
    question = question.where(appliance.c.identity == identity, batch.c.sequence > chain.c.sequence - most)
    latest = (batch.c.received_utc_ms.desc(), batch.c.epoch.desc(), batch.c.sequence.desc())
    question = question.order_by(*latest).limit(most)
    async with database.reading() as connection:
        return [BatchRow(*row) for row in await connection.execute(question)]


async def last_refusals(database: Database, most: int, identity: str | None = None) -> list[Refused]:
    """The last that were refused and of which there is evidence, the newest first; all, or of one appliance."""
    question = select(
        refusal.c.number,
        func.coalesce(appliance.c.identity, ""),
        func.coalesce(appliance.c.name, ""),
        *(refusal.c[name] for name in Refused._fields[3:]),
    ).outerjoin(appliance, appliance.c.appliance_id == refusal.c.appliance_id)
    if identity is not None:
        question = question.where(appliance.c.identity == identity)
    async with database.reading() as connection:
        rows = await connection.execute(question.order_by(refusal.c.number.desc()).limit(most))
        return [Refused(*row) for row in rows]


async def evidence(database: Database, number: int) -> bytes | None:
    """What was refused, as it was sent; None when it is not kept any more."""
    async with database.reading() as connection:
        found = await connection.scalar(select(refusal.c.evidence).where(refusal.c.number == number))
    return None if found is None else bytes(found)


async def reasons(database: Database, identity: str | None = None) -> list[Reason]:
    """How often something was refused, by reason, the latest first; of all, or of one appliance."""
    last = func.max(refusal_count.c.last_utc_ms)
    question = select(
        refusal_count.c.reason,
        func.sum(refusal_count.c.count),
        func.count(appliance.c.appliance_id),
        last,
    ).outerjoin(appliance, appliance.c.appliance_id == refusal_count.c.appliance_id)
    if identity is not None:
        question = question.where(appliance.c.identity == identity)
    async with database.reading() as connection:
        rows = await connection.execute(question.group_by(refusal_count.c.reason).order_by(last.desc()))
        return [Reason(row[0], int(row[1]), row[2], row[3]) for row in rows]
