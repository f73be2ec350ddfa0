"""The zone that is set holds on every page, in every file and stream: times, days, midnights."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from appliance import zones
from tests.machine import START
from tests.web.conftest import Site, served
from tests.web.pages import get
from tests.web.test_events import Stream

HOUR_S = 3600.0
# Noon in UTC, at which it all begins.
MARCH_MS = round(START.timestamp() * 1000)
METER = "/meters/scm/60"
SANTIAGO = "America/Santiago"


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Site]:
    """A site that has heard a meter for two days, a count every hour, from noon of 2026-03-01 in UTC."""
    async with served(Site(tmp_path)) as site:
        for hour in range(48):
            site.hear(60, consumption=100 + hour)
            site.pass_time(HOUR_S)
        await site.keep()
        yield site


@pytest.mark.parametrize(
    ("zone", "midnight", "used"),
    [("UTC", "00:00:00+00:00", 11), (SANTIAGO, "00:00:00-03:00", 8), ("Asia/Kolkata", "00:00:00+05:30", 17)],
)
async def test_days_begin_at_the_midnights_of_the_zone(kept: Site, zone: str, midnight: str, used: int) -> None:
    with zones.chosen(zone):
        _, text = await get(kept, f"/api/v1{METER}/consumption.json?step=day&from={MARCH_MS}")
        found = [(day["from"], day["used"]) for day in json.loads(text)]
        assert found == [(f"2026-03-0{n}T{midnight}", count) for n, count in ((1, None), (2, 24), (3, used))]
        _, page = await get(kept, METER)
        assert f"All times in the zone {zone}." in page


async def test_every_page_tells_times_in_the_zone_and_says_which(kept: Site) -> None:
    now = {"UTC": ("12:00", "UTC"), SANTIAGO: ("09:00", "UTC−03"), "Asia/Kolkata": ("17:30", "UTC+05:30")}
    for zone, (time, offset) in now.items():
        with zones.chosen(zone):
            for path in ("/", "/system"):
                _, page = await get(kept, path)
                assert re.search(rf"{time}(:\d\d)?[\s ]{re.escape(offset)}\b", page), (zone, path)
            _, text = await get(kept, "/api/v1/status")
            assert json.loads(text)["clock"]["zone"] == zone
            for path in ("/", "/meters", METER, "/find", "/system", "/delivery"):
                _, page = await get(kept, path)
                assert f'data-zone="{zone}"' in page, path


@pytest.mark.parametrize("path", ["/events/overview", "/meters/events", f"/find{METER[7:]}/events", f"{METER}/events"])
async def test_what_keeps_a_page_up_to_date_names_the_zone(kept: Site, path: str) -> None:
    with zones.chosen("Pacific/Easter"):
        async with aiohttp.ClientSession() as session, session.get(kept.url + path) as answer:
            assert (await Stream(answer).next())["zone"] == "Pacific/Easter"
