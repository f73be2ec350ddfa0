"""A person's password, compared: at the log-in, and once more before what outlasts a visit.

Who sits down at a session that was left open, or has stolen one, acts in somebody's name until it ends. What would let
them in beyond that, or cannot be undone, asks on the same form for the person's own password. Both count as the same
guesses, and both are worked out beside the event loop.
"""

import logging
import math
from collections.abc import Mapping
from typing import Literal

from aiohttp import web

from appliance.web.frame.accounts import LOCKED, SESSION, Account, Accounts
from appliance.web.frame.addresses import address_of
from appliance.web.frame.guard import SESSIONS
from appliance.web.frame.passwords import Overrun, Passwords, Verdict
from appliance.web.frame.rendering import span
from appliance.web.frame.sessions import device_of
from appliance.web.frame.throttle import Key, Locked, Throttle

log = logging.getLogger(__name__)

ACCOUNTS: web.AppKey[Accounts] = web.AppKey("ACCOUNTS", Accounts)
PASSWORDS = web.AppKey("PASSWORDS", Passwords)
THROTTLE = web.AppKey("THROTTLE", Throttle)

# Of the forms that ask once more, as `_own_password.html` has it.
OWN_PASSWORD = "own_password"  # noqa: S105 - the name of a field
BUSY_S = 5


class Denied(Exception):
    """A password that does not count: it is `why`, and can be tried again in `left_s` seconds."""

    def __init__(self, why: Literal["missing", "wrong", "locked", "busy"], left_s: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.left_s = left_s

    @property
    def left(self) -> str:
        """How long, to be read."""
        return span(self.left_s, up=True)

    def told(self, page: web.Response) -> web.Response:
        """The page that says so, as an answer that programs understand, too."""
        page.set_status({"missing": 422, "wrong": 403, "locked": 429, "busy": 503}[self.why])
        if self.left_s:
            page.headers["Retry-After"] = str(self.left_s)
        return page


async def prove(request: web.Request, name: str, account: Account | None, typed: str) -> Verdict:
    """Compare what was typed with the password of an account, None where there is none of that name. Raises Denied.

    Only one that is right returns.
    """
    throttle = request.app[THROTTLE]
    device = device_of(request, account) if account else ""
    keys = [Key("device", f"{name} {device}")] if device else [Key("address", seen_from(request)), Key("account", name)]
    try:
        first = throttle.begin(keys)
        known = account.kept if account else None
        verdict = await request.app[PASSWORDS].check(typed, known, from_known_device=bool(device) or SESSION in request)
    except Locked as fault:
        raise Denied("locked", math.ceil(fault.left_s)) from None
    except Overrun:
        throttle.withdraw(keys)
        raise Denied("busy", BUSY_S) from None
    if not verdict.is_right or not await is_still(request, account):
        for key in first:
            log.warning("log-ins failed and are slowed down now by=%s", key.kind)
            if account is not None and key.kind != "address":
                await request.app[ACCOUNTS].note(name, LOCKED, seen_from(request), request.app[SESSIONS].now_ms())
        raise Denied("wrong")
    throttle.succeeded(keys)
    return verdict


async def is_still(request: web.Request, account: Account | None) -> bool:
    """Whether an account and its password are what they were when they were asked for.

    Else who knows an old password, and tries it all the while, would slip in beside the change of it.
    """
    return account is not None and await request.app[ACCOUNTS].find(account.name) == account


async def prove_again(request: web.Request, fields: Mapping[str, str]) -> None:
    """Have who has logged in show by their own password that it is they. Raises Denied."""
    if not (typed := fields.get(OWN_PASSWORD, "")):
        raise Denied("missing")
    name = request[SESSION].name
    await prove(request, name, await request.app[ACCOUNTS].find(name), typed)


def seen_from(request: web.Request) -> str:
    """Where a request comes from, as it is counted and written down."""
    return address_of(request) or "this machine"
