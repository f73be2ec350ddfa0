"""HTTPS beside HTTP, by a certificate that the appliance makes itself."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from appliance.certificate import CERTIFICATE, KEY
from appliance.web import connections
from appliance.web.encryption import encryption
from appliance.web.frame import connections as frame_connections
from appliance.web.site import serving
from tests.web.conftest import PASSWORD, Site


@contextlib.asynccontextmanager
async def both(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """The addresses of one site, by HTTP and by HTTPS."""
    site = Site(tmp_path, is_open=False)
    site.logs_in()
    made = encryption(tmp_path)
    assert made is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        https_port = free.getsockname()[1]
    parts = replace(site.parts(), https_port=https_port)
    told: list[str] = []
    async with serving(parts, "127.0.0.1", 0, made.context, lambda: told.append("encrypted")) as port:
        assert told == ["encrypted"]
        yield f"http://127.0.0.1:{port}", f"https://127.0.0.1:{https_port}"


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """The same, for a test that changes nothing of how it is served."""
    async with both(tmp_path) as addresses:
        yield addresses


async def answered(client: aiohttp.ClientSession, address: str) -> None:
    """Ask until there is an answer."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with client.get(address, headers={"Connection": "close"}) as answer:
                    assert answer.status == 200
                    return
            await asyncio.sleep(0.01)


async def test_the_same_site_is_served_encrypted_and_its_sessions_are_apart(
    sites: tuple[str, str], tmp_path: Path
) -> None:
    _, https = sites
    known = ssl.create_default_context(cafile=str(tmp_path / CERTIFICATE))
    known.check_hostname = False
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        fields, headers = {"name": "ana", "password": PASSWORD}, {"Origin": https}
        async with client.post(
            f"{https}/login", data=fields, headers=headers, ssl=known, allow_redirects=False
        ) as answer:
            assert answer.status == 303
            cookie = answer.cookies["__Host-session"]
            assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Strict")
        for name, status in (("__Host-session", 200), ("session", 303)):
            sent = {"Cookie": f"{name}={cookie.value}"}
            async with client.get(f"{https}/", headers=sent, ssl=known, allow_redirects=False) as answer:
                assert answer.status == status


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"])
async def test_who_does_not_agree_on_encryption_is_counted_and_let_go(
    tmp_path: Path, said: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "MOST", 3)
    monkeypatch.setattr(connections, "HANDSHAKE_S", 0.5)
    async with both(tmp_path) as (http, https), aiohttp.ClientSession() as client:
        port = int(https.rpartition(":")[2])
        for _ in range(2):
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.get(f"{http}/healthz")
            for reader, writer in held:
                writer.write(said)
                async with asyncio.timeout(20):
                    with contextlib.suppress(ConnectionError):
                        await reader.read()
                writer.close()
        await answered(client, f"{http}/healthz")
    assert not [record for record in caplog.records if record.levelname not in ("DEBUG", "INFO")]


async def test_who_hangs_up_before_agreeing_on_encryption_gives_its_place_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 1)
    async with both(tmp_path) as (http, https), aiohttp.ClientSession() as client:
        for said in (b"", b"\x16\x03\x01\x02\x00\x01"):
            _, writer = await asyncio.open_connection("127.0.0.1", int(https.rpartition(":")[2]))
            writer.write(said)
            writer.close()
            await writer.wait_closed()
            await answered(client, f"{http}/healthz")


async def test_what_comes_with_the_end_of_the_handshake_is_answered(sites: tuple[str, str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sites[1].rpartition(":")[2]))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    came, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(came, sent)
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(sent.read())
            came.write(await reader.read(65536))
    client.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    writer.write(sent.read())
    answer = b""
    async with asyncio.timeout(20):
        while not answer.startswith(b"HTTP/1.1 200 "):
            try:
                answer += client.read(65536)
            except ssl.SSLWantReadError:
                came.write(await reader.read(65536))
    writer.close()


async def test_long_answers_come_whole_and_who_takes_none_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    asked = b"GET /static/uPlot.iife.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    monkeypatch.setattr(connections, "MOST", 1)
    monkeypatch.setattr(frame_connections, "TAKEN_WITHIN_S", 1.0)
    async with both(tmp_path) as (http, https), aiohttp.ClientSession() as client:
        port = int(https.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(asked * 99 + asked.replace(b"Host", b"Connection: close\r\nHost"))
        async with asyncio.timeout(20):
            assert (await reader.read()).count(b"HTTP/1.1 200 ") == 100
        writer.close()
        await answered(client, f"{http}/healthz")
        _, deaf = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        deaf.transport.pause_reading()
        deaf.write(asked * 400)
        async with asyncio.timeout(15):
            await answered(client, f"{http}/healthz")
        deaf.transport.abort()


async def test_a_port_that_is_taken_keeps_nobody_from_the_other(tmp_path: Path) -> None:
    site, made = Site(tmp_path), encryption(tmp_path)
    assert made is not None
    with socket.create_server(("127.0.0.1", 0)) as taken:
        parts = replace(site.parts(), https_port=taken.getsockname()[1])
        told: list[str] = []
        served = serving(parts, "127.0.0.1", 0, made.context, lambda: told.append("encrypted"))
        async with served as port, aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/healthz") as answer:
                assert answer.status == 200
    assert told == []


def test_the_certificate_is_made_once_and_its_key_is_nobody_elses(tmp_path: Path) -> None:
    first, again = encryption(tmp_path, ("meters.example",)), encryption(tmp_path)
    assert first is not None
    assert again is not None
    assert first.fingerprint == again.fingerprint
    assert len(first.fingerprint.split(":")) == 32
    chain = (tmp_path / CERTIFICATE).read_text()
    (tmp_path / CERTIFICATE).write_text(f"subject=a chain\n{chain}{chain}")
    chained = encryption(tmp_path)
    assert chained is not None
    assert chained.fingerprint == first.fingerprint
    assert os.stat(tmp_path / KEY).st_mode & 0o777 == 0o600
    certificate = x509.load_pem_x509_certificate((tmp_path / CERTIFICATE).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "meters.example"} <= set(names.get_values_for_type(x509.DNSName))
    assert certificate.not_valid_before_utc.year >= 2025


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_without_a_certificate_that_can_be_used_there_is_none(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert encryption(tmp_path) is not None
    (tmp_path / CERTIFICATE).write_bytes(content)
    assert encryption(tmp_path) is None
    assert "no HTTPS" in caplog.text
    assert encryption(tmp_path / "missing") is None


def test_no_certificate_is_made_while_a_restore_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "handover" / "restored").mkdir(parents=True)
    assert encryption(tmp_path) is None
    assert not (tmp_path / "tls").exists()
    (tmp_path / "handover" / "restored").rmdir()
    assert encryption(tmp_path) is not None
