"""What comes to the port that is no browser: rubbish, silence, and too many at once."""

import asyncio

import pytest

from appliance.web import connections
from appliance.web.frame.security import HEADERS
from appliance.web.site import serving
from tests.web.conftest import Site
from tests.web.test_site import get


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


async def test_too_many_connections(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 3)
    async with serving(site.parts(), "127.0.0.1", 0) as site.port:
        idle = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(3)]
        assert await say(site, b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n") == ""
        idle[0][1].close()
        await idle[0][1].wait_closed()
        answer = ""
        while not answer:
            answer = await say(site, b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert answer.startswith("HTTP/1.0 200 ")
        for _, writer in idle:
            writer.close()
