"""How much is served at once, in all and to one address: what is beyond is told so at once, and costs little.

Programs on this machine for which no proxy names an address have no share of their own: only what is served in all
bounds them.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from appliance.web.frame.room import Room, counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one worker grants.

    `held_bytes` is of lines that have not come to their end, in all requests together; `read_s` how long a client may
    send or take nothing, `request_s` how long a request may last, `linger_s` how long what follows a refusal is still
    taken in, for else the client may not see it.
    """

    connections: int = 2_000
    connections_from_one: int = 128
    requests: int = 1_000
    requests_from_one: int = 64
    held_bytes: int = 256 << 20
    read_s: float = 30.0
    request_s: float = 300.0
    idle_s: float = 20.0
    linger_s: float = 5.0
    retry_after_s: int = 10


class Overloaded(Exception):
    """It is too much, for one address (429) or for all (503)."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Load:
    """What one worker serves now."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held_bytes = 0
        self.is_stopping = False
        self._reading: set[asyncio.Timeout] = set()
        self._requests: Counter[str] = Counter()
        self.room = Room(limits.connections, limits.connections_from_one)

    @contextlib.contextmanager
    def request(self, address: str | None) -> Iterator[None]:
        """One request from an address, while entered. Raises Overloaded."""
        if self._requests.total() >= self.limits.requests:
            raise Overloaded(503, f"{self.limits.requests} requests are open already")
        if address is not None and self._requests[address] >= self.limits.requests_from_one:
            raise Overloaded(429, f"{self.limits.requests_from_one} requests from {address} are open already")
        with counted(self._requests, address or ""):
            yield

    @contextlib.asynccontextmanager
    async def reading(self, until_s: float) -> AsyncIterator[None]:
        """Until when what comes may be waited for, which is now when the program stops. Raises TimeoutError."""
        async with asyncio.timeout_at(0.0 if self.is_stopping else until_s) as bound:
            self._reading.add(bound)
            try:
                yield
            finally:
                self._reading.discard(bound)

    def stop(self) -> None:
        """Wait for nothing more."""
        self.is_stopping = True
        for bound in self._reading:
            if not bound.expired():
                bound.reschedule(0.0)
