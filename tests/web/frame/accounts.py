"""A storage of accounts in memory that does all that `Accounts` says, and a small site with a log-in to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from aiohttp import web

from appliance.web.frame import login, password_page
from appliance.web.frame.accounts import SESSION, Account, Session
from appliance.web.frame.errors import show_errors
from appliance.web.frame.forms import refuse_strangers
from appliance.web.frame.frame import FRAME, OWN, Frame
from appliance.web.frame.guard import SESSIONS, guard, only
from appliance.web.frame.language import remember_language
from appliance.web.frame.passwords import Passwords, kept
from appliance.web.frame.proof import ACCOUNTS, PASSWORDS, THROTTLE
from appliance.web.frame.security import add_headers, check_host
from appliance.web.frame.sessions import Sessions
from appliance.web.frame.throttle import Throttle

PASSWORD = "four words do not rhyme"
KEPT = kept(PASSWORD)


@dataclass
class InMemory:
    """The storage."""

    accounts: dict[str, Account] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    notes: list[tuple[str, str, str, int]] = field(default_factory=list)
    trouble: str = ""

    async def find(self, name: str) -> Account | None:
        return self.accounts.get(name)

    async def are_none(self) -> bool:
        return not self.accounts

    async def renew(self, name: str, kept: str, was: str) -> None:
        if self.accounts[name].kept == was:
            self.accounts[name] = replace(self.accounts[name], kept=kept)

    async def set_password(self, name: str, kept: str, now_ms: int) -> None:
        self.accounts[name] = replace(self.accounts[name], kept=kept, is_given=False)
        self.sessions = {key: one for key, one in self.sessions.items() if one.name != name}

    async def begin(self, session: Session, forget_before_ms: int) -> None:
        self.sessions = {key: one for key, one in self.sessions.items() if one.made_ms >= forget_before_ms}
        self.sessions[session.token_sha256] = session

    async def session(self, token_sha256: str) -> Session | None:
        session = self.sessions.get(token_sha256)
        return session if session and session.name in self.accounts else None

    async def touch(self, token_sha256: str, used_ms: int) -> None:
        self.sessions[token_sha256] = replace(self.sessions[token_sha256], used_ms=used_ms)

    async def end(self, token_sha256: str) -> None:
        self.sessions.pop(token_sha256, None)

    async def note(self, name: str, what: str, address: str, now_ms: int) -> None:
        self.notes.append((name, what, address, now_ms))


@only("reader", "writer")
async def read(request: web.Request) -> web.Response:
    return web.Response(text=f"read by {request[SESSION].name}")


@only("writer")
async def write(request: web.Request) -> web.Response:
    return web.Response(text=f"written by {request[SESSION].name}")


async def forgotten(request: web.Request) -> web.Response:
    return web.Response(text="nobody said who may see this")


@dataclass
class Site:
    """A site under test: its storage, its clock, and where it is."""

    storage: InMemory
    url: str = ""
    now_ms: int = 1_774_001_000_000

    def pass_time(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)


@asynccontextmanager
async def served() -> AsyncIterator[Site]:
    accounts = {name: Account(name, KEPT, role) for name, role in (("ana", "writer"), ("bea", "reader"))}
    site = Site(InMemory(accounts))
    app = web.Application(middlewares=[remember_language, show_errors, check_host, refuse_strangers, guard])
    app[FRAME] = Frame(package=OWN, site_name="Test", has_forms=True)
    app[ACCOUNTS] = site.storage
    app[SESSIONS] = Sessions(site.storage, lambda: site.now_ms)
    app[PASSWORDS] = Passwords()
    app[THROTTLE] = Throttle(lambda: site.now_ms / 1000)
    app.add_routes(
        [
            web.get("/", read), web.get("/read", read), web.post("/write", write), web.get("/forgotten", forgotten),
            web.get("/login", login.view), web.post("/login", login.log_in), web.post("/logout", login.log_out),
            web.get("/password", password_page.view), web.post("/password", password_page.change),
        ]
    )  # fmt: skip
    app.on_response_prepare.append(add_headers)
    runner = web.AppRunner(app)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    assert runner.addresses
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()
        app[PASSWORDS].close()


class Browser:
    """Sends what a browser sends, keeps its cookies, and follows nothing."""

    def __init__(self, session: aiohttp.ClientSession, url: str, **headers: str) -> None:
        self.session = session
        self.url = url
        self.headers = headers

    async def get(self, path: str, **headers: str) -> tuple[aiohttp.ClientResponse, str]:
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, fields: dict[str, Any], **headers: str) -> tuple[aiohttp.ClientResponse, str]:
        return await self._ask("POST", path, fields, {"Origin": self.url} | headers)

    async def log_in(self, name: str, password: str = PASSWORD, **headers: str) -> tuple[aiohttp.ClientResponse, str]:
        return await self.post("/login", {"name": name, "password": password}, **headers)

    def cookie(self, name: str) -> str:
        found = [cookie.value for cookie in self.session.cookie_jar if cookie.key == name]
        return found[0] if found else ""

    async def _ask(
        self, method: str, path: str, fields: dict[str, Any] | None, headers: dict[str, str]
    ) -> tuple[aiohttp.ClientResponse, str]:
        sent = {name: value for name, value in (self.headers | headers).items() if value}
        async with self.session.request(
            method, self.url + path, data=fields, headers=sent, allow_redirects=False
        ) as answer:
            return answer, await answer.text()


@asynccontextmanager
async def browser(url: str, **headers: str) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(session, url, **headers)
