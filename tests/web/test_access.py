"""Who gets in: routes without a log-in, what other sites send, guesses, planted sessions, and the first account."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from appliance.errors import StoreError
from appliance.store.accounts import Accounts
from appliance.store.writer import Store
from appliance.web import streams
from appliance.web.first_account import FirstAccount
from appliance.web.frame.passwords import kept
from appliance.web.routes import HALTED_ROUTES, ROUTES
from tests.web.conftest import PASSWORD, Site, recorded, served
from tests.web.frame.accounts import Browser, browser

OPEN = {
    "/healthz", "/metrics", "/static/{name}", "/login", "/logout", "/sync/pull", "/sync/receipts",
    "/api/v1/openapi.json",
}  # fmt: skip
# What is there for everybody where the site is open to readers: nothing that does anything, and no password.
SHOWN = {"/", "/delivery", "/events/overview", "/meters"}


def routes() -> list[tuple[str, str]]:
    """Method and path of each route."""
    return [(route.method, route.path) for route in ROUTES if isinstance(route, web.RouteDef)]


def asked(path: str) -> str:
    """A path with something for each of its variables."""
    given = {
        "kind": "csv", "meter": "7", "meter_id": "7", "protocol": "scm", "name": "street", "file": "x",
        "what": "program",
    }  # fmt: skip
    return re.sub(r"\{(\w+)(:([^{}]|\{[^{}]*\})*)?\}", lambda match: given[match[1]], path)


@pytest.fixture
async def shut(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(Site(tmp_path, is_open=False)) as one:
        one.logs_in()
        yield one


@pytest.fixture
async def visitor(shut: Site) -> AsyncIterator[Browser]:
    async with browser(shut.url) as one:
        yield one


@pytest.mark.parametrize(("method", "path"), [route for route in routes() if route[1] not in OPEN])
async def test_nothing_is_there_without_a_log_in(visitor: Browser, method: str, path: str) -> None:
    ask = visitor.get(asked(path)) if method == "GET" else visitor.post(asked(path), {})
    answer, page = await ask
    if path.startswith("/api/"):
        # A program cannot read a log-in.
        assert (answer.status, answer.content_type) == (401, "application/problem+json")
    else:
        assert (answer.status, answer.headers.get("Location", "")[:6], page) == (303, "/login", "")


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/meters/scm/7/notes", "/meters/scm/7"), ("/meters/scm/7/notes/remove", "/meters/scm/7"),
        ("/set-up/accounts/remove", "/set-up"), ("/system/keeping/restore/begin", "/system/keeping"),
        ("/radio/street/tune?x=1", "/radio/street"), ("/delivery/receipts", "/delivery"), ("/password", "/password"),
    ],
)  # fmt: skip
async def test_what_was_sent_without_a_log_in_leads_back_to_its_page(visitor: Browser, path: str, page: str) -> None:
    answer, _ = await visitor.post(path, {"text": "a note"})
    assert (answer.status, answer.headers["Location"]) == (303, f"/login?next={quote(page, safe='')}")


@pytest.mark.parametrize(
    ("asked", "page"),
    [
        ("/set-up/place", "/set-up"), ("/meters?q=7&sort=level", "/meters?q=7&sort=level"), ("/find/a/b", "/find"),
        ("/delivery/a/b/c/d/e", "/"), ("//evil.example", "/"), ("/nothing", "/"), ("", "/"), ("/logout", "/"),
    ],
)  # fmt: skip
async def test_a_log_in_leads_to_a_page_that_there_is(visitor: Browser, asked: str, page: str) -> None:
    _, form = await visitor.get(f"/login?next={quote(asked, safe='')}")
    assert f'name="next" value="{escape(page)}"' in form
    answer, _ = await visitor.post("/login", {"name": "ana", "password": PASSWORD, "next": asked})
    assert (answer.status, answer.headers["Location"]) == (303, page)


@pytest.mark.parametrize("path", sorted({path for method, path in routes() if method == "POST"}))
@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
async def test_nothing_is_done_for_another_site(shut: Site, visitor: Browser, path: str, origin: str) -> None:
    visitor.session.cookie_jar.update_cookies(shut.logs_in())
    noted = recorded(shut.store)
    answer, page = await visitor.post(asked(path), {"name": "ana", "password": PASSWORD}, Origin=origin)
    # What programs send is believed for its signature, wherever it comes from.
    assert (answer.status, "no_key" in page) == ((404, True) if path.startswith("/sync/") else (403, False))
    assert noted == []


async def test_to_who_may_read_only_what_is_shown_is_open(tmp_path: Path) -> None:
    async with served(Site(tmp_path)) as site, browser(site.url) as visitor:
        for path in sorted(SHOWN - {"/events/overview"}):
            answer, page = await visitor.get(path)
            assert answer.status == 200
            assert "/login?next=" in page
            assert 'method="post"' not in page
        for method, path in routes():
            if method == "POST" and path not in OPEN:
                answer, _ = await visitor.post(asked(path), {})
                assert answer.status == 303, path
        answer, _ = await visitor.get("/password")
        assert answer.status == 303


async def test_a_log_in_leads_on_and_a_log_out_ends_it(shut: Site, visitor: Browser) -> None:
    noted = recorded(shut.store)
    answer, _ = await visitor.get("/delivery")
    assert answer.headers["Location"] == "/login?next=%2Fdelivery"
    answer, page = await visitor.log_in("ana", "not it")
    assert (answer.status, "is not right" in page) == (403, True)
    answer, _ = await visitor.post("/login", {"name": "Ana", "password": PASSWORD, "next": "/delivery"})
    assert answer.headers["Location"] == "/delivery"
    _, page = await visitor.get("/")
    assert ">ana</a>" in page
    assert [kind for kind, _ in noted] == ["logged_in"]
    await visitor.post("/logout", {})
    answer, _ = await visitor.get("/")
    assert answer.status == 303


async def test_a_planted_session_is_not_taken_up(shut: Site, visitor: Browser) -> None:
    planted = "0" * 43
    visitor.session.cookie_jar.update_cookies({"session": planted}, URL(shut.url))
    await visitor.log_in("ana", PASSWORD)
    assert visitor.cookie("session") not in ("", planted)
    async with browser(shut.url) as other:
        other.session.cookie_jar.update_cookies({"session": planted})
        answer, _ = await other.get("/")
        assert answer.status == 303


async def test_guesses_are_slowed_down_and_told_of_once(shut: Site, visitor: Browser) -> None:
    noted = recorded(shut.store)
    for _ in range(5):
        await visitor.log_in("ana", "not it")
    answer, page = await visitor.log_in("ana", PASSWORD)
    assert answer.status == 429
    assert "Too many wrong passwords" in page
    ((kind, detail),) = noted
    assert (kind, detail["who"]) == ("log_in_refused", "ana")
    shut.pass_time(int(answer.headers["Retry-After"]) + 1)
    answer, _ = await visitor.log_in("ana", PASSWORD)
    assert answer.status == 303


async def test_a_stream_ends_with_the_session(shut: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "INTERVAL_S", 0.02)
    monkeypatch.setattr(streams, "SESSION_EVERY_S", 0.0)
    async with aiohttp.ClientSession(cookies=shut.logs_in()) as session:
        async with session.get(shut.url + "/events/overview") as answer:
            assert (await answer.content.readline()).startswith(b"event: ")
            shut.store.people.end_all()
            async with asyncio.timeout(20):
                await answer.read()


async def test_while_nothing_runs_only_what_is_wrong_is_shown(shut: Site) -> None:
    assert {route.path for route in HALTED_ROUTES if isinstance(route, web.RouteDef)} == {
        "/", "/healthz", "/metrics", "/static/{name}"
    }  # fmt: skip


async def test_the_log_in_says_where_it_is_encrypted_and_what_to_do_when_it_is_lost(tmp_path: Path) -> None:
    site = Site(tmp_path, is_open=False)
    async with served(site), browser(site.url) as visitor:
        _, page = await visitor.get("/login")
        # Until the card was read nobody knows whether there are accounts.
        assert "There is no account yet." not in page
        assert "Nobody can log in just now." in page
        assert "The accounts cannot be read yet" in page
        site.store.people.is_known = True
        _, page = await visitor.get("/login")
        assert "There is no account yet." in page
        assert "Nobody can log in just now." not in page
        site.logs_in()
        _, page = await visitor.get("/login")
        assert "appliance account password NAME" in page


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path / "data", 60)
    await made.open()
    yield made
    await made.close()


async def test_the_first_password_is_shown_once(store: Store) -> None:
    said: list[str] = []
    noted, accounts = recorded(store), Accounts(store)
    for _ in range(2):
        await FirstAccount(accounts, "", said.append).run(lambda reason, hint="": None)
    assert len(said) == 2
    password = said[0].rpartition(" ")[2]
    assert re.fullmatch("([a-z2-9]{4}-){3}[a-z2-9]{4}", password)
    account = await accounts.find("technician")
    assert account is not None
    assert password not in account.kept
    assert noted == [("changed", {"who": "console", "what": "account_added", "account": "technician"})]


async def test_the_first_password_of_the_set_up_file_is_asked_to_be_changed(store: Store) -> None:
    said: list[str] = []
    accounts = Accounts(store)
    first = FirstAccount(accounts, PASSWORD, said.append)
    assert not first.stands_in_file()
    await first.run(lambda reason, hint="": None)
    assert first.stands_in_file()
    assert PASSWORD not in " ".join(said)
    # It stays so for the next start, until it is changed.
    again = FirstAccount(accounts, PASSWORD, said.append)
    await again.run(lambda reason, hint="": None)
    assert again.stands_in_file()
    await accounts.set_password("technician", kept("other words do not rhyme"), accounts.now_ms())
    assert not again.stands_in_file()
    later = FirstAccount(accounts, PASSWORD, said.append)
    await later.run(lambda reason, hint="": None)
    assert not later.stands_in_file()


async def test_a_first_password_that_is_none_makes_no_account(store: Store) -> None:
    told: list[str] = []
    first = FirstAccount(Accounts(store), "technician-technician", told.append)
    running = asyncio.create_task(first.run(lambda reason, hint="": told.append(f"{reason} {hint}")))
    async with asyncio.timeout(20):
        while not told:
            await asyncio.sleep(0)
    running.cancel()
    assert told[0].startswith("web.first_password: the password ")
    assert "technician-technician" not in told[0]
    assert await Accounts(store).are_none()


async def test_the_first_account_waits_for_the_card(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    said: list[str] = []

    async def full(*_: object) -> None:
        raise StoreError("the card is full")

    async def sleep(seconds: float) -> None:
        monkeypatch.undo()

    accounts = Accounts(store)
    monkeypatch.setattr(accounts, "add", full)
    await FirstAccount(accounts, "", said.append, sleep).run(lambda reason, hint="": told.append(reason))
    assert told == ["the card is full", ""]
    assert len(said) == 2
