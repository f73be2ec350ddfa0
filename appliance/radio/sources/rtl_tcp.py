"""Samples from an `rtl_tcp` server, by the osmocom wire protocol.

The server greets with 12 bytes, big endian, then sends cu8 samples without end:

| bytes | field                                                       |
|-------|-------------------------------------------------------------|
| 0–3   | "RTL0"                                                      |
| 4–7   | tuner: 1 E4000, 2 FC0012, 3 FC0013, 4 FC2580, 5 R820T, 6 R828D |
| 8–11  | how many gains the tuner has                                |

A command is 5 bytes: its number, and an argument of 32 bits, big endian; none is answered. The server feeds one
client at a time: a second one is connected by the kernel but never greeted. A thread reads the socket, so that the
server's own queue does not fill while the receiver is busy.

Source: the rtl-sdr project's rtl_tcp; pyrtlsdr's TCP client speaks another protocol.
"""

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from appliance.errors import SourceLost, SourceUnavailable, UsageError
from appliance.radio.sources import Block, SourceSettings
from appliance.radio.sources.gains import GAINS, nearest_db
from appliance.radio.sources.inbox import BLOCK_BYTES, STALL_S, Inbox, live_blocks

DEFAULT_PORT = 1234
CONNECT_S = 5.0
# What the server had queued when it was told to set the radio, and what the tuner needs to settle.
SETTLE_S = 0.25
TUNERS = {1: "E4000", 2: "FC0012", 3: "FC0013", 4: "FC2580", 5: "R820T", 6: "R828D"}

SET_CENTER, SET_RATE, SET_GAIN_MODE, SET_GAIN, SET_PPM = 0x01, 0x02, 0x03, 0x04, 0x05
SET_AGC, SET_BIAS_TEE = 0x08, 0x0E

_log = logging.getLogger(__name__)


class RtlTcpSource:
    """A connection to an rtl_tcp server. Raises SourceUnavailable when there is none at the other end."""

    simulated = False

    def __init__(self, settings: SourceSettings) -> None:
        self.rate_hz = float(settings.sample_rate_hz)
        self.center_hz = settings.center_hz
        self.gain_db = settings.gain_db
        host, port = _address(settings.source)
        self._peer = f"rtl_tcp://{host}:{port}"
        self._closing = False
        try:
            self._socket = socket.create_connection((host, port), timeout=CONNECT_S)
        except (OSError, UnicodeError) as fault:
            raise SourceUnavailable(
                f"no connection to {self._peer}: {fault}",
                "Start rtl_tcp there, and check the address, the port and the network.",
            ) from None
        try:
            self.description = f"{self._peer} ({self._greeting()})"
            settings = self._possible(settings)
            self.gain_db = settings.gain_db
            self._socket.sendall(_pack(SET_RATE, settings.sample_rate_hz) + _commands(settings))
            self._socket.settimeout(STALL_S)
        except OSError as fault:
            self._socket.close()
            raise SourceUnavailable(f"{self._peer} hung up before the first sample: {fault}") from None
        except BaseException:
            # SourceUnavailable, or the wish to stop.
            self._socket.close()
            raise
        self._inbox = Inbox(self.rate_hz)
        self._thread = threading.Thread(target=self._read, name="rtl_tcp", daemon=True)
        self._thread.start()

    def blocks(self) -> Iterator[Block]:
        """Raises SourceLost when the server hangs up or sends nothing for some seconds."""
        return live_blocks(self._inbox, self.rate_hz, self._stalled)

    def tune(self, settings: SourceSettings) -> None:
        """Raises SourceLost when the server does not take it."""
        settings = self._possible(settings)
        try:
            self._socket.sendall(_commands(settings))
        except OSError as fault:
            raise SourceLost(f"{self._peer}: {fault}") from None
        self.center_hz, self.gain_db = settings.center_hz, settings.gain_db
        self._inbox.discard(round(SETTLE_S * self.rate_hz))

    def close(self) -> None:
        """Hang up."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(STALL_S + 1)
        self._socket.close()

    def _stalled(self) -> SourceLost:
        return SourceLost(
            f"{self._peer} is connected but sends no samples",
            "Restart rtl_tcp, and check its dongle and the network.",
        )

    def _possible(self, settings: SourceSettings) -> SourceSettings:
        """The settings with a gain that the tuner has."""
        return replace(settings, gain_db=nearest_db(settings.gain_db, self._gains))

    def _greeting(self) -> str:
        header = b""
        while len(header) < 12:
            try:
                part = self._socket.recv(12 - len(header))
            except TimeoutError:
                raise SourceUnavailable(
                    f"{self._peer} accepts connections but does not greet as rtl_tcp does",
                    "rtl_tcp serves one program at a time: stop the other one; or check the port.",
                ) from None
            if not part:
                break
            header += part
            if not b"RTL0".startswith(header[:4]):
                break
        if len(header) < 12 or header[:4] != b"RTL0":
            raise SourceUnavailable(
                f"{self._peer} is no rtl_tcp server: it began with {header!r} instead of RTL0",
                "Check the address and the port, and that the program there is rtl_tcp.",
            )
        tuner, gains = struct.unpack(">II", header[4:])
        known = GAINS.get(TUNERS.get(tuner, ""), ())
        self._gains = known if len(known) == gains else ()
        return f"tuner {TUNERS.get(tuner, f'number {tuner}')}, {gains} gains"

    def _read(self) -> None:
        buffer = bytearray(BLOCK_BYTES)
        filled = 0
        try:
            while not self._closing:
                got = self._socket.recv_into(memoryview(buffer)[filled:])
                if got == 0:
                    raise ConnectionResetError("the server hung up")
                filled += got
                if filled == BLOCK_BYTES:
                    self._hand_over(buffer, filled)
                    filled = 0
        except TimeoutError:
            self._hand_over(buffer, filled)
            self._inbox.fail(self._stalled())
        except OSError as fault:
            self._hand_over(buffer, filled)
            if not self._closing:
                self._inbox.fail(SourceLost(f"{self._peer}: {fault}"))

    def _hand_over(self, buffer: bytearray, filled: int) -> None:
        whole = filled - filled % 2
        if whole:
            self._inbox.put(np.frombuffer(buffer, np.uint8, whole).copy())


def _commands(settings: SourceSettings) -> bytes:
    manual = settings.gain_db is not None
    commands = [
        (SET_PPM, settings.ppm & 0xFFFFFFFF),
        (SET_CENTER, settings.center_hz),
        (SET_AGC, 0),
        (SET_GAIN_MODE, int(manual)),
    ]
    if settings.gain_db is not None:
        commands.append((SET_GAIN, round(10 * settings.gain_db) & 0xFFFFFFFF))
    commands.append((SET_BIAS_TEE, int(settings.bias_tee)))
    return b"".join(_pack(number, argument) for number, argument in commands)


def _pack(number: int, argument: int) -> bytes:
    return struct.pack(">BI", number, argument)


def _address(spec: str) -> tuple[str, int]:
    """Host and port of "rtl_tcp://host:port"; an IPv6 address stands in brackets.

    >>> _address("rtl_tcp://roof.local:1234"), _address("rtl_tcp://[::1]")
    (('roof.local', 1234), ('::1', 1234))
    """
    head, _, rest = spec.partition("://")
    host, port = rest.rstrip("/"), str(DEFAULT_PORT)
    if host.startswith("["):
        host, _, tail = host[1:].partition("]")
        port = tail.removeprefix(":") or port
    elif ":" in host:
        host, _, port = host.rpartition(":")
    if head != "rtl_tcp" or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{spec!r} is no address of an rtl_tcp server", "Write it as rtl_tcp://host:port.")
    return host, int(port)
