"""The connections of browsers: how many there may be, and how long one may say nothing.

Each open connection costs a file handle, of which the receivers and the card need some too.
"""

import asyncio
import ssl
from functools import partial
from typing import Any

from aiohttp import web

from appliance.web.frame import connections
from appliance.web.frame.room import Room
from appliance.web.frame.security import HEADERS

# A phone opens six, a browser keeps one for the stream of changes.
MOST = 256
MOST_FROM_ONE = 32
HANDSHAKE_S = 5.0
# Idle, or slow to say what it wants; aiohttp would wait for an hour. A stream of changes is neither.
IDLE_S = 20.0


def break_off(request: web.Request, response: web.StreamResponse) -> None:
    """End an answer that has begun without its end, so that it counts as failed."""
    response.force_close()
    if request.transport is not None:
        request.transport.abort()


class Connection(connections.Connection):
    """One connection."""

    __slots__ = ()

    def refusal(self, status: int) -> web.Response:
        """The bare status."""
        return web.Response(status=status, text=f"{status}\n", headers=HEADERS)


def room() -> Room:
    """What all ports of a site have room for."""
    return Room(MOST, MOST_FROM_ONE)


async def listen(
    runner: web.AppRunner, room: Room, host: str, port: int, encrypted: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Accept connections for the application that `runner` has set up. Raises ConfigError when that cannot be."""
    assert runner.server is not None
    options: dict[str, Any] = {"loop": asyncio.get_running_loop(), "access_log": None, "keepalive_timeout": IDLE_S}
    # Nothing is taken that is compressed.
    options["auto_decompress"] = False
    made = partial(Connection, runner.server, **options)
    by = connections.Encrypted(encrypted, HANDSHAKE_S) if encrypted else None
    return await connections.listen(made, host, port, room, by)
