"""The live page in a real browser: rows that change under the reader's eyes, a server that comes and goes."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.supervisor import Health
from appliance.web.site import serving
from tests.web.conftest import Site
from tests.web.everybody import CONTRAST

playwright = pytest.importorskip("playwright.async_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


class Tab:
    """An open page, and everything it complained about or asked a stranger for."""

    def __init__(self, page: Any, host: str) -> None:
        self.page = page
        self.host = host
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._requested)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith(self.host):
            self.strangers.append(request.url)

    async def text(self, selector: str) -> str:
        return " ".join((await self.page.locator(selector).inner_text()).split())

    async def until(self, expression: str) -> None:
        """Wait in steps from outside: the page's policy forbids `eval`, which the driver's own waiting uses."""
        async with asyncio.timeout(60):
            while not await self.page.evaluate(f"Boolean({expression})"):
                await asyncio.sleep(0.05)


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    async with playwright.async_playwright() as driver:
        running = await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        await running.close()


async def opened(browser: Any, site: Site, path: str = "/meters", **context: Any) -> Tab:
    made = await browser.new_context(locale="en-US", **context)
    await made.add_cookies([{"name": k, "value": v, "url": site.url} for k, v in site.logs_in().items()])
    tab = Tab(await made.new_page(), site.url)
    await tab.page.goto(site.url + path)
    return tab


ROW = "document.getElementById('m-scm-60243827')"


async def test_a_row_changes_in_place(browser: Any, site: Site) -> None:
    site.hear(60243827)
    tab = await opened(browser, site)
    await tab.until("document.querySelector('#connection.live')")
    await tab.page.evaluate(f"window.kept = {ROW}.querySelector('th')")
    site.pass_time(30)
    site.hear(60243827, consumption=31161)
    site.hear(50000000)
    await tab.until(f"{ROW}.textContent.includes('31,161') && document.getElementById('count').textContent === '2'")
    assert await tab.page.evaluate(f"window.kept === {ROW}.querySelector('th')"), "an unchanged cell was replaced"
    order = await tab.page.evaluate("[...document.querySelectorAll('#meters tr')].map(row => row.dataset.id)")
    assert order == ["50000000", "60243827"]
    assert tab.complaints == []
    assert tab.strangers == []


async def test_the_first_meter_ends_the_empty_state(browser: Any, site: Site) -> None:
    tab = await opened(browser, site)
    assert await tab.page.locator("#none").is_visible()
    site.hear(60243827)
    await tab.page.locator("#m-scm-60243827").wait_for()
    assert not await tab.page.locator("#none").is_visible()
    assert tab.complaints == []


async def test_the_overview_changes(browser: Any, site: Site) -> None:
    tab = await opened(browser, site, "/")
    for reason in ("No dongle found", "The dongle stopped"):
        site.receiver(state="retrying", reason=reason)
        await tab.page.locator(".deed .told", has_text=reason).wait_for()
    site.receiver(simulated=True)
    await tab.page.locator(".banner").wait_for()
    assert await tab.page.locator(".deed").count() == 0
    assert tab.complaints == []


async def test_ages_grow_and_are_told_in_full(browser: Any, site: Site) -> None:
    site.hear(60243827)
    tab = await opened(browser, site)
    await tab.until("document.querySelector('#connection.live')")
    # The server's clock is years from the browser's; only the difference that passes counts.
    await tab.until(f"parseInt({ROW}.querySelector('time').textContent) >= 2")
    time = tab.page.locator("#m-scm-60243827 time").first
    await time.hover()
    assert "2026" in await time.get_attribute("title")


async def test_a_clock_that_is_set_while_the_page_is_open(browser: Any, lost: Site) -> None:
    """Times move by ten years under the reader's eyes, how long ago they were does not."""
    lost.pass_time(480)
    lost.hear(60243827)
    lost.pass_time(120)
    heard = "document.querySelector('.card time')"
    tab = await opened(browser, lost, "/")
    await tab.until("document.querySelector('#connection.live')")
    await tab.until(f"!{heard}.dateTime.startsWith('2026') && 'doubt' in {heard}.dataset")
    assert await tab.page.locator(".note:not(.unfinished)").count() == 1
    lost.machine.set_clock()
    lost.store.clock.poll()
    await tab.until(f"{heard}.dateTime.startsWith('2026') && !('doubt' in {heard}.dataset)")
    assert await tab.page.evaluate(f"{heard}.textContent") == "2 min"
    assert not await tab.page.locator(".note:not(.unfinished)").is_visible()
    assert tab.complaints == []


async def test_a_server_that_starts_again(browser: Any, site: Site, tmp_path: Path) -> None:
    """The page says that it is not live, comes back by itself, and shows the new server's meters only."""
    first, second = Site(tmp_path / "first"), Site(tmp_path / "second")
    first.hear(60243827)
    async with serving(first.parts(), "127.0.0.1", 0) as port:
        first.url = f"http://127.0.0.1:{port}"
        tab = await opened(browser, first)
        await tab.until("document.querySelector('#connection.live')")
    await tab.until("document.querySelector('#connection.stale')")
    assert await tab.text("#connection") == "Not live. Data from 10 s ago."
    box = await tab.page.locator("#connection").bounding_box()
    height = tab.page.viewport_size["height"]
    assert height - 120 < box["y"] < height, "it is seen wherever one has scrolled to"
    second.hear(11111111)
    async with serving(second.parts(), "127.0.0.1", port):
        await tab.until("document.querySelector('#connection.live') && document.getElementById('m-scm-11111111')")
        assert await tab.page.evaluate(f"{ROW} === null")
        assert [text for text in tab.complaints if "ERR_" not in text] == []
        await tab.page.context.close()


@pytest.mark.parametrize("path", ["/system", "/set-up", "/system/keeping"])
async def test_pages_without_a_stream_say_when_nobody_answers(browser: Any, tmp_path: Path, path: str) -> None:
    first, second = Site(tmp_path / "first"), Site(tmp_path / "second")
    async with serving(first.parts(), "127.0.0.1", 0) as port:
        first.url = f"http://127.0.0.1:{port}"
        tab = await opened(browser, first, f"{path}?lang=es", viewport={"width": 390, "height": 844})
    await tab.until("document.querySelector('#connection.stale')")
    assert (await tab.text("#connection")).startswith("El equipo no responde. Datos de hace")
    async with serving(second.parts(), "127.0.0.1", port):
        await tab.until("!document.querySelector('#connection.stale')")
        assert [text for text in tab.complaints if "ERR_" not in text] == []
        await tab.page.context.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
async def test_the_name_of_the_site_is_seen(browser: Any, site: Site, width: int) -> None:
    """On every page, beside what says that it is live, which does not lie on it, on one row."""
    long = "Población Santa Julia, pasaje Los Aromos 1234, poste 56 frente a la plaza nueva"
    async with serving(replace(site.parts(), site_name=long), "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        for path in ("/", "/meters", "/system"):
            tab = await opened(browser, site, path, viewport={"width": width, "height": 844})
            if path != "/system":
                # What is said of that before takes another width.
                await tab.until("document.querySelector('#connection.live')")
            name = await tab.page.locator(".brand span").bounding_box()
            assert name["y"] >= 0
            assert name["width"] > 100
            assert name["height"] < 50
            if path != "/system":
                live = await tab.page.locator("#connection").bounding_box()
                assert live["x"] > name["x"] + name["width"]
                assert live["y"] < 56
            assert await tab.page.evaluate("document.documentElement.scrollWidth") <= width
            await tab.page.context.close()


async def test_fingers(browser: Any, site: Site) -> None:
    """On a phone nothing that stands alone is lower than 44 px, and all of a meter's card leads to it."""
    site.hear(60243827)
    tab = await opened(browser, site, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    for path in ("/", "/meters", "/system", "/set-up"):
        await tab.page.goto(site.url + path)
        assert await tab.page.evaluate(LOW) == [], path
    await tab.page.goto(site.url + "/meters")
    assert await tab.page.evaluate(ABOVE) == "/meters/scm/60243827"


ABOVE = """(() => {
  const { x, y } = document.querySelector("#m-scm-60243827 .level").getBoundingClientRect();
  return document.elementFromPoint(x + 5, y + 5).getAttribute("href");
})()"""
LOW = """() => [...document.querySelectorAll("button, select, summary, input:not([type=hidden]), .more a, footer a")]
  .filter((one) => one.checkVisibility() && !one.closest(".chip, .check, .network"))
  .filter((one) => one.getBoundingClientRect().height < 44)
  .map((one) => one.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize(("width", "paths"), [(390, ("/", "/meters")), (1280, ("/", "/system"))])
async def test_text_may_be_twice_as_large(browser: Any, site: Site, lang: str, width: int, paths: list[str]) -> None:
    site.hear(60243827)
    tab = await opened(browser, site, "/", viewport={"width": width, "height": 844})
    for path in paths:
        await tab.page.goto(f"{site.url}{path}?lang={lang}")
        await tab.page.evaluate("document.documentElement.style.fontSize = '32px'")
        assert await tab.page.evaluate("document.documentElement.scrollWidth") <= width, path


async def test_without_javascript_it_can_be_read(browser: Any, site: Site) -> None:
    site.hear(60243827)
    tab = await opened(browser, site, "/?lang=es", java_script_enabled=False)
    assert "Recargue" in await tab.text("#connection")
    assert await tab.text("h1") == "Funciona, con algo por revisar"
    await tab.page.get_by_role("link", name="Medidores", exact=True).click()
    assert "60243827" in await tab.text("#meters")


async def test_keyboard_and_names(browser: Any, site: Site) -> None:
    site.hear(60243827)
    tab = await opened(browser, site)
    await tab.page.keyboard.press("Tab")
    assert await tab.page.evaluate("document.activeElement.textContent") == "To the content"
    table = tab.page.get_by_role("table", name="Meters heard")
    assert await table.get_by_role("columnheader").count() == 9
    assert await table.get_by_role("rowheader", name="60243827").count() == 1
    assert await tab.page.get_by_role("status").count() == 1


async def trouble(site: Site) -> None:
    """Everything that the page can have to say of the history."""
    site.health["history"] = Health("degraded", "the card reports errors")
    (site.directory / "damaged").mkdir()
    (site.directory / "damaged" / "1-000001.db").write_bytes(b"")
    await site.keep()


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1280])
@pytest.mark.parametrize("lang", ["en", "es"])
async def test_nothing_is_wider_than_the_screen(browser: Any, lost: Site, width: int, lang: str) -> None:
    await trouble(lost)
    lost.receiver(simulated=True, state="retrying", reason="x" * 300, restarts=1000, messages=123_456_789)
    lost.hear(2**32 - 1, consumption=2**32 - 1, commodity="unknown")
    lost.pass_time(90_000)
    lost.hear(2**32 - 1, consumption=0, tamper_phy=1)
    tab = await opened(browser, lost, f"/?lang={lang}", viewport={"width": width, "height": 844})
    await tab.until("document.querySelector('#connection.live')")
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_values_on_a_card_stand_apart(browser: Any, site: Site, lang: str) -> None:
    site.heard_before(50000000)
    site.hear(60243827)
    site.pass_time(3000)
    site.hear(60243827, consumption=31161)
    tab = await opened(browser, site, f"/?lang={lang}", viewport={"width": 360, "height": 740})
    await tab.until("document.querySelector('#connection.live')")
    assert await tab.page.evaluate(CROWDED) == []


# Texts of neighbouring cells of a card that come closer than 3 pixels.
CROWDED = """() => {
  const cells = [...document.querySelectorAll("#meters td[data-label]:not(.level)")];
  const box = (cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return range.getBoundingClientRect();
  };
  return cells.slice(1).map((cell, i) => [cells[i], cell]).filter(([a, b]) => a.parentNode === b.parentNode)
    .map(([a, b]) => [a.dataset.label, box(b).left - box(a).right]).filter(([, gap]) => gap < 3);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_has_contrast(browser: Any, lost: Site, scheme: str) -> None:
    """WCAG 2.1 AA, 4.5 to 1, for the text of each colour there is on the page."""
    await trouble(lost)
    lost.receiver(simulated=True, state="retrying", reason="no dongle", restarts=2, garbage={"not JSON": 1})
    lost.hear(60243827)
    lost.pass_time(30)
    lost.hear(60243827, tamper_phy=1)
    lost.hear(1)
    tab = await opened(browser, lost, color_scheme=scheme)
    await tab.until("document.querySelector('#connection.live')")
    assert await tab.page.evaluate(CONTRAST) == []
