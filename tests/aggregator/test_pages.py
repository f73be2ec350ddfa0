"""The operator's pages over real HTTP, on both databases: what they show, what is done on them, who may."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError, OperationalError

from appliance.aggregator.admission import Limits
from appliance.aggregator.api import Api
from appliance.aggregator.appliances import Appliances
from appliance.aggregator.audit import deeds
from appliance.aggregator.database import Database, migrate
from appliance.aggregator.operators import Operators
from appliance.aggregator.overview import PER_PAGE, SILENT_MS
from appliance.aggregator.pages.site import LIMITS, ROUTES
from appliance.aggregator.schema import appliance
from appliance.aggregator.server import serving
from appliance.aggregator.settings import Web
from tests.aggregator.street import CENTRE, CODE, NOW, Sender
from tests.web.frame.accounts import KEPT, PASSWORD, Browser, browser

OWN, WRONG = {"own_password": PASSWORD}, {"own_password": "not it"}
EVIL = "<script>alert(1)</script>\"'{{7*7}}%s"


@dataclass
class Centre:
    """A server under test: its API, its clock, and a browser that has logged in."""

    database: Database
    api: Api
    url: str
    mine: Browser
    now_utc_ms: int = NOW

    async def enrol(self, number: int, **said: Any) -> Sender:
        sender = Sender(number)
        await Appliances(self.database).enrol(sender.enrolment(**said), self.now_utc_ms)
        await self.api.ingest.keys.refresh()
        return sender

    async def approved(self, number: int, **said: Any) -> Sender:
        sender = await self.enrol(number, **said)
        await Appliances(self.database).approve(sender.identity, self.now_utc_ms)
        return sender

    async def page(self, path: str, **headers: str) -> str:
        answer, text = await self.mine.get(path, **headers)
        assert answer.status == 200, (path, answer.status)
        return text


@contextlib.asynccontextmanager
async def served(database: Database, **limits: Any) -> AsyncIterator[Centre]:
    await Operators(database).add("ana", KEPT, NOW)
    api = Api(database, CENTRE, Limits(**limits), lambda: made.now_utc_ms if made else NOW)
    made: Centre | None = None
    async with serving(api, Web(host="127.0.0.1", port=0, names=("centre.example",))) as port:
        async with browser(f"http://127.0.0.1:{port}") as mine:
            made = Centre(database, api, f"http://127.0.0.1:{port}", mine)
            answer, _ = await mine.log_in("ana")
            assert answer.status == 303
            yield made


@pytest.fixture
async def centre(database: Database) -> AsyncIterator[Centre]:
    async with served(database) as made:
        yield made


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Centre]:
    """A centre for what has nothing to do with which database it is."""
    database = Database(tmp_path / "small")
    await migrate(database.engine)
    async with served(database) as made:
        yield made
    await database.close()


def cells(page: str) -> list[list[str]]:
    """The text of the cells of the lists' rows."""
    rows = re.findall(r"<tr role=\"row\">(.*?)</tr>", page, re.DOTALL)
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[" ".join(re.sub("<[^>]*>", " ", cell).split()) for cell in row] for row in found]


def tiles(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'class="tile .*?<b>(\d+)</b>', page)]


async def test_the_fleet_at_a_glance(centre: Centre) -> None:
    """One of each: waiting, silent, with a gap, well, revoked; in the order in which somebody is needed."""
    silent, gap, well, gone = [await centre.approved(n, name=f"street {n}") for n in (2, 3, 4, 5)]
    await centre.api.ingest.ingest(silent.sealed(1), NOW)
    centre.now_utc_ms += SILENT_MS + 60_000
    await centre.mine.log_in("ana")
    waiting = await centre.enrol(1)
    now = centre.now_utc_ms
    for sender in (gap, well):
        await centre.api.ingest.ingest(sender.sealed(1), now - 120_000)
    gap.sealed(2)
    await centre.api.ingest.ingest(gap.sealed(4), now - 60_000)
    await Appliances(centre.database).revoke(gone.identity, now)
    page = await centre.page("/")
    assert tiles(page) == [5, 1, 1, 1, 0, 1]
    rows = cells(page)[1:]
    assert [row[0].partition(" ")[2][:1] + row[1] for row in rows] == [
        "1waiting", "2silent", "3approved", "4approved", "5revoked",
    ]  # fmt: skip
    assert rows[1][2:] == ["6 h", rows[1][3], "–", "–"]
    assert rows[2][2] == "1 min"
    assert rows[2][4:] == ["1", "2"]
    assert rows[3][2] == "2 min"
    grouped = " ".join(re.findall("....", waiting.identity))
    assert grouped in rows[0][0]
    shown = {"waiting": "1", "silent": "2", "gaps": "3", "revoked": "5", "refused": "", "x": "12345"}
    for show, expected in shown.items():
        names = [row[0].split()[1] for row in cells(await centre.page(f"/?show={show}"))[1:]]
        assert "".join(names) == expected, show


async def test_orders_and_search(centre: Centre) -> None:
    for n, name in ((1, "Árbol 100%"), (2, "beta_1"), (3, "Beta 2"), (4, "gamma")):
        sender = await centre.approved(n, name=name)
        if n < 4:
            await centre.api.ingest.ingest(sender.sealed(1), NOW + n)
    found = {}
    for order in ("need", "name", "heard", "lag", "new", "x"):
        rows = cells(await centre.page(f"/?order={order}"))[1:]
        found[order] = [row[0].split()[0] for row in rows]
        assert len(rows) == 4
    assert found["heard"] == ["Beta", "beta_1", "Árbol", "gamma"]
    assert found["new"] == ["gamma", "Beta", "beta_1", "Árbol"]
    assert found["need"] == found["name"] == found["x"]
    for words, count in (("BETA", 2), ("beta_", 1), ("%25", 1), (sender.identity[:8], 1), ("''", 0), ("%00", 4)):
        page = await centre.page(f"/?order=heard&q={words}")
        assert len(cells(page)[1:]) == count, words
    spelt = "+".join(re.findall("....", sender.identity))
    assert len(cells(await centre.page(f"/?q={spelt}"))[1:]) == 1


async def test_many_appliances_come_a_page_at_a_time(centre: Centre) -> None:
    row = {"version": "1", "claim": "", "state": "approved", "enrolled_utc_ms": NOW, "approved_utc_ms": NOW}
    made = [row | {"identity": f"{n:032x}", "name": f"street {n:04}"} for n in range(2 * PER_PAGE + 7)]
    async with centre.database.writing() as connection:
        await connection.execute(insert(appliance), made)
    page = await centre.page("/?order=name")
    assert len(cells(page)[1:]) == PER_PAGE
    assert 'rel="next" href="/?order=name&amp;page=2"' in page
    assert 'rel="prev"' not in page
    for number in ("3", "999999", "3&x=1"):
        page = await centre.page(f"/?order=name&page={number}")
        assert cells(page)[-1][0].startswith("street 0106")
        assert "101–107" in page
        assert 'rel="next"' not in page
    for number in ("0", "-1", "x", "9" * 30, "1.5"):
        assert cells(await centre.page(f"/?order=name&page={number}"))[1][0].startswith("street 0000")


async def test_an_appliance_is_approved_by_its_code(centre: Centre) -> None:
    sender = await centre.enrol(1)
    path = f"/appliances/{sender.identity}"
    page = await centre.page(path)
    assert " ".join(re.findall("....", sender.identity)) in page
    assert "Approve this appliance?" in page
    answer, page = await centre.mine.post(f"{path}/approve", {"claim": "WRONG234"})
    assert answer.status == 409
    assert "That is not the code of this appliance." in page
    answer, _ = await centre.mine.post(f"{path}/approve", {"claim": f" {CODE[:4].lower()}-{CODE[4:]}"})
    assert (answer.status, answer.headers["Location"]) == (303, path)
    page = await centre.page(path)
    assert "Approve this appliance?" not in page
    assert [(one.who, one.what, one.detail) for one in await deeds(centre.database, 1)] == [
        ("ana", "approve", "claim code")
    ]
    batches = sender.sealed(1), sender.sealed(2)
    for line in batches:
        await centre.api.ingest.ingest(line, NOW)
    rows = [row[0] for row in cells(await centre.page(path))]
    assert rows.index("1-2") < rows.index("1-1")


async def test_an_appliance_is_revoked_after_a_question(centre: Centre) -> None:
    sender = await centre.approved(1)
    path = f"/appliances/{sender.identity}"
    assert f'href="{path}/revoke"' in await centre.page(path)
    page = await centre.page(f"{path}/revoke")
    assert f'method="post" action="{path}/revoke"' in page
    # To ask is not to do, and who has only found the page open does not either.
    for typed, status, words in (({}, 422, "Type the password by which"), (WRONG, 403, "That is not your password.")):
        answer, page = await centre.mine.post(f"{path}/revoke", typed)
        assert (answer.status, words in page, "Revoke this appliance?" in page) == (status, True, True)
    assert (await centre.api.appliances.one(sender.identity)).state == "approved"  # type: ignore[union-attr]
    assert (await centre.mine.post(f"{path}/revoke", OWN))[0].status == 303
    page = await centre.page(path)
    assert "revoked" in page
    assert f'href="{path}/revoke"' not in page
    answer, page = await centre.mine.post(f"{path}/approve", {})
    assert answer.status == 409
    assert "is revoked" in page


async def test_a_key_is_revoked(centre: Centre) -> None:
    sender = await centre.approved(1)
    path = f"/appliances/{sender.identity}"
    await centre.api.appliances.rotate(sender.rotation(2), NOW)
    assert "Revoke the key of epoch 1?" in await centre.page(f"{path}/revoke-key?epoch=1")
    assert (await centre.mine.get(f"{path}/revoke-key?epoch=7"))[0].status == 404
    assert (await centre.mine.get(f"{path}/revoke-key?epoch=x"))[0].status == 400
    answer, page = await centre.mine.post(f"{path}/revoke-key", {"epoch": "1"} | WRONG)
    assert (answer.status, "Revoke the key of epoch 1?" in page) == (403, True)
    assert (await centre.mine.post(f"{path}/revoke-key", {"epoch": "1"} | OWN))[0].status == 303
    assert (await centre.mine.post(f"{path}/revoke-key", {"epoch": "7"} | OWN))[0].status in (409, 422)
    for epoch in ("", "-1", "1e3", "²"):
        assert (await centre.mine.post(f"{path}/revoke-key", {"epoch": epoch}))[0].status == 400
    keys = [row for row in cells(await centre.page(path)) if row[0] in ("1", "2 after 1") and len(row) == 4]
    assert [row[3].split()[0] for row in keys if row[3]] == ["Revoke", "revoked"]


async def test_a_gap_is_given_up(centre: Centre) -> None:
    sender = await centre.approved(1)
    path = f"/appliances/{sender.identity}"
    lines = [sender.sealed(n) for n in range(1, 6)]
    for line in (lines[0], lines[3], lines[4]):
        await centre.api.ingest.ingest(line, NOW)
    assert ["1-2 … 1-3", "2", "0 s", "Give up…"] in cells(await centre.page(path))
    page = await centre.page(f"{path}/give-up?epoch=1")
    assert "1-2 … 1-3" in page
    assert (await centre.mine.post(f"{path}/give-up", {"epoch": "1"}))[0].status == 303
    page = await centre.page(path)
    assert "Give up…" not in page
    assert "1-5" in [row[0] for row in cells(page)]
    answer, page = await centre.mine.post(f"{path}/give-up", {"epoch": "1"})
    assert answer.status == 409
    assert (await centre.mine.get(f"{path}/give-up?epoch=1"))[0].status == 303


async def test_what_was_refused_and_its_evidence(centre: Centre) -> None:
    sender = await centre.approved(1, name=EVIL)
    garbage = b"<script>alert(1)</script>\xff\x00\r\nX: y"
    await centre.api.ingest.ingest(garbage, NOW)
    await centre.api.ingest.ingest(sender.sealed(1), NOW)
    await centre.api.ingest.ingest(sender.sealed(1, simulated=True), NOW)
    page = await centre.page("/refusals")
    assert "Two different batches claim the same place" in page
    assert "<script" not in page
    numbers = re.findall(r'href="/refusals/(\d+)"', page)
    assert len(numbers) == 2
    async with centre.mine.session.get(f"{centre.url}/refusals/{numbers[-1]}") as answer:
        assert await answer.read() == garbage
        assert answer.headers["Content-Disposition"] == f'attachment; filename="refusal-{numbers[-1]}.txt"'
        assert answer.headers["Content-Type"] == "text/plain"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (await centre.mine.get("/refusals/999999"))[0].status == 404
    page = await centre.page(f"/appliances/{sender.identity}")
    assert re.findall(r'href="/refusals/(\d+)"', page) == numbers[:1]
    assert tiles(await centre.page("/")) == [1, 0, 0, 0, 1, 0]


async def test_names_are_text_and_nothing_else(centre: Centre) -> None:
    sender = await centre.enrol(1, name=EVIL, version="<b>one</b>")
    quoted = "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;{{7*7}}%s"
    for path in ("/", f"/appliances/{sender.identity}", f"/appliances/{sender.identity}/revoke"):
        page = await centre.page(path)
        assert quoted in page, path
        assert "<script>" not in page
        assert "<b>one</b>" not in page
    page = await centre.page('/?q="><script>alert(1)</script>&show="><script>')
    assert "<script" not in page


async def test_what_is_made_up_is_called_so(centre: Centre) -> None:
    for number, simulated in ((1, True), (2, False)):
        sender = await centre.approved(number)
        path = f"/appliances/{sender.identity}"
        await centre.api.ingest.ingest(sender.sealed(1, simulated=simulated), NOW)
        assert (await centre.page(path)).count('class="badge made-up"') == 2 * simulated
    assert (await centre.page("/")).count('class="badge made-up"') == 1


async def test_the_audit(centre: Centre) -> None:
    sender = await centre.enrol(1)
    await centre.mine.post(f"/appliances/{sender.identity}/approve", {})
    rows = cells(await centre.page("/audit"))[1:]
    assert [row[1:] for row in rows] == [
        ["ana", "approve", f"{sender.identity[:8]}…"], ["ana", "log-in", "this machine"],
        ["console", "add operator", "ana"],
    ]  # fmt: skip
    for before in ("1", "x", "9" * 40, "-1"):
        await centre.page(f"/audit?before={before}")


async def test_every_page_in_both_languages_and_empty(small: Centre) -> None:
    for lang in ("en", "es"):
        for path in ("/", "/refusals", "/audit"):
            page = await small.page(f"{path}?lang={lang}")
            assert f'<html lang="{lang}">' in page
            assert page.count("<h1") == 1
    assert "Todavía no se ha inscrito ningún equipo." in await small.page("/?lang=es")
    # Chosen once, it stays.
    assert '<html lang="es">' in await small.page("/audit")


ADDRESS = "/appliances/" + "0" * 32
PATHS = ["/", "/password", ADDRESS, f"{ADDRESS}/revoke", "/refusals", "/refusals/1", "/audit"]
POSTS = ["/password", *(f"{ADDRESS}/{what}" for what in ("approve", "revoke", "revoke-key", "give-up"))]


async def test_nothing_is_shown_or_done_without_a_log_in(small: Centre) -> None:
    sender = await small.enrol(1, name="secret street")
    every = [route.path for route in ROUTES]
    assert len(every) == len(PATHS) + len(POSTS) + 4, "a route that this test does not know"
    async with browser(small.url) as stranger:
        for path in PATHS:
            path = path.replace("0" * 32, sender.identity)
            for method in ("GET", "HEAD"):
                answer = await stranger.session.request(method, small.url + path, allow_redirects=False)
                assert answer.status == 303
                assert answer.headers["Location"].startswith("/login")
                assert b"secret" not in await answer.read()
        for path in POSTS:
            answer, _ = await stranger.post(path.replace("0" * 32, sender.identity), {"epoch": "1"})
            assert answer.status == 303
            assert answer.headers["Location"].startswith("/login")
    assert (await small.api.appliances.one(sender.identity)).state == "waiting"  # type: ignore[union-attr]


async def test_a_log_out_ends_it_whoever_has_the_cookie(small: Centre) -> None:
    token = small.mine.cookie("session")
    async with browser(small.url, Cookie=f"session={token}") as thief:
        assert (await thief.get("/audit"))[0].status == 200
        await small.mine.post("/logout", {})
        assert (await thief.get("/audit"))[0].status == 303


async def test_a_new_password_ends_it_too(small: Centre) -> None:
    await Operators(small.database).set_password("ana", KEPT, NOW)
    assert (await small.mine.get("/audit"))[0].status == 303


async def test_another_site_does_nothing_here(small: Centre) -> None:
    sender = await small.approved(1)
    before = await deeds(small.database, 99)
    for path in POSTS:
        for headers in ({"Origin": "https://evil.example"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"}):
            answer, page = await small.mine.post(path.replace("0" * 32, sender.identity), {"epoch": "1"}, **headers)
            assert answer.status == 403
            assert "It was not sent from a page of this site." in page
    assert await deeds(small.database, 99) == before


async def raw(centre: Centre, path: str) -> str:
    """What is answered to who has logged in and asks for a path exactly as it is written here."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(centre.url.rpartition(":")[2]))
    cookie = f"session={centre.mine.cookie('session')}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode("latin-1")
    writer.close()
    return answer


ODD = (
    "/appliances/", f"/appliances/{'0' * 32}", f"/appliances/{'0' * 31}", f"/appliances/{'A' * 32}",
    "/appliances/..", "/appliances/../audit", "/appliances/%2e%2e/audit", "/static/..%2f..%2fsite.py",
    "/static/../site.py", "/static/%00", "/refusals/1;drop", "/refusals/-1", "//audit", "/audit/", "/%61udit%2f",
    "/api/../audit", "/api/v1/../../audit", "/api/%2e%2e/audit", "/healthz/../audit", "/api", "/x" * 2000,
)  # fmt: skip


async def test_odd_paths_lead_nowhere(small: Centre) -> None:
    for path in ODD:
        answer = await raw(small, path)
        assert answer.startswith("HTTP/1.1 404 "), path
        assert "Who did what" not in answer


async def test_pages_answer_to_our_names_and_the_api_to_any(small: Centre) -> None:
    for host, status in (("centre.example", 200), ("localhost", 200), ("evil.example", 421)):
        async with browser(small.url, Host=host) as one:
            assert (await one.get("/login"))[0].status == status
            answer, _ = await one.get("/healthz")
            assert answer.status == 200
            assert "Content-Security-Policy" not in answer.headers


async def test_what_guards_the_pages_is_not_in_the_way_of_appliances(small: Centre) -> None:
    """No origin, no session, another name: an appliance is answered; and in JSON where it asks amiss."""
    async with browser(small.url, Host="any.example") as one:
        answer, text = await one.post("/api/v1/enrolments", {}, Origin="")
        assert (answer.status, '"failed"' in text) == (400, True)
        answer, text = await one.get("/api/v1/nothing")
        assert (answer.status, '"failed"' in text) == (404, True)
        answer, text = await one.get("/api/v1/batches")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_a_flood_of_visitors_does_not_take_the_appliances_place(small: Centre) -> None:
    """Log-ins that never end fill the pages' own places; batches and health go on."""
    head = (
        "POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 100\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nX-Forwarded-For: 192.0.2.{}\r\n\r\nname="
    )
    port = int(small.url.rpartition(":")[2])
    open_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(LIMITS.requests)]
    for n, (_, writer) in enumerate(open_ones):
        writer.write(head.format(n // 8).encode())
    async with asyncio.timeout(20):
        while (answer := (await small.mine.get("/login"))[0]).status != 503:
            await asyncio.sleep(0.05)
    assert answer.headers["Retry-After"] == "10"
    sender = Sender(1)
    asked = {"X-Nonce": "0" * 32, "X-Appliance": sender.identity}
    async with small.mine.session.post(
        f"{small.url}/api/v1/enrolments", data=sender.enrolment(), headers=asked
    ) as response:
        assert response.status == 200
        assert '"standing":"waiting"' in await response.text()
    for _, writer in open_ones:
        writer.close()


async def test_a_database_that_does_not_answer(small: Centre, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("SELECT password", {"name": "kept secret"}, Exception("disk I/O error"))

    monkeypatch.setattr("appliance.aggregator.overview.summary", fail)
    answer, page = await small.mine.get("/")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
    assert "the data cannot be reached" in page
    assert "not answered page=/ fault=OperationalError" in caplog.text
    assert "secret" not in caplog.text + page


async def test_what_the_database_complains_of_names_no_values(database: Database) -> None:
    with pytest.raises(IntegrityError) as refused:
        async with database.writing() as connection:
            await connection.execute(insert(appliance), {"identity": "secret"})
    assert "secret" not in str(refused.value).partition("\nDETAIL")[0]


async def test_a_page_is_small_and_asks_nobody_else(centre: Centre) -> None:
    for n in range(PER_PAGE):
        await centre.enrol(n, name=f"{n} " + "ñ" * 60)
    async with centre.mine.session.get(centre.url + "/", headers={"Accept-Encoding": "identity"}) as answer:
        page = await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"
    total = len(page.encode())
    for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        async with centre.mine.session.get(centre.url + address, headers={"Accept-Encoding": "identity"}) as answer:
            total += len(await answer.read())
    assert total < 150_000
    assert not re.findall(r'(?:href|src|action)="(?:https?:)?//', page)
    assert not re.findall(r"<script|<style|\sstyle=|\son[a-z]+=", page)
