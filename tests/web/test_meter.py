"""The page of one meter over HTTP: what is shown, what a technician does there, its files, its charts' data."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.assignment import Assignment
from appliance.errors import StoreError
from appliance.store import notes
from appliance.store.assigned import Assigned
from appliance.web.openapi.description import MOST_MS
from appliance.web.openapi.tables import columns
from appliance.web.views.meter.files import TABLES
from tests.web.conftest import Site, served
from tests.web.pages import get

HOUR_S, DAY_MS = 3600.0, 86_400_000
EVIL = "<script>alert(1)</script>\"'{{7*7}}%s"
METER = "/meters/scm/60"


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Site]:
    """A site that has heard a meter for two days, a count every quarter of an hour, and a sibling."""
    async with served(Site(tmp_path)) as site:
        for quarter in range(192):
            site.hear(60, consumption=31160 + quarter)
            site.hear(61)
            site.pass_time(HOUR_S / 4)
        await site.keep()
        yield site


async def post(
    site: Site, path: str, fields: Mapping[str, str], cookies: Mapping[str, str], **headers: str
) -> tuple[aiohttp.ClientResponse, str]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        aiohttp.ClientSession(cookies=cookies, cookie_jar=jar) as session,
        session.post(
            site.url + path, data=fields, headers={"Origin": site.url} | headers, allow_redirects=False
        ) as answer,
    ):
        return answer, await answer.text()


async def page_of(site: Site, cookies: Mapping[str, str], path: str = METER) -> str:
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        aiohttp.ClientSession(cookies=cookies, cookie_jar=jar) as session,
        session.get(site.url + path) as answer,
    ):
        assert answer.status == 200
        return await answer.text()


async def chart(site: Site, query: str = "", path: str = METER) -> dict[str, Any]:
    answer, text = await get(site, f"/api/v1{path}/chart{query}")
    assert answer.status == 200
    told: dict[str, Any] = json.loads(text)
    return told


@pytest.mark.parametrize(
    "path",
    ["/meters/scm/61", "/meters/scm/60-simulated", "/meters/idm/60", "/meters/scm/0", "/meters/scm/x", "/meters/scm"],
)
async def test_what_was_never_heard_has_no_page(site: Site, path: str) -> None:
    site.hear(60)
    answer, page = await get(site, path)
    assert answer.status == 404
    # Who has its number can wait for it.
    assert ('href="/find/6' in page.partition('role="alert"')[2].partition("</div>")[0]) == ("/6" in path)
    assert (await get(site, METER))[0].status == 200


async def test_a_simulated_meter_is_marked(site: Site) -> None:
    site.hear(60, simulated=True)
    _, page = await get(site, "/meters/scm/60-simulated")
    assert "A simulated meter." in page
    assert "/meters/scm/60-simulated" in (await get(site, "/meters"))[1]


async def test_days_and_months_are_there_without_javascript(kept: Site) -> None:
    _, page = await get(kept, METER)
    days, months = (page.partition(f'id="{name}"')[2].partition("</details>")[0] for name in ("days", "months"))
    assert "Mar\N{NO-BREAK SPACE}2,\N{NO-BREAK SPACE}2026" in days
    assert ">96<" in days
    assert "Mar\N{NO-BREAK SPACE}2026" in months


async def test_the_step_follows_from_the_span(kept: Site) -> None:
    now_ms = kept.machine.utc_ms
    last_day = await chart(kept)
    assert (last_day["step"], len(last_day["begin"])) == ("quarter", 96)
    assert sum(used or 0 for used in last_day["used"]) in (95, 96, 97)
    assert (await chart(kept, f"?from={now_ms - 30 * DAY_MS}"))["step"] == "day"
    assert (await chart(kept, "?from=0"))["step"] == "month"
    forced = await chart(kept, f"?from={now_ms - 30 * DAY_MS}&step=quarter")
    assert len(forced["begin"]) <= 960
    assert forced["end"][-1] >= now_ms
    for told in (last_day, forced):
        lengths = {len(told[name]) for name in ("begin", "end", "register", "used", "messages", "level_db")}
        assert len(lengths) == 1


@pytest.mark.parametrize("query", ["?from=9&to=1", "?from=0&to=0&step=day", f"?from=0&to={MOST_MS}", "?from=0"])
async def test_an_odd_span_is_answered_all_the_same(kept: Site, query: str) -> None:
    for file in ("consumption.csv", "consumption.json", "chart"):
        assert (await get(kept, f"/api/v1{METER}/{file}{query}"))[0].status == 200


async def test_what_was_used_while_nothing_was_heard_is_told_as_that(kept: Site) -> None:
    kept.pass_time(5 * HOUR_S + 60)
    kept.hear(60, consumption=31400)
    await kept.store.commit()
    told = await chart(kept)
    (silence,) = told["since"]
    place, since_ms = silence["place"], silence["ms"]
    assert told["used"][place] == 49
    assert place - told["begin"].index(since_ms) == 20
    # Of the hours of silence nothing is known, least of all that nothing was used.
    assert set(told["used"][place - 20 : place]) == {None}
    rows = json.loads((await get(kept, f"/api/v1{METER}/consumption.json"))[1])
    assert [row["used"] for row in rows if row["used_since"]] == [49]


async def test_an_exchange_is_marked_and_explained(kept: Site) -> None:
    for consumption in (12, 13):
        kept.hear(60, consumption=consumption)
        kept.pass_time(300)
    await kept.store.commit()
    _, page = await get(kept, METER)
    breaks = page.partition("Breaks of the register")[2]
    assert "Exchanged" in breaks
    assert "31,351 → 12" in breaks
    assert (await chart(kept))["breaks"][0]["kinds"] == ["meter_exchanged"]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", ["csv", "json"])
async def test_each_table_as_a_file(kept: Site, table: str, kind: str) -> None:
    kept.hear(60, consumption=40000, tamper_phy=1)
    kept.hear(60, consumption=12, tamper_phy=1)
    cookies = kept.logs_in()
    await kept.store.commit()
    await post(kept, f"{METER}/notes", {"text": "=SUM(A1)"}, cookies)
    await post(kept, f"{METER}/dial", {"shown": "00311.60"}, cookies)
    answer, text = await get(kept, f"/api/v1{METER}/{table}.{kind}")
    assert answer.status == 200
    if kind == "json":
        rows = json.loads(text)
        assert all(tuple(row) == columns(TABLES[table].row) for row in rows)
    else:
        rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
        assert tuple(rows.pop(0)) == columns(TABLES[table].row)
        assert all(not cell.startswith("=") for row in rows for cell in row)
    assert rows or table == "breaks"


async def test_readings_page_by_page(kept: Site) -> None:
    path, seen = f"{METER}/readings", 0
    while path:
        _, page = await get(kept, path)
        seen += page.count('<th role="rowheader"')
        path = page.partition('rel="next" href="')[2].partition('"')[0]
    assert seen == 192
    assert (await get(kept, f"{METER}/readings?before=-1"))[0].status == 200
    assert "There are none" in (await get(kept, f"{METER}/readings?before=1"))[1]


async def test_tamper_says_what_it_means_and_siblings_are_named(kept: Site) -> None:
    kept.hear(60, consumption=31400, tamper_phy=3)
    await kept.store.commit()
    _, page = await get(kept, METER)
    assert "energy flowed backwards" in page
    assert "at least 3 ×" in page
    assert 'href="/meters/scm/61"' in page


async def test_notes_are_added_and_removed_by_who_wrote_them(kept: Site) -> None:
    ana, bea = kept.logs_in("ana"), kept.logs_in("bea")
    answer, _ = await post(kept, f"{METER}/notes", {"text": f"{EVIL}\nThe dog bites."}, ana)
    assert (answer.status, answer.headers["Location"]) == (303, f"{METER}#notes")
    mine, others = await page_of(kept, ana), await page_of(kept, bea)
    assert "The dog bites." in others
    assert "<script>alert" not in others
    number = mine.partition('name="number" value="')[2].partition('"')[0]
    assert number
    assert 'name="number"' not in others
    refused, page = await post(kept, f"{METER}/notes/remove", {"number": number}, bea)
    assert (refused.status, "somebody else" in page) == (422, True)
    assert (await post(kept, f"{METER}/notes/remove", {"number": number}, ana))[0].status == 303
    assert "The dog bites." not in await page_of(kept, ana)
    assert (await post(kept, f"{METER}/notes/remove", {"number": "x"}, ana))[0].status == 400


async def test_a_note_that_is_refused_is_not_lost(kept: Site) -> None:
    answer, page = await post(kept, f"{METER}/notes", {"text": "x" * 501}, kept.logs_in())
    assert answer.status == 422
    assert "more than 500 characters" in page
    assert "x" * 501 in page


async def test_nothing_is_done_without_a_log_in_or_from_elsewhere(kept: Site) -> None:
    for path in ("notes", "notes/remove", "dial", "dial/remove"):
        assert (await post(kept, f"{METER}/{path}", {"text": "x", "shown": "1"}, {}))[0].status == 303
        stranger, _ = await post(kept, f"{METER}/{path}", {"text": "x"}, kept.logs_in(), Origin="https://evil.example")
        assert stranger.status == 403
    page = await page_of(kept, {})
    assert 'method="post"' not in page.partition("<main")[2]


@pytest.mark.parametrize(
    ("shown", "words"), [("abc", "no reading of a dial"), ("", "no reading"), (EVIL, "no reading")]
)
async def test_what_is_no_dial_is_refused(kept: Site, shown: str, words: str) -> None:
    answer, page = await post(kept, f"{METER}/dial", {"shown": shown}, kept.logs_in())
    assert answer.status == 422
    assert "That is no reading of a dial." in page
    assert "<script>alert" not in page


async def test_a_dial_tells_the_multiplier(kept: Site) -> None:
    cookies = kept.logs_in()
    answer, _ = await post(kept, f"{METER}/dial", {"shown": "00313.51"}, cookies)
    assert (answer.status, answer.headers["Location"]) == (303, f"{METER}#dial")
    page = await page_of(kept, cookies)
    assert "× 0.01" in page
    assert "worked out from the dial" in page
    assert "313.51" in page.partition('id="facts"')[2].partition("</dl>")[0]
    assert "× 0,01" in await page_of(kept, cookies, f"{METER}?lang=es")
    number = page.partition('id="dial"')[2].partition('name="number" value="')[2].partition('"')[0]
    assert (await post(kept, f"{METER}/dial/remove", {"number": "x"}, cookies))[0].status == 400
    await post(kept, f"{METER}/dial/remove", {"number": number}, cookies)
    assert "No multiplier is known." in await page_of(kept, cookies)
    refused, page = await post(kept, f"{METER}/dial/remove?lang=es", {"number": number}, cookies)
    assert (refused.status, "La comparación ya no está." in page) == (422, True)


async def test_a_dial_that_was_mistyped_can_be_taken_out(kept: Site) -> None:
    cookies = kept.logs_in()
    for shown in ("1", "00313.51"):
        await post(kept, f"{METER}/dial", {"shown": shown}, cookies)
    page = await page_of(kept, cookies)
    assert "By itself it tells × 0.01, but not together with those before" in page
    assert "No multiplier is known." in page
    first = page.rpartition('name="number" value="')[2].partition('"')[0]
    await post(kept, f"{METER}/dial/remove", {"number": first}, cookies)
    page = await page_of(kept, cookies)
    assert "worked out from the dial" in page
    assert "That is sure." in page


async def test_what_is_assigned_counts_until_the_dial_says_otherwise(kept: Site) -> None:
    kept.store.assigned = Assigned(1, 1, (Assignment.of(60, "", EVIL, "Calle 5", "10"),))
    _, page = await get(kept, METER)
    assert "as assigned" in page
    assert "313,510" in page
    assert "<script>alert" not in page


async def test_times_of_a_lost_clock_are_marked(tmp_path: Path, lost: Site) -> None:
    lost.hear(60)
    await lost.keep()
    _, page = await get(lost, METER)
    assert "≈" in page.partition("Readings as stored")[2]
    assert json.loads((await get(lost, f"/api/v1{METER}/readings.json"))[1])[0]["is_estimate"] is True
    assert (await chart(lost))["unsure"]


async def test_a_history_that_does_not_answer(site: Site) -> None:
    site.hear(60)
    answer, page = await get(site, METER)
    assert answer.status == 200
    assert "The history cannot be read just now." in page
    assert (await get(site, f"/api/v1{METER}/chart"))[0].status == 503
    assert (await get(site, f"/api/v1{METER}/readings.csv"))[0].status == 503
    assert (await get(site, f"{METER}/readings"))[0].status == 503


async def test_a_meter_that_is_assigned_and_was_never_heard_has_a_page(site: Site) -> None:
    listed = (Assignment.of(90, "", EVIL, "Lejos", "0.01"), Assignment.of(91, "scm", "Pozo", "", "1"))
    site.store.assigned = Assigned(1, 1, listed)
    _, page = await get(site, "/meters")
    for path in ("/meters/any/90", "/meters/scm/91"):
        assert f'href="{path}"' in page
        answer, shown = await get(site, path)
        assert answer.status == 200
        assert "Not heard yet" in shown
        assert "<script>alert" not in shown
    assert (await get(site, "/meters/scm/90-simulated"))[0].status == 404
    site.hear(90)
    answer, _ = await get(site, "/meters/any/90")
    assert (answer.status, answer.headers["Location"]) == (303, "/meters/scm/90")
    await site.keep()
    site.store.assigned = Assigned(1, 1, listed)
    told = json.loads((await get(site, "/api/v1/meters/any/90"))[1])
    assert (told["protocol"], told["register"]) == ("scm", 31160)


async def test_what_is_refused_is_said_in_the_language_of_the_page(kept: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise StoreError("the note cannot be kept: the card is full")

    cookies = kept.logs_in()
    _, page = await post(kept, f"{METER}/notes?lang=es", {"text": " "}, cookies)
    assert "La nota está vacía." in page
    monkeypatch.setattr(notes, "add_note", full)
    answer, page = await post(kept, f"{METER}/notes?lang=es", {"text": "Muerde el perro."}, cookies)
    assert answer.status == 503
    assert "La tarjeta no lo recibe ahora." in page
    assert "Muerde el perro." in page
