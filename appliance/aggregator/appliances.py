"""Which appliances there are: enrolled, approved, revoked; and the keys by which they say who they are.

    enrolled, "waiting" ── approved by an operator, or by a token ──> "approved" ──> "revoked"

An appliance enrols with a statement signed by its first key, from which its identity follows. It says the SHA-256 of
its claim code, too: an operator who is told the code by whoever stands beside the appliance can check it. A token is
made beforehand and goes with the card; it approves one appliance, once.

A later key comes with the word of one before it. Older keys stay good until they are revoked: an outbox or a stick may
still hold what was signed with them. So several may follow the same one: those of machines on which a backup was
restored. None of these gets in another's way, for a restored machine draws the number of its epoch.
"""

import base64
import hashlib
import json
import re
import secrets
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator import audit
from appliance.aggregator.database import Database
from appliance.aggregator.schema import appliance, appliance_key, chain, enrolment_token
from appliance.errors import UsageError
from appliance.naming import MOST_NAME
from appliance.sync.batch import LIMIT, NO_BATCH
from appliance.sync.envelope import ENROLMENT, ROTATION, Refused, key_id, opened, read
from appliance.sync.identity import NAME_DIGITS, name_of

WAITING, APPROVED, REVOKED = "waiting", "approved", "revoked"
# Anyone can enrol: who waits for an operator is bounded.
MOST_WAITING = 1_000
# Of one appliance, not revoked: a stranger that waits, and whoever has a stolen key, would else make any number.
MOST_KEYS = 100
MOST_STATEMENT_BYTES = 8_192
TOKEN_BYTES = 15
_IDENTITY = re.compile(f"[0-9a-f]{{{NAME_DIGITS}}}")


class WrongClaim(UsageError):
    """An appliance has another claim code than the one that was typed."""


class Appliance(NamedTuple):
    """An appliance as an operator sees it."""

    identity: str
    name: str
    version: str
    state: str
    enrolled_utc_ms: int
    approved_utc_ms: int | None
    revoked_utc_ms: int | None


class Appliances:
    """The appliances in a database. Times are UTC in ms."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enrol(self, line: bytes, now_utc_ms: int) -> str:
        """Take in a statement of enrolment; returns the appliance's state. Raises Refused.

        Repeated, it changes nothing but a name and a version that it gives; a token may come later.
        """
        envelope = _read(line)
        statement = _statement(envelope.payload, {"appliance", "public_key", "name", "version", "claim", "token"})
        key = _public(statement["public_key"])
        opened(envelope, ENROLMENT, {key_id(key): key})
        if statement["appliance"] != name_of(key):
            raise Refused("not_its_own", "the appliance's name is not that of its key")
        told = {name: _words(statement[name]) for name in ("name", "version")}
        if not re.fullmatch("[0-9a-f]{64}", str(statement["claim"])):
            raise Refused("bad_content", "claim is no SHA-256")
        if not re.fullmatch("[A-Z2-7]{0,64}", str(statement["token"])):
            raise Refused("bad_content", "token is none")

        async def take_in(connection: AsyncConnection) -> str:
            known = await _find(connection, statement["appliance"])
            if known is not None and known.state == REVOKED:
                return REVOKED
            is_approved = known is not None and known.state == APPROVED
            # Strangers may have taken all places of those who wait, which one with a token does not.
            has_token = not is_approved and await _use_token(
                connection, statement["token"], statement["appliance"], now_utc_ms
            )
            if known is None:
                if not has_token:
                    await _bound_waiting(connection)
                row = told | {"identity": statement["appliance"], "claim": statement["claim"], "state": WAITING}
                added = await connection.execute(insert(appliance).values(row | {"enrolled_utc_ms": now_utc_ms}))
                assert added.inserted_primary_key is not None
                number = added.inserted_primary_key[0]
                await _add_key(connection, number, 1, key, line, now_utc_ms)
            else:
                number = known.appliance_id
                # What an earlier key has signed before it went is of then, or says nothing.
                changed = {name: words for name, words in told.items() if words and words != getattr(known, name)}
                if changed:
                    await connection.execute(
                        update(appliance).where(appliance.c.appliance_id == number).values(changed)
                    )
            if has_token:
                await _set(connection, number, APPROVED, now_utc_ms)
                await audit.note(connection, now_utc_ms, audit.TOKEN, audit.APPROVED, statement["appliance"])
            return APPROVED if is_approved or has_token else WAITING

        return await self._database.write(take_in)

    async def rotate(self, line: bytes, now_utc_ms: int) -> None:
        """Take in the word of an appliance's key for the one after it; repeated, it changes nothing. Raises Refused."""
        envelope = _read(line)
        statement = _statement(envelope.payload, {"appliance", "epoch", "public_key"})
        key, epoch = _public(statement["public_key"]), statement["epoch"]
        if not _IDENTITY.fullmatch(str(statement["appliance"])):
            raise Refused("bad_content", "appliance is no such name")
        if type(epoch) is not int or not 1 < epoch < LIMIT:
            raise Refused("bad_content", f"epoch {epoch!r:.30}")

        async def take_in(connection: AsyncConnection) -> None:
            question = (
                select(
                    appliance,
                    appliance_key.c.epoch,
                    appliance_key.c.public_key,
                    appliance_key.c.revoked_utc_ms.label("key_revoked"),
                )
                .join(appliance_key, appliance_key.c.appliance_id == appliance.c.appliance_id)
                .where(appliance.c.identity == str(statement["appliance"]), appliance_key.c.key_id == envelope.key_id)
            )
            before = (await connection.execute(question)).first()
            if before is None:
                raise Refused("unknown_key", "the key before it is not known")
            if epoch <= before.epoch:
                raise Refused("bad_content", f"epoch {epoch} does not come after {before.epoch}")
            signer = Ed25519PublicKey.from_public_bytes(before.public_key)
            opened(envelope, ROTATION, {key_id(signer): signer})
            if before.state == REVOKED or before.key_revoked is not None:
                raise Refused("revoked", "the appliance, or the key before it, is revoked")
            mine = (appliance_key.c.appliance_id == before.appliance_id) & (appliance_key.c.epoch == epoch)
            known = await connection.scalar(select(appliance_key.c.key_id).where(mine))
            if known is not None and known != key_id(key):
                raise Refused("fork", f"another key is known for epoch {epoch}")
            if known is None:
                if await connection.scalar(select(func.count()).where(appliance_key.c.key_id == key_id(key))):
                    raise Refused("not_its_own", "the key is that of another epoch or appliance")
                theirs = appliance_key.c.appliance_id == before.appliance_id
                good = select(func.count()).where(theirs, appliance_key.c.revoked_utc_ms.is_(None))
                if (await connection.scalar(good) or 0) >= MOST_KEYS:
                    raise Refused("too_many", f"{MOST_KEYS} keys of it are good already: the operator revokes old ones")
                await _add_key(connection, before.appliance_id, epoch, key, line, now_utc_ms)

        await self._database.write(take_in)

    async def approve(
        self, identity: str, now_utc_ms: int, claim_code: str | None = None, who: str = audit.CONSOLE
    ) -> None:
        """Believe an appliance from now on; with its claim code only if it is that. Raises UsageError.

        The audit says `who` does it.
        """
        async with self._database.writing() as connection:
            known = await self._known(connection, identity)
            if claim_code is not None and not claim_matches(identity, claim_code, known.claim):
                raise WrongClaim(f"{identity} has another claim code", "Ask for the code on the appliance's own page.")
            if known.state == REVOKED:
                raise UsageError(f"{identity} is revoked", "Delete its identity folder: it then enrols as a new one.")
            if known.state != APPROVED:
                await _set(connection, known.appliance_id, APPROVED, now_utc_ms)
                checked = "" if claim_code is None else "claim code"
                await audit.note(connection, now_utc_ms, who, audit.APPROVED, identity, checked)

    async def revoke(self, identity: str, now_utc_ms: int, epoch: int | None = None, who: str = audit.CONSOLE) -> None:
        """Believe an appliance, or one of its keys, no more; the audit says `who` does it. Raises UsageError."""
        async with self._database.writing() as connection:
            known = await self._known(connection, identity)
            if epoch is None:
                if known.state != REVOKED:
                    await _set(connection, known.appliance_id, REVOKED, now_utc_ms)
                    await audit.note(connection, now_utc_ms, who, audit.REVOKED, identity)
                return
            keys = appliance_key.c
            this = (keys.appliance_id == known.appliance_id) & (keys.epoch == epoch)
            if not await connection.scalar(select(func.count()).where(this)):
                raise UsageError(f"{identity} has no key of epoch {epoch}", "Its page shows which keys it has.")
            change = update(appliance_key).where(this, keys.revoked_utc_ms.is_(None))
            if (await connection.execute(change.values(revoked_utc_ms=now_utc_ms))).rowcount:
                await audit.note(connection, now_utc_ms, who, audit.KEY_REVOKED, identity, str(epoch))

    async def make_token(self, now_utc_ms: int, lasts_ms: int) -> str:
        """A new token, which approves one appliance that enrols with it within so long."""
        token = base64.b32encode(secrets.token_bytes(TOKEN_BYTES)).decode()
        row = {"token_sha256": _sha256(token), "made_utc_ms": now_utc_ms, "expires_utc_ms": now_utc_ms + lasts_ms}
        async with self._database.writing() as connection:
            await connection.execute(insert(enrolment_token).values(row))
        return token

    async def all(self, state: str | None = None) -> list[Appliance]:
        """All appliances, or those in one state, in the order in which they enrolled."""
        question = select(*(appliance.c[name] for name in Appliance._fields)).order_by(appliance.c.appliance_id)
        if state is not None:
            question = question.where(appliance.c.state == state)
        async with self._database.reading() as connection:
            return [Appliance(*row) for row in await connection.execute(question)]

    async def one(self, identity: str) -> Appliance | None:
        """The appliance of that identity; None if none has enrolled."""
        question = select(*(appliance.c[name] for name in Appliance._fields)).where(appliance.c.identity == identity)
        async with self._database.reading() as connection:
            row = (await connection.execute(question)).first()
        return None if row is None else Appliance(*row)

    async def _known(self, connection: AsyncConnection, identity: str) -> Any:
        known = await _find(connection, identity) if _IDENTITY.fullmatch(identity) else None
        if known is None:
            raise UsageError(f"no appliance {identity!r:.40} has enrolled", "See 'appliance aggregator list'.")
        return known


def claim_of(identity: str, code: str) -> str:
    """What an appliance says of its claim code when it enrols."""
    return _sha256(code + identity)


def claim_matches(identity: str, code: str, claim: str) -> bool:
    """Whether a code, as a person types it, is the one of which the appliance spoke."""
    return secrets.compare_digest(claim_of(identity, re.sub(r"[\s-]", "", code).upper()), claim)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _find(connection: AsyncConnection, identity: str) -> Any:
    question = select(appliance).where(appliance.c.identity == identity).with_for_update()
    return (await connection.execute(question)).first()


async def _bound_waiting(connection: AsyncConnection) -> None:
    if (await connection.scalar(select(func.count()).where(appliance.c.state == WAITING)) or 0) >= MOST_WAITING:
        raise Refused("too_many", f"{MOST_WAITING} appliances wait for an operator already")


async def _add_key(
    connection: AsyncConnection, number: int, epoch: int, key: Ed25519PublicKey, line: bytes, now_utc_ms: int
) -> None:
    row = {
        "appliance_id": number, "epoch": epoch, "key_id": key_id(key), "public_key": key.public_bytes_raw(),
        "statement": line, "added_utc_ms": now_utc_ms,
    }  # fmt: skip
    await connection.execute(insert(appliance_key).values(row))
    begun = {"appliance_id": number, "epoch": epoch, "sequence": 0, "sha256": NO_BATCH}
    await connection.execute(insert(chain).values(begun))


async def _use_token(connection: AsyncConnection, token: str, identity: str, now_utc_ms: int) -> bool:
    """Whether the token is good, for the first and only time."""
    tokens = enrolment_token.c
    good = (tokens.token_sha256 == _sha256(token)) & tokens.used_utc_ms.is_(None) & (tokens.expires_utc_ms > now_utc_ms)
    used = update(enrolment_token).where(good).values(used_utc_ms=now_utc_ms, used_by=identity)
    return bool((await connection.execute(used)).rowcount)


async def _set(connection: AsyncConnection, number: int, state: str, now_utc_ms: int) -> None:
    changed = {"state": state, f"{state}_utc_ms": now_utc_ms}
    await connection.execute(update(appliance).where(appliance.c.appliance_id == number).values(changed))


def _read(line: bytes) -> Any:
    if len(line) > MOST_STATEMENT_BYTES:
        raise Refused("too_large", f"{len(line)} bytes, at most {MOST_STATEMENT_BYTES}")
    return read(line)


def _statement(payload: bytes, names: set[str]) -> dict[str, Any]:
    try:
        record = json.loads(payload.decode())
    except (ValueError, RecursionError) as fault:
        raise Refused("bad_content", f"no statement: {fault}"[:200]) from None
    if not isinstance(record, dict) or record.keys() != names:
        raise Refused("bad_content", f"not a statement of {', '.join(sorted(names))}")
    return record


def _public(written: Any) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(written, validate=True))
    except (ValueError, TypeError):
        raise Refused("bad_content", "public_key is not base64 of 32 bytes") from None


def _words(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_NAME or not (value + " ").isprintable():
        raise Refused("bad_content", f"name or version is {value!r:.40}, expected at most {MOST_NAME} characters")
    return value
