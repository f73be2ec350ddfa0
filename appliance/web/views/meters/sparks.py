"""The last day of each meter as a picture of two dozen bars, drawn on the server.

All meters are asked for at once, at most once a minute however many look; what was drawn stays until then. A page that
came before they were drawn has them with the next event.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from aiohttp import web

from appliance.errors import StoreError
from appliance.store.asked import asked
from appliance.store.history import History
from appliance.store.last_day import Day, LastDay
from appliance.store.rows import MeterKey
from appliance.store.writer import Store

EVERY_S = 60.0
# The first answer of an hour goes through what was sealed, which may take longer than a page should.
WAIT_S = 0.1
HEIGHT, STEP = 20, 3


class Spark(NamedTuple):
    """A picture: the path of its bars; and what was used in all, in counts, None where nothing of it is known."""

    path: str
    used: int | None


class Sparks:
    """The pictures of a site, and the days that they were drawn from."""

    def __init__(self, store: Store, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._last_day = LastDay()
        self._drawn_s: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self.of: Mapping[MeterKey, Spark] = {}
        self.days: list[Day] = []

    async def refresh(self) -> None:
        """Have them no older than a minute, if that takes no longer than a page may wait; those that there are stay."""
        due = self._drawn_s is None or self._monotonic() - self._drawn_s >= EVERY_S
        if due and (self._asking is None or self._asking.done()):
            self._drawn_s = self._monotonic()
            self._asking = asyncio.create_task(self._draw())
        if self._asking is not None:
            await asyncio.wait([self._asking], timeout=WAIT_S)

    async def _draw(self) -> None:
        now_ms = self._store.clock.utc_ms(self._store.clock.now())
        with contextlib.suppress(StoreError):
            self.days = await asked(self._store, self._answer, now_ms)
            self.of = {day.meter.key: drawn(day) for day in self.days}

    def _answer(self, history: History, now_ms: int) -> list[Day]:
        return self._last_day.answer(history, now_ms)


def drawn(day: Day) -> Spark:
    """The picture of a day."""
    known = [used for used in day.used if used is not None]
    # That nothing was used in an hour in which the meter was not heard is not known.
    seen = [used if used or heard else None for used, heard in zip(day.used, day.heard, strict=True)]
    return Spark(bars(seen), sum(known) if known else None)


def bars(values: Sequence[int | None]) -> str:
    """The path of bars on a base line, the highest as high as there is room; nothing where nothing is known.

    >>> bars([0, 2, None, 4])
    'M1 20v-1m3 1v-10m6 10v-20'
    """
    most = max((abs(value) for value in values if value is not None), default=0)
    path, at, left = "", 0, 0
    for place, value in enumerate(values):
        if value is None:
            continue
        height = max(1, round(abs(value) * HEIGHT / most)) if most else 1
        path += f"m{(place - at) * STEP} {left}v-{height}" if path else f"M{place * STEP + 1} {HEIGHT}v-{height}"
        at, left = place, height
    return path


SPARKS = web.AppKey("SPARKS", Sparks)
