"""The radio's page in a real browser: a picture that moves, what is set, surveyed, recorded; a receiver that goes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.radio.test_controls import pids_of
from tests.web.conftest import Site
from tests.web.everybody import is_for_everybody
from tests.web.street import Process, busy, by_hand, frame, heard
from tests.web.test_browser import Tab, browser, opened, pytestmark

__all__ = ["browser", "pytestmark"]

LIVE = "document.querySelector('#connection.live')"
# A sum over the picture's points, by which one is told from another.
PICTURE = """(() => {
  const canvas = document.getElementById("spectrum");
  const points = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < points.length; i += 4) sum = (sum * 31 + points[i] + points[i + 1] * 7 + points[i + 2] * 3) % 1e9;
  return sum;
})()"""
WIDER = """[...document.querySelectorAll("body *")].filter(
  (element) => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(".hidden"),
).map((element) => element.outerHTML.slice(0, 120))"""
# The names of pages that are cut off, run into each other or out of the screen.
SQUEEZED = """[...document.querySelectorAll(".pages.below a")].flatMap((link, i, all) => {
  const range = document.createRange();
  range.selectNodeContents(link.lastChild);
  const box = range.getBoundingClientRect(), frame = link.getBoundingClientRect();
  const next = all[i + 1] && all[i + 1].getBoundingClientRect().left;
  const bad = box.left < frame.left || box.right > frame.right || frame.right > innerWidth || next < frame.right - 1;
  return bad || frame.height < 44 || frame.width < 40 ? [`${link.textContent} ${frame.width}`] : [];
})"""


@pytest.fixture
async def process(site: Site, tmp_path: Path) -> Process:
    """The receiver of `site`, for which the test speaks."""
    return by_hand(site, tmp_path / "captures")


@pytest.fixture
async def feeding(process: Process) -> AsyncIterator[None]:
    """Frames come, ten a second, until the test has ended."""

    async def feed() -> None:
        for n in range(100_000):
            process.controls.take(frame(n))
            await asyncio.sleep(0.1)

    task = asyncio.create_task(feed())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def drawn(tab: Tab) -> int:
    return int(await tab.page.evaluate(PICTURE))


async def moves(tab: Tab) -> None:
    """Wait until the picture is another one."""
    before = await drawn(tab)
    await tab.until(f"{PICTURE} !== {before}")


def complaints(tab: Tab) -> list[str]:
    """What the browser complained about, but for what these tests do to the canvas."""
    return [words for words in tab.complaints if "getImageData" not in words]


async def press(tab: Tab, name: str) -> None:
    await tab.page.get_by_role("button", name=name).click()


async def test_an_hour_with_the_radio(browser: Any, tmp_path: Path) -> None:
    """On the simulated street, with the real receiver."""
    async with heard(tmp_path) as (site, street):
        tab = await opened(browser, site, "/radio", viewport={"width": 390, "height": 844}, accept_downloads=True)
        page = tab.page
        await tab.until(LIVE)
        await moves(tab)
        await page.locator("[data-section=facts]", has_text="dBFS").wait_for()

        # The gain, and back; the page stays, and so does what another one shows.
        other = await opened(browser, site, "/radio")
        await tab.until("window.here = true")
        await page.get_by_label("by hand").check()
        await page.get_by_label("Gain dB").fill("39")
        await press(tab, "Set it now")
        await page.locator("#tuning .by-hand", has_text="by ana").wait_for()
        assert await page.get_by_label("Gain dB").input_value() == "38.6"
        assert await page.get_by_label("by hand").is_checked()
        assert "Set: 912.600 MHz, 38.6 dB" in await tab.text("#tuning .done")
        await other.page.locator("#tuning .by-hand").wait_for()
        assert await other.page.get_by_label("by hand").is_checked()
        await moves(tab)
        await press(tab, "Back to what the settings say")
        await page.locator("#tuning .by-hand").wait_for(state="detached")
        assert await page.get_by_label("automatic").is_checked()
        assert not await page.get_by_label("Gain dB").is_visible()
        assert await page.evaluate("window.here")

        # A recording: made, taken along, deleted.
        await page.get_by_label("Length").fill("0.5")
        await press(tab, "Record")
        await page.get_by_role("link", name="Samples").wait_for()
        for name, start in (("Samples", b""), ("SigMF metadata", b"{")):
            async with page.expect_download() as coming:
                await page.get_by_role("link", name=name).click()
            await (await coming.value).save_as(tmp_path / "taken")
            assert (tmp_path / "taken").read_bytes().startswith(start)
        await page.get_by_role("link", name="Delete").click()
        await page.get_by_role("heading", name="Delete this recording?").wait_for()
        await press(tab, "Delete")
        await page.get_by_role("heading", name="Recordings").wait_for()
        assert await page.get_by_role("link", name="Samples").count() == 0

        # A survey, and the centre that it found.
        for name, value in (("from", "912.6"), ("to", "914.6"), ("dwell", "1")):
            await page.locator(f"#survey-{name}").fill(value)
        assert await page.locator("#survey-takes").inner_text() == "2 × 1 s = 2 s"
        await press(tab, "Begin the survey")
        await press(tab, "Use this centre 914.600 MHz")
        await page.locator("#tuning .by-hand").wait_for()
        assert street.controls.tuning is not None
        assert street.controls.tuning.center_hz == 914_600_000

        # The receiver goes, and comes back by itself with what was set.
        for pid in pids_of(street):
            if b"appliance" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        await tab.until(f"{LIVE} && document.getElementById('spectrum')")
        await street.until(lambda: street.lives > 1 and street.controls.tuning)
        await moves(tab)
        assert complaints(tab) == []
        assert tab.strangers == []


async def test_a_receiver_that_is_lost_and_regained(browser: Any, site: Site, process: Process, feeding: None) -> None:
    tab = await opened(browser, site, "/radio")
    await tab.until(LIVE)
    await moves(tab)
    site.receiver(state="retrying", reason="no dongle found")
    site.pass_time(3)
    await tab.page.locator(".notice", has_text="No samples from the radio.").wait_for()
    assert "No dongle found." in await tab.text(".notice .told")
    site.receiver(state="running")
    site.pass_time(3)
    await tab.page.locator(".notice").wait_for(state="detached")
    assert complaints(tab) == []


async def test_wrong_values_stay_until_they_are_sent_again(
    browser: Any, site: Site, process: Process, feeding: None
) -> None:
    tab = await opened(browser, site, "/radio?lang=es")
    page = tab.page
    await tab.until(LIVE)
    await page.get_by_label("Centro", exact=False).first.fill("9126")
    await press(tab, "Ajustar ahora")
    await page.get_by_role("alert", name="").filter(has_text="entre 24 y 1766, como 912,6").wait_for()
    assert await page.evaluate("document.activeElement.id") == "center"
    # Somebody else sets it meanwhile: that is shown, and what was typed stays.
    await process.controls.set(gain_db=20)
    await page.locator("#tuning .by-hand").wait_for()
    assert await page.locator("#center").input_value() == "9126"
    await page.locator("#center").fill("911,5")
    await press(tab, "Ajustar ahora")
    await page.get_by_role("alert").wait_for(state="detached")
    assert await page.locator("#center").input_value() == "911,500"
    assert process.controls.by_hand is not None
    assert process.controls.by_hand.center_hz == 911_500_000


async def test_a_pause_and_a_page_that_nobody_sees(browser: Any, site: Site, process: Process, feeding: None) -> None:
    tab = await opened(browser, site, "/radio", has_touch=True)
    await tab.until(LIVE)
    await moves(tab)
    canvas = tab.page.locator("#spectrum")
    await canvas.hover(position={"x": 200, "y": 100})
    await tab.until("document.getElementById('pointed').textContent.includes('MHz')")
    await tab.page.mouse.move(0, 0)
    await tab.until("document.getElementById('pointed').textContent === ''")
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    await press(tab, "Pause")
    await tab.until(LIVE)
    assert asked[-1].endswith("&picture=0")
    still = await drawn(tab)
    await asyncio.sleep(0.5)
    assert await drawn(tab) == still
    await press(tab, "Go on")
    await moves(tab)


async def test_the_picture_is_sharp_and_follows_the_theme(
    browser: Any, site: Site, process: Process, feeding: None
) -> None:
    context = {"color_scheme": "light", "device_scale_factor": 3, "viewport": {"width": 390, "height": 844}}
    tab = await opened(browser, site, "/radio", reduced_motion="reduce", **context)
    await tab.until(LIVE)
    await moves(tab)
    wide, shown = await tab.page.evaluate("[document.getElementById('spectrum').width, spectrum.clientWidth]")
    assert wide == 3 * shown
    before = await drawn(tab)
    await tab.page.emulate_media(color_scheme="dark")
    await tab.until(f"{PICTURE} !== {before}")
    await tab.page.set_viewport_size({"width": 800, "height": 600})
    await tab.until("document.getElementById('spectrum').width === 3 * spectrum.clientWidth")


async def test_without_javascript(browser: Any, site: Site, process: Process, feeding: None) -> None:
    tab = await opened(browser, site, "/radio", java_script_enabled=False)
    page = tab.page
    assert await page.get_by_role("img", name="No picture: no samples come in.").evaluate("i => i.naturalWidth") > 0
    await page.get_by_label("by hand").check()
    await page.get_by_label("Gain dB").fill("x")
    await press(tab, "Set it now")
    assert "A number of dB from −10 to 60." in await tab.text("#tuning [role=alert]")
    await page.get_by_label("Gain dB").fill("30")
    await press(tab, "Set it now")
    await page.locator(".by-hand").wait_for()
    assert page.url.endswith("/radio/street#tuning")
    await press(tab, "Back to what the settings say")
    assert await page.locator(".by-hand").count() == 0


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_everybody_can_read_it(browser: Any, site: Site, process: Process, feeding: None, lang: str) -> None:
    """axe-core finds nothing in either theme, and nothing is wider than the screen, long names and all."""
    await process.controls.set(center_hz=911_500_001)
    state = replace(busy(process), state="retrying", reason="no dongle " + "x" * 200, source="rtl_tcp://" + "y" * 70)
    site.receivers = [state, replace(state, name="W" * 32), replace(state, name="far roof 3")]
    tab = await opened(browser, site, f"/radio?lang={lang}")
    await tab.until(LIVE)
    await is_for_everybody(tab)
    for width in (1280, 1024, 768, 390, 320):
        await tab.page.set_viewport_size({"width": width, "height": 844})
        assert await tab.page.evaluate(WIDER) == [], width
    assert complaints(tab) == []


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_all_pages_are_within_the_thumbs_reach(browser: Any, site: Site, lang: str) -> None:
    tab = await opened(browser, site, f"/delivery?lang={lang}")
    assert await tab.page.locator(".pages.below a svg").count() == 6
    for width in (320, 360, 390):
        await tab.page.set_viewport_size({"width": width, "height": 740})
        assert await tab.page.evaluate(SQUEEZED) == [], width
        assert await tab.page.evaluate("document.documentElement.scrollWidth") <= width
