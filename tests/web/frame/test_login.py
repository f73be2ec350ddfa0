"""The log-in over real HTTP: who gets in, what a browser is given, and what attackers try."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from appliance.errors import StoreError
from appliance.web.frame.accounts import Account
from appliance.web.frame.forms import MOST_BYTES
from appliance.web.frame.passwords import kept
from appliance.web.frame.sessions import IDLE_MS, LONGEST_MS
from appliance.web.frame.throttle import FREE
from tests.web.frame.accounts import PASSWORD, Browser, Site, browser, served


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with served() as one:
        yield one


@pytest.fixture
async def mine(site: Site) -> AsyncIterator[Browser]:
    async with browser(site.url) as one:
        yield one


async def test_in_and_out(site: Site, mine: Browser) -> None:
    answer, _ = await mine.get("/read?x=1&lang=es")
    assert (answer.status, answer.headers["Location"]) == (303, "/login?next=%2Fread%3Fx%3D1%26lang%3Des")
    answer, page = await mine.get(answer.headers["Location"])
    assert (answer.status, "Contraseña" in page) == (200, True)
    answer, _ = await mine.post("/login", {"name": " Ana ", "password": PASSWORD, "next": "/read?x=1"})
    assert (answer.status, answer.headers["Location"]) == (303, "/read?x=1")
    assert (await mine.get("/read"))[1] == "read by ana"
    answer, _ = await mine.get("/login")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    token = mine.cookie("session")
    answer, _ = await mine.post("/logout", {})
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    assert (await mine.get("/read"))[0].status == 303
    # Whoever has kept the cookie has nothing.
    assert (await mine.get("/read", Cookie=f"session={token}"))[0].status == 303
    assert [(name, what, address) for name, what, address, _ in site.storage.notes] == [
        ("ana", "log-in", "this machine"), ("ana", "log-out", "this machine"),
    ]  # fmt: skip


async def test_only_a_digest_of_the_token_is_kept(site: Site, mine: Browser) -> None:
    answer, _ = await mine.log_in("ana")
    cookie = answer.cookies["session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (True, "Strict", "/", "")
    assert len(cookie.value) == 43
    assert list(site.storage.sessions) == [hashlib.sha256(cookie.value.encode()).hexdigest()]
    assert cookie.value not in repr(site.storage)


async def test_behind_a_proxy_with_tls_the_cookie_is_bound_to_it(site: Site) -> None:
    async with browser(site.url, **{"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}) as one:
        answer, _ = await one.log_in("ana")
        cookie = answer.cookies["__Host-session"]
        assert cookie["secure"] is True
        assert "session" not in answer.cookies
        session, device = cookie.value, answer.cookies["__Host-device"].value
        kept = {"Cookie": f"__Host-session={session}; __Host-device={device}"}
        assert (await one.get("/read", **kept))[1] == "read by ana"
        # Nor is it taken from a page without TLS, which anybody on the way could have had set.
        assert (await one.get("/read", Cookie=f"session={session}"))[0].status == 303
    assert site.storage.notes[-1][2] == "198.51.100.7"


@pytest.mark.parametrize(
    ("name", "password"),
    [("ana", "wrong"), ("zoe", PASSWORD), ("", PASSWORD), ("ana\0", PASSWORD), ("an a", PASSWORD), ("a" * 5000, "")],
)
async def test_who_does_not_get_in_is_told_the_same(site: Site, mine: Browser, name: str, password: str) -> None:
    answer, page = await mine.log_in(name, password)
    assert answer.status == 403
    assert "Name or password is not right." in page
    assert "session" not in answer.cookies
    assert site.storage.sessions == {}


async def test_guesses_are_locked_and_the_lock_ends(site: Site, mine: Browser) -> None:
    for _ in range(FREE):
        assert (await mine.log_in("ana", "wrong"))[0].status == 403
    answer, page = await mine.log_in("ana")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "5")
    assert "try again in 5 s" in page
    _, page = await mine.log_in("ana", **{"Accept-Language": "es"})
    assert "intente de nuevo en 5 s" in page
    assert [note[1] for note in site.storage.notes] == ["guesses"]
    site.pass_time(5)
    assert (await mine.log_in("ana"))[0].status == 303


async def test_an_unknown_name_is_locked_alike(site: Site, mine: Browser) -> None:
    for _ in range(FREE):
        await mine.log_in("zoe", "wrong")
    assert (await mine.log_in("zoe", "wrong"))[0].status == 429
    assert site.storage.notes == []


async def test_a_stranger_does_not_lock_out_a_known_browser(site: Site, mine: Browser) -> None:
    """Neither by the account nor by an address that both share; nor does another's cookie help them."""
    await mine.log_in("ana")
    await mine.post("/logout", {})
    async with browser(site.url) as stranger:
        await stranger.log_in("bea")
        for _ in range(2 * FREE):
            await stranger.log_in("ana", "wrong")
        assert (await stranger.log_in("ana"))[0].status == 429
        assert (await mine.log_in("ana"))[0].status == 303
        # A known browser is counted, too.
        for _ in range(FREE):
            assert (await mine.log_in("ana", "wrong"))[0].status == 403
        assert (await mine.log_in("ana"))[0].status == 429


async def test_addresses_behind_a_proxy_are_told_apart(site: Site) -> None:
    async with browser(site.url) as one:
        for n in range(FREE):
            await one.log_in(f"guess{n}", "wrong", **{"X-Forwarded-For": "198.51.100.7"})
        assert (await one.log_in("ana", **{"X-Forwarded-For": "10.0.0.1, 198.51.100.7"}))[0].status == 429
        assert (await one.log_in("ana", **{"X-Forwarded-For": "198.51.100.7, 198.51.100.8"}))[0].status == 303


async def test_many_at_once_gain_nothing(site: Site, mine: Browser) -> None:
    found = await asyncio.gather(*(mine.log_in("ana", f"guess {n}") for n in range(FREE + 15)))
    assert sorted(answer.status for answer, _ in found) == [403] * FREE + [429] * 15


async def test_no_session_is_taken_over_from_before_the_log_in(site: Site, mine: Browser) -> None:
    """Fixation: the attacker's own token, put into the victim's browser, is never theirs."""
    planted = "A" * 43
    async with browser(site.url) as victim, browser(site.url) as attacker:
        answer, _ = await victim.log_in("ana", Cookie=f"session={planted}")
        assert answer.cookies["session"].value != planted
        assert (await attacker.get("/read", Cookie=f"session={planted}"))[0].status == 303
    # One that the attacker has by a log-in of their own is ended.
    async with browser(site.url) as attacker:
        await attacker.log_in("bea")
        theirs = attacker.cookie("session")
        answer, _ = await mine.log_in("ana", Cookie=f"session={theirs}")
        assert answer.status == 303
        assert (await attacker.get("/read"))[0].status == 303


async def test_a_session_ends_by_itself(site: Site, mine: Browser) -> None:
    await mine.log_in("ana")
    site.pass_time(IDLE_MS / 1000 - 1)
    assert (await mine.get("/read"))[0].status == 200
    site.pass_time(IDLE_MS / 1000)
    assert (await mine.get("/read"))[0].status == 303
    assert site.storage.sessions == {}
    await mine.log_in("ana")
    for _ in range(LONGEST_MS // IDLE_MS * 2 - 1):
        site.pass_time(IDLE_MS / 2000)
        assert (await mine.get("/read"))[0].status == 200
    site.pass_time(IDLE_MS / 2000)
    assert (await mine.get("/read"))[0].status == 303


async def test_roles_are_asked_for_each_request(site: Site, mine: Browser) -> None:
    await mine.log_in("bea")
    assert (await mine.get("/read"))[0].status == 200
    assert (await mine.post("/write", {}))[0].status == 403
    del site.storage.accounts["bea"]
    assert (await mine.get("/read"))[0].status == 303
    await mine.log_in("ana")
    assert (await mine.post("/write", {}))[1] == "written by ana"
    # What nobody thought of is shut.
    assert (await mine.get("/forgotten"))[0].status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": ""}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "http://127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://evil.example", "Host": "evil.example"}, 421),
    ],
)
async def test_a_form_of_another_site_is_refused(mine: Browser, headers: dict[str, str], status: int) -> None:
    await mine.log_in("ana")
    answer, page = await mine.post("/write", {}, **headers)
    assert answer.status == status
    assert ("written" in page) == (status == 200)


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("/read?x=1", "/read?x=1"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/read\\..\\", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("/" + "x" * 2000, "/"),
        ("/ñ", "/"),
        ("", "/"),
    ],
)
async def test_a_log_in_leads_to_no_other_site(mine: Browser, address: str, leads_to: str) -> None:
    answer, _ = await mine.post("/login", {"name": "ana", "password": PASSWORD, "next": address})
    assert (answer.status, answer.headers["Location"]) == (303, leads_to)
    assert "a" not in answer.cookies


async def test_what_is_typed_is_shown_as_text(mine: Browser) -> None:
    _, page = await mine.post("/login", {"name": '"><script>x', "password": "p4ss-w0rd", "next": '/"><script>'})
    assert "<script>" not in page
    assert "&lt;script&gt;x" in page
    assert "p4ss-w0rd" not in page


async def test_a_form_is_read_within_bounds(mine: Browser) -> None:
    for fields, status in (({"name": "x" * MOST_BYTES}, 413), ({str(n): "" for n in range(30)}, 400)):
        assert (await mine.post("/login", fields))[0].status == status
    for kind in ("multipart/form-data; boundary=x", "application/json", "text/plain"):
        assert (await mine.post("/login", {"name": "ana"}, **{"Content-Type": kind}))[0].status == 415
    form = "application/x-www-form-urlencoded"
    packed = {"Content-Encoding": "gzip", "Content-Type": form, "Origin": mine.url}
    async with mine.session.post(mine.url + "/login", data=b"x", headers=packed) as answer:
        assert answer.status >= 400


async def test_a_password_kept_with_less_work_is_kept_anew(site: Site, mine: Browser) -> None:
    less = Argon2id(salt=b"s" * 16, length=32, iterations=1, lanes=1, memory_cost=8)
    weak = less.derive_phc_encoded(b"twelve letters")
    site.storage.accounts["ana"] = replace(site.storage.accounts["ana"], kept=weak)
    assert (await mine.log_in("ana", "twelve letters"))[0].status == 303
    assert site.storage.accounts["ana"].kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await mine.log_in("ana", "twelve letters"))[0].status == 303


async def test_a_browser_is_not_known_any_more_after_a_change_of_password(site: Site, mine: Browser) -> None:
    await mine.log_in("ana")
    site.storage.accounts["ana"] = replace(site.storage.accounts["ana"], kept=site.storage.accounts["ana"].kept + "x")
    async with browser(site.url) as stranger:
        for _ in range(FREE):
            await stranger.log_in("ana", "wrong")
    assert (await mine.log_in("ana"))[0].status == 429


@pytest.mark.parametrize(
    "cookie", ["session=", "session=%00", f"session={'x' * 4000}", "device=.", "device=x.y; session=ñ"]
)
async def test_odd_cookies_are_none(mine: Browser, cookie: str) -> None:
    assert (await mine.get("/read", Cookie=cookie))[0].status == 303
    assert (await mine.log_in("ana", "wrong", Cookie=cookie))[0].status == 403


async def test_a_flood_gains_nothing(site: Site, mine: Browser) -> None:
    """Attempts that are turned away since too many wait are neither counted nor do they forgive."""
    addresses = [{"X-Forwarded-For": f"192.0.2.{n}"} for n in range(60)]
    found = await asyncio.gather(*(mine.log_in(f"guess{n}", "wrong", **a) for n, a in enumerate(addresses)))
    assert {answer.status for answer, _ in found} == {403, 503}
    async with browser(site.url) as guesser:
        found = [await guesser.log_in("ana", f"guess {n}") for n in range(FREE + 1)]
        assert [answer.status for answer, _ in found] == [403] * FREE + [429]


@pytest.mark.parametrize(
    "line",
    [
        b"Cookie: device=\xff\xfe.\xff; session=\xff",
        b"Cookie: lang=\xff",
        b"Origin: http://\xff",
        b"Sec-Fetch-Site: same-origin\xff",
        b"Sec-Fetch-Site: same-origin",
    ],
)
async def test_odd_bytes_are_no_fault_of_ours(site: Site, line: bytes) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    body = b"name=ana&password=%ff%fe&next=%ff&%ff"
    kind = b"Content-Type: application/x-www-form-urlencoded"
    for method, path in (
        (b"GET", b"/login?next=%ff%fe&lang=%ff&x=%ed%a0%80"), (b"GET", b"/read?%ff=%ff"), (b"GET", b"/%ff"),
        (b"POST", b"/login"), (b"POST", b"/logout?lang=%ff"),
    ):  # fmt: skip
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (b"%s %s HTTP/1.1" % (method, path), b"Host: localhost", b"Content-Length: %d" % len(body), kind, line)
        writer.write(b"\r\n".join((*head, b"", body)))
        assert (await reader.readline()).split()[1][:1] in (b"2", b"3", b"4"), path
        writer.close()
        await writer.wait_closed()


async def test_nobody_yet(site: Site, mine: Browser) -> None:
    site.storage.accounts.clear()
    answer, _ = await mine.get("/login")
    assert answer.status == 200


ANOTHER = kept("some other words rhyme")
NEW = {"password": PASSWORD, "new": "four other words rhyme", "again": "four other words rhyme"}


async def test_a_password_is_changed_and_ends_all_other_sessions(site: Site, mine: Browser) -> None:
    assert (await mine.get("/password"))[0].headers["Location"].startswith("/login")
    await mine.log_in("bea")
    async with browser(site.url) as elsewhere:
        await elsewhere.log_in("bea")
        assert (await mine.get("/password"))[0].status == 200
        answer, _ = await mine.post("/password", NEW)
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        assert (await mine.get("/read"))[0].status == 200
        assert (await elsewhere.get("/read"))[0].status == 303
        assert (await elsewhere.log_in("bea"))[0].status == 403
        assert (await elsewhere.log_in("bea", NEW["new"]))[0].status == 303


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"password": "wrong"}, 403, "That is not the password so far."),
        ({"again": "something else"}, 422, "The two new passwords differ."),
        ({"new": "short", "again": "short"}, 422, "The password has fewer than 12 characters."),
        ({"new": ""}, 422, "fewer than 12"),
        ({"new": PASSWORD, "again": PASSWORD}, 422, "That is the password so far: choose another one."),
    ],
)
async def test_a_password_that_is_not_changed(
    site: Site, mine: Browser, changed: dict[str, str], status: int, words: str
) -> None:
    await mine.log_in("bea")
    before = site.storage.accounts["bea"]
    answer, page = await mine.post("/password", NEW | changed)
    assert (answer.status, words in page) == (status, True)
    assert site.storage.accounts["bea"] == before


async def test_a_password_that_somebody_else_knows_is_asked_to_be_changed(site: Site, mine: Browser) -> None:
    site.storage.accounts["bea"] = replace(site.storage.accounts["bea"], is_given=True)
    for _ in range(2):
        answer, _ = await mine.post("/login", {"name": "bea", "password": PASSWORD, "next": "/read?x=1"})
        assert (answer.status, answer.headers["Location"]) == (303, "/password?next=%2Fread%3Fx%3D1")
        _, page = await mine.get(answer.headers["Location"])
        assert '<a href="/read?x=1">Later</a>' in page
    answer, page = await mine.post("/password", NEW | {"again": "x", "next": "/read?x=1"})
    assert (answer.status, '<a href="/read?x=1">Later</a>' in page) == (422, True)
    answer, _ = await mine.post("/password", NEW | {"next": "/read?x=1"})
    assert answer.headers["Location"] == "/read?x=1"
    answer, _ = await mine.log_in("bea", NEW["new"])
    assert answer.headers["Location"] == "/"
    assert ">Later</a>" not in (await mine.get("/password"))[1]


async def test_an_old_password_does_not_slip_in_beside_its_change(
    site: Site, mine: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knows it and tries all the while is being compared at the moment in which it is changed."""
    await mine.log_in("bea")
    look = site.storage.find

    async def looked_up_just_before_it_changes(name: str) -> Account | None:
        known = await look(name)
        await site.storage.set_password(name, ANOTHER, site.now_ms)
        return known

    monkeypatch.setattr(site.storage, "find", looked_up_just_before_it_changes)
    assert (await mine.post("/password", NEW))[0].status == 403
    async with browser(site.url) as thief:
        assert (await thief.log_in("ana"))[0].status == 403
    assert site.storage.sessions == {}
    assert {account.kept for account in site.storage.accounts.values()} == {ANOTHER}


async def test_a_password_that_cannot_be_kept(site: Site, mine: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise StoreError("the card is full")

    await mine.log_in("bea")
    monkeypatch.setattr(site.storage, "set_password", full)
    answer, page = await mine.post("/password", NEW)
    assert (answer.status, "It cannot be kept at this moment." in page) == (503, True)
    assert (await mine.get("/read"))[0].status == 200


async def test_a_session_that_was_left_open_is_of_little_use_to_a_guesser(site: Site, mine: Browser) -> None:
    await mine.log_in("bea")
    for _ in range(FREE):
        assert (await mine.post("/password", NEW | {"password": "wrong"}))[0].status == 403
    answer, page = await mine.post("/password", NEW)
    assert (answer.status, "try again in 5 s" in page) == (429, True)
