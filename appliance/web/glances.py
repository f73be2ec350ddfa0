"""What pages say of the outbox, the link and the last day, looked up once for all who look.

The picture of the day is drawn anew every minute, the rest is looked at every few seconds.
"""

import asyncio
import logging
from typing import Literal, NamedTuple

from aiohttp import web

from appliance import zones
from appliance.errors import NotDelivered, StoreError
from appliance.store.asked import asked
from appliance.store.reception import quarters
from appliance.sync.courier import HINTS_WAITING
from appliance.sync.standing import Standing, Standings
from appliance.timeline import DAY_MS
from appliance.web.parts import Parts
from appliance.web.quarters import Picture, picture
from appliance.web.times import Shown, Times

log = logging.getLogger(__name__)

STANDING_S, PICTURE_S = 4.0, 60.0


class Contacted(NamedTuple):
    """An address of the aggregator: when it last answered with its key, and what is wrong now, "" if nothing is.

    `cause` says what became of the connection, in a sentence to translate, where it was that. One that was never needed
    is not `tried`.
    """

    address: str
    tried: bool
    answered: Shown | None
    fault: str
    hint: str
    cause: str

    @property
    def waits(self) -> bool:
        """Whether the aggregator has not decided yet about this appliance."""
        return self.hint in HINTS_WAITING

    @property
    def state(self) -> Literal["good", "fair", "bad"]:
        """How the last try ended: bad where somebody must see to it here, for the network comes and goes by itself."""
        if not self.fault:
            return "good"
        return "fair" if self.waits or self.hint == NotDelivered.hint else "bad"


class Glances:
    """Of a site. `standing` is None until the outbox could be looked at; `trouble` is why it cannot be."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._standings = Standings()
        self._asking = asyncio.Lock()
        self._looked_s: float | None = None
        self._drawn_s: float | None = None
        self.standing: Standing | None = None
        self.trouble = ""
        self.picture = Picture()

    async def refresh(self, *, at_once: bool = False) -> None:
        """Have it as new as it is to be, or look `at_once`; what cannot be read now stays as it was."""
        async with self._asking:
            now_s = self._parts.monotonic()
            if at_once or self._looked_s is None or now_s - self._looked_s >= STANDING_S:
                self._looked_s = now_s
                await self._look()
            if self._drawn_s is None or now_s - self._drawn_s >= PICTURE_S:
                self._drawn_s = now_s
                await self._draw()

    def contacts(self, times: Times) -> list[Contacted]:
        """The addresses of the aggregator, in their order."""
        courier = self._parts.courier
        if courier is None:
            return []
        return [
            Contacted(
                address,
                one.tried,
                None if one.answered_s is None else times.ago(courier.now_s() - one.answered_s),
                one.fault,
                one.hint,
                one.cause,
            )
            for address, one in courier.contacts.items()
        ]

    def confirmed(self, times: Times) -> Shown | None:
        """When the aggregator stored what it confirmed last; None if nothing is known of that."""
        if self.standing is None or self.standing.confirmed_utc_ms is None:
            return None
        return times.of_utc(self.standing.confirmed_utc_ms)

    async def _look(self) -> None:
        if self._parts.sealing is None:
            return
        try:
            self.standing = await self._parts.sealing.of(self._standings.now)
            self.trouble = ""
        except StoreError as fault:
            self.trouble = str(fault)
        except OSError as fault:
            self.trouble = fault.strerror or str(fault)

    async def _draw(self) -> None:
        now_ms = self._parts.times.moment.utc_ms
        try:
            found = await asked(self._parts.store, quarters, now_ms - DAY_MS, now_ms)
        except StoreError:
            return
        counts = [(one.utc_ms, one.messages) for one in found]
        self.picture = picture(counts, now_ms, zones.here(), self._ran(now_ms))

    def _ran(self, now_ms: int) -> list[tuple[int, int]]:
        """When the appliance ran: the machine, since the first meter was heard or this run of the program began."""
        clock, meters = self._parts.store.clock, self._parts.store.ledger.meters
        began_ms = now_ms - round(self._parts.uptime_s * 1000)
        first_ms = min((clock.utc_ms(meter.first_at) for meter in meters), default=began_ms)
        known_ms = min(began_ms, first_ms)
        spans = [*clock.timeline.ran(), (began_ms, now_ms)]
        return [(max(low, known_ms), high) for low, high in spans if high >= known_ms]


GLANCES = web.AppKey("GLANCES", Glances)
