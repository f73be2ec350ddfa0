"""How long the technician's pages take on the server: asked over HTTP on two years of 300 meters.

First, as when the page is opened after the appliance started; then again, the median. What a page weighs is what goes
over the line, compressed, with all that it loads when nothing is in the browser's cache yet.
"""

import asyncio
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp

from appliance.clock import Clock, KernelTime
from appliance.store.writer import Store
from appliance.web.parts import Parts
from appliance.web.site import serving
from benchmarks.made_history import DAY_MS, Made, make

METERS, DAYS = 300, 730
AGAIN = 7
_LOADED = re.compile(r'(?:src|href)="(/static/[^"]+)"')


@dataclass(frozen=True)
class Asked:
    """Milliseconds the first time and again, and kB on the line, with what the page loads."""

    first_ms: float
    again_ms: float
    with_files_kb: float


def pages(made: Made) -> dict[str, str]:
    """Each page, and what its charts ask for, by a name."""
    one = f"/meters/scm/{made.meter(150).meter_id}"
    end, chart = made.end_ms, f"/api/v1{one}/chart"
    return {
        "overview": "/",
        "meters": "/meters",
        "meters, one searched": "/meters?q=17005587",
        "meters as CSV": "/api/v1/meters.csv",
        "find": "/find",
        "find by a dial": "/find/dial?shown=31160",
        "radio": "/radio",
        "delivery": "/delivery",
        "system": "/system",
        "meter": one,
        "meter's readings": f"{one}/readings",
        "chart of a day": f"{chart}?from={end - DAY_MS}&to={end}",
        "chart of a week": f"{chart}?from={end - 7 * DAY_MS}&to={end}",
        "chart of a year": f"{chart}?from={end - 365 * DAY_MS}&to={end}",
        "chart of two years, by day": f"{chart}?from={end - DAYS * DAY_MS}&to={end}&step=day",
    }


def measure(*, quick: bool = False) -> dict[str, Asked]:
    """Make the history and ask for each page; a table goes to standard output."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="history-") as name:
        made = make(Path(name) / "made", 60 if quick else DAYS, METERS)
        return asyncio.run(_measure(made))


async def _measure(made: Made) -> dict[str, Asked]:
    # The machine was started a minute after the history ends, and NTP holds its clock.
    begun_s = time.monotonic()
    clock = Clock(
        boottime_ms=lambda: 60_000 + round((time.monotonic() - begun_s) * 1000),
        realtime_ms=lambda: made.end_ms + 60_000 + round((time.monotonic() - begun_s) * 1000),
        boot_id="measured",
        kernel=lambda: KernelTime(synchronized=True, uncertainty_ms=20),
    )
    store = Store(made.directory, 60, clock)
    clock.poll()
    await store.open()
    try:
        parts = Parts(site_name="", names=(), store=store, receivers=lambda: (), health=dict, is_open=True)
        async with serving(parts, "127.0.0.1", 0) as port, aiohttp.ClientSession(auto_decompress=False) as session:
            return await _ask(session, f"http://127.0.0.1:{port}", made)
    finally:
        await store.close()


async def _ask(session: aiohttp.ClientSession, url: str, made: Made) -> dict[str, Asked]:
    found = {}
    print(f"{'page':<28}{'first ms':>10}{'again ms':>10}{'kB':>8}   of {made.days} days and {made.meters} meters")
    for name, path in pages(made).items():
        timed = [await _timed(session, url + path) for _ in range(1 + AGAIN)]
        async with session.get(url + path, headers={"Accept-Encoding": "identity"}) as answer:
            loaded = set(_LOADED.findall(await answer.text()))
        weighs = timed[0][1] + sum([(await _timed(session, url + file.replace("&amp;", "&")))[1] for file in loaded])
        found[name] = Asked(timed[0][0], median(ms for ms, _ in timed[1:]), weighs / 1000)
        print(f"{name:<28}{found[name].first_ms:>10.1f}{found[name].again_ms:>10.1f}{weighs / 1000:>8.1f}")
    return found


async def _timed(session: aiohttp.ClientSession, address: str) -> tuple[float, int]:
    """Milliseconds and bytes of an answer."""
    begin = time.perf_counter()
    async with session.get(address, headers={"Accept-Encoding": "gzip"}, allow_redirects=False) as answer:
        body = await answer.read()
    if answer.status != 200:
        raise SystemExit(f"{address} answers {answer.status}")
    return (time.perf_counter() - begin) * 1e3, len(body)


if __name__ == "__main__":
    measure(quick="--quick" in sys.argv[1:])
