"""Makes the pictures of the operator's pages in this directory: `python docs/images/operator_screenshots.py`.

Serves a made-up fleet of 60 appliances, most of them well, and photographs the pages with the system's Chromium. Run it
in the repository: the appliances are those of the tests.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.async_api import Page, async_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from appliance.aggregator.api import Api  # noqa: E402
from appliance.aggregator.database import Database, migrate  # noqa: E402
from appliance.aggregator.operators import Operators  # noqa: E402
from appliance.aggregator.server import serving  # noqa: E402
from appliance.aggregator.settings import Web  # noqa: E402
from appliance.sync.batch import Knot  # noqa: E402
from appliance.web.frame.passwords import kept  # noqa: E402
from tests.aggregator.street import CENTRE, Sender  # noqa: E402

STREETS = ("Los Aromos", "Cerro Alegre", "Villa El Bosque", "Av. Providencia 2201", "Torre Norte", "Quilpué Centro")
MINUTE_MS, DAY_MS = 60_000, 86_400_000
PASSWORD = "four words do not rhyme"  # noqa: S105 - of nobody
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


async def main() -> None:
    """Make a fleet, serve it, photograph, stop."""
    now_utc_ms = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        database = Database(Path(directory))
        await migrate(database.engine)
        operators, as_kept = Operators(database), await asyncio.to_thread(kept, PASSWORD)
        await operators.add("ana.perez", as_kept, now_utc_ms - 1)
        await operators.set_password("ana.perez", as_kept, now_utc_ms)
        api = Api(database, CENTRE)
        for number in range(60):
            await make(api, number, now_utc_ms)
        async with serving(api, Web(host="127.0.0.1", port=0)) as port, async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            for name, size, scheme in (
                ("fleet-page.png", {"width": 1280, "height": 760}, "light"),
                ("appliance-page.png", {"width": 390, "height": 844}, "dark"),
            ):
                context = await browser.new_context(viewport=size, color_scheme=scheme, locale="en-US")
                await photograph(await context.new_page(), f"http://127.0.0.1:{port}", name)
            await browser.close()
        await database.close()


async def make(api: Api, number: int, now_utc_ms: int) -> None:
    """One appliance: three wait, two are silent, two have a gap, the others are well."""
    sender = Sender(number)
    name = f"{STREETS[number % len(STREETS)]} {number + 1}"
    await api.appliances.enrol(sender.enrolment(name=name), now_utc_ms - 20 * DAY_MS)
    if number in (7, 22, 40):
        return
    await api.appliances.approve(sender.identity, now_utc_ms - 19 * DAY_MS)
    await api.ingest.keys.refresh()
    heard = now_utc_ms - (3 * DAY_MS if number in (11, 33) else (number % 15) * MINUTE_MS)
    for sequence in (1, 2, 3, 4, 5):
        sealed_utc_ms = heard - (5 - sequence) * 15 * MINUTE_MS
        line = sender.sealed(sequence, sealed=Knot(900_500, sealed_utc_ms, 250, "ntp"))
        if number not in (17, 51) or sequence not in (3, 4):
            await api.ingest.ingest(line, sealed_utc_ms + 2_000)


async def photograph(page: Page, url: str, name: str) -> None:
    """One picture, after a log-in."""
    await page.goto(url)
    await page.get_by_label("Name").fill("ana.perez")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.locator(".tiles").wait_for()
    if name.startswith("appliance"):
        await page.goto(f"{url}/?show=waiting")
        await page.get_by_role("rowheader").first.get_by_role("link").click()
        await page.locator(".fingerprint").wait_for()
    await page.screenshot(path=HERE / name)


if __name__ == "__main__":
    asyncio.run(main())
