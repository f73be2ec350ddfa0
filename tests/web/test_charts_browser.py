"""The charts of a meter in a real browser: dragging, fingers, steps from quarter hours to months, and what is drawn."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Site, served
from tests.web.test_browser import Tab, browser, opened, pytestmark

__all__ = ["browser", "pytestmark"]

HOUR_S, DAYS = 3600.0, 400
DAY_MS = 86_400_000
METER = "/meters/scm/60243827"
DRAWN = "document.querySelectorAll('.chart canvas').length === 3 && document.getElementById('charts').dataset.drawn"


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Site]:
    """A site that has heard a meter for more than a year, twice a day, with ten days of silence and an exchange."""
    async with served(Site(tmp_path)) as site:
        for half in range(2 * DAYS):
            if not 2 * 300 <= half < 2 * 310:
                site.hear(60243827, consumption=31160 + 5 * half)
            site.pass_time(12 * HOUR_S)
        for quarter in range(8):
            site.hear(60243827, consumption=quarter or 31160 + 10 * DAYS)
            site.pass_time(HOUR_S / 4)
        await site.keep()
        yield site


async def fine(tab: Tab) -> None:
    """Nothing was complained about, and nobody else was asked for anything."""
    assert tab.complaints == []
    assert tab.strangers == []


def span(hash_text: str) -> int:
    told = dict(part.split("=") for part in hash_text.lstrip("#").split("&"))
    return int(told["to"]) - int(told["from"])


# Where the accent is drawn on a chart, as shares of its plot: its left and right edge, how many columns, its top.
PAINTED = """(name) => {
  const canvas = document.querySelector(`#${name} canvas`), over = document.querySelector(`#${name} .u-over`);
  const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
  const wanted = accent.match(/[0-9a-f]{2}/g).map((pair) => parseInt(pair, 16));
  const [x, y] = [over.offsetLeft, over.offsetTop].map((px) => Math.round(px * devicePixelRatio));
  const [width, height] = [over.clientWidth, over.clientHeight].map((px) => Math.round(px * devicePixelRatio));
  const data = canvas.getContext("2d").getImageData(x, y, width, height).data;
  const columns = new Set();
  let top = height;
  for (let i = 0; i < data.length; i += 4) {
    if (!wanted.every((v, n) => Math.abs(data[i + n] - v) < 3)) continue;
    columns.add((i / 4) % width);
    top = Math.min(top, Math.floor(i / 4 / width));
  }
  const found = [...columns];
  return {
    left: Math.min(...found) / width, right: Math.max(...found) / width, share: found.length / width,
    top: top / height,
  };
}"""


async def test_a_month_is_as_wide_as_it_is_long_and_the_register_stays_in_sight(browser: Any, kept: Site) -> None:
    tab = await opened(browser, kept, METER)
    await tab.until(DRAWN)
    await tab.page.get_by_role("button", name="month", exact=True).click()
    await tab.until("location.hash.includes('step=month')")
    # The day that was shown is no month: what is chosen is seen.
    assert span(await tab.page.evaluate("location.hash")) >= 365 * DAY_MS
    register = await tab.page.evaluate(PAINTED, "chart-register")
    assert register["right"] > 0.99
    assert register["top"] > 0.02
    for _ in range(2):
        before = await tab.page.evaluate("location.hash")
        await tab.page.get_by_role("button", name="Zoom in").click()
        await tab.until(f"location.hash !== {before!r}")
    used, register = [await tab.page.evaluate(PAINTED, name) for name in ("chart-used", "chart-register")]
    assert used["left"] < 0.02
    assert used["share"] > 0.65
    assert register["right"] > 0.99
    await tab.page.get_by_role("button", name="24 h").click()
    await tab.until("!location.hash.includes('step=month')")
    assert await tab.page.locator('[data-step=""]').get_attribute("aria-pressed") == "true"
    await tab.page.get_by_role("button", name="day", exact=True).click()
    await tab.until("location.hash.includes('step=day')")
    assert span(await tab.page.evaluate("location.hash")) == pytest.approx(14 * DAY_MS, rel=0.01)
    await fine(tab)


async def test_the_only_bar_that_is_known_is_no_wider_than_its_step(browser: Any, kept: Site) -> None:
    tab = await opened(browser, kept, METER)
    await tab.until(DRAWN)
    day = "document.getElementById('charts').dataset.drawn"
    # Of the days around the silence that one is told for which both registers are known.
    to_ms = kept.machine.utc_ms - 91 * DAY_MS
    await tab.page.goto(f"{kept.url}{METER}#from={to_ms - 9 * DAY_MS}&to={to_ms}&step=day")
    await tab.page.reload()
    await tab.until(f"{DRAWN} && {day}")
    used = await tab.page.evaluate(PAINTED, "chart-used")
    assert used["share"] < 0.2
    await fine(tab)


async def test_an_address_that_says_nothing_is_ignored(browser: Any, kept: Site) -> None:
    tab = await opened(browser, kept)
    for address in ("#from=abc", "#from=abc&to=def&step=week", "#to=9&from=Infinity", "#from=5&to=1"):
        await tab.page.goto("about:blank")
        await tab.page.goto(kept.url + METER + address)
        await tab.until(DRAWN)
        assert span(await tab.page.evaluate("location.hash")) == pytest.approx(DAY_MS, rel=0.01)
    assert tab.complaints == []


async def test_charts_follow_the_finger(browser: Any, kept: Site) -> None:
    tab = await opened(
        browser, kept, f"{METER}#from={kept.machine.utc_ms - 30 * DAY_MS}&to={kept.machine.utc_ms}", has_touch=True
    )
    await tab.until(DRAWN)
    before = await tab.page.evaluate("location.hash")
    touch = """([kind, x]) => {
      const over = document.querySelector('#chart-register .u-over');
      const { left, top } = over.getBoundingClientRect();
      over.dispatchEvent(new PointerEvent(kind,
        { pointerId: 7, pointerType: 'touch', clientX: left + x, clientY: top + 20, bubbles: true }));
    }"""
    still = [await tab.page.evaluate(PAINTED, name) for name in ("chart-used", "chart-register")]
    words = await tab.text("#readout")
    await tab.page.evaluate(touch, ["pointerdown", 50])
    await tab.page.evaluate(touch, ["pointermove", 350])
    # Nothing was asked for yet, and all that was drawn went to the right.
    await tab.until(f"document.getElementById('readout').textContent !== {words!r}")
    frames = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
    await tab.page.evaluate(frames)
    moved = [await tab.page.evaluate(PAINTED, name) for name in ("chart-used", "chart-register")]
    assert await tab.page.evaluate("location.hash") == before
    assert all(there["left"] > here["left"] + 0.2 for here, there in zip(still, moved, strict=True))
    await tab.page.evaluate(touch, ["pointercancel", 350])
    await tab.page.evaluate(frames)
    assert [await tab.page.evaluate(PAINTED, name) for name in ("chart-used", "chart-register")] == still
    # Chromium says of the looking that it could be faster.
    assert [text for text in tab.complaints if not text.startswith("Canvas2D")] == []


async def test_zooming(browser: Any, kept: Site) -> None:
    tab = await opened(browser, kept, METER)
    await tab.until(DRAWN)
    await tab.page.locator("#charts").evaluate("charts => charts.scrollIntoView()")
    box = await tab.page.locator("#chart-used .u-over").bounding_box()
    before = await tab.page.evaluate("location.hash")
    x, y = box["x"] + box["width"] * 0.25, box["y"] + 40
    await tab.page.mouse.move(x, y)
    await tab.page.mouse.down()
    await tab.page.mouse.move(x + box["width"] / 2, y, steps=4)
    await tab.page.mouse.up()
    await tab.until(f"location.hash !== '{before}'")
    wide, narrow = (span(text) for text in (before, await tab.page.evaluate("location.hash")))
    assert narrow == pytest.approx(wide / 2, rel=0.05)
    await tab.page.mouse.dblclick(x + 40, y)
    await tab.until(f"location.hash !== '{before}' && {DRAWN}")
    await tab.page.get_by_role("button", name="7 d").click()
    await tab.until("document.querySelector('[data-hours=\"168\"]').getAttribute('aria-pressed') === 'true'")
    await tab.page.get_by_role("button", name="day", exact=True).click()
    await tab.until("location.hash.includes('step=day')")
    await tab.page.get_by_role("button", name="Earlier").click()
    await tab.page.mouse.move(x, y)
    await tab.until("document.getElementById('readout').textContent.includes('Used')")
    assert "step=day" in await tab.page.locator("#file-csv").get_attribute("href")
    await fine(tab)


async def test_fingers_move_a_chart(browser: Any, kept: Site) -> None:
    tab = await opened(browser, kept, METER, has_touch=True, viewport={"width": 390, "height": 844})
    await tab.until(DRAWN)
    before = await tab.page.evaluate("location.hash")
    moved = """(() => {
      const over = document.querySelector('#chart-used .u-over');
      const { left, top } = over.getBoundingClientRect();
      const touch = (kind, x) => over.dispatchEvent(new PointerEvent(kind,
        { pointerId: 7, pointerType: 'touch', clientX: left + x, clientY: top + 20, bubbles: true }));
      touch('pointerdown', 50); touch('pointermove', 180); touch('pointerup', 180);
    })()"""
    await tab.page.evaluate(moved)
    await tab.until(f"location.hash !== '{before}'")
    after = await tab.page.evaluate("location.hash")
    assert span(after) == pytest.approx(span(before), rel=0.01)
    assert int(after.split("to=")[1]) < int(before.split("to=")[1])


async def test_a_chart_says_what_broke_and_what_is_not_known(browser: Any, kept: Site) -> None:
    tab = await opened(browser, kept, METER)
    await tab.until(DRAWN)
    await tab.page.get_by_role("button", name="7 d").click()
    await tab.until("document.querySelector('[data-hours=\"168\"]').getAttribute('aria-pressed') === 'true'")
    assert "Exchanged" in await tab.text(".entries")
    # Grey is drawn behind what is not known, in the colour of the rails.
    grey = """(() => {
      const canvas = document.querySelector('#chart-register canvas');
      const colour = getComputedStyle(document.documentElement).getPropertyValue('--rail').trim();
      const wanted = colour.match(/[0-9a-f]{2}/g).map((pair) => parseInt(pair, 16));
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      let found = 0;
      for (let i = 0; i < data.length; i += 4) if (wanted.every((v, n) => data[i + n] === v)) found += 1;
      return found;
    })()"""
    assert await tab.page.evaluate(grey) > 1000
    await fine(tab)
