"""That every page can say that what it shows is old, and that the middle of a live one is drawn once for all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from appliance.web import middle, streams
from appliance.web.frame.accounts import SESSION, Session
from appliance.web.middle import MIDDLES, Middles, keep_up
from appliance.web.parts import PARTS
from appliance.web.streams import STREAMS, Streams
from tests.web.conftest import Site, logged_in
from tests.web.pages import Cells, get

PAGES = [
    "/", "/meters", "/meters/scm/60", "/meters/scm/60/readings", "/radio/street", "/delivery", "/system", "/system/log",
    "/system/keeping", "/system/restart/program", "/set-up", "/password", "/find", "/find/60", "/find/dial",
    "/find/dial?shown=31160", "/find/load", "/find/load?on=1", "/nothing",
]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_can_say_that_its_data_is_old(site: Site, path: str) -> None:
    site.hear(60)
    await site.keep()
    token = logged_in(site.store)["session"]
    _, page = await get(site, path, Cookie=f"session={token}")
    tags = Cells(page).tags
    (connection,) = [attributes for _, attributes in tags if attributes.get("id") == "connection"]
    assert connection["data-stale"]
    scripts = [attributes["src"] or "" for name, attributes in tags if name == "script"]
    assert sum("freshness" in src for src in scripts) == 1
    # What only asks has no stream, which has to know when it is.
    assert any("stream" in src for src in scripts) == ("data-now" in connection)


@asynccontextmanager
async def drawing(site: Site, drawn: list[str]) -> AsyncIterator[tuple[str, Middles]]:
    """The address of pages that are drawn only once and note where they were, and what is kept of them."""

    async def events(request: web.Request) -> web.StreamResponse:
        if "as" in request.headers:
            request[SESSION] = Session("", request.headers["as"], "", 0, 0)

        async def draw() -> str:
            drawn.append(request.path_qs)
            # Others come meanwhile.
            await asyncio.sleep(0.01)
            return f"middle {len(drawn)}"

        return await keep_up(request, draw, 1e9)

    app = web.Application()
    app[PARTS], app[STREAMS], app[MIDDLES] = site.parts(), Streams(), Middles()
    app.add_routes([web.get("/{name}", events, allow_head=False)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        where = web.TCPSite(runner, "127.0.0.1", 0)
        await where.start()
        yield where.name, app[MIDDLES]
    finally:
        app[STREAMS].closing.set()
        await runner.cleanup()


async def test_a_middle_is_drawn_once_for_all_who_see_the_same(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SESSION_EVERY_S", 1e9)
    drawn: list[str] = []
    asked = [
        ("/a", {}), ("/a", {}), ("/a", {}), ("/a?lang=es", {}), ("/b", {}), ("/a", {"as": "ana"}),
        ("/a", {"as": "eva"}), ("/a", {"Accept-Language": "es"}),
    ]  # fmt: skip
    async with drawing(site, drawn) as (url, _), aiohttp.ClientSession() as session, AsyncExitStack() as stack:
        told = []
        for path, headers in asked:
            answer = await stack.enter_async_context(session.get(url + path, headers=headers))
            await answer.content.readuntil(b"data: ")
            told.append((await answer.content.readuntil(b"}")).decode())
    middles = [text[text.index("middle ") :].rstrip('"}') for text in told]
    assert middles == [f"middle {n}" for n in (1, 1, 1, 2, 3, 4, 4, 5)]
    assert drawn == ["/a", "/a?lang=es", "/b", "/a", "/a"]


async def test_what_nobody_looks_at_is_forgotten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "INTERVAL_S", 0.01)
    monkeypatch.setattr(middle, "HEARTBEAT_S", 0.0)
    async with drawing(site, []) as (url, middles), aiohttp.ClientSession() as session:
        async with session.get(url + "/a") as answer:
            await answer.content.readuntil(b"middle")
            assert len(middles) == 1
            # As a browser does that leaves the page.
            answer.close()
        async with asyncio.timeout(30):
            while middles:
                await asyncio.sleep(0.01)
