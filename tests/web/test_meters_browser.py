"""The list of meters and the page of one in a real browser: typing, choosing, zooming, notes, a server that goes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.assignment import Assignment
from appliance.store import notes
from appliance.store.assigned import Assigned
from appliance.store.rows import MeterKey
from appliance.web.site import serving
from tests.web.conftest import Site, served
from tests.web.everybody import is_for_everybody
from tests.web.test_browser import Tab, browser, opened, pytestmark

__all__ = ["browser", "pytestmark"]

HOUR_S, DAYS = 3600.0, 3
EVIL = "<img src=x onerror=\"document.title='bad'\">"
METER = "/meters/scm/60243827"
LONG = "Población Santa Julia, pasaje Los Aromos 1234, poste 56, piso 7"
SHOWN = "document.querySelectorAll('#meters tr:not([hidden])').length"
DRAWN = "document.querySelectorAll('.chart canvas').length === 3 && document.getElementById('charts').dataset.drawn"


def assign(site: Site, name: str = LONG) -> None:
    meters = (Assignment.of(5, "", "Pozo", "", "1"), Assignment.of(60243827, "", name[:64], "Calle Ñ 12", "0.01"))
    site.store.assigned = Assigned(1, 1, meters)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Site]:
    """A site that has heard a meter for three days, with a gap of a day and an exchange in between."""
    async with served(Site(tmp_path)) as site:
        for quarter in range(96 * DAYS):
            if not 96 <= quarter < 192:
                site.hear(
                    60243827, consumption=31160 + quarter if quarter < 220 else quarter, tamper_phy=quarter // 200
                )
                site.hear(60243828, consumption=12, commodity="gas", endpoint_type=12)
            site.pass_time(HOUR_S / 4)
        await site.keep()
        assign(site)
        yield site


async def fine(tab: Tab) -> None:
    """Nothing was complained about, the policy of the page included, and nobody else was asked for anything."""
    assert tab.complaints == []
    assert tab.strangers == []


async def test_typing_and_choosing(browser: Any, site: Site) -> None:
    for n in range(40):
        site.hear(1000 + n, commodity="gas" if n % 2 else "electric")
    site.hear(60243827)
    assign(site, "Casa Álvarez")
    tab = await opened(browser, site)
    words = tab.page.get_by_label("Find by ID, name or address")
    await words.fill("alvarez")
    await tab.until(f"{SHOWN} === 1 && location.search === '?q=alvarez'")
    assert await tab.text("#count") == "1 of 41"
    await words.fill("")
    await tab.until(f"{SHOWN} === 41 && location.search === ''")
    await tab.page.get_by_label("Commodity").select_option("gas")
    await tab.until(f"{SHOWN} === 20")
    await tab.page.get_by_label("tamper changed").check()
    await tab.until(f"{SHOWN} === 0 && location.search.includes('tampered=1')")
    assert "None of the meters heard is like that." in await tab.text("#none")
    site.pass_time(30)
    site.hear(1001, tamper_phy=1, commodity="gas")
    site.hear(1002, tamper_phy=1)
    await tab.until("document.querySelector('#m-scm-1001.tampered')")
    assert await tab.page.locator("#m-scm-1002").count() == 0
    await tab.page.reload()
    assert await tab.page.locator("#meters tr").count() == 1
    await fine(tab)


async def test_five_hundred_meters_stay_fluid(browser: Any, site: Site) -> None:
    for n in range(500):
        site.hear(1000 + n)
    tab = await opened(browser, site, viewport={"width": 390, "height": 844})
    await tab.until("document.querySelector('#connection.live')")
    # What is out of sight is not laid out: of a row only its place is known.
    skipped = "!document.getElementById('m-scm-1499').cells[0].checkVisibility({ contentVisibilityAuto: true })"
    assert await tab.page.evaluate(skipped)
    await tab.page.get_by_label("Find by ID, name or address").fill("1499")
    await tab.until(f"{SHOWN} === 1")
    await fine(tab)


async def test_without_javascript_the_form_does_it(browser: Any, site: Site) -> None:
    site.hear(60243827)
    site.hear(5, commodity="gas")
    assign(site, "Casa")
    tab = await opened(browser, site, java_script_enabled=False)
    await tab.page.get_by_label("Commodity").select_option("gas")
    await tab.page.get_by_role("button", name="Show").click()
    assert await tab.page.locator("#meters tr").count() == 1
    await tab.page.goto(f"{site.url}{METER}")
    assert not await tab.page.locator("#charts").is_visible()
    await tab.page.get_by_text("Days", exact=True).click()
    assert await tab.page.locator("#days table").is_visible()


async def test_a_technician_notes_and_compares(browser: Any, kept: Site) -> None:
    tab = await opened(browser, kept, METER)
    await tab.page.locator("#notes summary").click()
    await tab.page.get_by_label("A note", exact=True).fill(f"{EVIL} The dog bites.")
    await tab.page.get_by_role("button", name="Add a note").click()
    await tab.page.wait_for_url("**#notes")
    assert "The dog bites." in await tab.text(".note-text")
    assert "bad" not in await tab.page.title()
    await tab.page.get_by_role("button", name="Remove").click()
    await tab.until("!document.querySelector('.note-text')")
    await tab.page.get_by_label("What the dial shows").fill("many")
    await tab.page.get_by_role("button", name="Compare").click()
    assert "That is no reading of a dial." in await tab.text("[role=alert]")
    assert await tab.page.get_by_label("What the dial shows").input_value() == "many"
    await tab.page.get_by_label("What the dial shows").fill("000287")
    await tab.page.get_by_role("button", name="Compare").click()
    await tab.page.wait_for_url("**#dial")
    assert "000287" in await tab.text("#dial .entries")
    # Chromium says of the answer that refused it that it was an error.
    assert [text for text in tab.complaints if "422" not in text] == []


# Each text of an element on one line, and none beyond what its box has inside.
IN_ONE_LINE = """(element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  const tops = new Set([...range.getClientRects()].map(({ bottom }) => Math.round(bottom / 8)));
  return tops.size === 1 && element.scrollWidth <= element.clientWidth;
}"""


async def test_on_a_phone_nothing_is_broken_in_two(browser: Any, site: Site) -> None:
    site.hear(60243827, consumption=11_231_874)
    assign(site)
    await site.keep()
    await notes.add_note(site.store, MeterKey("scm", 60243827, False), "ana", "Perro " * 20)
    tab = await opened(browser, site, "/meters?lang=es", viewport={"width": 390, "height": 844})
    assert await tab.page.locator("#m-scm-60243827 .register").evaluate(IN_ONE_LINE)
    await tab.page.goto(f"{site.url}{METER}?lang=es")
    assert await tab.page.locator(".note-text + .byline button").evaluate(IN_ONE_LINE)
    # Before the first chart there are two rows of buttons, and those that move it beside what it says.
    await tab.until(DRAWN)
    tops = "[...document.querySelectorAll('.chart-tools > *')].map((one) => one.getBoundingClientRect().top)"
    assert len(set(await tab.page.evaluate(tops))) == 3
    await fine(tab)


async def test_a_file_is_what_is_shown(browser: Any, site: Site) -> None:
    site.hear(60243827)
    site.hear(5, commodity="gas")
    tab = await opened(browser, site)
    await tab.page.get_by_label("Commodity").select_option("gas")
    await tab.until(f"{SHOWN} === 1")
    async with tab.page.expect_download() as waiting:
        await tab.page.get_by_role("link", name="JSON").click()
    path = await (await waiting.value).path()
    assert [row["meter_id"] for row in json.loads(Path(path).read_text(encoding="utf-8"))] == [5]
    await fine(tab)


async def test_facts_follow_and_survive_the_server(browser: Any, site: Site, tmp_path: Path) -> None:
    first, second = Site(tmp_path / "first"), Site(tmp_path / "second")
    first.hear(60243827)
    second.hear(60243827, consumption=777)
    register = "document.querySelector('.main-fact dd').textContent"
    async with serving(first.parts(), "127.0.0.1", 0) as port:
        first.url = f"http://127.0.0.1:{port}"
        tab = await opened(browser, first, METER)
        first.pass_time(30)
        first.hear(60243827, consumption=31170)
        await tab.until(f"{register}.includes('31,170')")
    await tab.until("document.querySelector('#connection.stale')")
    async with serving(second.parts(), "127.0.0.1", port):
        await tab.until(f"document.querySelector('#connection.live') && {register}.includes('777')")
        await tab.page.context.close()


@pytest.mark.parametrize("path", ["/meters", METER, f"{METER}/readings", "/meters/any/5"])
@pytest.mark.parametrize("lang", ["en", "es"])
async def test_everybody_can_read_it(browser: Any, kept: Site, path: str, lang: str) -> None:
    """axe-core finds nothing in either theme, and nothing is wider than the screen."""
    if path != "/meters/any/5":
        kept.hear(5)
    tab = await opened(browser, kept, f"{path}?lang={lang}")
    if path == METER:
        await tab.until(DRAWN)
        for name in ("days", "months"):
            await tab.page.locator(f"#{name} summary").click()
    await is_for_everybody(tab)
    await fine(tab)
