"""Connections to a site: a surplus one is closed before it is read, and what is no HTTP gets a short answer.

aiohttp has no bound on the first, and for the second an answer of its own that repeats what came, with a traceback in
the log.
"""

import asyncio
import contextlib
import errno
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from aiohttp import web

from appliance.errors import ConfigError

log = logging.getLogger(__name__)

MOST_TRIES = 5


class Connection(web.RequestHandler, ABC):
    """One connection."""

    __slots__ = ()

    @abstractmethod
    def is_welcome(self, peer: str) -> bool:
        """Whether there is room for this connection, from the address `peer`. Asked once, when it is there."""

    @abstractmethod
    def refusal(self, status: int) -> web.Response:
        """What is answered to what is no request of HTTP, or no sound one. Repeats nothing of what came."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The kernel has accepted it."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername") or ("",)
        if not self.is_welcome(peer[0]) and isinstance(transport, asyncio.Transport):
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
        response = self.refusal(status)
        response.force_close()
        return response


async def listen(made: Callable[[], Connection], host: str, port: int, **options: Any) -> asyncio.Server:
    """Accept connections, each of them `made`; `host` "*" is every address; `options` are of asyncio's create_server.

    Port 0 is a free one, the same for all addresses. Raises ConfigError when the address or port cannot be had.
    """
    loop = asyncio.get_running_loop()
    wanted = None if host == "*" else host
    try:
        if port or wanted:
            return await loop.create_server(made, wanted, port, **options)
        for _ in range(MOST_TRIES):
            # What is free for one kind of address may be taken for the other.
            with contextlib.suppress(OSError):
                return await loop.create_server(made, wanted, _free_port(), **options)
        return await loop.create_server(made, wanted, _free_port(), **options)
    except (OSError, UnicodeError) as fault:
        raise _cannot_listen(host, port, fault) from fault


def _free_port() -> int:
    with socket.create_server(("", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def _cannot_listen(host: str, port: int, fault: OSError | UnicodeError) -> ConfigError:
    number, reason = (fault.errno, fault.strerror) if isinstance(fault, OSError) else (None, "is no host name")
    if number == errno.EADDRINUSE:
        hint = "Stop the other program, or set [web] port to a free one."
        return ConfigError(f"port {port} is used by another program", hint)
    if number == errno.EACCES:
        hint = "Set [web] port to 1024 or more, or grant the program CAP_NET_BIND_SERVICE."
        return ConfigError(f"port {port} may not be used by this user", hint)
    hint = 'Set [web] host to an address of this machine, or to "*" for all of them.'
    return ConfigError(f"the page cannot listen on {host} port {port}: {reason or fault}", hint)
