"""Each test of the aggregator that asks for `database` runs on SQLite and on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance.aggregator.database import Database, migrate
from appliance.cli import main
from tests.aggregator.postgresql import Server, Unavailable, running

TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The tests' PostgreSQL, with a migrated database to copy."""
    try:
        context = running()
        found = context.__enter__()
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        found.run(f"CREATE DATABASE {TEMPLATE}")
        asyncio.run(_migrated(found.address(TEMPLATE)))
        yield found
    finally:
        context.__exit__(None, None, None)


async def _migrated(place: Path | str) -> None:
    database = Database(place)
    await migrate(database.engine)
    await database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a new, migrated database is: a directory, or an address."""
    if request.param == "postgresql":
        made: str = request.getfixturevalue("server").new_database(TEMPLATE)
        return made
    asyncio.run(_migrated(tmp_path / "aggregator"))
    return tmp_path / "aggregator"


@pytest.fixture
async def database(place: Path | str) -> AsyncIterator[Database]:
    """A new, migrated database."""
    made = Database(place)
    yield made
    await made.close()


@pytest.fixture
async def server_database(server: Server) -> AsyncIterator[Database]:
    """A new, migrated database on PostgreSQL."""
    made = Database(await asyncio.to_thread(server.new_database, TEMPLATE))
    yield made
    await made.close()


@pytest.fixture
def centre(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An aggregator's directory, made ready."""
    assert main(["aggregator", "init", str(tmp_path / "centre")]) == 0
    capsys.readouterr()
    return tmp_path / "centre"
