"""The schema: the same by migration as in the code, on both databases; partitions; what the catalogue says of keys."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from appliance.aggregator.assignments import AssignmentLists
from appliance.aggregator.database import FILE, Database, migrate
from appliance.aggregator.ingest import Stored
from appliance.aggregator.partitions import AGAIN_MS, MONTHS_AHEAD, Months, begin_utc_ms, month_of, name_of
from appliance.aggregator.schema import LARGE, event, metadata, reading
from appliance.errors import ConfigError, StoreError, StoreTooNew
from appliance.sync.batch import Knot, Readings
from tests.aggregator.conftest import TEMPLATE
from tests.aggregator.postgresql import Server
from tests.aggregator.street import CENTRE, NOW, Sender, ingest, rows
from tests.sync.made_batch import HOUR_MS, UTC_MS
from tests.sync.made_batch import batch as made_batch

VERSIONS = Path(__file__).parent / "versions"
BY_APPLIANCE = ("chain", "batch", "waiting_batch", "given_up", "boot", "assignment_list", "assignment")


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": _is_ours})
    return list(compare_metadata(context, metadata))


def _is_ours(thing: object, name: str | None, kind: str, reflected: bool, compared: object) -> bool:
    """Partitions are the database's own matter."""
    return not (kind == "table" and reflected and compared is None and (name or "").startswith(LARGE))


async def test_the_migrations_make_the_schema(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(database: Database) -> None:
    sender = await Sender().enrol(database)
    assert isinstance(await ingest(database).ingest(sender.sealed(1), NOW), Stored)
    await migrate(database.engine)
    assert len(await rows(database, reading)) == 3


async def test_several_workers_migrate_at_once(tmp_path: Path, server: Server) -> None:
    for place in (tmp_path / "new", server.address("fresh")):
        if isinstance(place, str):
            await server._run("CREATE DATABASE fresh", "postgres")
        workers = [Database(place) for _ in range(3)]
        await asyncio.gather(*(migrate(worker.engine) for worker in workers))
        async with workers[0].engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        for worker in workers:
            await worker.close()


async def test_a_later_version_is_left_untouched(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreTooNew, match="version 9999, this program knows 0003"):
        await migrate(database.engine)
    async with database.reading() as connection:
        assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


async def test_no_server_is_said() -> None:
    database = Database("postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(StoreError, match="cannot be made ready"):
        await migrate(database.engine)
    await database.close()
    for address in ("mysql://x", "nonsense"):
        with pytest.raises(ConfigError):
            Database(address)


@pytest.mark.parametrize("version", sorted(path.name for path in VERSIONS.glob("*.sql")))
def test_each_old_version_is_migrated(version: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Its readings are there afterwards, and the next batch of its appliance follows."""
    script = (VERSIONS / version).read_text()
    if "sqlite" in version:
        (tmp_path / "old").mkdir()
        old = sqlite3.connect(tmp_path / "old" / FILE)
        old.executescript(script)
        old.close()
        place: Path | str = tmp_path / "old"
    else:
        server: Server = request.getfixturevalue("server")
        place = server.new_database()
        server.run(script, make_url(place).database or "")

    async def look() -> None:
        database = Database(place)
        await migrate(database.engine)
        async with database.engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        assert [r["consumption"] for r in await rows(database, reading, "ms")] == [31_160, 7, 31_163]
        sender = Sender()
        listed = await AssignmentLists(database, CENTRE).assigned(sender.identity)
        assert [meter.name for meter in listed] == ([] if version < "0002" else ["Calle 5, 12", "Pozo"])
        answers = [await ingest(database).ingest(sender.sealed(n), NOW) for n in (1, 2)]
        assert all(isinstance(answer, Stored) for answer in answers)
        await database.close()

    asyncio.run(look())


@pytest.fixture
def catalogue(server: Server) -> Database:
    return Database(server.address(TEMPLATE))


async def asked(database: Database, question: str) -> list[Any]:
    async with database.reading() as connection:
        found = [tuple(row) for row in await connection.execute(text(question))]
    await database.close()
    return found


UNIQUE = """
    SELECT t.relname, i.relname, array_agg(a.attname::text)
    FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (x.indkey)
    WHERE x.indisunique AND t.relnamespace = 'public'::regnamespace GROUP BY 1, 2"""
FOREIGN = """
    SELECT t.relname, f.relname, array_agg(a.attname::text)
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (c.conkey)
    WHERE c.contype = 'f' AND t.relnamespace = 'public'::regnamespace GROUP BY c.oid, 1, 2"""
PARTITIONED = "SELECT partrelid::regclass::text, pg_get_partkeydef(partrelid) FROM pg_partitioned_table"


async def test_every_unique_key_holds_the_distribution_column(catalogue: Database) -> None:
    found = await asked(catalogue, UNIQUE)
    assert {table for table, _, _ in found} >= {*LARGE, *BY_APPLIANCE}
    for table, _, columns in found:
        if table.startswith(LARGE):
            assert {"meter_id", "at"} <= set(columns), table
        if table in BY_APPLIANCE:
            assert "appliance_id" in columns, table


async def test_every_foreign_key_holds_the_distribution_column(catalogue: Database) -> None:
    """And leads to a table that every node keeps whole."""
    found = await asked(catalogue, FOREIGN)
    assert {(table, other) for table, other, _ in found} >= {("reading", "meter"), ("reception", "meter")}
    for table, other, columns in found:
        if table.startswith(LARGE):
            assert "meter_id" in columns
        if table in BY_APPLIANCE:
            assert "appliance_id" in columns
        assert not other.startswith(LARGE)
        assert other not in BY_APPLIANCE
        # What every node keeps whole may refer only to what every node keeps whole.
        assert other in ("appliance", "meter", "operator")


async def test_the_large_tables_are_partitioned_by_their_time(catalogue: Database) -> None:
    assert sorted(await asked(catalogue, PARTITIONED)) == sorted((table, "RANGE (at)") for table in LARGE)


async def partitions(database: Database, table: str) -> set[str]:
    async with database.reading() as connection:
        names = await connection.scalars(
            text(f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{table}'::regclass")
        )
        return {name.removeprefix(f"{table}_") for name in names}


async def test_months_are_made_ahead(server_database: Database) -> None:
    sender = await Sender().enrol(server_database)
    worker = ingest(server_database)
    assert isinstance(await worker.ingest(sender.sealed(1), NOW), Stored)
    coarse = {"before_2015", "2015_2019", "2020_2024", "later"}
    for later_ms in (0, 40 * 24 * HOUR_MS):
        now = NOW + later_ms
        assert isinstance(await worker.ingest(sender.sealed(2 + bool(later_ms)), now), Stored)
        months = {name_of(month) for month in range(12 * 2025, month_of(now) + MONTHS_AHEAD + 1)}
        for table in LARGE:
            assert await partitions(server_database, table) == coarse | months


async def test_a_row_of_any_time_finds_its_place(server_database: Database) -> None:
    """And the right month, once that is made."""
    sender = await Sender().enrol(server_database)
    worker = ingest(server_database)
    soon = begin_utc_ms(month_of(NOW) + MONTHS_AHEAD + 1)
    wild = [0, 1, UTC_MS, soon - 1, soon, soon + 40 * 24 * HOUR_MS, 4_398_046_511_103]
    for n, at in enumerate(wild):
        base = made_batch().parts[0]
        part = base.__class__(
            n + 1, "", (Knot(5, at, None, "estimate"),), Readings([0], [0], [n], [0], [0], [0]), base.receptions, ()
        )
        assert isinstance(await worker.ingest(sender.sealed(n + 1, parts=(part,), restated=()), NOW), Stored)
    assert sorted(row["at"] for row in await rows(server_database, reading)) == sorted(at - 5 for at in wild)
    before = await rows(server_database, reading)
    await Months(server_database).extend(soon)
    assert await rows(server_database, reading) == before
    async with server_database.reading() as connection:
        found = await connection.execute(text("SELECT at, tableoid::regclass::text FROM reading"))
        place = {at: name.removeprefix("reading_") for at, name in found}
    assert place[-5] == "before_2015"
    assert place[soon - 5] == name_of(month_of(soon - 5))
    assert place[soon + 40 * 24 * HOUR_MS - 5] == name_of(month_of(soon) + 1)
    assert place[4_398_046_511_103 - 5] == "later"


async def test_several_workers_make_months_at_once(server: Server, server_database: Database) -> None:
    await asyncio.gather(*(Months(server_database).extend(NOW) for _ in range(4)))
    assert name_of(month_of(NOW) + MONTHS_AHEAD) in await partitions(server_database, event.name)


async def test_an_extension_that_fails_leaves_all_as_it_was(server_database: Database) -> None:
    async with server_database.writing() as connection:
        await connection.execute(text("CREATE TABLE reading_2025_02 (x integer)"))
    with pytest.raises(Exception, match="already exists"):
        await Months(server_database).extend(NOW)
    assert await partitions(server_database, "reading") == {"before_2015", "2015_2019", "2020_2024", "later"}


async def test_who_reads_a_whole_table_holds_up_no_batch(server_database: Database) -> None:
    """As a backup does; the months are made when it is done."""
    sender = await Sender().enrol(server_database)
    worker = ingest(server_database)
    async with server_database.reading() as connection:
        await connection.execute(text("LOCK TABLE reception IN ACCESS SHARE MODE"))
        assert isinstance(await worker.ingest(sender.sealed(1), NOW), Stored)
        assert isinstance(await worker.ingest(sender.sealed(2), NOW), Stored)
    assert await partitions(server_database, "reception") == {"before_2015", "2015_2019", "2020_2024", "later"}
    assert isinstance(await worker.ingest(sender.sealed(3), NOW + AGAIN_MS), Stored)
    assert name_of(month_of(NOW) + MONTHS_AHEAD) in await partitions(server_database, "reception")
