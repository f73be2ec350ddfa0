"""The page that says what went wrong, in place of the one that was asked for."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from appliance.web.frame.rendering import html

log = logging.getLogger(__name__)

KEPT = {"Allow", "Retry-After"}


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """For error.html."""

    status: int


@web.middleware
async def show_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer every fault with a page; one of our own is logged in full."""
    try:
        return await handler(request)
    except web.HTTPException as fault:
        if fault.status < 400:
            raise
        response = html(request, "error.html", ErrorPage(fault.status), fault.status)
        for name in KEPT.intersection(fault.headers):
            response.headers[name] = fault.headers[name]
        return response
    except ConnectionError:
        # The browser went away: nobody is left to tell.
        raise
    except Exception:
        log.exception("page=%s broke", request.path)
        return html(request, "error.html", ErrorPage(500), 500)
