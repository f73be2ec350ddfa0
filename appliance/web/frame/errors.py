"""The page that says what went wrong, in place of the one that was asked for; programs get a problem document."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from appliance.web.frame.problems import is_of_api, problem
from appliance.web.frame.rendering import html

log = logging.getLogger(__name__)

KEPT = {"Allow", "Retry-After", "WWW-Authenticate"}


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """For error.html."""

    status: int


@web.middleware
async def show_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer every fault; one of our own is logged in full."""
    try:
        return await handler(request)
    except web.HTTPException as fault:
        if fault.status < 400:
            raise
        response = _told(request, fault.status, getattr(fault, "detail", ""))
        for name in KEPT.intersection(fault.headers):
            response.headers[name] = fault.headers[name]
        return response
    except ConnectionError:
        # The browser went away: nobody is left to tell.
        raise
    except Exception:
        log.exception("page=%r broke", request.path)
        return _told(request, 500)


def _told(request: web.Request, status: int, detail: str = "") -> web.Response:
    if is_of_api(request):
        return problem(status, detail)
    return html(request, "error.html", ErrorPage(status), status)
