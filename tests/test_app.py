"""`appliance run` as a process of its own: started, stopped, killed, started twice, set wrongly."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from appliance.store.schema import CATALOGUE, LIVE, read_only

# Prints as many messages as it is told, one for each meter, and a status; then one message a second.
CHILD = """
import itertools, os, sys, time
from datetime import UTC, datetime
from appliance.model import Message, RadioStatus
meters = int(sys.argv[1])
with open(sys.argv[2], "a") as pids:
    pids.write(f"{os.getpid()}\\n")
now = datetime.now(UTC)
print(RadioStatus(
    time=now, state="running", source="a fake", simulated=True, sample_rate_hz=2359296, center_hz=912600155,
    gain_db=None, samples=0, dropped_samples=0, noise_floor_dbfs=None, level_dbfs=None, clipped=0.0, messages=0,
    candidates=0, skipped_candidates=0, refused={},
).to_json(), flush=True)
for n in itertools.count():
    print(Message(
        time=datetime.now(UTC), protocol="scm", meter_id=1 + n % meters, endpoint_type=4, commodity="electric",
        tamper_phy=0, tamper_enc=0, consumption=n // meters, checksum=0, frequency_hz=None, snr_db=None,
        corrected_bits=0, sample=0,
    ).to_json(), flush=True)
    if n >= meters - 1:
        time.sleep(1)
"""


FIRST_PASSWORD = "cinco perros con paraguas"
WITH_PASSWORD = f"first_password = '{FIRST_PASSWORD}'\n"


@dataclass
class Appliance:
    """A running appliance."""

    process: Process
    directory: Path
    url: str = ""

    async def health(self) -> dict[str, object]:
        async with aiohttp.ClientSession() as session, session.get(self.url + "healthz") as answer:
            found: dict[str, object] = await answer.json()
            return found

    @contextlib.asynccontextmanager
    async def logged_in(self) -> AsyncIterator[aiohttp.ClientSession]:
        """The first account's session, where its password is the one of `WITH_PASSWORD`."""
        form = {"name": "technician", "password": FIRST_PASSWORD}
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.post(self.url + "login", data=form, headers={"Origin": self.url[:-1]}) as answer:
                assert answer.url.path != "/login"
            yield session

    async def until_heard(self, meters: int) -> None:
        async with asyncio.timeout(30):
            while (await self.health())["meters"] != meters:
                await asyncio.sleep(0.02)

    async def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        async with asyncio.timeout(30):
            return await self.process.wait()

    def stored(self, query: str) -> list[tuple[int, ...]]:
        """What the live database answers; `catalogue` is the other."""
        with contextlib.closing(read_only(self.directory / "data" / LIVE)) as connection:
            connection.execute("ATTACH ? AS catalogue", (f"file:{self.directory / 'data' / CATALOGUE}?mode=ro",))
            return connection.execute(query).fetchall()

    def children(self) -> list[int]:
        return [int(pid) for pid in (self.directory / "pids").read_text().split()]


Start = Callable[..., Awaitable[Appliance]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts appliances on the test's own data directory, with these meters and this commit interval."""
    started: list[Process] = []
    (tmp_path / "child.py").write_text(CHILD)

    async def run(
        meters: int = 20,
        commit_interval_s: float = 60,
        port: int = 0,
        more: str = "",
        web: str = "open_to_read = true\n",
        store: str = "",
        config: Path | None = None,
    ) -> Appliance:
        command = [sys.executable, str(tmp_path / "child.py"), str(meters), str(tmp_path / "pids")]
        settings = tmp_path / "appliance.toml"
        settings.write_text(
            f"[web]\nhost = '127.0.0.1'\nport = {port}\n{web}"
            f"[store]\ndirectory = {json.dumps(str(tmp_path / 'data'))}\n"
            f"{store or f'commit_interval_s = {commit_interval_s}'}\n"
            f"[[receiver]]\ncommand = {json.dumps(command)}\n{more}"
        )
        words = ("-m", "appliance", "run", "--config", str(config or settings))
        started.append(await asyncio.create_subprocess_exec(sys.executable, *words, stdout=PIPE, stderr=PIPE))
        appliance = Appliance(started[-1], tmp_path)
        assert started[-1].stdout is not None
        async with asyncio.timeout(30):
            line = (await started[-1].stdout.readline()).decode()
        appliance.url = line.split()[-1] if line else ""
        return appliance

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


async def refusal(appliance: Appliance) -> tuple[int, str]:
    """Exit code and what it says of an appliance that does not start: one line, no traceback."""
    async with asyncio.timeout(30):
        _, said = await appliance.process.communicate()
    (line,) = [line for line in said.decode().splitlines() if line.startswith("appliance:")]
    assert "Traceback" not in said.decode()
    assert appliance.process.returncode is not None
    return appliance.process.returncode, line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_keeps_all_that_was_heard(start: Start, number: signal.Signals) -> None:
    appliance = await start(meters=50)
    await appliance.until_heard(50)
    assert (await appliance.health())["state"] == "healthy"
    async with aiohttp.ClientSession() as session, session.get(appliance.url + "meters/events") as stream:
        await stream.content.readline()
        assert await appliance.end(number) == 0
    assert not list((appliance.directory / "data").rglob("*-wal"))
    assert appliance.stored(
        "SELECT count(DISTINCT meter) FROM reading JOIN catalogue.meter m ON m.number = meter AND simulated"
    ) == [(50,)]
    assert not any(alive(pid) for pid in appliance.children())


async def test_what_is_kept_is_its_owners_alone(start: Start) -> None:
    appliance = await start(meters=2)
    await appliance.until_heard(2)
    data = appliance.directory / "data"
    assert [path for path in (data, *data.rglob("*")) if path.stat().st_mode & 0o077] == []


async def test_killed_and_started_again(start: Start) -> None:
    appliance = await start(meters=50, commit_interval_s=0.1)
    await appliance.until_heard(50)
    async with asyncio.timeout(30):
        while appliance.stored("SELECT count(DISTINCT meter) FROM reading") != [(50,)]:
            await asyncio.sleep(0.02)
    await appliance.end(signal.SIGKILL)
    async with asyncio.timeout(10):
        while any(alive(pid) for pid in appliance.children()):
            await asyncio.sleep(0.02)
    again = await start(meters=1)
    assert (await again.health())["meters"] == 50
    assert await again.end(signal.SIGTERM) == 0
    assert again.stored("PRAGMA main.integrity_check") == [("ok",)]
    assert again.stored("PRAGMA catalogue.integrity_check") == [("ok",)]
    assert again.stored("SELECT count(*), count(DISTINCT meter) FROM reading WHERE consumption = 0") == [(50, 50)]


async def test_a_killed_receiver_comes_back(start: Start) -> None:
    appliance = await start(meters=5)
    await appliance.until_heard(5)
    os.kill(appliance.children()[0], signal.SIGKILL)
    async with asyncio.timeout(30):
        while len(appliance.children()) < 2:
            await asyncio.sleep(0.02)
    assert await appliance.end(signal.SIGTERM) == 0


async def test_two_receivers_that_hear_the_same(start: Start, tmp_path: Path) -> None:
    command = [sys.executable, str(tmp_path / "child.py"), "8", str(tmp_path / "pids")]
    appliance = await start(meters=5, more=f"[[receiver]]\ncommand = {json.dumps(command)}\n")
    await appliance.until_heard(8)
    assert set(await appliance.health()) >= {"parts"}
    assert await appliance.end(signal.SIGTERM) == 0
    assert appliance.stored("SELECT count(*), count(DISTINCT meter) FROM reading WHERE consumption = 0") == [(8, 8)]


async def test_a_second_instance_is_refused(start: Start) -> None:
    first = await start()
    code, line = await refusal(await start())
    assert (code, "another instance uses the data directory" in line) == (73, True)
    assert await first.end(signal.SIGTERM) == 0


async def test_a_port_in_use_is_refused(start: Start) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    code, line = await refusal(await start(port=port))
    assert (code, f"port {port} is used by another program" in line) == (78, True)
    server.close()


@pytest.mark.parametrize("name", [CATALOGUE, LIVE])
async def test_data_of_a_later_version_is_refused(start: Start, tmp_path: Path, name: str) -> None:
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    appliance = await start()
    data = (await appliance.health())["parts"]["data"]
    assert (data["state"], f"{path} has the format 99 of a later version" in data["reason"]) == ("failed", True)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    assert await appliance.end(signal.SIGTERM) == 0


async def test_a_data_directory_that_cannot_be_made(start: Start, tmp_path: Path) -> None:
    """The page says so, and once it can be made all goes on by itself."""
    (tmp_path / "data").write_text("a file")
    appliance = await start()
    data = (await appliance.health())["parts"]["data"]
    assert (data["state"], "data directory" in data["reason"]) == ("failed", True)
    for language, words in (("en", "The data cannot be used"), ("es", "No se pueden usar los datos")):
        async with aiohttp.ClientSession() as session, session.get(f"{appliance.url}?lang={language}") as answer:
            assert (answer.status, words in await answer.text()) == (503, True)
    (tmp_path / "data").unlink()
    line = await asyncio.wait_for(appliance.process.stdout.readline(), 30)  # type: ignore[union-attr]
    appliance.url = line.decode().split()[-1]
    await appliance.until_heard(20)


async def test_where_the_page_is_may_go_unread(start: Start, tmp_path: Path) -> None:
    first = await start()
    await first.until_heard(20)
    await first.end(signal.SIGTERM)
    (tmp_path / "pids").unlink()
    words = ("-m", "appliance", "run", "--config", str(tmp_path / "appliance.toml"))
    with open("/dev/full", "wb") as full:
        process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=full, stderr=PIPE)
    try:
        async with asyncio.timeout(30):
            while not (tmp_path / "pids").exists():
                await asyncio.sleep(0.02)
            process.terminate()
            _, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    assert b"Traceback" not in error
