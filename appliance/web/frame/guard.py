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
            return web.Response(status=303, headers={"Location": _log_in_address(request)})
        if roles is not None and session.role not in roles:
            raise web.HTTPForbidden
    return await handler(request)


def _log_in_address(request: web.Request) -> str:
    """The log-in, which leads back to the page that was asked for."""
    if request.method not in READS or request.path == "/":
        return LOG_IN
    return f"{LOG_IN}?next={quote(request.rel_url.raw_path_qs, safe='')}"


def safe_next(address: str) -> str:
    r"""An address that a log-in leads on to, if it is one of this site's own paths; else the first page.

    >>> [safe_next(a) for a in ("/refusals?page=2", "//evil.example", "/\\evil.example", "https://evil.example", "")]
    ['/refusals?page=2', '/', '/', '/', '/']
    """
    is_path = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isascii()
    return address if is_path and address.isprintable() and "\\" not in address and len(address) < 1000 else "/"
