"""The aggregator's database: SQLite in a directory, or PostgreSQL by its address; and how it comes to today's schema.

SQLite runs with a write-ahead log that is synced at each commit, and with foreign keys checked. A transaction that will
write takes its lock at the beginning: one that takes it later may find that what it read is no longer so. Beside that,
who writes holds `aggregator.lock`, over the commit and the checkpoint that may follow: SQLite before 3.51.3 can lose a
commit when two connections reset one log at the same instant ("WAL-reset bug", sqlite.org/wal.html). PostgreSQL takes
rows in bulk by COPY.
"""

import asyncio
import contextlib
import fcntl
import inspect
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from asyncpg import PostgresError
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Table,
    any_,
    bindparam,
    event,
    func,
    select,
    text,
)  # fmt: skip
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from appliance.errors import ConfigError, StoreError, StoreTooNew

log = logging.getLogger(__name__)
T = TypeVar("T")

FILE, LOCK = "aggregator.db", "aggregator.lock"
BUSY_TIMEOUT_S = 30
LOOK_S = 0.002
CONNECT_TIMEOUT_S, COMMAND_TIMEOUT_S = 15, 120
MOST_ATTEMPTS = 5
# PostgreSQL: serialization failure, deadlock, a unique key.
IN_THE_WAY = ("40001", "40P01", "23505")
# Any number that all of our workers agree on.
MIGRATING = 0x6D65746572
_MIGRATIONS = "appliance.aggregator.migrations"


class Database:
    """The database at a directory (SQLite) or at an address `postgresql://…`. `close` it."""

    def __init__(self, place: Path | str) -> None:
        self.engine = _sqlite(place) if isinstance(place, Path) else _postgresql(place)
        self.is_postgresql = self.engine.dialect.name == "postgresql"
        # Those who wait for SQLite's own lock are served in no order.
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        """Let go of all connections."""
        await self.engine.dispose()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads."""
        async with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits all or nothing."""
        async with contextlib.AsyncExitStack() as stack:
            if not self.is_postgresql:
                await stack.enter_async_context(self._turn)
                await stack.enter_async_context(_alone(self.engine))
            connection = await stack.enter_async_context(self.engine.connect())
            await connection.execution_options(begins_with_lock=True)
            await stack.enter_async_context(connection.begin())
            yield connection

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What some work returns that is done in one `writing` transaction.

        Done anew when another worker was in its way: had made the same row just before, or waited for it in turn.
        """
        for _ in range(MOST_ATTEMPTS):
            try:
                async with self.writing() as connection:
                    return await work(connection)
            except DBAPIError as fault:
                if not (isinstance(fault, IntegrityError) or getattr(fault.orig, "sqlstate", "") in IN_THE_WAY):
                    raise
                log.info("database attempt failed, again: %s", type(fault.orig).__name__)
        async with self.writing() as connection:
            return await work(connection)

    def among(self, column: Column[int], values: Collection[int]) -> ColumnElement[bool]:
        """Whether a column is one of many numbers, in one and the same statement however many they are."""
        if self.is_postgresql:
            return column == any_(bindparam(None, list(values), type_=ARRAY(BigInteger)))
        return column.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))

    async def add(self, connection: AsyncConnection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows that have all of a table's columns in their order, after another statement of the transaction.

        Raises sqlalchemy.exc.DBAPIError.
        """
        if not rows:
            return
        if self.is_postgresql:
            raw = await connection.get_raw_connection()
            names = list(table.columns.keys())
            assert raw.driver_connection is not None
            try:
                await raw.driver_connection.copy_records_to_table(table.name, records=rows, columns=names)
            except PostgresError as fault:
                # Which SQLAlchemy would have done, had it been asked.
                raise DBAPIError(f"COPY {table.name}", None, fault) from fault
        else:
            marks = ", ".join("?" * len(table.columns))
            await connection.exec_driver_sql(f"INSERT INTO {table.name} VALUES ({marks})", list(rows))  # noqa: S608


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to today's version, all of it or nothing, whichever worker comes first.

    Raises StoreTooNew, and has touched nothing, when a later version wrote it; StoreError when it cannot be reached.
    """
    try:
        async with _alone(engine), engine.connect() as connection:
            await connection.execution_options(begins_with_lock=True)
            async with connection.begin():
                if engine.dialect.name == "postgresql":
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})
                await connection.run_sync(_migrate)
    except (DBAPIError, OSError) as fault:
        raise StoreError(f"the database cannot be made ready: {fault.__cause__ or fault}", _UNREACHABLE) from fault


@contextlib.asynccontextmanager
async def _alone(engine: AsyncEngine) -> AsyncIterator[None]:
    """No other process writes to an SQLite database while entered. Raises OSError."""
    if engine.dialect.name != "sqlite":
        yield
        return
    handle = os.open(Path(str(engine.url.database)).with_name(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(BUSY_TIMEOUT_S):
            while not _locked(handle):  # noqa: ASYNC110 - another process tells no event
                await asyncio.sleep(LOOK_S)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_UNREACHABLE = "Check that the database is running, that its address and password are right, and that there is room."


def _migrate(connection: Connection) -> None:
    with resources.as_file(resources.files(_MIGRATIONS)) as folder:
        scripts = ScriptDirectory(str(folder), version_locations=[str(folder / "versions")])
        steps = list(reversed(list(scripts.walk_revisions())))
        context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
        done = context.get_current_revision()
        known = [step.revision for step in steps]
        if done is not None and done not in known:
            raise StoreTooNew(f"the database has version {done}, this program knows {known[-1]}")
        with Operations.context(context):
            for step in steps[known.index(done) + 1 if done else 0 :]:
                step.module.upgrade()
                context.stamp(scripts, step.revision)


def _sqlite(directory: Path) -> AsyncEngine:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{directory / FILE}", connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=True
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # What begins a transaction, and how, is said below and not guessed by the driver.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        with_lock = connection.get_execution_options().get("begins_with_lock")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if with_lock else "BEGIN")

    return engine


def _postgresql(address: str) -> AsyncEngine:
    try:
        url = make_url(address)
    except ArgumentError:
        raise ConfigError("the database's address is no address", _ADDRESS) from None
    if url.drivername not in ("postgresql", "postgres"):
        raise ConfigError(f"a database of the kind {url.drivername!r}", _ADDRESS)
    if strange := sorted(set(url.query) - set(inspect.signature(asyncpg.connect).parameters)):
        raise ConfigError(f"the database's address has {strange[0]!r:.40}, which is no parameter of it", _ADDRESS)
    # A server that takes a connection and says nothing more holds nobody up for longer.
    waits = {"timeout": CONNECT_TIMEOUT_S, "command_timeout": COMMAND_TIMEOUT_S}
    try:
        return create_async_engine(
            url.set(drivername="postgresql+asyncpg"), pool_pre_ping=True, connect_args=waits, hide_parameters=True
        )
    except ArgumentError as fault:
        raise ConfigError(f"the database's address: {fault}", _ADDRESS) from None


_ADDRESS = "Write it like postgresql://user:password@host:5432/name, or leave it out to keep all in the data directory."
