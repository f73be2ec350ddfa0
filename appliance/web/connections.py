"""The connections of browsers: how many there may be, how long one may say nothing, and what is said to no HTTP.

aiohttp has no bound on the first, an hour for the second, and for the third an answer of its own that repeats
what came, with a traceback in the log. Each open connection costs a file handle, of which the receivers and the
card need some too.
"""

import asyncio
import logging
from functools import partial
from typing import Any

from aiohttp import web

from appliance.web.security import HEADERS

# A phone opens six, a browser keeps one for the stream of changes.
MOST = 256
# Idle, or slow to say what it wants. A stream of changes is neither.
IDLE_S = 20.0

log = logging.getLogger(__name__)


class Connection(web.RequestHandler):
    """One connection; a surplus one is closed before it is read."""

    __slots__ = ("_server",)

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The kernel has accepted it."""
        super().connection_made(transport)
        if len(self._server.connections) > MOST and isinstance(transport, asyncio.Transport):
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request of HTTP, or no sound one."""
        log.debug("request refused status=%d reason=%r", status, str(exc)[:80])
        response = web.Response(status=status, text=f"{status}\n", headers=HEADERS)
        response.force_close()
        return response


async def listen(runner: web.AppRunner, host: str | None, port: int) -> asyncio.Server:
    """Accept connections for the application that `runner` has set up. Raises OSError when that cannot be."""
    loop = asyncio.get_running_loop()
    assert runner.server is not None
    options = {"loop": loop, "access_log": None, "keepalive_timeout": IDLE_S}
    return await loop.create_server(partial(Connection, runner.server, **options), host, port)
