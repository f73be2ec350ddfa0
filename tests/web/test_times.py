"""How sure the time is: what the page says, how times are marked, and what becomes of open pages when it changes."""

import re
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from appliance.clock import KernelTime
from appliance.web.site import serving
from tests.machine import FREE, Machine
from tests.web.conftest import NOW, Site
from tests.web.pages import Cells, get
from tests.web.test_events import Stream, fast, ids

__all__ = ["fast"]

NOTE = re.compile(r'<p class="note">(.*?)</p>')


async def notes(site: Site, language: str = "en") -> list[str]:
    _, page = await get(site, f"/?lang={language}")
    return [re.sub("<.*?>", "", note) for note in NOTE.findall(page)]


def shown_times(html: str) -> list[dict[str, str | None]]:
    return [attributes for tag, attributes in Cells(html).tags if tag == "time"]


async def test_nothing_is_said_of_a_clock_that_is_right(site: Site) -> None:
    site.hear(1)
    assert await notes(site) == []
    _, page = await get(site, "/")
    assert all("data-doubt" not in attributes and "class" not in attributes for attributes in shown_times(page))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Times are estimates. Nothing has confirmed this machine's clock since it was started"),
        ("es", "Las horas son estimadas. Nada ha confirmado el reloj de este equipo desde que se encendió"),
    ],
)
async def test_a_clock_that_nobody_set(lost: Site, language: str, words: str) -> None:
    lost.hear(1)
    lost.pass_time(90)
    (note,) = await notes(lost, language)
    assert note.startswith(words)
    _, page = await get(lost, "/meters")
    assert Cells(page).rows[1][4] == "1 min ago"
    assert [(a["data-doubt"], "class" in a) for a in shown_times(page)] == [("", False), ("", False)]
    assert "As of ≈" in page
    lost.machine.set_clock()
    assert lost.store.clock.poll() is not None
    assert await notes(lost) == []
    _, page = await get(lost, "/meters")
    assert Cells(page).rows[1][4] == "1 min ago"
    (_, heard) = shown_times(page)
    assert heard == {"datetime": NOW.isoformat(timespec="milliseconds")}


async def test_a_clock_chip_that_may_have_drifted(tmp_path: Path) -> None:
    """It was last known to be right before the first stamps: 425 days at 8.6 s a day, something over an hour."""
    drifted = Site(tmp_path, Machine(kernel=FREE))
    for _ in range(2):
        drifted.machine.kernel = KernelTime(synchronized=False, rtc_utc_ms=drifted.machine.utc_ms)
        drifted.store.clock.poll()
        drifted.pass_time(16)
    async with serving(drifted.parts(), "127.0.0.1", 0) as port:
        drifted.url = f"http://127.0.0.1:{port}"
        (note,) = await notes(drifted)
        assert note.startswith("Times are estimates, off by up to 2 h. Nothing is lost by it")
        (note,) = await notes(drifted, "es")
        assert note.startswith("Las horas son estimadas, con un error de hasta 2 h. No se pierde nada")


async def test_of_an_earlier_start_how_long_ago_is_rough(site: Site) -> None:
    """Nobody told the time during that one, so it lies anywhere before this one."""
    site.heard_before(7)
    site.hear(1)
    _, page = await get(site, "/meters?sort=heard")
    assert [row[0].split()[0] for row in Cells(page).rows[1:]] == ["1", "7"]
    first, *others = shown_times(page)[1:]
    assert "class" not in first
    assert len(others) == 2
    for attributes in others:
        assert attributes["class"] == "rough"
        assert str(attributes["data-doubt"]).endswith(" d")
    assert await notes(site) == []


async def test_an_open_page_is_put_right_when_the_clock_is(lost: Site, fast: None) -> None:
    lost.hear(1)
    lost.hear(2)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{lost.url}/meters/events") as answer:
            stream = Stream(answer)
            first = await stream.next()
            assert first["full"]
            lost.machine.set_clock()
            assert lost.store.clock.poll() is not None
            right = await stream.next()
            assert right["full"]
            assert sorted(ids(right)) == ["m-scm-1", "m-scm-2"]
            assert right["now"] == lost.machine.utc_ms
            assert datetime.fromisoformat(right["listening"]) == NOW
            before = stream.id
        lost.pass_time(30)
        lost.hear(1)
        for cursor, told in ((before, ["m-scm-1"]), (before.replace("-", "x-"), ["m-scm-1", "m-scm-2"])):
            async with session.get(f"{lost.url}/meters/events", headers={"Last-Event-ID": cursor}) as answer:
                assert sorted(ids(await Stream(answer).next())) == told


async def test_other_data_in_place_of_what_an_open_page_shows(site: Site, fast: None) -> None:
    site.hear(1)
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/meters/events") as answer:
        stream = Stream(answer)
        assert ids(await stream.next()) == ["m-scm-1"]
        site.store.begin_again()
        site.hear(2)
        restored = await stream.next()
        assert (restored["full"], ids(restored)) == (True, ["m-scm-2"])
