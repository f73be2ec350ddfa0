"""Fields for passwords in a real browser: shown on demand, told apart before anything is sent, a made one copied."""

from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import PASSWORD, Site, served
from tests.web.everybody import is_for_everybody
from tests.web.set_up import set_up
from tests.web.test_browser import browser, opened, pytestmark
from tests.web.test_technician import log_in, tab_of

__all__ = ["browser", "pytestmark"]

NEW = "four other words rhyme"
# As on the plain HTTP of an appliance's own network, where browsers give no page a clipboard.
NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined })"


async def test_what_is_typed_is_shown_by_keyboard_and_is_not_sent_by_it(browser: Any, tmp_path: Path) -> None:
    async with served(Site(tmp_path, is_open=False)) as site:
        site.logs_in()
        tab = await tab_of(browser, site.url)
        page = tab.page
        await page.goto(site.url + "/login")
        await page.locator("#name").fill("ana")
        await page.locator("#password").fill("not my password")
        await page.keyboard.press("Tab")
        button = page.get_by_role("button", name="Show Password")
        assert await button.get_attribute("aria-pressed") == "false"
        await page.keyboard.press("Space")
        assert await button.get_attribute("aria-pressed") == "true"
        assert await page.evaluate("document.getElementById('password').type") == "text"
        await is_for_everybody(tab, (390, 320))
        await page.keyboard.press("Space")
        assert await page.evaluate("document.getElementById('password').type") == "password"
        await page.keyboard.press("Space")
        # Once it is sent the browser has it as a password again, and does not offer it to the next who types.
        await page.evaluate(
            "document.forms[0].addEventListener('submit', () => setTimeout(() => "
            "sessionStorage.setItem('sent', document.getElementById('password').type)))"
        )
        await page.locator("#password").press("Enter")
        await page.get_by_role("alert").wait_for()
        assert await page.evaluate("sessionStorage.getItem('sent')") == "password"
        assert await page.locator("#name").input_value() == "ana"
        assert await page.evaluate("document.activeElement.id") == "password"
        await log_in(tab, PASSWORD, "ana")
        await page.locator("form.person").wait_for()


async def test_what_is_wrong_stands_at_its_field(browser: Any, tmp_path: Path) -> None:
    async with served(Site(tmp_path, is_open=False)) as site:
        await site.keep()
        site.logs_in()
        people = site.store.people
        people.accounts["ana"] = people.accounts["ana"]._replace(made_at=people.accounts["ana"].changed_at)
        tab = await opened(browser, site, "/password")
        page = tab.page
        await page.get_by_text("Somebody else made your password").wait_for()
        change = page.get_by_role("button", name="Change the password")
        await page.locator("#password").fill(PASSWORD)
        await page.locator("#new").fill(NEW)
        await page.locator("#again").fill("something else rhymes")
        await change.click()
        # Nothing was sent, and nothing is to be typed again but that.
        assert await page.evaluate("document.activeElement.id") == "again"
        said = "document.getElementById('again').validationMessage"
        assert await page.evaluate(said) == "The two new passwords differ."
        assert await page.locator("#password").input_value() == PASSWORD
        await page.locator("#again").fill(NEW)
        assert await page.evaluate(said) == ""
        await page.locator("#password").fill("not my password")
        await change.click()
        await page.get_by_role("alert").filter(has_text="That is not the password so far.").wait_for()
        field = page.locator("#password")
        assert await page.evaluate("document.activeElement.id") == "password"
        assert await field.get_attribute("aria-describedby") == "password-wrong"
        await is_for_everybody(tab, (390, 320))
        await field.fill(PASSWORD)
        await page.locator("#new").fill(NEW)
        await page.locator("#again").fill(NEW)
        await change.click()
        await page.get_by_role("heading", level=1).filter(has_not_text="Change the password").wait_for()


@pytest.mark.parametrize("before", ["", NO_CLIPBOARD])
async def test_a_made_password_is_copied(browser: Any, tmp_path: Path, before: str) -> None:
    async with set_up(tmp_path) as site:
        await site.keep()
        tab = await opened(browser, site, "/set-up")
        page = tab.page
        await page.add_init_script(before)
        await page.locator("#account").fill("luis")
        await page.locator("#own").fill(PASSWORD)
        await page.get_by_role("button", name="Add, with a password").click()
        made = await page.locator("#granted").inner_text()
        await page.get_by_role("button", name="Copy").click()
        await page.get_by_role("status").filter(has_text="It is copied.").wait_for()
        await page.locator("#account").press("Control+V")
        assert await page.locator("#account").input_value() == made


async def test_without_javascript_nothing_is_there_that_does_nothing(browser: Any, tmp_path: Path) -> None:
    async with set_up(tmp_path) as site:
        await site.keep()
        tab = await tab_of(browser, site.url, java_script_enabled=False)
        page = tab.page
        await page.goto(site.url + "/set-up")
        assert not await page.get_by_role("button", name="Show").is_visible()
        site.logs_in()
        await log_in(tab, PASSWORD, "ana")
        await page.locator("#account").fill("luis")
        await page.locator("#own").fill(PASSWORD)
        await page.get_by_role("button", name="Add, with a password").click()
        assert await page.locator("#granted").is_visible()
        assert not await page.get_by_role("button", name="Copy").is_visible()
        await page.locator(".people summary").click()
        await page.locator("#own-2").fill("not it")
        await page.get_by_role("button", name="Remove luis").click()
        await page.get_by_role("alert").filter(has_text="That is not your password.").wait_for()
        await page.locator("#own-2").fill(PASSWORD)
        await page.get_by_role("button", name="Remove luis").click()
        assert await page.locator(".people li").count() == 1
