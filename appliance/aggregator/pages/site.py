"""The operator's pages as a part of the aggregator's server, beside what it serves to appliances.

They have bounds of their own, so that no flood of visitors takes an appliance's place, and none of what guards them
stands in an appliance's way: appliances reach the API by whatever name, browsers reach the pages by the aggregator's.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from appliance.aggregator.admission import Limits, Load, Overloaded
from appliance.aggregator.operators import Operators
from appliance.aggregator.pages import deeds, fleet, one, refused
from appliance.aggregator.pages.parts import CENTRE, PACKAGE, Centre
from appliance.web.frame import login, password_page, static
from appliance.web.frame.addresses import address_of
from appliance.web.frame.errors import show_errors
from appliance.web.frame.forms import refuse_strangers
from appliance.web.frame.frame import FRAME, Frame
from appliance.web.frame.guard import LOG_IN, SESSIONS, everybody, guard
from appliance.web.frame.language import remember_language
from appliance.web.frame.passwords import Passwords
from appliance.web.frame.proof import ACCOUNTS, PASSWORDS, THROTTLE
from appliance.web.frame.security import add_headers, check_host
from appliance.web.frame.sessions import Sessions
from appliance.web.frame.throttle import Throttle

log = logging.getLogger(__name__)

# A browser opens six connections; beyond these a visitor is told to come again.
LIMITS = Limits(requests=64, requests_from_one=16)
LOAD = web.AppKey("LOAD", Load)

_ONE = "/appliances/{identity:[0-9a-f]{32}}"
ROUTES = (
    web.get("/", fleet.view),
    web.get(_ONE, one.view),
    web.get(_ONE + "/{what:revoke|revoke-key|give-up}", one.ask),
    web.post(_ONE + "/approve", one.approve),
    web.post(_ONE + "/revoke", one.revoke),
    web.post(_ONE + "/revoke-key", one.revoke_key),
    web.post(_ONE + "/give-up", one.give_up),
    web.get("/refusals", refused.view),
    web.get("/refusals/{number:[0-9]{1,15}}", refused.evidence),
    web.get("/audit", deeds.view),
    web.get(LOG_IN, login.view),
    web.post(LOG_IN, login.log_in),
    web.post("/logout", login.log_out),
    web.get("/password", password_page.view),
    web.post("/password", password_page.change),
    web.get("/static/{name}", everybody(static.serve)),
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send away what is too much, and what the database does not answer."""
    retry = {"Retry-After": str(LIMITS.retry_after_s)}
    try:
        with request.app[LOAD].request(address_of(request)):
            return await handler(request)
    except Overloaded as fault:
        if fault.status == 429:
            raise web.HTTPTooManyRequests(headers=retry) from None
        raise web.HTTPServiceUnavailable(headers=retry) from None
    except (SQLAlchemyError, OSError) as fault:
        log.warning("not answered page=%s fault=%s", request.path, type(fault).__name__)
        raise web.HTTPServiceUnavailable(headers=retry) from fault


MIDDLEWARES = (remember_language, show_errors, check_host, admit, refuse_strangers, guard)


def admission(of_appliances: Any) -> Any:
    """The one middleware of the server: that of the API for requests of appliances, those of the pages for others."""

    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_of_appliances(request):
            answer: web.StreamResponse = await of_appliances(request, handler)
            return answer
        for middleware in reversed(MIDDLEWARES):
            handler = partial(middleware, handler=handler)
        return await handler(request)

    return admitted


def set_up(
    app: web.Application, centre: Centre, names: tuple[str, ...], monotonic: Callable[[], float] = time.monotonic
) -> None:
    """Add the pages to an application that has their `admission`."""
    operators = Operators(centre.database)
    app[CENTRE] = centre
    app[FRAME] = Frame(package=PACKAGE, site_name="", names=names, has_forms=True)
    app[LOAD] = Load(LIMITS)
    app[ACCOUNTS] = operators
    app[SESSIONS] = Sessions(operators, centre.now_utc_ms)
    app[PASSWORDS] = Passwords()
    app[THROTTLE] = Throttle(monotonic)
    app.add_routes(ROUTES)
    app.on_response_prepare.append(_add_headers)
    app.on_cleanup.append(_close)


def is_of_appliances(request: web.Request) -> bool:
    """Whether a request is one of the API, by the handler that was found for it."""
    resource = request.match_info.route.resource
    path = request.path if resource is None else resource.canonical
    return path == "/healthz" or path.startswith("/api/")


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    if not is_of_appliances(request):
        await add_headers(request, response)


async def _close(app: web.Application) -> None:
    app[PASSWORDS].close()
