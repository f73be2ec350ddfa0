"""The appliance and the aggregator as they are run, each a process of its own: from the air to the centre."""

import asyncio
import contextlib
import re
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

from tests.test_app import Start, start

__all__ = ["start"]


async def told(*words: str) -> str:
    """What a command prints on standard output."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "appliance", *words, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(60):
        out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode()


@contextlib.asynccontextmanager
async def aggregator(directory: Path) -> AsyncIterator[tuple[str, str]]:
    """One that runs, with a certificate of its own; its address and its key."""
    key = (await told("aggregator", "init", str(directory), "--name", "localhost")).strip()
    settings = directory / "aggregator.toml"
    text = re.sub(r"(?m)^# port = .*", "port = 0", settings.read_text())
    settings.write_text(re.sub(r"(?m)^host = .*", 'host = "127.0.0.1"', text))
    words = ("aggregator", "run", "--directory", str(directory))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "appliance", *words, stdout=PIPE, stderr=PIPE)
    try:
        assert process.stderr
        line = ""
        async with asyncio.timeout(30):
            while " serving " not in line:
                line = (await process.stderr.readline()).decode()
                assert line, "it ended"
        yield f"https://localhost:{line.rpartition(':')[2].strip()}", key
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def stored(directory: Path) -> list[tuple[int, int, int]]:
    with contextlib.closing(
        sqlite3.connect(f"{(directory / 'aggregator.db').as_uri()}?mode=ro", uri=True)
    ) as connection:
        return connection.execute(
            "SELECT endpoint_id, ms, consumption FROM reading JOIN meter USING (meter_id)"
        ).fetchall()


async def test_from_the_air_to_the_centre(start: Start, tmp_path: Path) -> None:
    centre = tmp_path / "centre"
    async with aggregator(centre) as (address, key):
        token = (await told("aggregator", "token", "--directory", str(centre))).strip()
        sync = (
            f"[sync]\naggregators = ['{address}']\naggregator_key = '{key}'\ntoken = '{token}'\n"
            f"certificate = '{centre / 'tls' / 'certificate.pem'}'\n"
        )
        appliance = await start(meters=20, more=sync)
        await appliance.until_heard(20)
        # What was heard since the start is sealed at the next one, at the latest.
        assert await appliance.end(signal.SIGTERM) == 0
        appliance = await start(meters=20, more=sync)
        async with asyncio.timeout(60):
            while len({meter for meter, _, _ in stored(centre)}) < 20:
                await asyncio.sleep(0.1)
        parts = (await appliance.health())["parts"]
        assert (parts["delivery"]["state"], parts["outbox"]["state"]) == ("healthy", "healthy")
        listed = await told("aggregator", "list", "--directory", str(centre))
        assert "approved" in listed
        assert await appliance.end(signal.SIGTERM) == 0
    rows = stored(centre)
    assert len(rows) == len(set(rows))


async def test_an_aggregator_that_is_away_is_said(start: Start) -> None:
    sync = f"[sync]\naggregators = ['http://127.0.0.1:1']\naggregator_key = '{'0' * 62}01'\n"
    appliance = await start(meters=5, more=sync)
    await appliance.until_heard(5)
    async with asyncio.timeout(30):
        while (part := (await appliance.health())["parts"]["delivery"])["state"] == "healthy":
            await asyncio.sleep(0.1)
    assert part["reason"].startswith("http://127.0.0.1:1: cannot be reached")
    assert await appliance.end(signal.SIGTERM) == 0
