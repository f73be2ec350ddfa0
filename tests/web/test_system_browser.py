"""The System page in a real browser: two clocks compared, the program started anew, the log, and for everybody."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.machine import START, Machine
from tests.test_app import Start, start
from tests.web.conftest import Site
from tests.web.everybody import is_for_everybody
from tests.web.test_browser import ARGUMENTS, CHROMIUM, Tab, browser, opened, pytestmark
from tests.web.test_system import Box, box, raspberry, systemd

__all__ = ["ARGUMENTS", "CHROMIUM", "browser", "pytestmark", "start"]

PHONE = {"width": 390, "height": 844}


async def held(tab: Tab, ahead_s: float = 0) -> None:
    """The phone's clock stands at the true time, or so far ahead."""
    await tab.page.clock.set_fixed_time(START + timedelta(seconds=ahead_s))


async def fine(tab: Tab) -> None:
    """Nothing was complained of, nobody else was asked, and nothing is wider than the screen."""
    assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.complaints == []
    assert tab.strangers == []


async def test_the_phones_time_is_shown_and_used_when_asked(browser: Any, tmp_path: Path) -> None:
    async with box(tmp_path, raspberry(tmp_path / "pi").machine, lost=True) as site:
        await site.keep()
        tab = await opened(browser, site, "/", viewport=PHONE)
        await held(tab)
        await tab.page.goto(site.url + "/system#clock")
        await tab.until("document.getElementById('difference').textContent")
        assert re.fullmatch(r"The phone is \d+ days ahead of the appliance\.", await tab.text("#difference"))
        assert await tab.text("#phone-time") == "Mar 1, 2026, 12:00:00 UTC"
        assert not await tab.page.get_by_text("In the appliance's zone:").is_visible()
        assert (await tab.text("#own-time")).startswith("≈ Jan 1, 2025, ")
        # Looked at, nothing is set.
        assert site.store.clock.moment(site.store.clock.now()).source == "estimate"
        await tab.page.get_by_role("button", name="Use this phone's time").click()
        await tab.page.get_by_text("The time has been taken.").wait_for()
        moment = site.store.clock.moment(site.store.clock.now())
        assert moment.source == "browser"
        assert abs(moment.utc_ms - site.machine.utc_ms) < 20_000
        await tab.until("document.getElementById('difference').textContent")
        assert await tab.text("#difference") == "The two clocks agree, as far as the link tells."
        await fine(tab)
        await tab.page.context.close()


RED = """() => {
  const probe = document.body.appendChild(document.createElement("i"));
  const reds = ["--alarm", "--weak"].map((name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  });
  const texts = [...document.querySelectorAll("main *")].filter((element) => !element.children.length);
  return texts.filter((text) => reds.includes(getComputedStyle(text).color)).map((text) => text.textContent);
}"""


async def test_a_clock_that_nobody_has_set_is_not_red(browser: Any, tmp_path: Path) -> None:
    """Nor is what nobody has to do anything about red elsewhere on the page."""
    async with box(tmp_path, raspberry(tmp_path / "pi").machine, lost=True) as site:
        await site.keep()
        tab = await opened(browser, site, "/system")
        assert "not known" in await tab.text("#clock .warn")
        assert await tab.page.evaluate(RED) == []
        assert "No aggregator is set." in await tab.text("#network")
        await tab.page.context.close()


async def test_the_phone_keeps_its_own_zone_and_the_offset_of_its_day(browser: Any, tmp_path: Path) -> None:
    async with box(tmp_path, raspberry(tmp_path / "pi").machine, lost=True) as site:
        tab = await opened(browser, site, "/", viewport=PHONE, timezone_id="America/Santiago")
        summer, winter = "2026-11-23T19:24:53Z", "2026-06-01T19:24:53Z"
        for moment, own, there in (
            (summer, "Nov 23, 2026, 16:24:53 UTC−03", "Nov 23, 2026, 19:24:53 UTC"),
            (winter, "Jun 1, 2026, 15:24:53 UTC−04", "Jun 1, 2026, 19:24:53 UTC"),
        ):
            await tab.page.clock.set_fixed_time(moment)
            await tab.page.goto(site.url + "/system")
            assert await tab.text("#phone-time") == own
            assert await tab.text("#phone-time-there") == there
            assert await tab.page.get_by_text("In the appliance's zone:").is_visible()
        await fine(tab)
        await tab.page.context.close()


async def test_a_phone_that_is_wrong(browser: Any, site: Site) -> None:
    tab = await opened(browser, site, "/")
    await held(tab, ahead_s=-5400)
    await tab.page.goto(site.url + "/system?lang=es")
    await tab.until("document.getElementById('difference').textContent")
    assert await tab.text("#difference") == "El teléfono está 90 minutos atrasado respecto del equipo."
    await tab.page.get_by_role("button", name="Usar la hora de este teléfono").click()
    await tab.page.get_by_text("No se tomó.").wait_for()
    assert site.store.clock.utc_ms(site.store.clock.now()) == site.machine.utc_ms
    await fine(tab)


async def test_an_appliance_that_does_not_answer(browser: Any, site: Site) -> None:
    tab = await opened(browser, site, "/system")
    await tab.until("document.getElementById('difference').textContent")
    await tab.page.context.set_offline(True)
    button = tab.page.get_by_role("button", name="Use this phone's time")
    await button.click()
    await tab.page.get_by_text("The appliance does not answer.").wait_for()
    assert await button.is_enabled()
    await tab.page.context.set_offline(False)
    await button.click()
    await tab.page.locator("#clock .notice").wait_for()


async def test_without_javascript_the_time_is_typed(browser: Any, tmp_path: Path) -> None:
    async with box(tmp_path, raspberry(tmp_path / "pi").machine, lost=True) as site:
        tab = await opened(browser, site, "/system", java_script_enabled=False, viewport=PHONE)
        assert not await tab.page.get_by_role("button", name="Use this phone's time").is_visible()
        await tab.page.get_by_text("Type the time").click()
        await tab.page.get_by_label("Date and time").fill("2026-04-04T23:30")
        await tab.page.get_by_label("Zone", exact=True).select_option("America/Santiago")
        await tab.page.get_by_role("button", name="Take it").click()
        await tab.page.get_by_text("comes twice or not at all").wait_for()
        assert await tab.page.get_by_label("Date and time").input_value() == "2026-04-04T23:30"
        assert await tab.page.get_by_label("Zone", exact=True).input_value() == "America/Santiago"
        await tab.page.get_by_label("Date and time").fill("2026-03-01T09:00")
        await tab.page.get_by_role("button", name="Take it").click()
        await tab.page.get_by_text("The time has been taken.").wait_for()
        assert abs(site.store.clock.utc_ms(site.store.clock.now()) - site.machine.utc_ms) < 120_000
        await tab.page.get_by_role("link", name="Restart the program").click()
        await tab.page.get_by_role("button", name="Restart").click()
        await tab.page.get_by_role("heading", name="The program restarts").wait_for()
        await tab.page.get_by_role("main").get_by_role("link", name="To the system").click()
        await tab.page.get_by_role("heading", name="System", exact=True).wait_for()
        await tab.page.context.close()


async def test_the_program_starts_anew_and_the_page_comes_back(browser: Any, start: Start) -> None:
    appliance = await start(web="open_to_read = false\nfirst_password = 'four words do not rhyme'\n")
    port = int(appliance.url.rstrip("/").rpartition(":")[2])
    await appliance.end(15)
    appliance = await start(port=port, web="open_to_read = false\nfirst_password = 'four words do not rhyme'\n")
    await appliance.until_heard(20)
    context = await browser.new_context(locale="en-US", viewport=PHONE)
    tab = Tab(await context.new_page(), appliance.url)
    await tab.page.goto(appliance.url + "system/restart/program")
    await tab.page.get_by_label("Name").fill("technician")
    await tab.page.get_by_label("Password").fill("four words do not rhyme")
    await tab.page.get_by_role("button", name="Log in").click()
    await tab.page.get_by_role("link", name="Later").click()
    await tab.page.get_by_role("link", name="Leave it").click()
    await tab.page.get_by_role("link", name="Restart the program").click()
    await tab.page.get_by_role("button", name="Restart").click()
    await tab.page.get_by_text("This page goes on by itself").wait_for()
    await tab.page.locator("#log").wait_for()
    # The session goes on, the same process runs anew, and the log says who did it.
    await tab.page.get_by_text("technician restarted the program.").wait_for()
    assert appliance.process.returncode is None
    assert float(str((await appliance.health())["uptime_s"])) < 15
    await appliance.until_heard(20)
    await fine_but_away(tab)
    await context.close()
    assert await appliance.end(15) == 0


async def fine_but_away(tab: Tab) -> None:
    """While it was away the browser said so, and nothing else."""
    assert [words for words in tab.complaints if "ERR_CONNECTION" not in words and "ERR_EMPTY" not in words] == []
    assert tab.strangers == []


async def test_a_machine_that_started_anew_leads_to_the_log_in(browser: Any, tmp_path: Path) -> None:
    async with box(tmp_path, systemd(raspberry(tmp_path / "pi"), "true"), is_open=False) as site:
        tab = await opened(browser, site, "/system/restart/machine")
        await tab.page.get_by_role("button", name="Restart").click()
        await tab.page.get_by_text("This page goes on by itself").wait_for()
        site.store.people.end_all()
        await tab.page.get_by_label("Password").wait_for()
        await tab.page.context.close()


async def test_it_takes_longer_than_it_should(browser: Any, site: Site) -> None:
    tab = await opened(browser, site, "/system/restart/program")
    await tab.page.clock.install()
    await tab.page.get_by_role("button", name="Restart").click()
    await tab.page.get_by_text("This page goes on by itself").wait_for()
    await tab.page.clock.run_for(62_000)
    async with asyncio.timeout(20):
        while "longer than it should" not in await tab.text("#waiting"):
            await tab.page.clock.run_for(1_000)


async def test_the_log_is_filtered_turned_over_and_carried_off(browser: Any, site: Site) -> None:
    site.hear(60243827)
    await site.keep()
    for n in range(60):
        site.pass_time(60)
        site.store.record(
            "logged_in" if n % 2 else "changed", {"who": f"p{n}", "what": "note_added", "from": "192.0.2.1"}
        )
    await site.store.commit()
    tab = await opened(browser, site, "/system", viewport=PHONE)
    await tab.page.get_by_role("link", name="To the whole log").click()
    await tab.page.get_by_role("heading", name="What happened", exact=True).wait_for()
    assert await tab.page.locator(".events li").count() == 50
    await tab.page.get_by_role("link", name="Older").click()
    await tab.page.get_by_role("link", name="Newest").wait_for()
    await tab.page.get_by_role("link", name="Log-ins").click()
    await tab.until("document.querySelectorAll('.events li').length === 30")
    async with tab.page.expect_download() as coming:
        await tab.page.get_by_role("link", name="CSV").click()
    text = Path(await (await coming.value).path()).read_text(encoding="utf-8-sig")
    assert len(text.splitlines()) == 31
    await fine(tab)


@pytest.mark.parametrize(
    ("path", "lang"),
    [
        *(("/system", "en"), ("/system", "es"), ("/system/log", "en"), ("/system/log", "es")),
        ("/system/restart/program", "es"),
    ],
)
async def test_everybody_can_read_it(browser: Any, tmp_path: Path, path: str, lang: str) -> None:
    """axe-core finds nothing in either theme, and nothing is wider than the screen."""
    pi = raspberry(tmp_path / "pi")
    pi.write("sys/devices/platform/soc/soc:firmware/get_throttled", "10001")
    async with box(tmp_path, systemd(pi, "true"), lost=True) as site:
        await _lived(site)
        tab = await opened(browser, site, f"{path}?lang={lang}")
        if path == "/system":
            await tab.page.locator("details summary").click()
        await is_for_everybody(tab)
        await fine(tab)
        await tab.page.context.close()


async def _lived(site: Box) -> None:
    """Something has happened there."""
    assert isinstance(site.machine, Machine)
    site.hear(60243827)
    await site.keep()
    site.store.record("radio_failed", {"receiver": "a-name-that-is-as-long-as-it-may-be", "why": "no dongle " * 20})
    site.store.record("changed", {"who": "maría josé", "what": "note_added"})
    await site.store.commit()
