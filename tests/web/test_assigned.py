"""What is assigned, on the live page: names and addresses, how many are heard, and which are not."""

import json

import aiohttp
import pytest

from appliance.assignment import Assignment
from appliance.store.assigned import Assigned
from appliance.web.condition import MOST_MISSING
from tests.web.conftest import Site
from tests.web.pages import Cells, get


def assign(site: Site, version: int, *meters: int, name: str = "Pozo <1>", protocol: str = "") -> None:
    listed = tuple(Assignment.of(n, protocol, f"{name} {n}", f"Calle 5 nº {n}, Ñuñoa", "1") for n in sorted(meters))
    site.store.assigned = Assigned(version, 1, listed)


async def test_a_meter_has_its_name_and_address(site: Site) -> None:
    site.hear(5)
    site.hear(6)
    site.hear(7)
    assign(site, 1, 5, 6, 8)
    _, page = await get(site, "/meters")
    cells = Cells(page)
    assert [row[0] for row in cells.rows[1:]] == [
        "5 scmPozo <1> 5 Calle 5 nº 5, Ñuñoa", "6 scmPozo <1> 6 Calle 5 nº 6, Ñuñoa", "7 scm"
    ]  # fmt: skip
    assert "<1>" not in page


async def test_another_protocol_is_another_meter(site: Site) -> None:
    site.hear(5, protocol="idm")
    assign(site, 1, 5, protocol="scm")
    _, page = await get(site, "/")
    assert "0 of 1 assigned meters" in page


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "2 of 3 assigned meters were heard in the last 24 hours."),
        ("es", "Se escucharon 2 de los 3 medidores asignados en las últimas 24 horas."),
    ],
)
async def test_how_many_are_heard_and_which_are_not(site: Site, language: str, words: str) -> None:
    site.hear(5)
    site.hear(6, simulated=True)
    assign(site, 1, 5, 6, 8)
    _, page = await get(site, f"/?lang={language}")
    assert words in page
    assert '<li><a href="/meters/any/8">8</a> Pozo &lt;1&gt; 8 Calle 5 nº 8, Ñuñoa</li>' in page
    assert (await get(site, "/meters/any/8"))[0].status == 200


async def test_what_was_heard_long_ago_is_not_heard(site: Site) -> None:
    site.hear(5)
    assign(site, 1, 5)
    assert "1 of 1 assigned meters" in (await get(site, "/"))[1]
    site.pass_time(90_000)
    assert "0 of 1 assigned meters" in (await get(site, "/"))[1]


async def test_of_many_that_are_missing_some_are_named(site: Site) -> None:
    assign(site, 1, *range(1, 101))
    _, page = await get(site, "/")
    assert page.count('<li><a href="/meters/any/') == MOST_MISSING
    assert f"and others: {100 - MOST_MISSING}" in page


async def test_nothing_is_said_where_nothing_is_assigned(site: Site) -> None:
    site.hear(5)
    assert "assigned meters" not in (await get(site, "/"))[1]


async def test_an_open_page_learns_of_another_list(site: Site) -> None:
    site.hear(5)
    assign(site, 1, 5)
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/meters/events") as answer:
        first = await told(answer)
        assert "Pozo" in first["rows"]
        assign(site, 2, 5, 6, name="Casa")
        while "Casa" not in (later := await told(answer))["rows"]:
            pass
        assert later["full"]


async def told(answer: aiohttp.ClientResponse) -> dict[str, str]:
    while not (line := await answer.content.readline()).startswith(b"data: "):
        pass
    found: dict[str, str] = json.loads(line.removeprefix(b"data: "))
    return found
