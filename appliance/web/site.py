"""Puts the site together and listens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from appliance.web.bodies import BODIES, Bodies
from appliance.web.connections import listen
from appliance.web.frame.errors import show_errors
from appliance.web.frame.frame import FRAME, Frame
from appliance.web.frame.language import remember_language
from appliance.web.frame.security import add_headers, check_host
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.routes import HALTED_ROUTES, ROUTES
from appliance.web.views.events import STREAMS, Streams
from appliance.web.views.metrics import REGISTRY, registry

# Nothing is ever sent to the site but what `bodies.py` reads within bounds of its own.
LARGEST_BODY_BYTES = 1024
SHUTDOWN_S = 0.3


def build(parts: Parts) -> web.Application:
    """The application, ready to be served."""
    app = web.Application(middlewares=[remember_language, show_errors, check_host], client_max_size=LARGEST_BODY_BYTES)
    app[PARTS] = parts
    app[FRAME] = Frame(package=PACKAGE, site_name=parts.site_name, names=parts.names)
    app[STREAMS] = Streams()
    app[BODIES] = Bodies()
    app[REGISTRY] = registry(parts)
    app.add_routes(HALTED_ROUTES if parts.halted else ROUTES)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_end_streams)
    return app


async def _end_streams(app: web.Application) -> None:
    app[STREAMS].closing.set()


@asynccontextmanager
async def serving(parts: Parts, host: str, port: int) -> AsyncIterator[int]:
    """Serve the site while entered; yields the port. `host` "*" is every address.

    Raises ConfigError when the address or port cannot be had.
    """
    runner = web.AppRunner(build(parts), shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        server = await listen(runner, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
    finally:
        await runner.cleanup()
