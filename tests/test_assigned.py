"""Assigned at the centre, shown on the appliance's page, and named by its next batch: each a process of its own."""

import asyncio
import contextlib
import re
import signal
import sqlite3
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.test_app import Start, start
from tests.test_delivery import aggregator, told

__all__ = ["start"]


def asked(directory: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(
        sqlite3.connect(f"{(directory / 'aggregator.db').as_uri()}?mode=ro", uri=True)
    ) as connection:
        return connection.execute(query).fetchall()


def page(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return str(answer.read().decode())


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(is_so):
            await asyncio.sleep(0.1)


async def test_from_a_list_to_the_next_batch(start: Start, tmp_path: Path) -> None:
    centre, listed = tmp_path / "centre", tmp_path / "list.csv"
    async with aggregator(centre) as (address, key):
        at = ("--directory", str(centre))
        token = (await told("aggregator", "token", *at)).strip()
        sync = (
            f"[sync]\naggregators = ['{address}']\naggregator_key = '{key}'\ntoken = '{token}'\n"
            f"certificate = '{centre / 'tls' / 'certificate.pem'}'\n"
        )
        appliance = await start(meters=5, more=sync)
        await appliance.until_heard(5)
        listed_page = await asyncio.to_thread(page, f"{appliance.url}meters")
        meters = sorted(map(int, re.findall('data-id="(\\d+)"', listed_page)))
        await until(lambda: bool(asked(centre, "SELECT 1 FROM batch")))
        ((identity,),) = asked(centre, "SELECT identity FROM appliance")
        rows = [f"{meter};Servicio {meter};Calle 5 nº {n}, Ñuñoa;0,01" for n, meter in enumerate((*meters, 7))]
        listed.write_text("\n".join(["meter_id;name;address;multiplier", *rows]), encoding="utf-8-sig")
        await told("aggregator", "assign", str(identity), str(listed), *at)
        assert (await told("aggregator", "assignments", str(identity), *at)).count(",0.01\n") == 6
        assert await appliance.end(signal.SIGTERM) == 0

        # What was heard before is told at the start, at the latest; the answer to that brings the list.
        appliance = await start(meters=6, more=sync)
        url = appliance.url
        await until(lambda: "5 of 6 assigned meters were heard" in page(url))
        shown = await asyncio.to_thread(page, f"{url}meters")
        assert all(f"Servicio {meter}" in shown for meter in meters)
        await appliance.until_heard(6)
        assert await appliance.end(signal.SIGTERM) == 0
        # The sixth meter is told now.
        appliance = await start(meters=6, more=sync)
        ((version,),) = asked(centre, "SELECT version FROM assignment_list")
        await until(lambda: (version,) in asked(centre, "SELECT assignments FROM batch"))
        assert await appliance.end(signal.SIGTERM) == 0
