"""The set-up in a real browser: from the first password to the dongle, with and without JavaScript."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.nmcli import put
from tests.sync.centre import centre
from tests.test_app import Start, start
from tests.web.conftest import PASSWORD
from tests.web.everybody import is_for_everybody
from tests.web.set_up import SetUp, set_up
from tests.web.test_browser import browser, opened, pytestmark
from tests.web.test_technician import first_password, later, log_in, tab_of

__all__ = ["browser", "pytestmark", "start"]

OWN = "three words that do not rhyme"
LONG = "Población Santa Julia, pasaje Los Aromos 1234, poste 56, piso 7, detrás de la bomba"


@pytest.fixture(autouse=True)
def wifi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{put(tmp_path / 'bin')}:{os.environ['PATH']}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


async def test_from_the_first_password_to_the_name(browser: Any, start: Start, tmp_path: Path) -> None:
    appliance = await start(web="", port=free_port())
    tab = await tab_of(browser, appliance.url, viewport={"width": 390, "height": 844})
    page = tab.page
    await page.goto(appliance.url)
    await log_in(tab, password := await first_password(appliance))
    await later(tab)
    await page.get_by_role("link", name="Go on with it").click()
    await page.get_by_text("The account technician still has the password").wait_for()

    await page.get_by_role("link", name="Change the password").click()
    await page.get_by_label("Password so far").fill(password)
    await page.get_by_label("New password").fill(OWN)
    await page.get_by_label("The same again").fill(OWN)
    await page.get_by_role("button", name="Change the password").click()
    await page.get_by_text("Nobody has a password that was made for the first start.").wait_for()

    await page.get_by_label("Name of somebody who is to log in too").fill("luis.soto")
    await page.locator("#own").fill("not my password")
    await page.get_by_role("button", name="Add, with a password").click()
    await page.get_by_text("That is not your password.").wait_for()
    assert await page.evaluate("document.activeElement.id") == "own", "what is to be typed again has the focus"
    assert await page.get_by_label("Name of somebody who is to log in too").input_value() == "luis.soto"
    await page.locator("#own").fill(OWN)
    await page.get_by_role("button", name="Add, with a password").click()
    assert await page.evaluate("document.activeElement.matches('.notice.done')"), "what is shown once is in sight"
    assert await page.locator(".granted").is_visible()
    await page.get_by_text("Remove luis.soto").first.click()
    await page.locator("#own-1").fill(OWN)
    await page.get_by_role("button", name="Remove luis.soto").click()
    await page.wait_for_url("**/set-up#password")
    assert await page.locator(".people li").count() == 1

    await page.get_by_role("radio", name="Café del Puerto").check()
    await page.get_by_label("Its password").fill("not the right one")
    await page.get_by_role("button", name="Join").click()
    await page.get_by_text("The password is not right.").wait_for()
    await page.get_by_label("Its password").fill("the right one")
    await page.get_by_role("button", name="Join").click()
    await page.get_by_text("It is joined again by itself from now on.").wait_for()

    await page.locator("#aggregator").get_by_role("button", name="Leave it as it is").click()
    await page.locator("#aggregator").get_by_role("button", name="Not done yet after all").wait_for()

    await page.get_by_label("Name", exact=True).fill("Calle Álvarez 12")
    await page.locator("#place-of").fill("Piso 3")
    await page.locator("#place").get_by_role("button", name="Keep").click()
    await page.get_by_role("heading", name="It is kept").wait_for()
    # It goes on by itself, and whoever was logged in still is.
    await page.get_by_text("Set here by").wait_for()
    assert await page.get_by_label("Name", exact=True).input_value() == "Calle Álvarez 12"
    await page.goto(appliance.url)
    assert "Calle Álvarez 12" in await page.title()
    assert "Piso 3" in await tab.text("main")
    assert [words for words in tab.complaints if "ERR_" not in words and "403" not in words] == []
    assert tab.strangers == []


async def test_an_aggregator_is_tried_and_kept(browser: Any, start: Start, tmp_path: Path) -> None:
    appliance = await start(web="", port=free_port())
    async with centre(tmp_path / "centre") as there:
        there.approves = False
        (key,) = there.keys.values()
        tab = await tab_of(browser, appliance.url)
        page, form = tab.page, tab.page.locator("#aggregator")
        await page.goto(appliance.url + "set-up")
        await log_in(tab, first := await first_password(appliance))
        await later(tab)
        await form.get_by_label("Addresses").fill("http://meters.example.org")
        await form.get_by_label("Key of the aggregator").fill(key.public_bytes_raw().hex())
        await form.get_by_label("Your own password").fill(first)
        await form.get_by_role("button", name="Keep").click()
        await form.get_by_role("alert").wait_for()
        assert await page.evaluate("document.activeElement.id") == "aggregators"
        await form.get_by_label("Addresses").fill(there.address)
        await form.get_by_role("button", name="Try it now").click()
        await form.get_by_text("does not know this appliance yet").wait_for()
        await form.get_by_label("Your own password").fill("not my password")
        await form.get_by_role("button", name="Keep").click()
        await form.get_by_text("That is not your password.").wait_for()
        assert await page.evaluate("document.activeElement.id") == "own-aggregator"
        await form.get_by_label("Your own password").fill(first)
        await form.get_by_role("button", name="Keep").click()
        await page.get_by_role("heading", name="It is kept").wait_for()
        await page.get_by_text("Set here by").wait_for()
        await page.locator(".way-there li.good", has_text="Aggregator").wait_for()
        assert there.address in await tab.text("#aggregator .ways")
    assert [words for words in tab.complaints if not any(code in words for code in ("ERR_", "422", "403"))] == []


async def test_without_javascript(browser: Any, start: Start) -> None:
    appliance = await start(web="", port=free_port())
    tab = await tab_of(browser, appliance.url, java_script_enabled=False)
    page = tab.page
    await page.goto(appliance.url + "set-up")
    await log_in(tab, await first_password(appliance))
    await later(tab)
    await page.get_by_label("Name", exact=True).fill("Calle 5")
    await page.locator("#place").get_by_role("button", name="Keep").click()
    await page.get_by_role("heading", name="It is kept").wait_for()
    # The page asks the browser to come again by itself.
    await page.get_by_text("Set here by").wait_for()
    await page.get_by_role("button", name="Back to what the file says").click()
    await page.get_by_role("heading", name="It is kept").wait_for()
    await page.get_by_role("heading", name="Set-up", exact=True).wait_for()
    assert await page.get_by_text("Set here by").count() == 0


async def test_a_dongle_that_is_plugged_in_while_one_looks_is_used(browser: Any, tmp_path: Path) -> None:
    async with set_up(tmp_path) as site:
        tab = await opened(browser, site, "/set-up")
        assert "No dongle is found on USB." in await tab.text("#radio")
        site.pi.dongle(serial="00000042")
        await tab.page.get_by_role("button", name="Use it").click(timeout=15_000)
        await tab.page.get_by_role("heading", name="It is kept").wait_for()
        assert site.draft.config.receivers[0].source == "rtlsdr:00000042"
        assert tab.complaints == []


async def everything(site: SetUp) -> None:
    """Whatever the page can have to say, in long words."""
    site.pi.dongle("usbfs", serial="X" * 60)
    site.pi.dongle("dvb_usb_rtl28xxu", serial="00000043", port="1-1.3")
    (site.directory / "settings.toml").write_text(
        f"what = 1\n[site]\nname = '{LONG[:80]}'\nplace = '{'x' * 120}'\n[made.site]\nat = 1\nwho = '{'w' * 40}'\n"
        f"[sync]\naggregators = ['https://{'a' * 60}.example.org:8443/{'b' * 60}']\naggregator_key = '{'ab' * 32}'\n"
        "[[receiver]]\nname = 'radio'\nsource = 'rtl_tcp://198.51.100.200:1234'\n"
    )


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_everybody_can_read_it(browser: Any, tmp_path: Path, lang: str) -> None:
    """axe-core finds nothing in either theme, and nothing is wider than the screen; with what is wrong, too."""
    made = SetUp(tmp_path / "data", is_open=False)
    await everything(made)
    async with set_up(tmp_path) as site:
        site.pi = made.pi
        await site.keep()
        tab = await opened(browser, site, f"/set-up?lang={lang}")
        await tab.page.locator("#account").fill("a" * 40)
        await tab.page.locator("#own").fill(PASSWORD)
        await tab.page.locator("#people ~ form button:not([type])").click()
        await tab.page.locator(".granted").wait_for()
        for summary in await tab.page.locator("summary").all():
            await summary.click()
        for step in (0, 1):
            await is_for_everybody(tab)
            if not step:
                await tab.page.locator("#aggregator-key").fill("x")
                await tab.page.locator("#own-aggregator").fill("x")
                await tab.page.locator("#aggregator button[value=keep]").click()
                await tab.page.locator(".wrong-field").first.wait_for()
        assert tab.strangers == []
