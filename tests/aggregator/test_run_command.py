"""The aggregator runs: what it refuses to run with, and real processes that serve and stop."""

import asyncio
import contextlib
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from appliance.aggregator.database import Database
from appliance.aggregator.schema import batch
from appliance.aggregator.settings import FILE
from appliance.cli import main
from appliance.sync.answer import nonce
from tests.aggregator.centre import call, in_database
from tests.aggregator.postgresql import Server
from tests.aggregator.street import Sender, rows

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-W", "error", "-m", "appliance", "aggregator"]


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ("[web]\nhost = '*'", 78, "set [tls] certificate and key"),
        ("[web]\nport = 70000", 78, "web.port = 70000 must be"),
        ("[web]\nhost = '192.0.2.1'\nplain = true", 78, "cannot listen on 192.0.2.1"),
        ("[tls]\ncertificate = 'c.pem'\nkey = 'k.pem'", 78, "c.pem: cannot be read: No such file"),
        (f"[tls]\ncertificate = '{FILE}'\nkey = '{FILE}'", 78, "tls.certificate and tls.key"),
        ("[database]\nurl = 'mysql://root:secret@host/name'", 78, "a database of the kind 'mysql'"),
        ("[database]\nurl = 'postgresql://me:secret@host/name?sslmod=on'", 78, "'sslmod', which is no parameter of it"),
        ("[database]\nurl = 'postgresql://root:secret@host:port/name'", 78, "its port is no number"),
        ("[database]\nurl = 'postgresql://root:secret@127.0.0.1:9/name'", 74, "cannot be made ready"),
    ],
)
def test_run_refuses_what_cannot_be(
    centre: Path, settings: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (centre / FILE).write_text(settings)
    assert call(centre, "run") == code
    error = capsys.readouterr().err
    assert said in error
    assert "secret" not in error
    assert "Traceback" not in error


def test_run_without_its_key_makes_no_other(centre: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (centre / "key").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    assert call(centre, "run") == 74
    assert "damaged, and so is its copy" in capsys.readouterr().err


@contextlib.contextmanager
def running(centre: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A worker's address and process, which has ended well at the end."""
    words = [*COMMAND, "run", "--directory", str(centre)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    bound = threading.Timer(60, process.kill)
    bound.start()
    said = ""
    try:
        for line in process.stderr:
            said += line
            if found := re.search(r"serving (\S+)", line):
                break
        assert found, said
        yield found[1], process
        process.send_signal(signal.SIGTERM)
        said += process.stderr.read()
        assert process.wait() == 0, said
        assert "Traceback" not in said
        assert said.rstrip().endswith("stopping")
    finally:
        bound.cancel()
        process.kill()
        process.wait()
        process.stderr.close()


@contextlib.asynccontextmanager
async def client(address: str, certificate: Path | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    context = ssl.create_default_context(cafile=str(certificate)) if certificate else True
    async with aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield session


async def deliver(session: aiohttp.ClientSession, sender: Sender, lines: list[bytes]) -> list[str]:
    headers = {"X-Nonce": nonce(), "X-Appliance": sender.identity}
    async with session.post("/api/v1/batches", data=b"\n".join(lines), headers=headers) as response:
        return [next(iter(json.loads(line))) async for line in response.content]


def test_workers_serve_one_postgresql_until_they_are_stopped(
    centre: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    address = server.new_database()
    (centre / FILE).write_text(f"[web]\nport = 0\n[database]\nurl = '{address}'")
    sender = Sender()
    lines = [sender.sealed(n) for n in range(1, 6)]

    async def enrol() -> None:
        database = Database(address)
        await sender.enrol(database)
        await database.close()

    async def both(*workers: str) -> None:
        async with client(workers[0]) as one, client(workers[1]) as other:
            told = await asyncio.gather(deliver(one, sender, lines), deliver(other, sender, lines))
        assert told == [["receipt"] * 5 + ["answer"]] * 2

    async def stored() -> list[int]:
        database = Database(address)
        found = [row["sequence"] for row in await rows(database, batch)]
        await database.close()
        return found

    assert main(["aggregator", "init", str(centre)]) == 0
    asyncio.run(enrol())
    with running(centre) as (one, _), running(centre) as (other, _):
        asyncio.run(both(one, other))
    assert asyncio.run(stored()) == [1, 2, 3, 4, 5]
    capsys.readouterr()
    assert call(centre, "list") == 0
    assert " approved  1-5 " in capsys.readouterr().out


def test_a_certificate_of_its_own_is_believed_by_whom_it_was_given(tmp_path: Path) -> None:
    centre = tmp_path / "centre"
    assert main(["aggregator", "init", str(centre), "--name", "127.0.0.1"]) == 0
    settings = (centre / FILE).read_text().replace('host = "*"', 'host = "127.0.0.1"\nport = 0')
    (centre / FILE).write_text(settings)
    assert (centre / "tls" / "key.pem").stat().st_mode & 0o077 == 0
    sender = Sender()
    in_database(centre, sender.enrol)

    async def ask(address: str) -> None:
        async with client(address, centre / "tls" / "certificate.pem") as session:
            assert await deliver(session, sender, [sender.sealed(1)]) == ["receipt", "answer"]
        async with client(address) as stranger:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await stranger.get("/healthz")

    with running(centre) as (address, _):
        assert address.startswith("https://127.0.0.1:")
        asyncio.run(ask(address))


def test_a_stop_does_not_wait_for_those_who_say_nothing(centre: Path) -> None:
    (centre / FILE).write_text("[web]\nport = 0")

    async def hang(address: str) -> asyncio.StreamWriter:
        port = int(address.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/v1/batches HTTP/1.1\r\n")
        await writer.drain()
        return writer

    async def stopped() -> None:
        with running(centre) as (address, process):
            writer = await hang(address)
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    asyncio.run(stopped())
