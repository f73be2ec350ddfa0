"""How transactions meet: done anew when another is in their way, given up when that does not help."""

import asyncio
import fcntl
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from appliance.aggregator.database import LOCK, MOST_ATTEMPTS, Database, migrate
from appliance.aggregator.schema import meter
from tests.aggregator.street import rows

ROW = (1, 17, "scm", False, 7, "electric")


async def test_work_that_finds_its_row_taken_is_done_anew(database: Database) -> None:
    """And what it did before that is not done twice."""
    taken = [ROW, ROW, (2, 18, "scm", False, 7, "electric")]

    async def work(connection: AsyncConnection) -> str:
        await connection.exec_driver_sql("SELECT 1")
        await database.add(connection, meter, [(9, 99, "idm", False, 7, "electric")])
        await database.add(connection, meter, [taken.pop(0)])
        return "done"

    async with database.writing() as connection:
        await connection.exec_driver_sql("SELECT 1")
        await database.add(connection, meter, [ROW])
    assert await database.write(work) == "done"
    assert [row["endpoint_id"] for row in await rows(database, meter)] == [17, 18, 99]


@pytest.mark.parametrize("attempts", [1, MOST_ATTEMPTS + 1])
async def test_what_does_not_help_is_said(database: Database, attempts: int) -> None:
    done: list[Any] = []

    async def work(connection: AsyncConnection) -> None:
        done.append(connection)
        await connection.exec_driver_sql("SELECT 1" if attempts > 1 else "SELECT nonsense FROM nowhere")
        await database.add(connection, meter, [ROW, ROW])

    with pytest.raises(DBAPIError):
        await database.write(work)
    assert len(done) == attempts
    assert await rows(database, meter) == []


async def test_nothing_is_added_of_no_rows(database: Database) -> None:
    async with database.writing() as connection:
        await database.add(connection, meter, [])
    assert await rows(database, meter) == []


async def test_on_sqlite_one_process_writes_at_a_time(tmp_path: Path) -> None:
    database = Database(tmp_path)
    await migrate(database.engine)

    async def write() -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql("SELECT 1")

    with (tmp_path / LOCK).open("rb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        writing = asyncio.create_task(write())
        assert not (await asyncio.wait([writing], timeout=0.1))[0]
        async with database.reading() as connection:
            await connection.exec_driver_sql("SELECT 1")
        fcntl.flock(theirs, fcntl.LOCK_UN)
        await writing
    await database.close()
