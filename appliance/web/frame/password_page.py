"""`/password`: who has logged in changes their password, and is logged out everywhere else."""

import math
from dataclasses import dataclass

from aiohttp import web

from appliance.errors import InputError
from appliance.web.frame.accounts import SESSION, Account
from appliance.web.frame.forms import form
from appliance.web.frame.guard import SESSIONS, anybody, safe_next
from appliance.web.frame.login import ACCOUNTS, PASSWORDS, THROTTLE, to
from appliance.web.frame.passwords import ADVICE, Overrun, check_new
from appliance.web.frame.rendering import html, span
from appliance.web.frame.throttle import Key, Locked


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """For password.html. `trouble` is "", "wrong", "locked", "busy", "differ", or what is wrong with the new one.

    `next` is where it leads on to.
    """

    trouble: str
    next: str
    left: str = ""
    advice: str = ADVICE


@anybody
async def view(request: web.Request) -> web.StreamResponse:
    """The form."""
    return html(request, "password.html", PasswordPage("", safe_next(request.query.get("next", ""))))


@anybody
async def change(request: web.Request) -> web.StreamResponse:
    """The password that was, and twice the new one, have been typed."""
    name, fields = request[SESSION].name, await form(request)
    accounts, sessions, passwords = request.app[ACCOUNTS], request.app[SESSIONS], request.app[PASSWORDS]
    following = safe_next(fields.get("next", ""))
    account = await accounts.find(name)
    assert account is not None
    # Whoever has taken over a session that was left open is to guess no faster than others.
    keys = [Key("device", f"{name} logged in")]
    try:
        request.app[THROTTLE].begin(keys)
        verdict = await passwords.check(fields.get("password", ""), account.kept, from_known_device=True)
    except Locked as fault:
        page = PasswordPage("locked", following, span(math.ceil(fault.left_s), up=True))
        return html(request, "password.html", page, 429)
    except Overrun:
        request.app[THROTTLE].withdraw(keys)
        return html(request, "password.html", PasswordPage("busy", following), 503)
    if not verdict.is_right:
        return html(request, "password.html", PasswordPage("wrong", following), 403)
    request.app[THROTTLE].succeeded(keys)
    new = fields.get("new", "")
    try:
        check_new(new, name)
    except InputError as fault:
        return html(request, "password.html", PasswordPage(str(fault), following), 422)
    if fields.get("again", "") != new:
        return html(request, "password.html", PasswordPage("differ", following), 422)
    account = Account(name, await passwords.kept(new), account.role)
    await accounts.set_password(name, account.kept, sessions.now_ms())
    response = to(following)
    await sessions.begin(request, response, account)
    return response
