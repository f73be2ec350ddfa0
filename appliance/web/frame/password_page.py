"""`/password`: who has logged in changes their password, and is logged out everywhere else.

What was typed into a field for a password is not sent back in a page: who typed two that differ is told so by the
browser, before anything is emptied.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from appliance.errors import InputError, StoreError
from appliance.web.frame.accounts import SESSION, Account
from appliance.web.frame.forms import form
from appliance.web.frame.guard import SESSIONS, anybody, safe_next
from appliance.web.frame.login import to
from appliance.web.frame.passwords import ADVICE, check_new
from appliance.web.frame.proof import ACCOUNTS, PASSWORDS, Denied, is_still, prove
from appliance.web.frame.rendering import html

log = logging.getLogger(__name__)

DIFFER, SAME = "The two new passwords differ.", "That is the password so far: choose another one."
NOT_KEPT = "It cannot be kept at this moment. Try again in a minute."


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """For password.html. `next` is where it leads on to. `is_given`: the one so far was made by somebody else.

    What is wrong with `field`, if anything: `wrong` with the new password, or how the one so far was `denied`.
    """

    next: str
    is_given: bool
    field: str = ""
    wrong: str = ""
    denied: Denied | None = None
    advice: str = ADVICE


@anybody
async def view(request: web.Request) -> web.StreamResponse:
    """The form."""
    account = await request.app[ACCOUNTS].find(request[SESSION].name)
    return html(request, "password.html", _page(request.query.get("next", ""), account))


@anybody
async def change(request: web.Request) -> web.StreamResponse:
    """The password that was, and twice the new one, have been typed."""
    name, fields = request[SESSION].name, await form(request)
    accounts, sessions = request.app[ACCOUNTS], request.app[SESSIONS]
    account = await accounts.find(name)
    page = _page(fields.get("next", ""), account)
    if wrong := _wrong(fields, name):
        return html(request, "password.html", replace(page, field=wrong[0], wrong=wrong[1]), 422)
    try:
        await prove(request, name, account, fields.get("password", ""))
        kept = await request.app[PASSWORDS].kept(fields["new"])
        if not await is_still(request, account):
            raise Denied("wrong")
        await accounts.set_password(name, kept, sessions.now_ms())
    except Denied as denied:
        return denied.told(html(request, "password.html", replace(page, field="password", denied=denied)))
    except StoreError as fault:
        log.warning("password not kept: %s", fault)
        return html(request, "password.html", replace(page, field="new", wrong=NOT_KEPT), 503)
    answer = to(page.next)
    await sessions.begin(request, answer, Account(name, kept, request[SESSION].role))
    return answer


def _page(following: str, account: Account | None) -> PasswordPage:
    return PasswordPage(safe_next(following), account is not None and account.is_given)


def _wrong(fields: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """A field, and what is wrong with the new password in it."""
    new = fields.get("new", "")
    try:
        check_new(new, name)
    except InputError as fault:
        return "new", str(fault)
    if new == fields.get("password"):
        return "new", SAME
    return None if fields.get("again") == new else ("again", DIFFER)
