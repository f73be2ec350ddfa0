"""Which meters are assigned to each appliance: whole lists, each with a version, signed once and handed out as signed.

A list that says the same again makes no new version. A version is the second in which it was made, or one above the one
before if that is higher: so it goes up also where an older backup of this database was restored, or an appliance comes
here from another aggregator. An appliance gets its list as long as it is approved, and nobody else gets it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator import audit
from appliance.aggregator.appliances import APPROVED, REVOKED
from appliance.aggregator.chains import refuse_unless_believed
from appliance.aggregator.database import Database
from appliance.aggregator.fleet import with_last_batch
from appliance.aggregator.keys import Keys
from appliance.aggregator.schema import appliance, appliance_key, assignment, assignment_list, batch
from appliance.assignment import Assignment, listed
from appliance.errors import InputError, UsageError
from appliance.sync.answer import Standing
from appliance.sync.assignments import MOST_QUESTION_BYTES, Assignments, pack_assignments, unpack_question
from appliance.sync.envelope import ASSIGNMENTS, ASSIGNMENTS_QUESTION, Refused, opened, read, seal

_COLUMNS = tuple(assignment.c[name] for name in ("endpoint_id", "protocol", "name", "address", "multiplier"))


class Assigned(NamedTuple):
    """The version of a list, how many meters it has, and whether it says something else than the one before."""

    version: int
    meters: int
    is_new: bool


class AssignmentLists:
    """The lists in a database. `key` signs them. Times are UTC in ms."""

    def __init__(self, database: Database, key: Ed25519PrivateKey) -> None:
        self._database = database
        self._key = key

    async def assign(
        self, identity: str, meters: Iterable[Assignment], now_utc_ms: int, who: str = audit.CONSOLE
    ) -> Assigned:
        """Assign these meters to an appliance, and no others; the audit says `who` does it.

        Raises UsageError, InputError.
        """
        try:
            wanted = listed(meters)
        except ValueError as fault:
            raise InputError(f"the list cannot be assigned: {fault}") from None

        async def replace(connection: AsyncConnection) -> Assigned:
            known = await _find(connection, identity)
            if known.state != APPROVED:
                hint = "Approve it first by 'appliance aggregator approve'."
                if known.state == REVOKED:
                    hint = "It stays revoked; delete its identity folder, and it enrols as a new one."
                raise UsageError(f"{identity} is {known.state}: only approved appliances are assigned meters", hint)
            mine = assignment_list.c.appliance_id == known.appliance_id
            before = await connection.scalar(select(assignment_list.c.version).where(mine))
            if before is not None and await _meters(connection, known.appliance_id) == wanted:
                return Assigned(before, len(wanted), is_new=False)
            # Above whatever it has, though that came from a centre that is lost, or from who had stolen its key.
            has = await _told(connection, known.appliance_id)
            version = max((before or 0) + 1, has + 1, now_utc_ms // 1000)
            try:
                payload = pack_assignments(Assignments(identity, version, now_utc_ms, wanted))
            except ValueError as fault:
                raise InputError(f"the list cannot be assigned: {fault}", "Shorten names and addresses.") from None
            of_it = {"appliance_id": known.appliance_id}
            await connection.execute(delete(assignment).where(assignment.c.appliance_id == known.appliance_id))
            await connection.execute(delete(assignment_list).where(mine))
            row = of_it | {"version": version, "made_utc_ms": now_utc_ms}
            line = seal(ASSIGNMENTS, payload, self._key)
            await connection.execute(insert(assignment_list).values(row | {"line": line}))
            rows = [of_it | dict(zip((c.name for c in _COLUMNS), m.row(), strict=True)) for m in wanted]
            if rows:
                await connection.execute(insert(assignment), rows)
            told = f"{len(wanted)} meters, version {version}"
            await audit.note(connection, now_utc_ms, who, audit.ASSIGNED, identity, told)
            return Assigned(version, len(wanted), is_new=True)

        return await self._database.write(replace)

    async def assigned(self, identity: str) -> tuple[Assignment, ...]:
        """The meters that are assigned to an appliance. Raises UsageError."""
        async with self._database.reading() as connection:
            known = await _find(connection, identity)
            return await _meters(connection, known.appliance_id)

    async def versions(self, identity: str) -> tuple[int, int]:
        """The version of what is assigned to an appliance, and the one that its last batch was sealed with; 0 for none.

        Raises UsageError.
        """
        async with self._database.reading() as connection:
            known = await _find(connection, identity)
            this = assignment_list.c.appliance_id == known.appliance_id
            assigned = await connection.scalar(select(assignment_list.c.version).where(this))
            return assigned or 0, await _told(connection, known.appliance_id)

    async def line(self, identity: str) -> bytes | None:
        """The signed list of an approved appliance; None if there is none."""
        question = (
            select(assignment_list.c.line)
            .join(appliance, appliance.c.appliance_id == assignment_list.c.appliance_id)
            .where(appliance.c.identity == identity, appliance.c.state == APPROVED)
        )
        async with self._database.reading() as connection:
            return await connection.scalar(question)

    async def answer(self, keys: Keys, line: bytes) -> bytes | None:
        """The signed list for an appliance that asks in an envelope; None if it has the newest. Raises Refused."""
        if len(line) > MOST_QUESTION_BYTES:
            raise Refused("too_large", f"{len(line)} bytes, at most {MOST_QUESTION_BYTES}")
        envelope = read(line)
        if envelope.kind != ASSIGNMENTS_QUESTION:
            opened(envelope, ASSIGNMENTS_QUESTION, {})
        signer = await keys.find(envelope.key_id)
        payload = opened(envelope, ASSIGNMENTS_QUESTION, {envelope.key_id: signer.public} if signer else {})
        assert signer is not None
        identity, version = unpack_question(payload)
        if identity != signer.identity:
            raise Refused("not_its_own", f"a question of {identity} under another's key")
        question = (
            select(appliance.c.state, appliance_key.c.revoked_utc_ms, assignment_list.c.version, assignment_list.c.line)
            .join(appliance_key, appliance_key.c.appliance_id == appliance.c.appliance_id)
            .outerjoin(assignment_list, assignment_list.c.appliance_id == appliance.c.appliance_id)
            .where(appliance.c.appliance_id == signer.appliance_id, appliance_key.c.epoch == signer.epoch)
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(question)).one()
        refuse_unless_believed(row.state, row.revoked_utc_ms is not None)
        return row.line if row.version is not None and row.version > version else None


async def regarded(database: Database, identity: str) -> tuple[Standing, int]:
    """How an appliance is regarded, and the version of what is assigned to it: 0 for none, or if it is not approved."""
    question = (
        select(appliance.c.state, assignment_list.c.version)
        .outerjoin(assignment_list, assignment_list.c.appliance_id == appliance.c.appliance_id)
        .where(appliance.c.identity == identity)
    )
    async with database.reading() as connection:
        row = (await connection.execute(question)).first()
    if row is None:
        return "unknown", 0
    return row.state, (row.version or 0) if row.state == APPROVED else 0


async def _find(connection: AsyncConnection, identity: str) -> Any:
    """An appliance that has enrolled, which nobody else changes meanwhile. Raises UsageError."""
    question = select(appliance.c.appliance_id, appliance.c.state).where(appliance.c.identity == identity)
    if found := (await connection.execute(question.with_for_update())).first():
        return found
    raise UsageError(f"no appliance {identity!r:.40} has enrolled", "See 'appliance aggregator list'.")


async def _told(connection: AsyncConnection, appliance_id: int) -> int:
    """The version that an appliance's last batch was sealed with, 0 for none."""
    last = with_last_batch(select(batch.c.assignments, appliance.c.appliance_id))
    return await connection.scalar(last.where(appliance.c.appliance_id == appliance_id)) or 0


async def _meters(connection: AsyncConnection, appliance_id: int) -> tuple[Assignment, ...]:
    question = select(*_COLUMNS).where(assignment.c.appliance_id == appliance_id)
    return tuple(sorted(Assignment.of(*row) for row in await connection.execute(question)))
