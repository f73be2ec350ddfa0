"""What was refused: counted by reason and appliance, the last of it kept as evidence.

Anyone can send garbage, ten thousand lines a second of it. So counts are kept in memory and written every
`WRITE_EVERY_S`; evidence is written then, too, of so many lines as a bucket of tokens allows, one for what is signed
by nobody we know, one for what is. Of what an appliance has signed the evidence is written at once.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator.database import Database
from appliance.aggregator.schema import NO_APPLIANCE, appliance, refusal, refusal_count
from appliance.store.limits import Bucket
from appliance.sync.envelope import printable

log = logging.getLogger(__name__)

WRITE_EVERY_S = 5.0
MOST_EVIDENCE_BYTES = 4_096
MOST_WORDS = 300
# Kept of what nobody we know has signed, and of each appliance.
MOST_UNKNOWN, MOST_OF_ONE = 1_000, 20
UNKNOWN_AT_ONCE, UNKNOWN_PER_S = 20, 0.2
SIGNED_AT_ONCE, SIGNED_PER_S = 200, 5.0


class Count(NamedTuple):
    """How often something was refused for a reason; `identity` is "" where it is not known whose it was."""

    identity: str
    reason: str
    times: int
    first_utc_ms: int
    last_utc_ms: int


class Evidence(NamedTuple):
    """A line that was refused, cut to `MOST_EVIDENCE_BYTES`."""

    identity: str
    received_utc_ms: int
    reason: str
    words: str
    line_bytes: int
    evidence: bytes


class Refusals:
    """What one worker refused; `write` what is left of it before it ends. `monotonic` in seconds."""

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._written_s = monotonic()
        self._counts: dict[tuple[int, str], list[int]] = {}
        self._evidence: list[dict[str, Any]] = []
        self._unknown = Bucket(UNKNOWN_AT_ONCE, UNKNOWN_PER_S)
        self._signed = Bucket(SIGNED_AT_ONCE, SIGNED_PER_S)

    async def note(self, appliance_id: int, reason: str, words: str, line: bytes, received_utc_ms: int) -> None:
        """Count a refusal, and write what is due; `appliance_id` is who signed it, or `NO_APPLIANCE`."""
        count = self._counts.setdefault((appliance_id, reason), [0, received_utc_ms, received_utc_ms])
        count[0] += 1
        count[2] = received_utc_ms
        is_signed = appliance_id != NO_APPLIANCE
        bucket = self._signed if is_signed else self._unknown
        kept = bucket.take(round(self._monotonic() * 1000))
        if kept:
            self._evidence.append(_evidence(appliance_id, reason, words, line, received_utc_ms))
        if (kept and is_signed) or self._monotonic() - self._written_s >= WRITE_EVERY_S:
            await self.write()

    async def write(self) -> None:
        """Write counts and evidence that are not written yet. Raises sqlalchemy.exc.DBAPIError, OSError.

        After that the counts are due again; the evidence is gone.
        """
        counts, evidence = self._counts, self._evidence
        self._counts, self._evidence, self._written_s = {}, [], self._monotonic()
        if counts:
            try:
                await self._database.write(lambda connection: self._write(connection, counts, evidence))
            except (DBAPIError, OSError):
                for key, (times, first, last) in counts.items():
                    since = self._counts.setdefault(key, [0, first, last])
                    since[:] = [since[0] + times, first, since[2]]
                raise

    async def _write(
        self, connection: AsyncConnection, counts: dict[tuple[int, str], list[int]], evidence: list[dict[str, Any]]
    ) -> None:
        make = insert_postgresql if self._database.is_postgresql else insert_sqlite
        # In one order, so that no two workers wait for each other.
        rows = [(*key, *counts[key]) for key in sorted(counts)]
        added = make(refusal_count)
        added = added.on_conflict_do_update(
            index_elements=["appliance_id", "reason"],
            set_={"count": refusal_count.c.count + added.excluded.count, "last_utc_ms": added.excluded.last_utc_ms},
        )
        names = refusal_count.columns.keys()
        await connection.execute(added, [dict(zip(names, row, strict=True)) for row in rows])
        if evidence:
            await connection.execute(insert(refusal), evidence)
        for appliance_id in {row["appliance_id"] for row in evidence}:
            most = MOST_UNKNOWN if appliance_id == NO_APPLIANCE else MOST_OF_ONE
            mine = refusal.c.appliance_id == appliance_id
            numbers = select(refusal.c.number).where(mine).order_by(refusal.c.number.desc())
            oldest = numbers.offset(most).limit(1).scalar_subquery()
            await connection.execute(delete(refusal).where(mine, refusal.c.number <= oldest))

    async def counts(self) -> list[Count]:
        """All counts that are written, by appliance and reason."""
        columns = refusal_count.c
        question = select(_IDENTITY, columns.reason, columns.count, columns.first_utc_ms, columns.last_utc_ms)
        question = question.select_from(_with_identity(refusal_count)).order_by(_IDENTITY, refusal_count.c.reason)
        async with self._database.reading() as connection:
            return [Count(*row) for row in await connection.execute(question)]

    async def last(self, most: int = 100) -> list[Evidence]:
        """The last evidence, the newest first."""
        question = select(_IDENTITY, *(refusal.c[name] for name in Evidence._fields[1:]))
        question = question.select_from(_with_identity(refusal)).order_by(refusal.c.number.desc()).limit(most)
        async with self._database.reading() as connection:
            return [Evidence(*row) for row in await connection.execute(question)]


def _evidence(appliance_id: int, reason: str, words: str, line: bytes, received_utc_ms: int) -> dict[str, Any]:
    # As text that any database takes: the words quote what was sent.
    quoted = printable(words[:MOST_WORDS])
    return {
        "appliance_id": appliance_id, "received_utc_ms": received_utc_ms, "reason": reason, "words": quoted,
        "line_bytes": len(line), "evidence": line[:MOST_EVIDENCE_BYTES],
    }  # fmt: skip


def _with_identity(table: Any) -> Any:
    return table.outerjoin(appliance, appliance.c.appliance_id == table.c.appliance_id)


_IDENTITY = func.coalesce(appliance.c.identity, "").label("identity")
