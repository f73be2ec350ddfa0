"""An aggregator's address is tried before it is kept: what became of it has a name, and nothing is left behind."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.certificate import CERTIFICATE, KEY, make_certificate
from appliance.sync import trial as trials
from appliance.sync.envelope import key_id
from appliance.sync.transport import REFUSED, Link
from appliance.sync.trial import trial
from tests.sync.centre import centre
from tests.sync.test_transport import WHO, answering

OTHER = Ed25519PrivateKey.generate().public_key()


async def test_one_that_does_not_know_us_is_reached_and_keeps_nothing(tmp_path: Path) -> None:
    async with centre(tmp_path) as there:
        link = there.link()
        found = await trial(link, WHO)
        assert (found.verdict, found.state, found.told) == ("unknown", "fair", "")
        assert there.requests == {"receipts": 1}


async def test_one_with_another_key(tmp_path: Path) -> None:
    async with centre(tmp_path) as there:
        found = await trial(Link(there.link().address, {key_id(OTHER): OTHER}), WHO)
    assert (found.verdict, found.state) == ("key", "bad")


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = await trial(Link(f"http://127.0.0.1:{port}", {}), WHO)
    assert found.verdict == "unreachable"
    assert found.told == "cannot be reached (Connection refused)"
    assert found.cause == REFUSED


async def test_somebody_else_there() -> None:
    async def nothing(_response: web.StreamResponse) -> None:
        return

    async with answering(nothing) as link:
        found = await trial(link, WHO)
    assert found.verdict == "no aggregator"


async def test_a_certificate_that_is_not_the_one(tmp_path: Path) -> None:
    make_certificate(tmp_path, "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / CERTIFICATE, tmp_path / KEY)
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    address = f"https://127.0.0.1:{runner.addresses[0][1]}"
    assert (await trial(Link(address, {}), WHO)).verdict == "certificate"
    # The right one, as text: so it stands in the settings that were made on the page.
    pem = (tmp_path / CERTIFICATE).read_text()
    assert (await trial(Link(address, {}, pem), WHO)).verdict == "no aggregator"
    broken = await trial(Link(address, {}, pem[:80]), WHO)
    assert (broken.verdict, "holds no certificate" in broken.told) == ("certificate", True)
    await runner.cleanup()


async def test_one_who_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "TRIAL_S", 0.2)
    stopped = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stopped.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await trial(Link(f"http://127.0.0.1:{port}", {}), WHO)).verdict == "late"
        stopped.set()
