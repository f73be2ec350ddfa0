"""Puts the site together and listens."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from appliance.errors import ConfigError
from appliance.web.connections import listen
from appliance.web.errors import show_errors
from appliance.web.parts import PARTS, Parts
from appliance.web.routes import HALTED_ROUTES, ROUTES
from appliance.web.security import add_headers, check_host
from appliance.web.views.events import STREAMS, Streams
from appliance.web.views.metrics import REGISTRY, registry

# Nothing is ever sent to the site.
LARGEST_BODY_BYTES = 1024
SHUTDOWN_S = 0.3


def build(parts: Parts) -> web.Application:
    """The application, ready to be served."""
    app = web.Application(middlewares=[show_errors, check_host], client_max_size=LARGEST_BODY_BYTES)
    app[PARTS] = parts
    app[STREAMS] = Streams()
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
        try:
            server = await listen(runner, None if host == "*" else host, port)
        except (OSError, UnicodeError) as fault:
            raise _refused(host, port, fault) from fault
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
    finally:
        await runner.cleanup()


def _refused(host: str, port: int, fault: OSError | UnicodeError) -> ConfigError:
    number, reason = (fault.errno, fault.strerror) if isinstance(fault, OSError) else (None, "is no host name")
    if number == errno.EADDRINUSE:
        hint = "Stop the other program, or set [web] port to a free one."
        return ConfigError(f"port {port} is used by another program", hint)
    if number == errno.EACCES:
        hint = "Set [web] port to 1024 or more, or grant the program CAP_NET_BIND_SERVICE."
        return ConfigError(f"port {port} may not be used by this user", hint)
    hint = 'Set [web] host to an address of this machine, or to "*" for all of them.'
    return ConfigError(f"the page cannot listen on {host} port {port}: {reason or fault}", hint)
