"""The list of meters over HTTP: what is searched, chosen and ordered, what was never heard, and the list as a file."""

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from appliance.assignment import Assignment
from appliance.store.assigned import Assigned
from appliance.store.last_day import HOURS
from appliance.web.views.meters.page import COLUMNS, MOST_ROWS
from appliance.web.views.meters.sparks import EVERY_S, bars
from appliance.web.views.meters.wanted import Wanted
from tests.web.conftest import Site, served
from tests.web.pages import Cells, get

HOUR_S = 3600.0
EVIL = "<script>alert(1)</script>\"'{{7*7}}%s"


def assign(site: Site, **named: tuple[str, str, str]) -> None:
    """Meters by their ID: name, address and multiplier."""
    meters = sorted(Assignment.of(int(key[1:]), "", *values) for key, values in named.items())
    site.store.assigned = Assigned(1, 1, tuple(meters))


async def ids(site: Site, query: str = "") -> list[str]:
    _, page = await get(site, f"/meters{query}")
    return [row[0].split()[0] for row in Cells(page).rows[1:]]


async def street(site: Site) -> None:
    """Four meters: one long silent, one tampered with, two that are assigned."""
    site.hear(50, commodity="gas", endpoint_type=12, snr_db=5.0)
    site.pass_time(25 * HOUR_S)
    site.hear(60, snr_db=30.0)
    site.hear(70, commodity="water", snr_db=15.0)
    site.hear(80)
    site.pass_time(10)
    site.hear(80, tamper_phy=1, consumption=31170)
    assign(
        site,
        m60=("Casa Ñandú", "Calle Álvarez 12", "0.01"), m70=("Pozo", "Camino 3", "1"), m90=("Nunca", "Lejos", "1"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["50", "60", "70", "80"]),
        ("?q=6", ["60"]),
        ("?q=nandu", ["60"]),
        ("?q=ALVAREZ+casa", ["60"]),
        ("?q=alvarez+pozo", []),
        ("?commodity=gas", ["50"]),
        ("?commodity=steam", ["50", "60", "70", "80"]),
        ("?assigned=yes", ["60", "70"]),
        ("?assigned=no", ["50", "80"]),
        ("?silent=1", ["50"]),
        ("?tampered=1", ["80"]),
        ("?assigned=yes&commodity=water&q=camino", ["70"]),
        ("?sort=level", ["50", "70", "80", "60"]),
        ("?sort=heard", ["80", "60", "70", "50"]),
        ("?sort=name", ["60", "70", "50", "80"]),
        ("?sort=changed", ["80", "50", "60", "70"]),
        ("?sort=rate", ["80", "60", "70", "50"]),
        ("?sort=__class__", ["50", "60", "70", "80"]),
    ],
)
async def test_what_is_wanted(site: Site, query: str, found: list[str]) -> None:
    await street(site)
    _, page = await get(site, f"/meters{query}")
    table = page.partition('<tbody id="meters"')[2].partition("</tbody>")[0]
    assert [row[0].split()[0] for row in Cells(table).rows] == found
    answer, text = await get(site, f"/api/v1/meters.json{query}")
    if "steam" in query or "__class__" in query:
        # A program has to be told that it asks for what is not there.
        assert answer.status == 400
        return
    told = json.loads(text)
    assert [str(row["meter_id"]) for row in told if row["last_heard"]] == found


async def test_an_address_says_what_is_chosen_and_no_more(site: Site) -> None:
    wanted = Wanted.of({"q": " a  \u0000b ", "silent": "on", "sort": "level", "commodity": "x", "foo": "bar"})
    assert wanted.query() == "?q=a+b&silent=1&sort=level"
    assert Wanted().query() == ""
    assert Wanted.of({"q": "x" * 1000}).words == "x" * 64


async def test_assigned_and_never_heard_stands_apart(site: Site) -> None:
    await street(site)
    _, page = await get(site, "/meters")
    apart = page.partition("Assigned and never heard")[2]
    assert "90" in apart
    assert "Nunca" in apart
    for query in ("?commodity=gas", "?assigned=no", "?tampered=1", "?q=camino"):
        assert "Assigned and never heard" not in (await get(site, f"/meters{query}"))[1], query
    assert "Assigned and never heard" in (await get(site, "/meters?q=nunca"))[1]


async def test_quantities_are_in_the_unit_of_what_is_billed(site: Site) -> None:
    await street(site)
    rows = {row[0].split()[0]: row for row in Cells((await get(site, "/meters?lang=es"))[1]).rows[1:]}
    assert rows["60"][2].split() == ["311,60", "kWh"]
    assert rows["70"][2].split(" ") == ["31.160", "m³"]
    assert rows["80"][2] == "31.170"


@pytest.mark.parametrize("kind", ["csv", "json"])
async def test_the_table_as_a_file(site: Site, kind: str) -> None:
    await street(site)
    answer, text = await get(site, f"/api/v1/meters.{kind}?assigned=yes")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="meters.{kind}"'
    rows: list[dict[str, Any]] = (
        json.loads(text) if kind == "json" else list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    )
    assert tuple(rows[0]) == COLUMNS or set(rows[0]) == set(COLUMNS)
    assert [str(row["meter_id"]) for row in rows] == ["60", "70", "90"]
    assert (rows[0]["quantity"], rows[0]["unit"], str(rows[0]["register"])) == ("311.60", "kWh", "31160")
    assert (await get(site, "/api/v1/meters.exe"))[0].status == 404


async def test_names_from_outside_do_nothing(site: Site) -> None:
    site.hear(60)
    assign(site, m60=(EVIL, "=1+1", "1"), m90=(EVIL, EVIL, "1"))
    _, page = await get(site, "/meters")
    assert "<script>alert" not in page
    assert "49%s" not in page
    text = (await get(site, "/api/v1/meters.csv"))[1]
    assert "'=1+1" in text
    _, page = await get(site, "/meters?q=%22%3E%3Cscript%3Ealert(1)")
    assert "<script>alert" not in page


async def last_day(site: Site, other: str = "–") -> str:
    """What the first meter used in the last day, once that is something else."""
    async with asyncio.timeout(20):
        while (told := Cells((await get(site, "/meters"))[1]).rows[1][3].strip()) == other:
            await asyncio.sleep(0.05)
    return told


async def test_the_last_day_is_drawn(tmp_path: Path) -> None:
    async with served(Site(tmp_path)) as site:
        for hour in range(30):
            site.hear(60, consumption=1000 + hour * 10)
            site.pass_time(HOUR_S)
        await site.keep()
        assert await last_day(site) == "230"
        _, page = await get(site, "/meters")
        path = page.partition('<path d="')[2].partition('"')[0]
        assert path.count("v-20") == 23
        site.hear(60, consumption=2000)
        await site.store.commit()
        assert await last_day(site) == "230"
        site.pass_time(EVERY_S)
        assert await last_day(site, other="230") != "230"


def test_bars() -> None:
    assert bars([]) == bars([None] * HOURS) == ""
    assert bars([0] * HOURS).count("v-1") == HOURS
    assert bars([-5, 5]) == "M1 20v-20m3 20v-20"


async def test_a_history_that_does_not_answer_costs_the_pictures_only(site: Site) -> None:
    site.hear(60)
    answer, page = await get(site, "/meters")
    assert answer.status == 200
    assert "60" in page


async def test_five_hundred_meters_and_very_many(site: Site) -> None:
    for n in range(500):
        site.hear(1000 + n)
    answer, page = await get(site, "/meters", **{"Accept-Encoding": "gzip"})
    assert len(Cells(page).rows) == 501
    assert int(answer.headers["Content-Length"]) < 60_000
    for n in range(MOST_ROWS + 5):
        site.hear(10_000 + n)
    _, page = await get(site, "/meters")
    assert "The table shows those heard last:" in page
    assert len(Cells(page).rows) == MOST_ROWS + 1


async def test_nobody_sees_it_without_a_log_in(tmp_path: Path) -> None:
    async with served(Site(tmp_path, is_open=False)) as site:
        site.hear(60)
        for path in (
            "/meters",
            "/meters/events",
            "/api/v1/meters.json",
            "/meters/scm/60",
            "/api/v1/meters/scm/60/chart",
        ):
            answer, text = await get(site, path)
            assert (answer.status, "60 " in text) == (401 if path.startswith("/api/") else 303, False), path


async def test_a_number_that_was_not_heard_can_be_waited_for(site: Site) -> None:
    site.hear(60)
    assert 'href="/find/99999999"' in (await get(site, "/meters?q=99999999"))[1]
    for words in ("nunca", "0", "99999999999", "6"):
        none = (await get(site, f"/meters?q={words}"))[1].partition('id="none"')[2].partition("</div>")[0]
        assert ("/find/" in none) == (words == "6"), words


async def test_an_empty_list_says_when_no_radio_runs(site: Site) -> None:
    assert "No radio runs" not in (await get(site, "/meters"))[1]
    site.receiver(state="retrying", reason="No dongle found")
    assert "No radio runs at this moment: the overview says why." in (await get(site, "/meters"))[1]
