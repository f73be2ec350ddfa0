"""Makes the pictures of the technician's site in this directory: `python docs/images/screenshots.py [METERS]`.

Gives an appliance the last months of six meters of the simulated neighbourhood, as `appliance import` takes them over
from a log, runs it as it comes, waits until METERS (default 24) are heard, logs in with the password that it printed,
and photographs the pages with the system's Chromium.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from playwright.async_api import Browser, async_playwright

from appliance.radio.neighbourhood import EPOCH, street

HERE = Path(__file__).parent
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
DAYS, EVERY = 100, timedelta(minutes=15)
REMEMBERED = street(1, 48)[1:7]
METER = f"meters/scm/{REMEMBERED[0].meter_id}"
SHOWN = REMEMBERED[1].register_at((datetime.now(UTC) - EPOCH).total_seconds())
# The level of the meter that is the loudest.
LEVEL = "find#level"
PICTURES = (
    ("log-in.png", "login", DESKTOP, "light", "en-US"),
    ("log-in-phone.png", "login", PHONE, "light", "en-US"),
    ("password.png", "password", DESKTOP, "light", "en-US"),
    ("password-phone.png", "password", PHONE, "dark", "es-CL"),
    ("overview.png", "", DESKTOP, "light", "en-US"),
    ("overview-phone.png", "", PHONE, "dark", "es-CL"),
    ("delivery.png", "delivery", DESKTOP, "light", "en-US"),
    ("delivery-phone.png", "delivery", PHONE, "light", "es-CL"),
    ("set-up.png", "set-up", DESKTOP, "light", "en-US"),
    ("set-up-phone.png", "set-up", PHONE, "light", "es-CL"),
    ("live-page.png", "meters", DESKTOP, "light", "en-US"),
    ("live-page-phone.png", "meters", PHONE, "light", "en-US"),
    ("meter.png", METER, DESKTOP, "light", "en-US"),
    ("meter-phone.png", METER, PHONE, "dark", "es-CL"),
    ("readings.png", f"{METER}/readings", DESKTOP, "light", "en-US"),
    ("readings-phone.png", f"{METER}/readings", PHONE, "light", "es-CL"),
    ("find.png", "find", DESKTOP, "light", "en-US"),
    ("find-phone.png", "find", PHONE, "light", "es-CL"),
    ("dial.png", f"find/dial?shown={SHOWN}", DESKTOP, "light", "en-US"),
    ("dial-phone.png", f"find/dial?shown={SHOWN}", PHONE, "light", "es-CL"),
    ("load.png", "find/load?power=2000", DESKTOP, "light", "en-US"),
    ("load-phone.png", "find/load?power=2000", PHONE, "dark", "es-CL"),
    ("level.png", LEVEL, DESKTOP, "light", "en-US"),
    ("level-phone.png", LEVEL, PHONE, "dark", "es-CL"),
    ("keeping.png", "system/keeping", DESKTOP, "light", "en-US"),
    ("keeping-phone.png", "system/keeping", PHONE, "light", "es-CL"),
    ("radio.png", "radio", DESKTOP, "light", "en-US"),
    ("radio-phone.png", "radio", PHONE, "dark", "es-CL"),
    ("system.png", "system", DESKTOP, "light", "en-US"),
    ("system-phone.png", "system", PHONE, "dark", "es-CL"),
    ("log.png", "system/log", DESKTOP, "light", "en-US"),
    ("log-phone.png", "system/log", PHONE, "light", "es-CL"),
    ("restart.png", "system/restart/program", DESKTOP, "light", "en-US"),
    ("restart-phone.png", "system/restart/program", PHONE, "light", "es-CL"),
    ("live-page-dark.png", "meters", DESKTOP, "dark", "es-CL"),
)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


async def main(meters: int) -> None:
    """Run, wait, photograph, stop."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Path(directory) / "appliance.toml"
        settings.write_text(f"[web]\nhost = '127.0.0.1'\nport = 0\n[store]\ndirectory = '{directory}/data'\n")
        log = Path(directory) / "rtlamr.log"
        log.write_text("".join(past()), encoding="utf-8")
        program = (sys.executable, "-m", "appliance")
        importing = await asyncio.create_subprocess_exec(*program, "import", str(log), "--config", str(settings))
        if await importing.wait():
            raise SystemExit("the past was not taken over")
        command = (*program, "run", "--config", str(settings))
        appliance = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            stdout = cast(asyncio.StreamReader, appliance.stdout)
            url = (await stdout.readline()).decode().split()[-1]
            while " password " not in (line := (await stdout.readline()).decode()):
                pass
            password = line.split()[-1]
            while await asyncio.to_thread(heard, url) < meters:  # noqa: ASYNC110 - another process
                await asyncio.sleep(1)
            async with async_playwright() as driver:
                browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
                await photograph(browser, url, password)
                await browser.close()
        finally:
            appliance.terminate()
            await appliance.wait()


def past() -> Iterator[str]:
    """What rtlamr would have logged of a few meters until now."""
    begin = datetime.now(UTC) - timedelta(days=DAYS)
    for n in range(int(timedelta(days=DAYS) / EVERY)):
        for number, meter in enumerate(REMEMBERED):
            at = begin + n * EVERY + timedelta(seconds=17 * number)
            told = {
                "ID": meter.meter_id,
                "Type": meter.endpoint_type,
                "TamperPhy": meter.tamper_phy,
                "TamperEnc": meter.tamper_enc,
                "Consumption": meter.register_at((at - EPOCH).total_seconds()),
                "ChecksumVal": 0,
            }
            yield json.dumps({"Time": at.isoformat(), "Type": "SCM", "Message": told}) + "\n"


def heard(url: str) -> int:
    """How many meters the page shows."""
    with urllib.request.urlopen(f"{url}healthz") as answer:  # noqa: S310 - our own page
        return int(json.load(answer)["meters"])


async def photograph(browser: Browser, url: str, password: str) -> None:
    """Each picture in a fresh browser context."""
    for name, path, size, scheme, locale in PICTURES:
        context = await browser.new_context(viewport=size, color_scheme=scheme, locale=locale, device_scale_factor=1)
        page = await context.new_page()
        await page.goto(url)
        if path != "login":
            await page.locator("#name").fill("technician")
            await page.locator("#password").fill(password)
            await page.locator("#password").press("Enter")
            await page.locator("form.person").wait_for()
            await page.goto(url + path)
        if path in ("", "meters"):
            await page.locator("#connection.live").wait_for()
        if path == "radio":
            # Until the waterfall is full.
            await page.wait_for_timeout(35_000)
        if path == METER:
            await page.locator("canvas").first.wait_for()
            await page.wait_for_timeout(2_000)
        if path == LEVEL:
            await page.locator(".candidates .id[href$='-simulated']").first.click()
            await page.locator("#strip .point").first.wait_for(timeout=600_000)
        await page.screenshot(path=HERE / name)
        await context.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 24))
