"""Tells systemd how the program is, and feeds its watchdog: sd_notify(3), a datagram of lines `NAME=value`.

Source: sd_notify(3) and sd_watchdog_enabled(3). Where $NOTIFY_SOCKET is not set, nobody is told and nothing is sent.
The variables are taken out of the environment, so that no child process speaks in our name.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping

log = logging.getLogger(__name__)

# How often STATUS= is brought up to date where no watchdog asks for more.
STATUS_INTERVAL_S = 20.0
# How long to wait when systemd has many messages before it, as while the machine starts.
FULL_S = 0.5


class Notifier:
    """The way to systemd."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        watchdog_us = environment.pop("WATCHDOG_USEC", "")
        watchdog_pid = environment.pop("WATCHDOG_PID", "")
        ours = watchdog_pid in ("", str(os.getpid()))
        watched = ours and watchdog_us.isascii() and watchdog_us.isdigit() and int(watchdog_us) > 0
        self.watchdog_s: float | None = int(watchdog_us) / 1e6 if watched and self._address else None
        """Silence for so long, and systemd ends the program and starts it again; None if it does not watch."""
        self._status = ""
        self._unheard = False

    @property
    def told(self) -> bool:
        """Whether somebody wants to be told."""
        return bool(self._address)

    def ready(self) -> None:
        """The program is up."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The program begins to end."""
        self._send("STOPPING=1")

    def status(self, words: str) -> None:
        """What `systemctl status` shows; sent when it changed."""
        words = " ".join(words.split())
        if words != self._status:
            self._status = words
            self._send(f"STATUS={words}")

    async def feed(
        self,
        stalled: Callable[[], list[str]],
        words: Callable[[], str],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Feed the watchdog at half of its time for as long as nothing is `stalled`, and keep the status in `words`.

        For ever. Since it runs in the event loop, a loop that is blocked feeds nothing either.
        """
        hungry = False
        while self._address:
            self.status(words())
            behind = stalled()
            if not behind and self.watchdog_s is not None:
                self._send("WATCHDOG=1")
            if behind and not hungry:
                log.error("watchdog not fed: no progress in %s", ", ".join(behind))
            hungry = bool(behind)
            await sleep(min(STATUS_INTERVAL_S, (self.watchdog_s or 2 * STATUS_INTERVAL_S) / 2))

    def _send(self, state: str) -> None:
        if not self._address:
            return
        # "@" stands for the zero byte with which an address begins that is no file.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
                one.settimeout(FULL_S)
                one.sendto(state.encode(), address)
            self._unheard = False
        except OSError as fault:
            if not self._unheard:
                log.warning("systemd cannot be told: %s", fault.strerror or fault)
            self._unheard = True
