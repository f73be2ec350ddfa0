"""A page whose session ends, that nobody sees, or from which something is sent too late, in a real browser."""

from pathlib import Path
from typing import Any

import pytest

from appliance.web import streams
from tests.web.conftest import PASSWORD, Site, served
from tests.web.everybody import CONTRAST
from tests.web.test_browser import Tab, browser, opened, pytestmark

__all__ = ["browser", "pytestmark"]

ID = 60
LEVEL = "document.querySelector('.decibels b')?.textContent"
LIVE = "document.querySelector('#connection.live')"
STALE = "document.querySelector('#connection.stale')"
ENDED = "document.querySelector('#connection.stale a')"
# A tab behind another: the driver's own are all in front.
TURNS = """
Object.defineProperty(document, "visibilityState", { get: () => window.state || "visible" });
Object.defineProperty(document, "hidden", { get: () => document.visibilityState !== "visible" });
window.turn = (state) => {
  window.state = state;
  document.dispatchEvent(new Event("visibilitychange"));
};
window.streams = 0;
const { close } = EventSource.prototype;
EventSource = class extends EventSource {
  constructor(address) {
    super(address);
    window.streams += 1;
  }
  close() {
    if (this.readyState !== EventSource.CLOSED) window.streams -= 1;
    close.call(this);
  }
};
"""


async def turned(tab: Tab, state: str) -> None:
    await tab.page.evaluate(f"turn('{state}')")


async def log_in(tab: Tab) -> None:
    await tab.page.locator("#name").fill("ana")
    await tab.page.locator("#password").fill(PASSWORD)
    await tab.page.locator("#password").press("Enter")


@pytest.mark.parametrize(
    ("path", "words"),
    [("/meters?q=60&lang=es", "Su sesión terminó. Entrar"), ("/system?lang=en", "Your session has ended. Log in")],
)
async def test_who_is_logged_out_is_told_and_led_back(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, words: str
) -> None:
    monkeypatch.setattr(streams, "SESSION_EVERY_S", 0.0)
    async with served(Site(tmp_path, is_open=False)) as site:
        site.hear(60)
        await site.keep()
        tab = await opened(browser, site, path)
        await tab.until(f"{LIVE} || !document.querySelector('#connection').textContent")
        other = Tab(await tab.page.context.new_page(), site.url)
        await other.page.goto(site.url)
        await other.page.locator("form.person button").click()
        await other.page.locator("#password").wait_for()
        await tab.until(ENDED)
        assert await tab.text("#connection") == words
        assert await tab.page.evaluate(CONTRAST) == []
        # Whoever logs in elsewhere finds it live again.
        await log_in(other)
        await other.page.locator("form.person button").wait_for()
        await tab.until(f"!{STALE}")
        await other.page.locator("form.person button").click()
        await tab.until(ENDED)
        await tab.page.locator("#connection a").click()
        await log_in(tab)
        await tab.page.locator("form.person").wait_for()
        assert tab.page.url.startswith(site.url + path)
        assert [text for text in tab.complaints if "MIME type" not in text] == []


async def test_what_was_typed_is_found_again_after_the_log_in(browser: Any, tmp_path: Path) -> None:
    async with served(Site(tmp_path, is_open=False)) as site:
        site.hear(60)
        await site.keep()
        tab = await opened(browser, site, "/meters/scm/60")
        note = "Behind the gate, the key is at number 14."
        await tab.page.evaluate("document.querySelector('textarea').closest('details')?.setAttribute('open', '')")
        await tab.page.locator("textarea").fill(note)
        await tab.page.context.clear_cookies()
        await tab.page.locator("form[action$=notes] button").first.click()
        await log_in(tab)
        await tab.page.locator("form.person").wait_for()
        assert tab.page.url.partition("#")[0] == site.url + "/meters/scm/60"
        while await tab.page.locator("textarea").count() == 0 or not await tab.page.locator("textarea").input_value():
            await tab.page.go_back()
        assert await tab.page.locator("textarea").input_value() == note
        assert await tab.page.locator("textarea").is_visible()


async def test_tabs_behind_others_keep_nobody_out(browser: Any, site: Site) -> None:
    """A browser has six connections to a server."""
    site.hear(ID)
    await site.keep()
    first = await opened(browser, site, "/system")
    tabs = []
    for path in ("/", "/meters", "/meters/scm/60", "/find", "/delivery", "/find/60"):
        tab = Tab(await first.page.context.new_page(), site.url)
        await tab.page.add_init_script(TURNS)
        await tab.page.goto(site.url + path)
        await tab.until(LIVE)
        await turned(tab, "hidden")
        tabs.append(tab)
    seventh = Tab(await first.page.context.new_page(), site.url)
    await seventh.page.goto(site.url + "/meters")
    await seventh.until(LIVE)
    site.hear(61)
    await turned(tabs[1], "visible")
    await tabs[1].page.locator("#m-scm-61").wait_for()
    await tabs[1].until(LIVE)
    for tab in (*tabs, seventh):
        assert tab.complaints == []


async def test_a_level_that_is_listened_to_goes_on_behind_another_tab(browser: Any, site: Site) -> None:
    site.hear(ID, snr_db=20.0)
    tab = await opened(browser, site, "/")
    await tab.page.add_init_script(TURNS)
    await tab.page.goto(f"{site.url}/find/{ID}")
    await tab.until(f"{LIVE} && streams === 1")
    await turned(tab, "hidden")
    await tab.until("streams === 0")
    await turned(tab, "visible")
    await tab.until("streams === 1")
    await tab.page.locator("[data-toggle=sound]").click()
    # What keeps it is asked so long after it is hidden.
    await tab.page.evaluate(
        "(() => { turn('hidden'); window.later = false; setTimeout(() => (later = true), 6000); })()"
    )
    await tab.until("later")
    site.pass_time(30)
    site.hear(ID, snr_db=31.0)
    await tab.until(f"{LEVEL} === '31.0'")
    assert await tab.page.evaluate("streams") == 1
    assert tab.complaints == []
