"""The operator's pages in a real browser: an operator's morning, on a phone, by keyboard, without JavaScript."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.aggregator.api import Api
from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database, migrate
from appliance.aggregator.operators import Operators
from appliance.aggregator.server import serving
from appliance.aggregator.settings import Web
from appliance.web.frame.throttle import FREE
from tests.aggregator.street import CENTRE, CODE, NOW, Sender
from tests.web.frame.accounts import KEPT, PASSWORD

playwright = pytest.importorskip("playwright.async_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
LONG = "Población Santa Julia, pasaje Los Aromos 1234, poste 56 frente a"


@asynccontextmanager
async def centre(directory: Path) -> AsyncIterator[tuple[str, Database, Api]]:
    database = Database(directory)
    await migrate(database.engine)
    await Operators(database).add("ana", KEPT, NOW - 1)
    await Operators(database).set_password("ana", KEPT, NOW)
    api = Api(database, CENTRE, now_utc_ms=lambda: NOW)
    async with serving(api, Web(host="127.0.0.1", port=0)) as port:
        yield f"http://127.0.0.1:{port}", database, api
    await database.close()


@asynccontextmanager
async def tab(url: str, **options: Any) -> AsyncIterator[Any]:
    """A page of a browser without JavaScript; neither complaints nor requests elsewhere are allowed."""
    async with playwright.async_playwright() as driver:
        running = await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await (
            await running.new_context(locale="en-US", **({"java_script_enabled": False} | options))
        ).new_page()
        page.set_default_timeout(20_000)
        wrong: list[str] = []
        # Of an answer with an error's status Chromium says so, too.
        page.on("console", lambda m: wrong.append(m.text) if "status of" not in m.text and m.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith(url) else wrong.append(r.url))
        yield page
        assert wrong == []
        await running.close()


async def log_in(page: Any, password: str = PASSWORD) -> None:
    await page.get_by_label("Name").fill("ana")
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()


async def test_an_operators_morning(tmp_path: Path) -> None:
    async with centre(tmp_path) as (url, database, api), tab(url, viewport={"width": 390, "height": 844}) as page:
        new, broken = Sender(1), await Sender(2).enrol(database)
        await Appliances(database).enrol(new.enrolment(name="<b>Álvarez</b>"), NOW)
        await api.ingest.keys.refresh()
        lines = [broken.sealed(n) for n in range(1, 5)]
        for line in (lines[0], lines[3]):
            await api.ingest.ingest(line, NOW)
        path = f"/appliances/{new.identity}"
        await page.goto(url + path)
        assert page.url.startswith(f"{url}/login?next=")
        await log_in(page, "not the password")
        assert await page.get_by_role("alert").inner_text() == (
            "Name or password is not right. Look for Caps Lock and the keyboard's language."
        )
        # The name is still there, and so is where it was to lead.
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(url + path)
        assert await page.get_by_role("heading", level=1).inner_text() == "<b>Álvarez</b>"
        await page.get_by_label("Code that the appliance shows").fill("WRONG234")
        await page.get_by_role("button", name="Approve").click()
        assert "not the code" in await page.get_by_role("alert").inner_text()
        await page.get_by_label("Code that the appliance shows").fill(CODE.lower())
        await page.get_by_role("button", name="Approve").click()
        await page.wait_for_url(url + path)
        assert await page.locator(".lead .badge").inner_text() == "approved"
        await page.get_by_role("link", name="Revoke this appliance").click()
        await page.get_by_role("link", name="Leave it").click()
        await page.get_by_role("link", name="Revoke this appliance").click()
        await page.get_by_label("Your own password").fill("not the password")
        await page.get_by_role("button", name="Revoke").click()
        assert "That is not your password." in await page.get_by_role("alert").inner_text()
        # Without JavaScript there is no button that would do nothing.
        assert not await page.get_by_role("button", name="Show").is_visible()
        await page.get_by_label("Your own password").fill(PASSWORD)
        await page.get_by_role("button", name="Revoke").click()
        await page.wait_for_url(url + path)
        assert await page.locator(".lead .badge").inner_text() == "revoked"
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Appliances").click()
        await page.get_by_role("link", name="1 with gaps").click()
        await page.get_by_role("rowheader").get_by_role("link").click()
        await page.get_by_role("link", name="Give up").click()
        await page.get_by_role("button", name="Give up").click()
        assert await page.get_by_role("heading", name="Gaps").count() == 0
        assert await page.get_by_role("cell", name="1-4").count() == 1
        await page.get_by_role("link", name="ES", exact=True).click()
        assert await page.get_by_role("heading", name="Últimos lotes").count() == 1
        await page.get_by_role("link", name="Auditoría").click()
        done = await page.locator(".deeds tbody b").all_inner_texts()
        assert done[:3] == ["renunció a lotes", "revocó", "aprobó"]
        await page.get_by_role("button", name="Salir").click()
        await page.goto(f"{url}/audit")
        assert await page.get_by_role("heading", name="Entrar").count() == 1


async def test_a_lock_is_seen(tmp_path: Path) -> None:
    async with centre(tmp_path) as (url, _, _), tab(url) as page:
        await page.goto(url)
        for _ in range(FREE):
            await log_in(page, "not the password")
        await log_in(page)
        assert "Too many wrong passwords: try again in" in await page.get_by_role("alert").inner_text()


async def test_the_first_operator_is_told_how(tmp_path: Path) -> None:
    async with centre(tmp_path) as (url, database, _), tab(url) as page:
        await Operators(database).remove("ana", NOW)
        await page.goto(url)
        assert "appliance aggregator operator add NAME" in await page.locator("main").inner_text()


@pytest.mark.parametrize(("lang", "scheme"), [("en", "light"), ("es", "dark")])
async def test_nothing_is_wider_than_the_screen(tmp_path: Path, lang: str, scheme: str) -> None:
    """Not even with the longest of names; and by keyboard what is to be typed is reached."""
    async with centre(tmp_path) as (url, database, api):
        sender = Sender(1)
        await Appliances(database).enrol(
            sender.enrolment(name=f"{LONG} {LONG}"[:80].replace(" ", "_"), version="v" * 80), NOW
        )
        await api.ingest.ingest(b"x" * 5000, NOW)
        one = f"/appliances/{sender.identity}"
        async with tab(url, color_scheme=scheme, java_script_enabled=True) as page:
            await page.goto(url)
            await log_in(page)
            await page.locator(".tiles").wait_for()
            for width in (320, 768):
                await page.set_viewport_size({"width": width, "height": 844})
                for path in ("/", one, f"{one}/revoke", "/refusals", "/audit", "/password", "/nothing"):
                    await page.goto(f"{url}{path}?lang={lang}")
                    wide = await page.evaluate("document.documentElement.scrollWidth")
                    assert wide <= width, (path, width)
            await page.goto(f"{url}{one}?lang={lang}")
            seen = []
            for _ in range(30):
                await page.keyboard.press("Tab")
                seen.append(
                    await page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
                )
            assert "claim" in seen


async def test_another_site_cannot_press_a_button_here(tmp_path: Path) -> None:
    """A page of a stranger sends the form; the operator's browser brings no session, and is refused anyway."""
    async with centre(tmp_path) as (url, database, _):
        sender = await Sender().enrol(database)
        form = f"<form method=post action='{url}/appliances/{sender.identity}/revoke'><button>You won</button></form>"

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n{form}".encode())
            await writer.drain()
            writer.close()

        stranger = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = stranger.sockets[0].getsockname()[1]
        async with stranger, tab("http://") as page:
            await page.goto(url)
            await log_in(page)
            await page.goto(f"http://localhost:{port}/")
            async with page.expect_response(lambda r: r.url.endswith("/revoke")) as answer:
                await page.get_by_role("button").click()
            assert (await answer.value).status == 403
        found = await Appliances(database).one(sender.identity)
        assert found is not None
        assert found.state == "approved"
