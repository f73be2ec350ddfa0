"""Who did what: a row for each thing that an operator does, written together with it.

`who` is the operator's name, `CONSOLE` where it was done by a command, `TOKEN` where a token on the card did it.
`about` is the appliance or the operator that it was done to.
"""

from typing import NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator.database import Database
from appliance.aggregator.schema import audit
from appliance.web.frame.accounts import LOCKED, LOGGED_IN, LOGGED_OUT

CONSOLE, TOKEN = "console", "token"
APPROVED, REVOKED, KEY_REVOKED, GAVE_UP, ASSIGNED = "approve", "revoke", "revoke key", "give up", "assign"
ADDED, PASSWORD_SET, REMOVED = "add operator", "set password", "remove operator"
KINDS = (
    *(APPROVED, REVOKED, KEY_REVOKED, GAVE_UP, ASSIGNED),
    *(ADDED, PASSWORD_SET, REMOVED),
    *(LOGGED_IN, LOGGED_OUT, LOCKED),
)


class Deed(NamedTuple):
    """A row; `detail` is what else is to be said, such as the epoch of a key."""

    number: int
    at_utc_ms: int
    who: str
    what: str
    about: str
    detail: str


async def note(connection: AsyncConnection, now_utc_ms: int, who: str, what: str, about: str, detail: str = "") -> None:
    """Write a row in the transaction of what was done."""
    row = {"at_utc_ms": now_utc_ms, "who": who, "what": what, "about": about, "detail": detail}
    await connection.execute(insert(audit).values(row))


async def deeds(database: Database, most: int, *, about: str | None = None, before: int | None = None) -> list[Deed]:
    """The last rows, the newest first: all, or of one appliance or operator; those `before` a number."""
    question = select(audit).order_by(audit.c.number.desc()).limit(most)
    if about is not None:
        question = question.where(audit.c.about == about)
    if before is not None:
        question = question.where(audit.c.number < before)
    async with database.reading() as connection:
        return [Deed(*row) for row in await connection.execute(question)]
