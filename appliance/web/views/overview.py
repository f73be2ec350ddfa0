"""`/`: is it well, in one glance; and `/events/overview`, which keeps the page live.

Whether it is, `verdict.py` says. What there is to do is told to who has logged in; where the page is open to read, the
others learn that there is something.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from aiohttp import web

from appliance import zones
from appliance.sync.standing import Standing
from appliance.web.condition import Condition, condition
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import readers
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import html, render, span
from appliance.web.glances import GLANCES, Contacted
from appliance.web.middle import keep_up
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.quarters import Picture
from appliance.web.times import Shown, Times
from appliance.web.verdict import Deed, Look, State, verdict
from appliance.web.views.set_up.steps import still_open

SOURCES = {
    "ntp": "by the network (NTP)",
    "rtc": "by the clock chip",
    "receipt": "by the aggregator",
    "browser": "by a phone or browser",
    "estimate": "by an estimate",
}
RADIOS: dict[str, State] = {"running": "good", "starting": "fair", "retrying": "bad", "ended": "fair"}


@dataclass(frozen=True, slots=True)
class Card:
    """For _overview.html: how the store is. `used_percent` of the budget."""

    state: State
    free: int
    used: int
    budget: int
    used_percent: int
    since: date | None


@dataclass(frozen=True, slots=True)
class Glance:
    """For _overview.html. `may_act`: somebody has logged in; nobody else is told what the `deeds` are.

    `heard` is when any message was last heard, `listening` since when. `source` tells the time, of which `off_s` is the
    most by which it is off, None where nothing bounds that. `standing` is None until the outbox was looked at.
    """

    state: State
    condition: Condition
    may_act: bool
    deeds: Sequence[Deed]
    looks: Sequence[Look]
    delivery_state: State
    heard: Shown | None
    listening: Shown
    clock: datetime
    source: str
    off_s: float | None
    card: Card | None
    standing: Standing | None
    oldest: Shown | None
    confirmed: Shown | None
    contacts: Sequence[Contacted]
    has_gate: bool
    picture: Picture

    @property
    def off_span(self) -> str:
        """By how much the time may be off where that is a minute or more, in whole units."""
        return "" if self.off_s is None else span(self.off_s, up=True)

    @property
    def source_words(self) -> str:
        """Who told the time."""
        return SOURCES.get(self.source, "by an estimate")

    def sign(self, receiver: str) -> State:
        """How a receiver is that is in this state."""
        return RADIOS[receiver]


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """For overview.html. So many steps of the set-up are `open`, to who has logged in."""

    now_ms: int
    now_text: str
    glance: Glance
    place: str
    open: int


@readers
async def view(request: web.Request) -> web.Response:
    """The page."""
    parts = request.app[PARTS]
    await request.app[GLANCES].refresh()
    times = parts.times
    open_steps = await still_open(request) if SESSION in request else 0
    place = parts.draft.config.site.place
    page = OverviewPage(times.moment.utc_ms, times.of_day, glance(request, times, open_steps), place, open_steps)
    return html(request, "overview.html", page)


@readers
async def events(request: web.Request) -> web.StreamResponse:
    """What changed, as server-sent events: the page's middle, drawn anew."""
    parts, language = request.app[PARTS], language_of(request)

    async def draw() -> str:
        await request.app[GLANCES].refresh()
        open_steps = await still_open(request) if SESSION in request else 0
        return render(PACKAGE, language, "_overview.html", glance(request, parts.times, open_steps))

    return await keep_up(request, draw)


def glance(request: web.Request, times: Times, open_steps: int = 0) -> Glance:
    """Everything, as of now; so many steps of the set-up are open."""
    parts, glances, may_act = request.app[PARTS], request.app[GLANCES], SESSION in request
    how, contacts, standing = condition(parts, times), glances.contacts(times), glances.standing
    found = verdict(parts, how, contacts)
    return Glance(
        state="fair" if found.state == "good" and open_steps else found.state,
        condition=how,
        may_act=may_act,
        deeds=found.deeds if may_act else (),
        looks=found.looks,
        delivery_state=found.delivery,
        heard=None if how.latest_at is None else times.at(how.latest_at),
        listening=times.ago(parts.uptime_s),
        clock=times.now.astimezone(zones.here()),
        source=times.moment.source,
        off_s=_off_s(times.moment.uncertainty_ms),
        card=_card(parts, found.card),
        standing=standing,
        oldest=times.at(standing.oldest_at) if standing and standing.oldest_at is not None else None,
        confirmed=glances.confirmed(times),
        contacts=contacts,
        has_gate=parts.gate is not None,
        picture=glances.picture,
    )


def _card(parts: Parts, state: State) -> Card | None:
    storage = parts.storage
    if storage is None:
        return None
    oldest_ms = storage.oldest_utc_ms
    return Card(
        state=state,
        free=storage.bytes_free,
        used=storage.bytes_used,
        budget=storage.bytes_budget,
        used_percent=min(100, round(100 * storage.bytes_used / storage.bytes_budget)) if storage.bytes_budget else 0,
        since=None if oldest_ms is None else parts.times.at_utc(oldest_ms).astimezone(zones.here()).date(),
    )


def _off_s(uncertainty_ms: int | None) -> float | None:
    """By how much the time may be off, in tenths of a second, rounded up.

    >>> _off_s(250), _off_s(20), _off_s(61_000), _off_s(None)
    (0.3, 0.1, 61.0, None)
    """
    return None if uncertainty_ms is None else math.ceil(uncertainty_ms / 100) / 10
