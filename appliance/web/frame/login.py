"""The log-in and the log-out of both sites."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from aiohttp import web

from appliance.errors import InputError
from appliance.web.frame.accounts import LOGGED_IN, LOGGED_OUT, SESSION, Account, account_name
from appliance.web.frame.addresses import is_encrypted, is_here
from appliance.web.frame.forms import form
from appliance.web.frame.frame import FRAME
from appliance.web.frame.guard import LOG_IN, SESSIONS, anybody, everybody, page_at
from appliance.web.frame.proof import ACCOUNTS, PASSWORDS, Denied, prove, seen_from
from appliance.web.frame.rendering import html


@dataclass(frozen=True, slots=True)
class LogInPage:
    """For login.html. `denied`: why nobody was let in just now.

    `is_new`: nobody could log in, since there is no account yet; `unread` is why those who could cannot, else "".
    `is_open`: who listens in hears the password; `encrypted` is then the address of the same page by HTTPS, "" if there
    is none. `is_restored`: a backup has just taken the place of what was here.
    """

    next: str
    name: str
    is_new: bool
    unread: str
    is_open: bool
    encrypted: str
    is_restored: bool = False
    denied: Denied | None = None


@everybody
async def view(request: web.Request) -> web.StreamResponse:
    """The form."""
    page = replace(await _page(request, request.query.get("next", "")), is_restored="restored" in request.query)
    if SESSION in request:
        return to(page.next)
    return html(request, "login.html", page)


@everybody
async def log_in(request: web.Request) -> web.StreamResponse:
    """A name and a password have been typed."""
    fields = await form(request)
    page = replace(await _page(request, fields.get("next", "")), name=fields.get("name", "")[:100])
    accounts, typed = request.app[ACCOUNTS], fields.get("password", "")
    name, account = await _account(request, page.name)
    try:
        verdict = await prove(request, name, account, typed)
    except Denied as denied:
        return denied.told(html(request, "login.html", replace(page, denied=denied)))
    assert account is not None
    if verdict.is_outdated:
        anew = await request.app[PASSWORDS].kept(typed)
        await accounts.renew(name, anew, account.kept)
        account = replace(account, kept=anew)
    # A password that somebody else knows is asked to be changed, each time until it is.
    response = to(f"/password?{urlencode({'next': page.next})}" if account.is_given else page.next)
    await request.app[SESSIONS].begin(request, response, account)
    await accounts.note(name, LOGGED_IN, seen_from(request), request.app[SESSIONS].now_ms())
    return response


@everybody
async def log_out(request: web.Request) -> web.StreamResponse:
    """The button was pressed."""
    response = to(LOG_IN)
    await request.app[SESSIONS].end(request, response)
    if (session := request.get(SESSION)) is not None:
        now_ms = request.app[SESSIONS].now_ms()
        await request.app[ACCOUNTS].note(session.name, LOGGED_OUT, seen_from(request), now_ms)
    return response


@anybody
async def is_in(request: web.Request) -> web.Response:
    """Nothing: for a page that asks whether its session goes on. Who has none is sent to the log-in as anywhere."""
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def _page(request: web.Request, following: str) -> LogInPage:
    following = await page_at(request, following)
    is_open = not is_encrypted(request) and not is_here(request.remote or "")
    encrypted = encrypted_log_in(request, following) if is_open else ""
    accounts = request.app[ACCOUNTS]
    is_new, unread = await accounts.are_none(), accounts.trouble
    return LogInPage(following, "", is_new, unread, is_open, encrypted)


def encrypted_log_in(request: web.Request, following: str) -> str:
    """The log-in by HTTPS, under the name by which this page was reached, which is one of ours; "" if there is none."""
    if not (port := request.app[FRAME].https_port()):
        return ""
    host = request.headers.get("Host", "")
    host = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return f"https://{host}:{port}{LOG_IN}?{urlencode({'next': following})}"


async def _account(request: web.Request, typed: str) -> tuple[str, Account | None]:
    try:
        name = account_name(typed)
    except InputError:
        return "", None
    return name, await request.app[ACCOUNTS].find(name)


def to(address: str) -> web.Response:
    """A redirection as an answer, for one that is raised cannot have cookies."""
    return web.Response(status=303, headers={"Location": address})
