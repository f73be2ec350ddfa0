"""The connections of browsers: how many there may be, and how long one may say nothing.

Each open connection costs a file handle, of which the receivers and the card need some too.
"""

import asyncio
import ssl
from functools import partial
from typing import Any

from aiohttp import web

from appliance.web.frame import connections
from appliance.web.frame.security import HEADERS

# A phone opens six, a browser keeps one for the stream of changes.
MOST = 256
# Idle, or slow to say what it wants; aiohttp would wait for an hour. A stream of changes is neither.
IDLE_S = 20.0


def break_off(request: web.Request, response: web.StreamResponse) -> None:
    """End an answer that has begun without its end, so that it counts as failed."""
    response.force_close()
    if request.transport is not None:
        request.transport.abort()


class Connection(connections.Connection):
    """One connection."""

    __slots__ = ("_server",)

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server

    def is_welcome(self, peer: str) -> bool:
        """Whoever it is."""
        return len(self._server.connections) <= MOST

    def refusal(self, status: int) -> web.Response:
        """The bare status."""
        return web.Response(status=status, text=f"{status}\n", headers=HEADERS)


async def listen(
    runner: web.AppRunner, host: str, port: int, encrypted: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Accept connections for the application that `runner` has set up. Raises ConfigError when that cannot be."""
    assert runner.server is not None
    options: dict[str, Any] = {"loop": asyncio.get_running_loop(), "access_log": None, "keepalive_timeout": IDLE_S}
    # Nothing is taken that is compressed.
    options["auto_decompress"] = False
    tls: dict[str, Any] = {"ssl": encrypted, "ssl_handshake_timeout": IDLE_S} if encrypted else {}
    return await connections.listen(partial(Connection, runner.server, **options), host, port, **tls)
