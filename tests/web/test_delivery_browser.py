"""The page of the delivery in a real browser: whoever was just approved sees it delivered."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.sync.courier import About, Courier
from appliance.sync.sealing import Sealing
from appliance.web.site import serving
from tests.sync.centre import NOW_MS, centre
from tests.web.conftest import Site
from tests.web.test_browser import browser, opened, pytestmark

__all__ = ["browser", "pytestmark"]

MAIN = "document.querySelector('main').innerText"


async def for_ever(_seconds: float) -> None:
    await asyncio.Event().wait()


async def test_a_try_is_asked_for_and_what_waited_is_gone(browser: Any, site: Site, tmp_path: Path) -> None:
    site.hear(60243827)
    await site.keep()
    sealing = Sealing(site.store)
    assert await sealing.seal_now() == ""
    async with centre(tmp_path / "centre") as there:
        there.approves = False
        carrier = Courier(
            sealing, [there.link()], About("Calle 5", "0.1.0"), lambda *_: None, lambda: 900.0, lambda: None, for_ever
        )
        running = asyncio.create_task(carrier.run(lambda reason, hint: None))
        try:
            async with serving(replace(site.parts(), sealing=sealing, courier=carrier), "127.0.0.1", 0) as port:
                site.url = f"http://127.0.0.1:{port}"
                tab = await opened(browser, site, "/delivery")
                await tab.until(f"{MAIN}.includes('It has not approved this appliance yet.')")
                identity = await sealing.of(lambda outbox: outbox.identity.appliance)
                await there.appliances.approve(identity, NOW_MS)
                await tab.page.get_by_role("button", name="Try now").click()
                await tab.until(f"!{MAIN}.includes('It has not approved')")
                # What waits is looked at every few seconds.
                site.pass_time(5)
                await tab.until(f"{MAIN}.includes('1 / 1') && !{MAIN}.includes('Try now')")
                assert (tab.complaints, tab.strangers) == ([], [])
                await tab.page.context.close()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            sealing.close()
