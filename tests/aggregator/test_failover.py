"""The database's server is killed, and its standby takes over: what was receipted is there, and nothing twice."""

import asyncio
import os
import signal

import pytest
from sqlalchemy.exc import DBAPIError

from appliance.aggregator.database import Database, migrate
from appliance.aggregator.ingest import Ingest, Stored
from appliance.aggregator.schema import batch, chain, reading
from appliance.errors import ConfigError
from tests.aggregator.postgresql import USER, Standby, Unavailable, running, standby_of
from tests.aggregator.street import CENTRE, NOW, Sender, rows

BATCHES, KILLED_AFTER = 40, 15


async def deliver(database: Database, standby: Standby, primary: int) -> tuple[list[bytes], list[str]]:
    """The receipts of all batches, each sent until it had one; what failed meanwhile."""
    worker = Ingest(database, CENTRE)
    sender = await Sender().enrol(database)
    receipts: list[bytes] = []
    faults: list[str] = []
    taking_over: asyncio.Task[None] | None = None
    for number in range(1, BATCHES + 1):
        line = sender.sealed(number)
        if number == KILLED_AFTER:
            os.kill(primary, signal.SIGQUIT)
            taking_over = asyncio.create_task(asyncio.to_thread(standby.promote))
        for _ in range(200):
            try:
                answer = await worker.ingest(line, NOW)
            except (DBAPIError, OSError) as fault:
                faults.append(type(fault).__name__)
                await asyncio.sleep(0.1)
            else:
                assert isinstance(answer, Stored)
                receipts.append(answer.receipt)
                break
    assert taking_over is not None
    await taking_over
    return receipts, faults


async def failover(address: str, standby: Standby, primary: int) -> None:
    database = Database(address)
    await migrate(database.engine)
    receipts, faults = await deliver(database, standby, primary)
    assert faults
    assert len(receipts) == BATCHES
    assert [row["sequence"] for row in await rows(database, batch)] == list(range(1, BATCHES + 1))
    assert [row["sequence"] for row in await rows(database, chain)] == [BATCHES]
    found = await rows(database, reading)
    assert len(found) == sum(row["readings"] for row in await rows(database, batch))
    await database.close()


def test_a_standby_takes_over() -> None:
    try:
        context = running()
        server = context.__enter__()
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        server.run("CREATE DATABASE meters")
        primary = int((server.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        with standby_of(server) as standby:
            hosts = f"host={server.folder}:5432&host={standby.folder}:5432"
            address = f"postgresql://{USER}@/meters?{hosts}&target_session_attrs=read-write"
            asyncio.run(failover(address, standby, primary))
    finally:
        context.__exit__(None, None, None)


def test_hosts_without_their_ports_are_said() -> None:
    with pytest.raises(ConfigError, match="ports are required"):
        Database("postgresql://me@/meters?host=one&host=two")
