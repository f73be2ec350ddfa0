"""Puts the site together and listens.

People are let in by the log-in of the frame, and programs as `routes.py` says. Below `/sync/` only what an aggregator
has signed has any effect, so that it does not matter from which page it comes; all else that is more than reading
must come from a page of this site.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from appliance.errors import ConfigError
from appliance.web.bodies import BODIES, Bodies
from appliance.web.connections import listen, room
from appliance.web.frame.errors import show_errors
from appliance.web.frame.forms import refuse_strangers
from appliance.web.frame.frame import FRAME, Frame
from appliance.web.frame.guard import SESSIONS, guard
from appliance.web.frame.language import remember_language
from appliance.web.frame.passwords import Passwords
from appliance.web.frame.proof import ACCOUNTS, PASSWORDS, THROTTLE
from appliance.web.frame.rendering import prepare
from appliance.web.frame.security import add_headers, check_host
from appliance.web.frame.sessions import Sessions
from appliance.web.frame.throttle import Throttle
from appliance.web.glances import GLANCES, Glances
from appliance.web.middle import MIDDLES, Middles
from appliance.web.openapi.asked import refuse_undescribed
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.routes import HALTED_ROUTES, ROUTES, is_of_programs
from appliance.web.streams import STREAMS, Streams
from appliance.web.views.meters.sparks import SPARKS, Sparks
from appliance.web.views.metrics import REGISTRY, registry
from appliance.web.views.radio.board import BOARD, Board
from appliance.web.views.set_up.setting_up import SETTING_UP, SettingUp
from appliance.web.views.system.backup import UNDER_WAY
from appliance.web.views.system.support import BUNDLING

log = logging.getLogger(__name__)

# Nothing is ever sent to the site but what `bodies.py` and the frame's forms read within bounds of their own.
LARGEST_BODY_BYTES = 1024
SHUTDOWN_S = 0.3

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def refuse_foreign_forms(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site has a visitor's browser send."""
    return await (handler(request) if is_of_programs(request) else refuse_strangers(request, handler))


MIDDLEWARES = (remember_language, show_errors, check_host, refuse_foreign_forms, guard, refuse_undescribed)


def build(parts: Parts, https_port: Callable[[], int]) -> web.Application:
    """The application, ready to be served. `https_port` is where it is by HTTPS, 0 while it is not."""
    app = web.Application(middlewares=MIDDLEWARES, client_max_size=LARGEST_BODY_BYTES)
    app[PARTS] = parts
    app[FRAME] = Frame(
        package=PACKAGE,
        site_name=parts.site_name,
        names=parts.names,
        has_forms=not parts.halted,
        is_open=parts.is_open,
        https_port=https_port,
    )
    app[ACCOUNTS] = parts.accounts
    app[SESSIONS] = Sessions(parts.accounts, parts.accounts.now_ms)
    app[PASSWORDS] = Passwords()
    app[THROTTLE] = Throttle(parts.monotonic)
    app[STREAMS], app[MIDDLES] = Streams(), Middles()
    app[GLANCES] = Glances(parts)
    app[SPARKS] = Sparks(parts.store, parts.monotonic)
    app[BODIES] = Bodies()
    app[SETTING_UP] = SettingUp(parts)
    app[UNDER_WAY], app[BUNDLING] = asyncio.Lock(), asyncio.Lock()
    app[BOARD] = Board(parts)
    app[REGISTRY] = registry(parts)
    app.add_routes(HALTED_ROUTES if parts.halted else ROUTES)
    app.cleanup_ctx.append(_prepared)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_end_streams)
    app.on_cleanup.append(_close)
    return app


async def _prepared(app: web.Application) -> AsyncIterator[None]:
    """Have the templates ready, and what takes long to look up under way, before the first visitor waits for it."""
    await asyncio.to_thread(prepare, PACKAGE)
    looking = [] if app[PARTS].halted else [app[GLANCES].refresh(), app[SPARKS].refresh()]
    first = asyncio.gather(*looking, return_exceptions=True)
    yield
    await first


async def _end_streams(app: web.Application) -> None:
    app[STREAMS].closing.set()


async def _close(app: web.Application) -> None:
    app[PASSWORDS].close()
    await app[SETTING_UP].close()


@asynccontextmanager
async def serving(
    parts: Parts,
    host: str,
    port: int,
    encrypted: ssl.SSLContext | None = None,
    on_encrypted: Callable[[], None] = lambda: None,
) -> AsyncIterator[int]:
    """Serve the site while entered; yields the port. `host` "*" is every address.

    Where it can be `encrypted` it is served by HTTPS too, at the port that the parts name, and `on_encrypted` is
    called; that this port cannot be had keeps nobody from the other. Raises ConfigError when the address or port cannot
    be had.
    """
    https_port = 0
    runner = web.AppRunner(build(parts, lambda: https_port), shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    shared = room()
    try:
        server = await listen(runner, shared, host, port)
        try:
            if encrypted is None or not parts.https_port:
                yield server.sockets[0].getsockname()[1]
                return
            try:
                beside = await listen(runner, shared, host, parts.https_port, encrypted)
            except ConfigError as fault:
                log.warning("no HTTPS: %s", fault)
                yield server.sockets[0].getsockname()[1]
                return
            https_port = parts.https_port
            on_encrypted()
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                beside.close()
        finally:
            server.close()
    finally:
        await runner.cleanup()
