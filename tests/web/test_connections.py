"""What comes to the port that is no browser: rubbish, silence, and too many at once."""

import asyncio
import socket

import pytest

from appliance.web import connections
from appliance.web.frame import connections as frame_connections
from appliance.web.frame import room
from appliance.web.frame.security import HEADERS
from appliance.web.site import serving
from tests.web.conftest import Site
from tests.web.test_site import get

GET = b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n"


async def say(site: Site, words: bytes) -> str:
    """What is answered until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(words)
    try:
        async with asyncio.timeout(20):
            return (await reader.read()).decode()
    except ConnectionError:
        return ""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "words",
    [
        b"ODD<b>LINE\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: ODD.test\r\n\r\n",
        b"GET http://[::ODD/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /ODD" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nODD",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
async def test_rubbish_is_refused_without_repeating_it(
    site: Site, words: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await say(site, words)
    assert answer.startswith("HTTP/1.0 400 ")
    assert answer.endswith("\r\n\r\n400\n")
    assert all(f"{name}: {value}" in answer for name, value in HEADERS.items())
    assert "ODD" not in answer
    assert not [record for record in caplog.records if record.levelname not in ("DEBUG", "INFO")]


async def test_a_stream_has_no_head(site: Site) -> None:
    answer, _ = await get(site, "/meters/events", "HEAD")
    assert answer.status == 405


async def test_one_who_says_nothing_is_let_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.2)
    async with serving(site.parts(), "127.0.0.1", 0) as site.port:
        assert await say(site, b"") == ""
        assert await say(site, b"GET / HTTP/1.1\r\nHost: loc") == ""


async def get_in(site: Site) -> None:
    """Ask until there is an answer."""
    async with asyncio.timeout(15):
        while not (answer := await say(site, GET)):
            await asyncio.sleep(0.01)
    assert answer.startswith("HTTP/1.0 200 ")


async def test_too_many_connections(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 3)
    async with serving(site.parts(), "127.0.0.1", 0) as site.port:
        idle = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(3)]
        assert await say(site, GET) == ""
        idle[0][1].close()
        await idle[0][1].wait_closed()
        await get_in(site)
        for _, writer in idle:
            writer.close()


async def test_one_address_shuts_nobody_else_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_FROM_ONE", 2)
    # All that a test may use are addresses of this machine, which have no share of their own.
    monkeypatch.setattr(room, "is_here", lambda peer: peer == "127.0.0.2")
    async with serving(site.parts(), "127.0.0.1", 0) as site.port:
        idle = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(2)]
        assert await say(site, GET) == ""
        for other in ("127.0.0.2", "127.0.0.3"):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port, local_addr=(other, 0))
            writer.write(GET)
            assert (await reader.read()).startswith(b"HTTP/1.0 200 ")
            writer.close()
        for _, writer in idle:
            writer.close()


async def test_who_takes_no_answer_is_let_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 1)
    monkeypatch.setattr(frame_connections, "TAKEN_WITHIN_S", 0.3)
    async with serving(site.parts(), "127.0.0.1", 0) as site.port:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", site.port))
            asked = b"GET /static/uPlot.iife.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
            await asyncio.get_running_loop().sock_sendall(deaf, asked)
            await get_in(site)


async def test_who_takes_it_in_the_end_gets_all(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1024)
    asked = b"GET /static/uPlot.iife.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    writer.write(asked * 199 + asked.replace(b"Host", b"Connection: close\r\nHost"))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(20):
        answers = await reader.read()
    assert answers.count(b"HTTP/1.1 200 ") == 200
    writer.close()
