"""A phone in another zone than the appliance, in a real browser: every time is the appliance's all the same."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from appliance import zones
from appliance.web.site import serving
from tests.web.conftest import Site, served
from tests.web.set_up import set_up
from tests.web.test_browser import Tab, browser, opened, pytestmark

__all__ = ["browser", "pytestmark"]

HOUR_S = 3600.0
METER = "/meters/scm/60"
SANTIAGO, TOKYO = "America/Santiago", "Asia/Tokyo"
DRAWN = "document.querySelectorAll('.chart canvas').length === 3 && document.getElementById('charts').dataset.drawn"
# A browser from before that zone was.
OLDER = """
const { DateTimeFormat } = Intl;
Intl.DateTimeFormat = function (language, options) {
  if (options && options.timeZone === "America/Coyhaique") throw new RangeError("Invalid time zone");
  return new DateTimeFormat(language, options);
};
"""


def spaced(text: str) -> str:
    return re.sub(r"\s", " ", text)


async def title(tab: Tab, place: str) -> str:
    """What a time says to who points at it."""
    await tab.until(f"document.querySelector('{place}').title")
    return spaced(await tab.page.locator(place).first.get_attribute("title"))


@pytest.mark.parametrize(("language", "whole"), [("en", "Mar 1, 2026, 09:00:00"), ("es", "1 mar 2026, 09:00:00")])
async def test_a_time_in_full_is_the_appliances(browser: Any, site: Site, language: str, whole: str) -> None:
    site.hear(60)
    with zones.chosen(SANTIAGO):
        tab = await opened(browser, site, f"/meters?lang={language}", timezone_id=TOKYO)
        await tab.until("document.querySelector('#connection.live')")
        assert await title(tab, "#m-scm-60 time") == f"{whole} UTC−03"
        assert tab.complaints == []


@pytest.mark.parametrize(("zone", "ends"), [(SANTIAGO, "12:00 UTC−03"), ("Asia/Kolkata", "20:30 UTC+05:30")])
async def test_a_chart_tells_the_appliances_times(browser: Any, tmp_path: Path, zone: str, ends: str) -> None:
    async with served(Site(tmp_path)) as site:
        for hour in range(27):
            site.hear(60, consumption=100 + hour)
            site.pass_time(HOUR_S)
        await site.keep()
        with zones.chosen(zone):
            tab = await opened(browser, site, METER, timezone_id=TOKYO)
            await tab.until(DRAWN)
            # No pointer is over it: it says from when to when.
            await tab.until("document.getElementById('readout').textContent.includes('–')")
            begins, last = spaced(await tab.text("#readout")).split(" – ")
            assert (begins, last) == (f"Mar 1, 2026, {ends}", f"Mar 2, 2026, {ends}")
            await tab.page.locator("#chart-used .u-over").hover()
            await tab.until("document.getElementById('readout').textContent.includes('Used')")
            said = spaced(await tab.text("#readout"))
            assert re.match(rf"\w+, Mar [12], 2026, \d\d:\d\d {re.escape(ends[6:])} · Used", said), said
            assert "GMT" not in said
            assert tab.complaints == []


async def test_a_browser_that_is_older_than_the_zone(browser: Any, site: Site) -> None:
    site.hear(60)
    await site.keep()
    with zones.chosen("America/Coyhaique"):
        tab = await opened(browser, site, "/system", timezone_id=TOKYO)
        await tab.page.add_init_script(OLDER)
        await tab.page.goto(f"{site.url}/meters")
        assert await title(tab, "#m-scm-60 time") == "Mar 1, 2026, 09:00:00 UTC−03"
        await tab.page.goto(f"{site.url}/system")
        await tab.until("document.getElementById('own-time').textContent.includes('UTC−03')")
        await tab.page.goto(f"{site.url}{METER}")
        await tab.until(DRAWN)
        assert (await tab.text("#readout")).endswith("UTC−03")
        assert tab.complaints == []


async def test_a_page_that_was_open_when_another_zone_was_set(browser: Any, tmp_path: Path) -> None:
    """The parts start anew with it; the page finds them in another zone, and is made anew in it."""
    one = Site(tmp_path)
    one.hear(60)
    async with serving(one.parts(), "127.0.0.1", 0) as port:
        one.url = f"http://127.0.0.1:{port}"
        tab = await opened(browser, one, "/meters", timezone_id=TOKYO)
        assert (await title(tab, "#m-scm-60 time")).endswith("12:00:00 UTC")
        anew = asyncio.ensure_future(tab.page.wait_for_event("load", timeout=60_000))
    with zones.chosen(SANTIAGO):
        async with serving(one.parts(), "127.0.0.1", port):
            await anew
            assert (await title(tab, "#m-scm-60 time")).endswith("09:00:00 UTC−03")


@pytest.mark.parametrize("language", ["en", "es"])
async def test_the_phones_zone_is_offered_first_and_says_what_time_it_is_there(
    browser: Any, tmp_path: Path, language: str
) -> None:
    async with set_up(tmp_path) as site:
        tab = await opened(browser, site, f"/set-up?lang={language}", timezone_id=SANTIAGO)
        zone = tab.page.locator("#zone")
        second = await zone.locator("option").nth(1).inner_text()
        assert second == {"en": "that of this phone: ", "es": "la de este teléfono: "}[language] + SANTIAGO
        assert re.search(r", \d\d:\d\d UTC\b(?!−)", spaced(await tab.text("#zone-now")))
        await tab.page.locator("#name").fill("Pozo")
        await zone.select_option(index=1)
        assert re.search(r", \d\d:\d\d UTC−0[34]\b", spaced(await tab.text("#zone-now")))
        async with tab.page.expect_response("**/set-up/place"):
            await tab.page.locator("#place form.setting button").click()
        await tab.page.get_by_role("heading", name={"en": "It is kept", "es": "Quedó guardado"}[language]).wait_for()
        assert site.draft.config.site.zone == SANTIAGO
        assert tab.complaints == []
