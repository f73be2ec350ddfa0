"""Slows down who guesses passwords, without that a stranger can keep out who knows theirs.

Failures are counted by address and by account. The first few are free; each one after them locks the address, or the
account, for twice as long, up to a bound. A lock is said with the seconds that are left, ends by itself, and is
forgotten a day after the last failure. That of an account is short: it is there for guesses from many addresses, and
anyone can cause it. A browser that has logged in before is known by a cookie and counted by that alone, so that neither
a lock of the account nor one of the address that it shares with others keeps it out.

All is in memory: a worker counts what it sees, and starts anew when it does.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

FREE = 5
FIRST_S = 5.0
MOST_S = {"address": 900.0, "account": 60.0, "device": 900.0}
FORGET_S = 86_400.0
# Beyond, what was counted longest ago is forgotten. Only a password that was compared leaves a count, so that a flood
# of names that costs its sender nothing pushes out no lock.
MOST_KNOWN = 20_000


class Key(NamedTuple):
    """What failures are counted by."""

    kind: Literal["address", "account", "device"]
    of: str


class Locked(Exception):
    """Not now, but in so many seconds."""

    def __init__(self, left_s: float) -> None:
        super().__init__(f"locked for {left_s:.0f} s")
        self.left_s = left_s


@dataclass(slots=True)
class _Count:
    failures: int = 0
    until_s: float = 0.0
    last_s: float = 0.0


class Throttle:
    """The failures of one worker. `monotonic` in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._counts: OrderedDict[Key, _Count] = OrderedDict()

    def begin(self, keys: Iterable[Key]) -> list[Key]:
        """Begin an attempt, which counts as failed until it has `succeeded`; many at once gain nothing.

        Returns the keys that are locked from now on and were not before the first failure too many. Raises Locked.
        """
        keys, now_s = list(keys), self._monotonic()
        until_s = max((count.until_s for key in keys if (count := self._counts.get(key))), default=now_s)
        if until_s > now_s:
            raise Locked(until_s - now_s)
        found, first = [self._count(key, now_s) for key in keys], []
        for key, count in zip(keys, found, strict=True):
            count.failures += 1
            count.last_s = now_s
            if count.failures >= FREE:
                # The exponent is bounded, for a float is.
                count.until_s = now_s + min(MOST_S[key.kind], FIRST_S * 2.0 ** min(count.failures - FREE, 20))
            if count.failures == FREE:
                first.append(key)
        return first

    def withdraw(self, keys: Iterable[Key]) -> None:
        """The attempt was none: no password was compared. What failed before it counts as it did."""
        for key in keys:
            if (count := self._counts.get(key)) is not None:
                count.failures -= 1
                if count.failures < FREE:
                    count.until_s = 0.0
                if not count.failures:
                    del self._counts[key]

    def succeeded(self, keys: Iterable[Key]) -> None:
        """The attempt was none of a guesser: forget their failures."""
        for key in keys:
            self._counts.pop(key, None)

    def _count(self, key: Key, now_s: float) -> _Count:
        count = self._counts.get(key)
        if count is None or now_s - count.last_s > FORGET_S:
            count = self._counts[key] = _Count()
        self._counts.move_to_end(key)
        while len(self._counts) > MOST_KNOWN:
            self._counts.popitem(last=False)
        return count
