"""A technician with a real browser, at an appliance that runs: from the log-in to receipts brought back."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.test_app import Start, start
from tests.web.everybody import CONTRAST
from tests.web.test_browser import Tab, browser, pytestmark

__all__ = ["browser", "pytestmark", "start"]

PASSWORD, OTHER = "four words do not rhyme", "other words do not rhyme"


async def first_password(appliance: Any) -> str:
    """What is printed once."""
    async with asyncio.timeout(30):
        while not (found := re.search("password (\\S+)\n", (await appliance.process.stdout.readline()).decode())):
            pass
    return found[1]


async def tab_of(browser: Any, url: str, **context: Any) -> Tab:
    made = await browser.new_context(locale="en-US", accept_downloads=True, **context)
    return Tab(await made.new_page(), url)


async def log_in(tab: Tab, password: str, name: str = "technician") -> None:
    await tab.page.get_by_label("Name").fill(name)
    await tab.page.get_by_label("Password").fill(password)
    await tab.page.get_by_role("button", name="Log in").click()


async def later(tab: Tab) -> None:
    """Somebody whose password was made for them is asked to change it first."""
    await tab.page.get_by_text("Somebody else made your password, or has seen it.").wait_for()
    await tab.page.get_by_role("link", name="Later").click()


async def fits(tab: Tab) -> None:
    assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await tab.page.evaluate(CONTRAST) == []


async def test_a_visit(browser: Any, start: Start, tmp_path: Path) -> None:
    closed = "open_to_read = false\n"
    appliance = await start(web=closed)
    password = await first_password(appliance)
    tab = await tab_of(browser, appliance.url, viewport={"width": 390, "height": 844})
    page = tab.page
    await page.goto(appliance.url + "delivery")
    await fits(tab)
    await log_in(tab, "not the password")
    await page.get_by_role("alert").wait_for()
    assert "is not right" in await tab.text("main")
    await log_in(tab, password)
    await page.get_by_role("heading", name="Change the password").wait_for()
    await fits(tab)
    await later(tab)
    await page.get_by_role("heading", name="Delivery", exact=True).wait_for()
    await fits(tab)

    async with page.expect_download() as coming:
        await page.get_by_role("button", name="Download all that waits").click()
    carried = tmp_path / "carried.tar"
    await (await coming.value).save_as(carried)
    assert carried.read_bytes().startswith(b"meter-appliance/")

    await page.get_by_role("link", name="Overview").click()
    await tab.until("document.querySelector('#connection.live')")
    await tab.until("document.querySelector('.card .value').textContent === 'Hearing'")
    await fits(tab)
    await page.get_by_role("link", name="ES", exact=True).click()
    assert "Escuchando" in await tab.text("main")
    await page.get_by_role("link", name="EN", exact=True).click()

    await page.get_by_role("link", name="technician").click()
    await page.get_by_label("Password so far").fill(password)
    await page.get_by_label("New password").fill(OTHER)
    await page.get_by_label("The same again").fill(OTHER)
    await page.get_by_role("button", name="Change the password").click()
    await page.get_by_role("heading", level=1).wait_for()
    # What the log-in refused is said by the browser, too.
    assert [words for words in tab.complaints if "403" not in words] == []
    assert tab.strangers == []


async def test_a_restart_of_the_program_keeps_the_session_and_a_log_out_ends_it(browser: Any, start: Start) -> None:
    appliance = await start(web=f"open_to_read = false\nfirst_password = '{PASSWORD}'\n")
    tab = await tab_of(browser, appliance.url)
    await tab.page.goto(appliance.url)
    await tab.until("document.querySelector('#password')")
    async with asyncio.timeout(30):
        while "technician" not in (await appliance.process.stdout.readline()).decode():
            pass
    await log_in(tab, PASSWORD)
    await later(tab)
    await tab.page.get_by_text("The first password still stands in the set-up file.").wait_for()
    port = int(appliance.url.rstrip("/").rpartition(":")[2])
    await appliance.end(15)
    await tab.until("document.querySelector('#connection.stale')")
    again = await start(port=port, web=f"open_to_read = false\nfirst_password = '{PASSWORD}'\n")
    await tab.until("document.querySelector('#connection.live')")
    await tab.page.goto(again.url + "delivery")
    assert await tab.page.locator("#waiting-title").count() == 1
    await tab.page.get_by_role("button", name="Log out").click()
    await tab.page.goto(again.url)
    assert await tab.page.locator("#password").count() == 1


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_guesses_lock_and_it_is_said(browser: Any, start: Start, scheme: str) -> None:
    appliance = await start(web="open_to_read = false\n")
    await first_password(appliance)
    tab = await tab_of(browser, appliance.url, color_scheme=scheme)
    await tab.page.goto(appliance.url)
    for _ in range(6):
        await log_in(tab, "not the password")
        await tab.page.get_by_role("alert").wait_for()
    assert "Too many wrong passwords" in await tab.text("main")
    await fits(tab)
