"""The stream of changes, over real HTTP."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from appliance.web import streams
from appliance.web.site import serving
from appliance.web.views.meters import live as events
from tests.web.conftest import Site
from tests.web.pages import Cells, get


class Stream:
    """An open stream of events."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.id = ""

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while line := (await self.answer.content.readline()).decode():
                if line.startswith("id: "):
                    self.id = line.removeprefix("id: ").strip()
                if line.startswith("data: "):
                    found: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    return found
        raise EOFError


def ids(event: dict[str, Any]) -> list[str]:
    """The rows that an event carries."""
    return [str(attributes["id"]) for tag, attributes in Cells(event["rows"]).tags if tag == "tr"]


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "INTERVAL_S", 0.02)


async def test_events_carry_only_what_changed(site: Site, fast: None) -> None:
    site.hear(1)
    site.hear(2)
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/meters/events?lang=es") as answer:
        assert answer.content_type == "text/event-stream"
        stream = Stream(answer)
        first = await stream.next()
        assert first["full"]
        assert sorted(ids(first)) == ["m-scm-1", "m-scm-2"]
        assert "electricidad" in first["rows"]
        site.pass_time(30)
        site.hear(2, consumption=31161)
        second = await stream.next()
        assert ids(second) == ["m-scm-2"]
        assert (second["full"], second["heard"]) == (False, "2")


async def test_a_page_that_was_away_gets_what_it_missed(site: Site, fast: None) -> None:
    site.hear(1)
    site.hear(2)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{site.url}/meters/events") as answer:
            stream = Stream(answer)
            await stream.next()
        site.pass_time(60)
        site.hear(1)
        async with session.get(f"{site.url}/meters/events", headers={"Last-Event-ID": stream.id}) as answer:
            missed = await Stream(answer).next()
            assert ids(missed) == ["m-scm-1"]
            assert not missed["full"]
        for cursor in ("0badcafe-2", "-", "0badcafe-²", f"{stream.id.partition('-')[0]}x-1", "9" * 40):
            async with session.get(f"{site.url}/meters/events", params={"cursor": cursor}) as answer:
                told = await Stream(answer).next()
                assert told["full"]
                assert len(ids(told)) == 2


async def test_a_quiet_stream_still_beats(site: Site, fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/meters/events") as answer:
        stream = Stream(answer)
        await stream.next()
        beat = await stream.next()
        assert (beat["rows"], beat["gone"]) == ("", [])


async def test_rates_fall_without_messages(site: Site, fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "REFRESH_S", 0.05)
    site.hear(1)
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/meters/events") as answer:
        stream = Stream(answer)
        await stream.next()
        site.pass_time(3 * 3600)
        row = (await stream.next())["rows"]
        assert Cells(row).rows[0][7] == "0"


async def test_streams_are_bounded_and_strangers_cannot_take_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_STREAMS", 2)
    monkeypatch.setattr(streams, "KEPT_FOR_LOGGED_IN", 1)
    events = f"{site.url}/meters/events"
    async with aiohttp.ClientSession() as session, session.get(events) as answer:
        await Stream(answer).next()
        refused, _ = await get(site, "/meters/events")
        assert refused.status == 503
        async with aiohttp.ClientSession(cookies=site.logs_in()) as known, known.get(events) as one_more:
            await Stream(one_more).next()
            async with known.get(events) as refused_too:
                assert refused_too.status == 503


async def test_streams_end_with_the_site(site: Site) -> None:
    async with aiohttp.ClientSession() as session:
        async with serving(site.parts(), "127.0.0.1", 0) as port:
            answer = await session.get(f"http://127.0.0.1:{port}/meters/events")
            stream = Stream(answer)
            await stream.next()
        with pytest.raises(EOFError):
            while True:
                await stream.next()
