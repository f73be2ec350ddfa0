"""Whoever answers at an aggregator's address: what it says, and how long it takes for that, is bounded."""

import asyncio
import contextlib
import gzip
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from appliance.errors import NotDelivered
from appliance.sync.transport import MOST_ANSWER_BYTES, Link, Told

WHO = "0" * 32
Answer = Callable[[web.StreamResponse], Awaitable[None]]


@contextlib.asynccontextmanager
async def answering(answer: Answer, **headers: str) -> AsyncIterator[Link]:
    """A way to a stranger who answers so."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await answer(response)
        return response

    app = web.Application()
    app.router.add_post("/here", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    link = Link(f"http://127.0.0.1:{runner.addresses[0][1]}", {})
    try:
        yield link
    finally:
        await link.close()
        await runner.cleanup()


async def test_an_answer_without_end() -> None:
    line = json.dumps({"receipt": "x" * 3_000}).encode() + b"\n"
    most = MOST_ANSWER_BYTES // 3_000 + 1

    async def endless(response: web.StreamResponse) -> None:
        for _ in range(3 * most):
            await response.write(line)

    told = Told()
    async with answering(endless) as link:
        with pytest.raises(NotDelivered, match="an answer of more than"):
            await link.post("/here", [b"x"], WHO, told)
    assert 0 < len(told.receipts) < most


async def test_an_answer_that_never_comes_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.sync.transport.REQUEST_S", 0.5)

    async def trickling(response: web.StreamResponse) -> None:
        for _ in range(200):
            await response.write(b"\n")
            await asyncio.sleep(0.05)

    async with answering(trickling) as link:
        with pytest.raises(NotDelivered, match="no answer in time"):
            await link.post("/here", [b"x"], WHO, Told())


async def test_one_who_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that hangs still answers for its sockets."""
    monkeypatch.setattr("appliance.sync.transport.REQUEST_S", 0.5)
    stopped = asyncio.Event()

    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stopped.wait()
        writer.close()

    async with await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1_024) as server:
        link = Link(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
        with pytest.raises(NotDelivered, match="no answer in time"):
            async with asyncio.timeout(10):
                await link.post("/here", [os.urandom(16 << 20)], WHO, Told())
        await link.close()
        stopped.set()


async def test_an_answer_is_not_unpacked() -> None:
    """A bomb of some kilobytes would keep the appliance busy for a minute."""

    async def bomb(response: web.StreamResponse) -> None:
        await response.write(gzip.compress(b'{"receipt": "x"}\n'))

    told = Told()
    async with answering(bomb, **{"Content-Encoding": "gzip"}) as link:
        with pytest.raises(NotDelivered):
            await link.post("/here", [b"x"], WHO, told)
    assert not told.receipts


async def test_a_strangers_words_do_nothing_to_a_terminal_or_a_log() -> None:
    async def rude(response: web.StreamResponse) -> None:
        words = {"refused": "fork\n", "words": "no\x1b[2J\r\nlevel=ERROR all is lost"}
        await response.write(json.dumps(words).encode() + b"\n")

    told = Told()
    async with answering(rude) as link:
        await link.post("/here", [b"x"], WHO, told)
    assert told.refusals == [("fork?", "no?[2J??level=ERROR all is lost")]


async def test_one_who_is_no_web_server_is_not_quoted() -> None:
    async def banner(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9 BANNER\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(banner, "127.0.0.1", 0)
    link = Link(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
    try:
        with pytest.raises(NotDelivered, match=r"no sound HTTP|broke the connection off|Connection reset") as fault:
            await link.post("/here", [b"x"], WHO, Told())
        assert "BANNER" not in str(fault.value)
    finally:
        await link.close()
        server.close()
        await server.wait_closed()
