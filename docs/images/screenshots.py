"""Makes the pictures of the live page in this directory: `python docs/images/screenshots.py [METERS]`.

Runs `appliance run` as it comes, with the simulated neighbourhood, waits until METERS (default 24) are heard, and
photographs the page with the system's Chromium.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import cast

from playwright.async_api import Browser, async_playwright

HERE = Path(__file__).parent
PICTURES = (
    ("live-page.png", {"width": 1280, "height": 900}, "light", "en-US"),
    ("live-page-phone.png", {"width": 390, "height": 844}, "light", "en-US"),
    ("live-page-dark.png", {"width": 1280, "height": 900}, "dark", "es-CL"),
)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


async def main(meters: int) -> None:
    """Run, wait, photograph, stop."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Path(directory) / "appliance.toml"
        settings.write_text(f"[web]\nhost = '127.0.0.1'\nport = 0\n[store]\ndirectory = '{directory}/data'\n")
        command = (sys.executable, "-m", "appliance", "run", "--config", str(settings))
        appliance = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            stdout = cast(asyncio.StreamReader, appliance.stdout)
            url = (await stdout.readline()).decode().split()[-1]
            while await asyncio.to_thread(heard, url) < meters:  # noqa: ASYNC110 - another process
                await asyncio.sleep(1)
            async with async_playwright() as driver:
                browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
                await photograph(browser, url)
                await browser.close()
        finally:
            appliance.terminate()
            await appliance.wait()


def heard(url: str) -> int:
    """How many meters the page shows."""
    with urllib.request.urlopen(f"{url}healthz") as answer:  # noqa: S310 - our own page
        return int(json.load(answer)["meters"])


async def photograph(browser: Browser, url: str) -> None:
    """Each picture in a fresh browser context."""
    for name, size, scheme, locale in PICTURES:
        context = await browser.new_context(viewport=size, color_scheme=scheme, locale=locale, device_scale_factor=1)
        page = await context.new_page()
        await page.goto(url)
        await page.locator("#connection.live").wait_for()
        await page.screenshot(path=HERE / name)
        await context.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 24))
