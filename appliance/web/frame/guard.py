"""Who may use a page: asked on the server for every request, before anything of it is done.

Each handler says it by a mark. One without a mark is refused, so that none is open because somebody forgot it.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

from aiohttp import web

from appliance.web.frame.accounts import SESSION
from appliance.web.frame.forms import READS
from appliance.web.frame.frame import FRAME
from appliance.web.frame.problems import NotLoggedIn, is_of_api
from appliance.web.frame.sessions import Sessions

SESSIONS = web.AppKey("SESSIONS", Sessions)
LOG_IN = "/login"
# Of an address, so many parts are taken away at most to come to its page.
MOST_ABOVE = 4
_MARK = "_open_to"
_EVERYBODY = frozenset[str]()
_READERS = object()
_NOBODY = object()

Handled = Callable[[web.Request], Awaitable[web.StreamResponse]]
Handler = TypeVar("Handler", bound=Handled)


def everybody(handler: Handler) -> Handler:
    """A handler that needs no log-in."""
    setattr(handler, _MARK, _EVERYBODY)
    return handler


def anybody(handler: Handler) -> Handler:
    """A handler for who has logged in, whatever their role."""
    setattr(handler, _MARK, None)
    return handler


def readers(handler: Handler) -> Handler:
    """A handler that only shows: for who has logged in, and for everybody where the site is open to readers."""
    setattr(handler, _MARK, _READERS)
    return handler


def only(*roles: str) -> Callable[[Handler], Handler]:
    """A handler for who has logged in and has one of these roles."""

    def mark(handler: Handler) -> Handler:
        setattr(handler, _MARK, frozenset(roles))
        return handler

    return mark


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Let through who may; send to the log-in who has not logged in, if it is a person."""
    if request.match_info.http_exception is not None:
        return await handler(request)
    roles: Any = getattr(request.match_info.handler, _MARK, _NOBODY)
    if roles is _NOBODY:
        raise web.HTTPForbidden
    if (session := await request.app[SESSIONS].find(request)) is not None:
        request[SESSION] = session
    if roles is _READERS:
        roles = _EVERYBODY if request.app[FRAME].is_open else None
    if roles != _EVERYBODY:
        if session is None:
            if is_of_api(request):
                raise NotLoggedIn
            # Not raised: the language that the address asks for is kept with the answer.
            return web.Response(status=303, headers={"Location": await _log_in_address(request)})
        if roles is not None and session.role not in roles:
            raise web.HTTPForbidden
    return await handler(request)


async def _log_in_address(request: web.Request) -> str:
    """The log-in, which leads back to the page that was asked for, or from which something was sent."""
    asked = request.rel_url.raw_path_qs if request.method in READS else request.rel_url.raw_path
    following = await page_at(request, asked)
    return LOG_IN if following == "/" else f"{LOG_IN}?next={quote(following, safe='')}"


async def page_at(request: web.Request, address: str) -> str:
    """Where a log-in leads on to: this address if it is a page of this site, else the page that it is below.

    A form is sent to an address below the page that it stands on.
    """
    following = safe_next(address)
    for _ in range(MOST_ABOVE):
        found = await request.app.router.resolve(request.clone(method="GET", rel_url=following))
        if found.http_exception is None:
            return following
        following = following.partition("?")[0].rpartition("/")[0] or "/"
    return "/"


def safe_next(address: str) -> str:
    r"""An address that a log-in leads on to, if it is one of this site's own paths; else the first page.

    >>> [safe_next(a) for a in ("/refusals?page=2", "//evil.example", "/\\evil.example", "https://evil.example", "")]
    ['/refusals?page=2', '/', '/', '/', '/']
    """
    is_path = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isascii()
    return address if is_path and address.isprintable() and "\\" not in address and len(address) < 1000 else "/"
