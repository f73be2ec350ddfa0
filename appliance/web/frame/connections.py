"""Connections to a site: surplus ones are closed unread, who takes nothing is let go, and rubbish gets a short answer.

aiohttp has no bound on the first two, and for the third an answer of its own that repeats what came, with a traceback
in the log. asyncio tells of an encrypted connection only after the handshake, which costs the peer nothing to leave
undone; so each is counted here as soon as it is accepted, and the handshake comes then.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from appliance.errors import ConfigError
from appliance.web.frame.room import Room

log = logging.getLogger(__name__)

MOST_TRIES = 5
# How long an answer may wait for its reader.
TAKEN_WITHIN_S = 60.0


class Connection(web.RequestHandler, ABC):
    """One connection, which holds its place until it is gone."""

    __slots__ = ("_place", "_raw", "_waiting")

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._place = contextlib.ExitStack()
        self._raw: asyncio.Transport | None = None
        self._waiting: asyncio.TimerHandle | None = None

    @abstractmethod
    def refusal(self, status: int) -> web.Response:
        """What is answered to what is no request of HTTP, or no sound one. Repeats nothing of what came."""

    def begin(self, transport: asyncio.Transport, raw: asyncio.Transport, place: contextlib.ExitStack) -> None:
        """Serve by `transport`, which is `raw` or its encryption."""
        self._raw, self._place = raw, place
        transport.set_protocol(self)
        # Else what is less than the usual limit could wait for ever. With 0, asyncio's TLS pauses when nothing waits.
        transport.set_write_buffer_limits(high=1)
        self.connection_made(transport)

    def pause_writing(self) -> None:
        """The peer does not take what it is sent."""
        super().pause_writing()
        assert self._raw is not None
        self._waiting = asyncio.get_running_loop().call_later(TAKEN_WITHIN_S, self._raw.abort)

    def resume_writing(self) -> None:
        """It has taken all."""
        self._stop_waiting()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone."""
        self._stop_waiting()
        self._place.close()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

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


@dataclass(frozen=True, slots=True)
class Encrypted:
    """By what a connection is encrypted, and how long the peer may take to agree."""

    context: ssl.SSLContext
    handshake_s: float


class _Gate(asyncio.Protocol):
    """Where a connection is until it has a place and, if it is to be encrypted, is."""

    def __init__(self, made: Callable[[], Connection], room: Room, encrypted: Encrypted | None) -> None:
        self._made, self._room, self._encrypted = made, room, encrypted
        self._place = contextlib.ExitStack()
        self._early: list[bytes] = []
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The kernel has accepted it."""
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("peername") or ("",)
        if not self._place.enter_context(self._room.place(peer[0])):
            transport.abort()
            return
        _let_go_when_nothing_is_taken(transport)
        if self._encrypted is None:
            self._made().begin(transport, transport, self._place.pop_all())
            return
        transport.pause_reading()
        self._handshake = asyncio.create_task(self._encrypt(transport, self._encrypted))

    def data_received(self, data: bytes) -> None:
        """What came together with the end of the handshake."""
        self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone before it was served."""
        self._place.close()

    async def _encrypt(self, raw: asyncio.Transport, by: Encrypted) -> None:
        transport = None
        try:
            transport = await asyncio.get_running_loop().start_tls(
                raw, self, by.context, server_side=True, ssl_handshake_timeout=by.handshake_s
            )
        except OSError as fault:
            log.debug("no handshake fault=%s", type(fault).__name__)
        finally:
            # None too where it was lost meanwhile.
            if transport is None:
                raw.abort()
                self._place.close()
        if transport is not None:
            connection = self._made()
            connection.begin(transport, raw, self._place.pop_all())
            for data in self._early:
                connection.data_received(data)


def _let_go_when_nothing_is_taken(transport: asyncio.Transport) -> None:
    """Have the kernel end it, even while what waits is small, in the encryption's hands or already the kernel's."""
    with contextlib.suppress(OSError):
        option, milliseconds = socket.TCP_USER_TIMEOUT, round(TAKEN_WITHIN_S * 1000)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, milliseconds)


async def listen(
    made: Callable[[], Connection],
    host: str,
    port: int,
    room: Room,
    encrypted: Encrypted | None = None,
    **options: Any,
) -> asyncio.Server:
    """Accept connections while there is `room`, each of them `made`; `host` "*" is every address.

    `options` are of asyncio's create_server. Port 0 is a free one, the same for all addresses. Raises ConfigError when
    the address or port cannot be had.
    """
    loop = asyncio.get_running_loop()
    wanted = None if host == "*" else host

    def gate() -> _Gate:
        return _Gate(made, room, encrypted)

    try:
        if port or wanted:
            return await loop.create_server(gate, wanted, port, **options)
        for _ in range(MOST_TRIES):
            # What is free for one kind of address may be taken for the other.
            with contextlib.suppress(OSError):
                return await loop.create_server(gate, wanted, _free_port(), **options)
        return await loop.create_server(gate, wanted, _free_port(), **options)
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
