"""A technician carries a backup from one appliance to another in a real browser, and takes the bundle for support."""

import asyncio
import json
import socket
import sys
import zipfile
from pathlib import Path
from typing import Any

from tests.test_app import Appliance, Start, start
from tests.web.everybody import is_for_everybody
from tests.web.test_browser import Tab, browser, pytestmark
from tests.web.test_technician import fits, later, log_in, tab_of

__all__ = ["browser", "pytestmark", "start"]


FIRST, SECOND, SECRET = "four words do not rhyme", "other words do not rhyme", "correcto caballo batería"


async def settled(appliance: Appliance) -> None:
    """The account has been made."""
    assert appliance.process.stdout is not None
    async with asyncio.timeout(30):
        while "technician" not in (await appliance.process.stdout.readline()).decode():
            pass


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


async def on_the_page(browser: Any, appliance: Appliance, password: str, **context: Any) -> Tab:
    tab = await tab_of(browser, appliance.url, viewport={"width": 390, "height": 844}, **context)
    await tab.page.goto(appliance.url + "system/keeping")
    await log_in(tab, password)
    await later(tab)
    await tab.page.get_by_role("heading", name="Backup and support").wait_for()
    return tab


async def bring(tab: Tab, file: Path, secret: str, own: str, *, other: bool) -> None:
    page = tab.page
    await page.locator("#known").fill(secret)
    await page.locator("#own-restore").fill(own)
    await page.get_by_label("What is here may be set aside.").check()
    await page.get_by_label("It may be the backup of another appliance").set_checked(other)
    await page.locator("#file").set_input_files(file)
    await page.get_by_role("button", name="Restore it").click()


async def test_from_one_appliance_to_another(browser: Any, start: Start, tmp_path: Path) -> None:
    first = await start(web=f"open_to_read = false\nfirst_password = '{FIRST}'\n")
    await settled(first)
    await first.until_heard(20)
    tab = await on_the_page(browser, first, FIRST)
    page = tab.page
    await page.locator("#new").fill(SECRET)
    await page.locator("#again").fill("another passphrase")
    await page.locator("#own-backup").fill(FIRST)
    await page.get_by_role("button", name="Download the backup").click()
    # It is said before anything is sent.
    assert await page.evaluate("document.getElementById('again').validationMessage") == "The two passphrases differ."
    await page.locator("#again").fill(SECRET)
    async with page.expect_download() as coming:
        await page.get_by_role("button", name="Download the backup").click()
    download = await coming.value
    assert download.suggested_filename.endswith(".backup")
    file = tmp_path / "carried.backup"
    await download.save_as(file)
    async with page.expect_download() as coming:
        await page.get_by_role("button", name="Download the bundle").click()
    await (await coming.value).save_as(tmp_path / "support.zip")
    with zipfile.ZipFile(tmp_path / "support.zip") as archive:
        assert FIRST not in "".join(archive.read(name).decode() for name in archive.namelist())
    assert [words for words in tab.complaints if "422" not in words] == []
    await first.end(15)

    command = [sys.executable, str(tmp_path / "child.py"), "7", str(tmp_path / "pids")]
    settings = tmp_path / "second.toml"
    settings.write_text(
        f"[web]\nhost = '127.0.0.1'\nport = {free_port()}\nfirst_password = '{SECOND}'\n"
        f"[store]\ndirectory = {json.dumps(str(tmp_path / 'second'))}\n[[receiver]]\ncommand = {json.dumps(command)}\n"
    )
    second = await start(config=settings)
    await settled(second)
    await second.until_heard(7)
    tab = await on_the_page(browser, second, SECOND)
    page = tab.page
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url.rpartition("/")[2]))
    await bring(tab, file, "not the passphrase", SECOND, other=True)
    await page.get_by_role("alert").filter(has_text="The passphrase is wrong.").wait_for()
    # Told before the file was sent, and nothing is to be chosen or ticked again.
    assert "begin" in sent
    assert "restore" not in sent
    assert await page.evaluate("document.activeElement.id") == "known"
    assert await page.evaluate("document.getElementById('file').files.length") == 1
    assert await page.get_by_label("What is here may be set aside.").is_checked()
    await fits(tab)
    whole = file.read_bytes()
    (tmp_path / "half.backup").write_bytes(whole[: len(whole) // 2])
    await bring(tab, tmp_path / "half.backup", SECRET, SECOND, other=True)
    await page.get_by_role("alert").filter(has_text="The file is cut off").wait_for()
    await bring(tab, file, SECRET, SECOND, other=False)
    await page.get_by_role("alert").filter(has_text="It is the backup of another appliance.").wait_for()
    assert (await second.health())["meters"] == 7

    await page.route("**/restore", lambda route: route.abort())
    await bring(tab, file, SECRET, SECOND, other=True)
    await page.get_by_text("The connection broke").wait_for()
    await page.unroute("**/restore")

    await bring(tab, file, SECRET, SECOND, other=True)
    await page.get_by_role("heading", name="The backup is whole").wait_for()
    await fits(tab)
    await page.get_by_text("The backup has taken its place.").wait_for(timeout=30_000)
    await fits(tab)
    await log_in(tab, SECOND)
    await page.get_by_text("Name or password is not right.").wait_for()
    await log_in(tab, FIRST)
    await page.locator("form.person").wait_for()
    await second.until_heard(20)
    assert len(list((tmp_path / "second").glob("replaced-*"))) == 1
    assert tab.strangers == []
    assert [words for words in tab.complaints if not any(code in words for code in ("422", "403", "ERR_"))] == []


async def test_without_javascript(browser: Any, start: Start, tmp_path: Path) -> None:
    appliance = await start(web=f"open_to_read = false\nfirst_password = '{FIRST}'\n")
    await settled(appliance)
    tab = await on_the_page(browser, appliance, FIRST, java_script_enabled=False)
    (tmp_path / "x").write_text("no backup")
    await bring(tab, tmp_path / "x", SECRET, FIRST, other=False)
    await tab.page.get_by_role("alert").wait_for()
    assert "This file is not the backup of an appliance." in await tab.text("#restore")


async def test_everybody_can_use_it(browser: Any, start: Start) -> None:
    """axe-core finds nothing in either theme and language, and nothing is wider than the screen."""
    appliance = await start(web=f"open_to_read = false\nfirst_password = '{FIRST}'\n")
    await settled(appliance)
    tab = await on_the_page(browser, appliance, FIRST)
    for language in ("en", "es"):
        await tab.page.goto(f"{appliance.url}system/keeping?lang={language}")
        await is_for_everybody(tab)
