"""Who has logged in, from one request to the next.

The browser has a random token of 256 bits in a cookie that no script reads and no other site sends; the storage has
only its SHA-256. A session ends when it was not used for an hour, at the latest after a day (NIST SP 800-63B, 4th
revision, section 2.2.3), at a log-out, and when its account's password changes. Each log-in has a new token, whatever
the browser brought.

By HTTPS the cookie is Secure and has the prefix `__Host-`, so that no plain page, no other port and no neighbouring
name can set or read it. By plain HTTP, as on an appliance's own hotspot, it can be neither.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable

from aiohttp import web

from appliance.web.frame.accounts import Account, Accounts, Session
from appliance.web.frame.addresses import is_encrypted

IDLE_MS, LONGEST_MS = 3_600_000, 86_400_000
# A session is not written at each request.
TOUCH_MS = 60_000
TOKEN_BYTES = 32
LONGEST_TOKEN = 64
DEVICE_S = 365 * 86_400


class Sessions:
    """The sessions of a site. `now_ms` is a clock that does not begin anew while the storage has sessions."""

    def __init__(self, accounts: Accounts, now_ms: Callable[[], int]) -> None:
        self._accounts = accounts
        self.now_ms = now_ms

    async def find(self, request: web.Request) -> Session | None:
        """Who sent a request; None when they have not logged in, or too long ago."""
        if not (token := _token(request)):
            return None
        session = await self._accounts.session(_sha256(token))
        now_ms = self.now_ms()
        if session is None:
            return None
        if now_ms - session.made_ms >= LONGEST_MS or now_ms - session.used_ms >= IDLE_MS:
            await self._accounts.end(session.token_sha256)
            return None
        if now_ms - session.used_ms >= TOUCH_MS:
            await self._accounts.touch(session.token_sha256, now_ms)
        return session

    async def begin(self, request: web.Request, response: web.StreamResponse, account: Account) -> None:
        """Log in who sent a request: answer it with a new session, and let the browser be known from now on."""
        await self._end(request)
        token, now_ms = secrets.token_urlsafe(TOKEN_BYTES), self.now_ms()
        session = Session(_sha256(token), account.name, account.role, now_ms, now_ms)
        await self._accounts.begin(session, now_ms - LONGEST_MS)
        _set(request, response, "session", token, None)
        if not device_of(request, account):
            nonce = secrets.token_urlsafe(16)
            _set(request, response, "device", f"{nonce}.{_proof(nonce, account)}", DEVICE_S)

    async def end(self, request: web.Request, response: web.StreamResponse) -> None:
        """Log out who sent a request."""
        await self._end(request)
        response.del_cookie(_cookie(request, "session"), path="/", secure=is_encrypted(request), samesite="Strict")

    async def _end(self, request: web.Request) -> None:
        if token := _token(request):
            await self._accounts.end(_sha256(token))


def device_of(request: web.Request, account: Account) -> str:
    """Which browser it is, if it has logged in to that account since its password is what it is; else "".

    The cookie proves itself by the kept password, which nobody outside knows, so that nothing need be stored.
    """
    nonce, _, proof = request.cookies.get(_cookie(request, "device"), "")[: 2 * LONGEST_TOKEN].partition(".")
    # What is no ASCII cannot be compared, and was never given out.
    is_some = bool(nonce) and nonce.isascii() and proof.isascii()
    return nonce if is_some and hmac.compare_digest(proof, _proof(nonce, account)) else ""


def _proof(nonce: str, account: Account) -> str:
    return hmac.new(account.kept.encode(), f"device {account.name} {nonce}".encode(), hashlib.sha256).hexdigest()


def _cookie(request: web.Request, name: str) -> str:
    return f"__Host-{name}" if is_encrypted(request) else name


def _token(request: web.Request) -> str:
    token = request.cookies.get(_cookie(request, "session"), "")
    return token if len(token) <= LONGEST_TOKEN else ""


def _set(request: web.Request, response: web.StreamResponse, name: str, value: str, max_age_s: int | None) -> None:
    response.set_cookie(
        _cookie(request, name), value, max_age=max_age_s, path="/", httponly=True, samesite="Strict",
        secure=is_encrypted(request),
    )  # fmt: skip


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
