"""Operators: who may log in at the aggregator's pages, and who of them has.

One that is removed stays as a row without a way in, since the audit speaks of it; added again it has a new password.
"""

from typing import NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator.audit import ADDED, CONSOLE, PASSWORD_SET, REMOVED, TOKEN, note
from appliance.aggregator.database import Database
from appliance.aggregator.schema import operator, operator_session
from appliance.errors import UsageError
from appliance.web.frame.accounts import Account, Session

OPERATOR = "operator"
"""The role of all of them."""
RESERVED = (CONSOLE, TOKEN)


class Operator(NamedTuple):
    """An operator as a list shows it; times in ms UTC."""

    name: str
    made_utc_ms: int
    changed_utc_ms: int
    disabled_utc_ms: int | None


class Operators:
    """The operators in a database: an `Accounts` of the log-in. `now_utc_ms` below is UTC."""

    # Without its database the aggregator answers no page at all.
    trouble = ""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, kept: str, now_utc_ms: int, who: str = CONSOLE) -> None:
        """Let an operator in, with a password as it is kept. Raises UsageError when there is one of that name."""
        if name in RESERVED:
            raise UsageError(f"{name} is what the audit calls something else", "Choose another name.")

        async def work(connection: AsyncConnection) -> None:
            row = {"password": kept, "made_utc_ms": now_utc_ms, "changed_utc_ms": now_utc_ms, "disabled_utc_ms": None}
            this = operator.c.name == name
            known = (await connection.execute(select(operator).where(this).with_for_update())).first()
            if known is None:
                await connection.execute(insert(operator).values(row | {"name": name}))
            elif known.disabled_utc_ms is None:
                raise UsageError(f"{name} is an operator already", "Set a new password, or choose another name.")
            else:
                await connection.execute(update(operator).where(this).values(row))
            await note(connection, now_utc_ms, who, ADDED, name)

        await self._database.write(work)

    async def set_password(self, name: str, kept: str, now_ms: int, who: str = "") -> None:
        """Give an operator a new password, and log them out everywhere; done by themselves if nobody else is said.

        Raises UsageError.
        """
        changed = {"password": kept, "changed_utc_ms": now_ms}
        await self._change(name, changed, PASSWORD_SET, now_ms, who or name)

    async def remove(self, name: str, now_utc_ms: int, who: str = CONSOLE) -> None:
        """Let an operator in no more, and log them out everywhere. Raises UsageError."""
        await self._change(name, {"disabled_utc_ms": now_utc_ms}, REMOVED, now_utc_ms, who)

    async def _change(self, name: str, changed: dict[str, object], what: str, now_utc_ms: int, who: str) -> None:
        async with self._database.writing() as connection:
            this = (operator.c.name == name) & operator.c.disabled_utc_ms.is_(None)
            if not (await connection.execute(update(operator).where(this).values(changed))).rowcount:
                raise UsageError(
                    f"{name} is no operator", "Look who there is with 'appliance aggregator operator list'."
                )
            theirs = operator_session.c.operator_id.in_(select(operator.c.operator_id).where(operator.c.name == name))
            await connection.execute(delete(operator_session).where(theirs))
            await note(connection, now_utc_ms, who, what, name)

    async def all(self) -> list[Operator]:
        """All operators, those who were removed too, by name."""
        question = select(*(operator.c[name] for name in Operator._fields)).order_by(operator.c.name)
        async with self._database.reading() as connection:
            return [Operator(*row) for row in await connection.execute(question)]

    async def find(self, name: str) -> Account | None:
        """See `Accounts`, as for the following."""
        is_given = operator.c.changed_utc_ms == operator.c.made_utc_ms
        this = (operator.c.name == name) & operator.c.disabled_utc_ms.is_(None)
        async with self._database.reading() as connection:
            row = (await connection.execute(select(operator.c.password, is_given).where(this))).first()
        return None if row is None else Account(name, row[0], OPERATOR, bool(row[1]))

    async def are_none(self) -> bool:
        """Whether nobody could log in."""
        question = select(func.count()).select_from(operator).where(operator.c.disabled_utc_ms.is_(None))
        async with self._database.reading() as connection:
            return not await connection.scalar(question)

    async def renew(self, name: str, kept: str, was: str) -> None:
        """Keep the same password in a new form."""
        this = (operator.c.name == name) & (operator.c.password == was)
        async with self._database.writing() as connection:
            await connection.execute(update(operator).where(this).values(password=kept))

    async def begin(self, session: Session, forget_before_ms: int) -> None:
        """Add a session, remove old ones."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(operator_session).where(operator_session.c.made_utc_ms < forget_before_ms))
            number = select(operator.c.operator_id).where(operator.c.name == session.name).scalar_subquery()
            row = {"token_sha256": session.token_sha256, "made_utc_ms": session.made_ms, "used_utc_ms": session.used_ms}
            await connection.execute(insert(operator_session).values(row | {"operator_id": number}))

        await self._database.write(work)

    async def session(self, token_sha256: str) -> Session | None:
        """The session of a token."""
        of_it = operator_session.c
        question = (
            select(operator.c.name, of_it.made_utc_ms, of_it.used_utc_ms)
            .join(operator, operator.c.operator_id == of_it.operator_id)
            .where(of_it.token_sha256 == token_sha256, operator.c.disabled_utc_ms.is_(None))
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(question)).first()
        return None if row is None else Session(token_sha256, row.name, OPERATOR, row.made_utc_ms, row.used_utc_ms)

    async def touch(self, token_sha256: str, used_ms: int) -> None:
        """It was used then."""
        this = operator_session.c.token_sha256 == token_sha256
        async with self._database.writing() as connection:
            await connection.execute(update(operator_session).where(this).values(used_utc_ms=used_ms))

    async def end(self, token_sha256: str) -> None:
        """It is used no more."""
        async with self._database.writing() as connection:
            await connection.execute(delete(operator_session).where(operator_session.c.token_sha256 == token_sha256))

    async def note(self, name: str, what: str, address: str, now_ms: int) -> None:
        """Into the audit."""
        async with self._database.writing() as connection:
            await note(connection, now_ms, name, what, name, address)
