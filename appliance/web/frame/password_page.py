"""`/password`: who has logged in changes their password, and is logged out everywhere else.

What was typed into a field for a password is not sent back in a page: who typed two that differ is told so by the
browser, before anything is emptied.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from appliance.errors import InputError
from appliance.web.frame.accounts import SESSION, Account
from appliance.web.frame.forms import form
from appliance.web.frame.guard import SESSIONS, anybody, safe_next
from appliance.web.frame.login import to
from appliance.web.frame.passwords import ADVICE, check_new
from appliance.web.frame.proof import ACCOUNTS, PASSWORDS, Denied, prove
from appliance.web.frame.rendering import html

DIFFER = "The two new passwords differ."


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """For password.html. `next` is where it leads on to.

    What is wrong with `field`, if anything: `wrong` with the new password, or how the one so far was `denied`.
    """

    next: str
    field: str = ""
    wrong: str = ""
    denied: Denied | None = None
    advice: str = ADVICE


@anybody
async def view(request: web.Request) -> web.StreamResponse:
    """The form."""
    return html(request, "password.html", PasswordPage(safe_next(request.query.get("next", ""))))


@anybody
async def change(request: web.Request) -> web.StreamResponse:
    """The password that was, and twice the new one, have been typed."""
    name, fields = request[SESSION].name, await form(request)
    accounts, sessions = request.app[ACCOUNTS], request.app[SESSIONS]
    following = safe_next(fields.get("next", ""))
    if wrong := _wrong(fields, name):
        return html(request, "password.html", PasswordPage(following, *wrong), 422)
    try:
        await prove(request, name, await accounts.find(name), fields.get("password", ""))
    except Denied as denied:
        return denied.told(html(request, "password.html", PasswordPage(following, "password", denied=denied)))
    account = Account(name, await request.app[PASSWORDS].kept(fields["new"]), request[SESSION].role)
    await accounts.set_password(name, account.kept, sessions.now_ms())
    answer = to(following)
    await sessions.begin(request, answer, account)
    return answer


def _wrong(fields: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """A field, and what is wrong with the new password in it."""
    new = fields.get("new", "")
    try:
        check_new(new, name)
    except InputError as fault:
        return "new", str(fault)
    return None if fields.get("again") == new else ("again", DIFFER)
