"""The log-in and the log-out of both sites."""

import logging
import math
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from aiohttp import web

from appliance.errors import InputError
from appliance.web.frame.accounts import LOCKED, LOGGED_IN, LOGGED_OUT, SESSION, Account, Accounts, account_name
from appliance.web.frame.addresses import address_of, is_encrypted, is_here
from appliance.web.frame.forms import form
from appliance.web.frame.frame import FRAME
from appliance.web.frame.guard import LOG_IN, SESSIONS, everybody, safe_next
from appliance.web.frame.passwords import Overrun, Passwords
from appliance.web.frame.rendering import html, span
from appliance.web.frame.sessions import device_of
from appliance.web.frame.throttle import Key, Locked, Throttle

log = logging.getLogger(__name__)

ACCOUNTS: web.AppKey[Accounts] = web.AppKey("ACCOUNTS", Accounts)
PASSWORDS = web.AppKey("PASSWORDS", Passwords)
THROTTLE = web.AppKey("THROTTLE", Throttle)


@dataclass(frozen=True, slots=True)
class LogInPage:
    """For login.html. `trouble` is "", "wrong", "locked" or "busy"; `left` how long a lock lasts.

    `is_new`: nobody could log in, since there is no account yet; `unread` is why those who could cannot, else "".
    `is_open`: who listens in hears the password; `encrypted` is then the address of the same page by HTTPS, "" if there
    is none. `is_restored`: a backup has just taken the place of what was here.
    """

    next: str
    name: str
    trouble: str
    left: str
    is_new: bool
    unread: str
    is_open: bool
    encrypted: str
    is_restored: bool = False


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
    accounts, throttle = request.app[ACCOUNTS], request.app[THROTTLE]
    name, account = await _account(request, page.name)
    device = device_of(request, account) if account else ""
    keys = [Key("device", f"{name} {device}")] if device else [Key("address", _from(request)), Key("account", name)]
    try:
        first = throttle.begin(keys)
        kept = account.kept if account else None
        verdict = await request.app[PASSWORDS].check(fields.get("password", ""), kept, from_known_device=bool(device))
    except Locked as fault:
        left_s = math.ceil(fault.left_s)
        response = html(request, "login.html", replace(page, trouble="locked", left=span(left_s, up=True)), 429)
        response.headers["Retry-After"] = str(left_s)
        return response
    except Overrun:
        throttle.withdraw(keys)
        response = html(request, "login.html", replace(page, trouble="busy"), 503)
        response.headers["Retry-After"] = "5"
        return response
    if account is None or not verdict.is_right:
        for key in first:
            log.warning("log-ins failed and are slowed down now by=%s", key.kind)
            if account is not None and key.kind != "address":
                await accounts.note(name, LOCKED, _from(request), request.app[SESSIONS].now_ms())
        return html(request, "login.html", replace(page, trouble="wrong"), 403)
    throttle.succeeded(keys)
    if verdict.is_outdated:
        account = replace(account, kept=await request.app[PASSWORDS].kept(fields["password"]))
        await accounts.renew(name, account.kept)
    response = to(page.next)
    await request.app[SESSIONS].begin(request, response, account)
    await accounts.note(name, LOGGED_IN, _from(request), request.app[SESSIONS].now_ms())
    return response


@everybody
async def log_out(request: web.Request) -> web.StreamResponse:
    """The button was pressed."""
    response = to(LOG_IN)
    await request.app[SESSIONS].end(request, response)
    if (session := request.get(SESSION)) is not None:
        now_ms = request.app[SESSIONS].now_ms()
        await request.app[ACCOUNTS].note(session.name, LOGGED_OUT, _from(request), now_ms)
    return response


async def _page(request: web.Request, following: str) -> LogInPage:
    is_open = not is_encrypted(request) and not is_here(request.remote or "")
    encrypted = encrypted_log_in(request, safe_next(following)) if is_open else ""
    accounts = request.app[ACCOUNTS]
    is_new, unread = await accounts.are_none(), accounts.trouble
    return LogInPage(safe_next(following), "", "", "", is_new, unread, is_open, encrypted)


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


def _from(request: web.Request) -> str:
    return address_of(request) or "this machine"


def to(address: str) -> web.Response:
    """A redirection as an answer, for one that is raised cannot have cookies."""
    return web.Response(status=303, headers={"Location": address})
