"""Finding a meter in a real browser: a level that moves, sounds and trembles; a dial; a load; a server that goes."""

from pathlib import Path
from typing import Any

import pytest

from appliance.assignment import Assignment
from appliance.store.assigned import Assigned
from appliance.web.site import serving
from tests.web.conftest import Site
from tests.web.everybody import is_for_everybody
from tests.web.test_browser import Tab, browser, opened, pytestmark
from tests.web.test_find import ID, hear_nth, loaded, street

__all__ = ["browser", "pytestmark", "street"]


LIVE = "document.querySelector('#connection.live')"
LEVEL = "document.querySelector('.decibels b')?.textContent"
COUNT = "document.getElementById('count').textContent"
TREND = "document.getElementById('trend').textContent"
PHONE = {"width": 390, "height": 844}
# What a test looks at instead of listening, feeling, and waiting for the screen to go dark.
SPIES = """
window.pitches = [];
window.trembles = [];
window.locks = [];
const ramp = AudioParam.prototype.exponentialRampToValueAtTime;
const start = OscillatorNode.prototype.start;
AudioParam.prototype.exponentialRampToValueAtTime = function (value, at) {
  this.aimed = value;
  return ramp.call(this, value, at);
};
OscillatorNode.prototype.start = function (at) {
  window.pitches.push(Math.round(this.frequency.aimed));
  return start.call(this, at);
};
Navigator.prototype.vibrate = (pattern) => window.trembles.push(pattern);
Object.defineProperty(Navigator.prototype, "wakeLock", { configurable: true, value: {
  request: async (kind) => {
    const lock = { kind, released: false, release() { this.released = true; } };
    window.locks.push(lock);
    return lock;
  },
} });
"""


async def level_of(browser: Any, site: Site, path: str, before: str = SPIES, **context: Any) -> Tab:
    tab = await opened(browser, site, "/find", viewport=PHONE, **context)
    await tab.page.add_init_script(before)
    await tab.page.goto(site.url + path)
    await tab.until(LIVE)
    return tab


async def hears(tab: Tab, site: Site, snr_db: float, meter_id: int = ID) -> None:
    site.pass_time(30)
    site.hear(meter_id, snr_db=snr_db)
    await tab.until(f"{LEVEL} === '{snr_db:.1f}'")


async def fine(tab: Tab) -> None:
    assert tab.complaints == []
    assert tab.strangers == []


async def test_by_number_the_level_follows(browser: Any, site: Site) -> None:
    site.hear(ID, snr_db=15.0)
    tab = await opened(browser, site, "/meters", viewport=PHONE)
    await tab.page.get_by_role("link", name="Which one is mine?").click()
    await tab.page.get_by_label("Meter ID").fill("060 243 827")
    await tab.page.get_by_role("button", name="Find it").click()
    await tab.until(f"{LIVE} && location.pathname === '/find/{ID}'")
    assert await tab.page.evaluate(COUNT) == "0"
    assert "Before this visit" in await tab.text("#level")
    await hears(tab, site, 20.0)
    assert "Before this visit" not in await tab.text("#level")
    assert "Wait for the next message." in await tab.page.evaluate(TREND)
    await hears(tab, site, 27.0)
    assert await tab.page.evaluate(TREND) == "Stronger +7.0 dB"
    await hears(tab, site, 9.5)
    assert await tab.page.evaluate(TREND) == "Weaker −14.0 dB"
    assert await tab.page.locator(".grade.weak").count() == 1
    await hears(tab, site, 19.5)
    assert await tab.page.evaluate(TREND) == "As before +0.7 dB"
    assert [await tab.text(f"#{name}") for name in ("count", "best", "mean")] == ["4", "27.0 dB", "19.0 dB"]
    assert await tab.page.locator("#strip .point").count() == 4
    assert await tab.page.locator(".gauge .fill").get_attribute("width") == "32%"
    assert await tab.page.locator(".gauge .best").get_attribute("x1") == "45%"
    await tab.until("document.getElementById('said').textContent.includes('dB')")
    await tab.page.reload()
    await tab.until(f"{LIVE} && {COUNT} === '4'")
    await tab.page.get_by_role("button", name="Begin the visit anew").click()
    assert [await tab.text(f"#{name}") for name in ("count", "best", "mean")] == ["0", "–", "–"]
    await fine(tab)


async def test_a_level_grows_old(browser: Any, site: Site) -> None:
    site.hear(ID, snr_db=15.0)
    tab = await level_of(browser, site, f"/find/scm/{ID}")
    await hears(tab, site, 20.0)
    assert await tab.page.locator(".grade").is_visible()
    site.pass_time(185)
    await tab.page.locator(".stood", has_text="3 min ago:").wait_for()
    assert not await tab.page.locator(".grade").is_visible()
    await hears(tab, site, 21.0)
    assert await tab.page.locator(".grade").is_visible()
    await fine(tab)


async def test_it_sounds_trembles_and_keeps_the_screen_on(browser: Any, site: Site) -> None:
    site.hear(ID, snr_db=15.0)
    tab = await level_of(browser, site, f"/find/scm/{ID}")
    await hears(tab, site, 16.0)
    assert await tab.page.evaluate("[...pitches, ...trembles, ...locks].length") == 0
    for name in ("Sound", "Vibration", "Screen stays on"):
        await tab.page.get_by_role("button", name=name).click()
        assert await tab.page.get_by_role("button", name=name).get_attribute("aria-pressed") == "true"
    # Each is shown at once what it is like.
    await tab.until("pitches.length === 1 && trembles.length === 1 && locks.length === 1")
    await hears(tab, site, 25.0)
    await hears(tab, site, 40.0)
    await tab.until("pitches.length === 3 && trembles.length === 3")
    low, middle, high = await tab.page.evaluate("pitches")
    assert low < middle < high
    assert await tab.page.evaluate("trembles.map((one) => one.length)") == [1, 5, 5]
    await tab.page.reload()
    await tab.until(LIVE)
    # A page that was opened anew may not sound before it was touched, and says so.
    assert await tab.page.locator("#touch").is_visible()
    await tab.page.get_by_role("heading", level=1).click()
    await tab.until("document.getElementById('touch').hidden && locks.length === 1")
    # Who touches the button for that does not mean to switch it off.
    await tab.page.reload()
    await tab.until(LIVE)
    await tab.page.get_by_role("button", name="Sound").click()
    assert await tab.page.get_by_role("button", name="Sound").get_attribute("aria-pressed") == "true"
    await tab.until("pitches.length === 1")
    await tab.page.evaluate("pitches.length = 0")
    await hears(tab, site, 30.0)
    await tab.until("pitches.length === 1 && trembles.length === 1")
    for name in ("Vibration", "Screen stays on", "Sound"):
        await tab.page.get_by_role("button", name=name).click()
    await tab.until("document.querySelectorAll('[aria-pressed=true]').length === 0")
    await hears(tab, site, 33.0)
    assert await tab.page.evaluate("[pitches.length, trembles.length, locks[0].released]") == [1, 1, True]
    await fine(tab)


async def test_a_phone_that_can_do_none_of_it(browser: Any, site: Site) -> None:
    """Without vibration, sound, a lock of the screen, or leave to remember anything."""
    without = """
    delete Navigator.prototype.vibrate; delete Navigator.prototype.wakeLock; delete window.AudioContext;
    for (const name of ["localStorage", "sessionStorage"]) {
      Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
    }
    Object.defineProperty(window, "isSecureContext", { value: false });
    """
    site.hear(ID)
    tab = await level_of(browser, site, f"/find/{ID}", without)
    assert await tab.page.locator("[data-toggle]:visible").count() == 0
    assert await tab.page.locator("#insecure").is_visible()
    await hears(tab, site, 12.5)
    assert await tab.page.evaluate(COUNT) == "1"
    await fine(tab)


async def test_one_that_is_waited_for(browser: Any, site: Site) -> None:
    tab = await level_of(browser, site, "/find/77")
    assert "Not heard yet." in await tab.text("#level")
    await tab.page.get_by_role("button", name="Sound").click()
    await tab.until("pitches.length === 1")
    site.hear(77, snr_db=11.5)
    await tab.until(f"{LEVEL} === '11.5' && pitches.length === 2 && {COUNT} === '1'")
    await fine(tab)


async def test_it_survives_the_server(browser: Any, tmp_path: Path) -> None:
    first, second = Site(tmp_path / "first"), Site(tmp_path / "second")
    first.hear(ID, snr_db=15.0)
    second.hear(ID, snr_db=30.0)
    async with serving(first.parts(), "127.0.0.1", 0) as port:
        first.url = second.url = f"http://127.0.0.1:{port}"
        tab = await opened(browser, first, f"/find/{ID}")
        await tab.until(LIVE)
        await hears(tab, first, 17.0)
    await tab.until("document.querySelector('#connection.stale')")
    async with serving(second.parts(), "127.0.0.1", port):
        await tab.until(f"{LIVE} && {LEVEL} === '30.0'")
        # What another run of the program knows is nothing that was heard in this visit.
        assert await tab.page.evaluate(COUNT) == "1"
        await hears(tab, second, 33.0)
        assert await tab.page.evaluate(COUNT) == "2"
        await tab.page.context.close()


async def test_without_javascript(browser: Any, street: Site) -> None:
    tab = await opened(browser, street, f"/find/{ID}", java_script_enabled=False)
    assert "10.0" in await tab.text(".decibels")
    assert not await tab.page.locator("#visit").is_visible()
    street.pass_time(30)
    street.hear(ID, snr_db=31.0)
    await tab.page.get_by_role("link", name="Look again").click()
    assert "31.0" in await tab.text(".decibels")
    await tab.page.goto(street.url + "/find/load")
    await tab.page.get_by_role("button", name="I have switched it on").click()
    assert "Too early to tell" in await tab.text("main")
    await tab.page.get_by_role("button", name="I have switched it off").click()
    assert "The last updates come within" in await tab.text("main")


async def test_by_dial_and_on_to_the_level(browser: Any, street: Site) -> None:
    register = 1_234_500 + 2 * 77_777 + 95 * 2
    tab = await opened(browser, street, "/find", viewport=PHONE)
    await tab.page.get_by_label("What the dial shows").fill("many")
    await tab.page.get_by_role("button", name="Which fits?").click()
    assert "That is no reading of a dial." in await tab.text("[role=alert]")
    await tab.page.get_by_label("What the dial shows").fill(f"0{register // 100},{register % 100} kWh")
    await tab.page.get_by_role("button", name="Which fits?").click()
    await tab.page.get_by_role("heading", name="This one fits").wait_for()
    await tab.page.get_by_role("button", name="Compare with the dial").click()
    await tab.page.wait_for_url("**#dial")
    await tab.page.get_by_role("link", name="Find it").click()
    await tab.until(f"{LIVE} && location.pathname === '/find/scm/{ID + 262}'")
    assert "kWh" in await tab.text("#level")
    assert [words for words in tab.complaints if "422" not in words] == []


async def test_by_a_load_step_by_step(browser: Any, street: Site) -> None:
    tab = await opened(browser, street, "/find", viewport=PHONE)
    await tab.page.get_by_label("Power of the load, about").fill("2 kW")
    await tab.page.get_by_role("button", name="Begin").click()
    await tab.page.get_by_role("button", name="I have switched it on").click()
    await tab.until(LIVE)
    assert "Too early to tell" in await tab.text("main")
    street.pass_time(900)
    loaded(street)
    # The server asks again every ten seconds; who comes back to the page asks at once.
    await tab.page.reload()
    await tab.page.get_by_role("heading", name="This one stands out").wait_for()
    await tab.until(LIVE)
    assert "70000001" in await tab.text(".candidates")
    await tab.page.get_by_role("button", name="I have switched it off").click()
    await tab.page.get_by_role("heading", name="It was on").wait_for()
    assert "This one stands out" in await tab.text("main")
    await tab.page.get_by_role("link", name="How loud is it?").click()
    await tab.until(f"{LIVE} && location.pathname === '/find/scm/70000001'")
    await fine(tab)


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_everybody_can_read_it(browser: Any, street: Site, lang: str) -> None:
    """axe-core finds nothing in either theme, nothing is hard to see, and nothing is wider than the screen."""
    meters = (Assignment.of(ID + 131, "", "Casa", "Población Santa Julia, pasaje Los Aromos 1234, poste 56", "0.01"),)
    street.store.assigned = Assigned(1, 1, (*meters, Assignment.of(99_000_000, "", "Pozo", "Camino viejo", "1")))
    on = street.store.clock.now()
    street.pass_time(900)
    loaded(street)
    hear_nth(street, 3, 120)
    dial = (1_234_500 + 77_777 + 98) / 100
    paths = ("/find", "/find?id=x", f"/find/{ID + 131}", "/find/77", f"/find/dial?shown={dial}", "/find/dial?shown=7")
    tab = await opened(browser, street, f"/find?lang={lang}")
    for path in (*paths, "/find/load?power=9", f"/find/load?power=2000&on={on}"):
        await tab.page.goto(street.url + path)
        await is_for_everybody(tab)
    assert [words for words in tab.complaints if "422" not in words] == []
