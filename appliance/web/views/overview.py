"""`/`: is it well, in one glance; and `/events/overview`, which keeps the page live.

Red is only what somebody must do something about, with what that is. What may put itself right, such as a link that is
away for a month, is worth a look, and said to be. All is well only where every tile says so and real meters are heard.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from aiohttp import web

from appliance import zones
from appliance.config import PAGE
from appliance.errors import NotDelivered
from appliance.model import ReceiverState
from appliance.store.rows import StoreStatus
from appliance.sync.sparing import IN_WORDS
from appliance.web.condition import LONGEST_SOURCE, Condition, condition, reached_by
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import readers
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import html, render, span
from appliance.web.glances import GLANCES, Contacted
from appliance.web.middle import keep_up
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.quarters import Picture
from appliance.web.times import Shown, Times
from appliance.web.views.set_up.steps import still_open

DAY_MS = 86_400_000
# Most meters send every half minute: a street that says nothing for so long is worth a look.
QUIET_MS = 1_800_000

SOURCES = {
    "ntp": "by the network (NTP)",
    "rtc": "by the clock chip",
    "receipt": "by the aggregator",
    "browser": "by a phone or browser",
    "estimate": "by an estimate",
}

State = Literal["good", "fair", "bad", "plain"]


@dataclass(frozen=True, slots=True)
class Deed:
    """For _overview.html: what somebody must do. `what` says which text; `told` are words of a program, in English."""

    what: str
    told: str = ""
    advice: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """For _overview.html: what is worth a look, how many of them, and where more is said of it."""

    what: str
    where: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class RadioCard:
    """For _overview.html: a receiver. `heard` is when any message was last heard of any receiver."""

    name: str
    source: str
    simulated: bool
    running: str
    state: State
    messages: int
    restarts: int


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
    """For _overview.html.

    `source` tells the time, of which `off_s` is the most by which it is off, None where nothing bounds that; it is
    `clock_time` of `clock_day`. Of `tampered` meters a tamper counter has changed. `waiting` is None until
    the outbox was looked at. `silent`: nothing was heard for a while though a radio runs.
    """

    state: State
    condition: Condition
    deeds: list[Deed]
    looks: list[Look]
    radios: list[RadioCard]
    heard: Shown | None
    silent: bool
    listening: Shown
    meters: int
    tampered: int
    expected: int
    expected_heard: int
    clock: datetime
    clock_state: State
    source: str
    off_s: float | None
    card: Card | None
    waiting: int | None
    oldest: Shown | None
    confirmed: Shown | None
    contacts: list[Contacted]
    has_aggregator: bool
    has_gate: bool
    picture: Picture

    @property
    def delivery_state(self) -> State:
        """Good while the aggregator answers; red only with what somebody must see to."""
        return _delivery(self.deeds, self.contacts)

    @property
    def off_span(self) -> str:
        """By how much the time may be off where that is a minute or more, in whole units."""
        return "" if self.off_s is None else span(self.off_s, up=True)

    @property
    def source_words(self) -> str:
        """Who told the time."""
        return SOURCES.get(self.source, "by an estimate")


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
    open_steps = await still_open(request) if SESSION in request else 0

    async def draw() -> str:
        await request.app[GLANCES].refresh()
        return render(PACKAGE, language, "_overview.html", glance(request, parts.times, open_steps))

    return await keep_up(request, draw)


def glance(request: web.Request, times: Times, open_steps: int = 0) -> Glance:
    """Everything, as of now; so many steps of the set-up are open."""
    parts, glances = request.app[PARTS], request.app[GLANCES]
    receivers, assigned = parts.receivers(), parts.store.assigned
    since_at = parts.store.clock.timeline.stamp_at(times.moment.utc_ms - DAY_MS)
    recent = [meter for meter in parts.store.ledger.meters if meter.last_at >= since_at]
    latest = max((meter.last_at for meter in parts.store.ledger.meters), default=None)
    heard_ms = None if latest is None else parts.store.clock.utc_ms(latest)
    running = any(receiver.state == "running" for receiver in receivers)
    lately_ms = max(heard_ms or 0, times.moment.utc_ms - round(parts.uptime_s * 1000))
    how, contacts = condition(parts, times), glances.contacts(times)
    deeds = _deeds(parts, contacts)
    card = _card(parts.storage, parts)
    standing = glances.standing
    unsure = times.doubt is not None
    silent = running and times.moment.utc_ms - lately_ms > QUIET_MS
    looks = _looks(how, receivers, silent=silent, delivery=_delivery(deeds, contacts))
    return Glance(
        state="bad" if deeds or how.must_be_seen_to else "fair" if looks or open_steps else "good",
        condition=how,
        deeds=deeds,
        looks=looks,
        radios=[_radio(receiver) for receiver in receivers],
        heard=None if latest is None else times.at(latest),
        silent=silent,
        listening=times.ago(parts.uptime_s),
        meters=len(recent),
        tampered=sum(meter.tamper_changed_at is not None for meter in parts.store.ledger.meters),
        expected=len(assigned.meters),
        expected_heard=len(assigned.among(meter.key for meter in recent)),
        clock=times.now.astimezone(zones.here()),
        clock_state="fair" if unsure else "good",
        source=times.moment.source,
        off_s=_off_s(times.moment.uncertainty_ms),
        card=card,
        waiting=standing.waiting if standing else None,
        oldest=times.at(standing.oldest_at) if standing and standing.oldest_at is not None else None,
        confirmed=glances.confirmed(times),
        contacts=contacts,
        has_aggregator=parts.courier is not None,
        has_gate=parts.gate is not None,
        picture=glances.picture,
    )


def _deeds(parts: Parts, contacts: list[Contacted]) -> list[Deed]:
    found: list[Deed] = []
    if parts.first_account is not None and parts.first_account.stands_in_file():
        found.append(Deed("password", subject=parts.config_file))
    found += [Deed("settings", one.words) for one in parts.wrong if one.part == PAGE]
    away = [receiver for receiver in parts.receivers() if receiver.state == "retrying"]
    found += [Deed(reached_by(receiver.source), receiver.reason, subject=receiver.name) for receiver in away]
    outbox = parts.health().get("outbox")
    if outbox is not None and outbox.reason and outbox.reason not in IN_WORDS.values():
        found.append(Deed("outbox", outbox.reason))
    if contacts and all(contact.fault for contact in contacts):
        # The network comes and goes by itself; the rest somebody has to see to.
        hints = dict.fromkeys(contact.hint for contact in contacts if contact.hint != NotDelivered.hint)
        found += [Deed("delivery", next(c.fault for c in contacts if c.hint == hint), hint) for hint in hints]
    return found


def _delivery(deeds: list[Deed], contacts: list[Contacted]) -> State:
    if any(deed.what == "delivery" for deed in deeds):
        return "bad"
    if not contacts:
        return "plain"
    return "fair" if all(contact.fault for contact in contacts) else "good"


def _looks(how: Condition, receivers: Sequence[ReceiverState], *, silent: bool, delivery: State) -> list[Look]:
    found = [
        (bool(receivers) and how.only_simulated, Look("simulated", "#radio")),
        (not receivers, Look("no radio", "#radio")),
        (silent, Look("silent", "#radio")),
        (any(receiver.state == "ended" for receiver in receivers), Look("ended", "#radio")),
        (bool(how.missing), Look("missing", "/meters?assigned=yes&silent=1", how.expected - how.expected_heard)),
        (delivery == "fair", Look("delivery", "#delivery")),
        (bool(how.history_trouble), Look("history", "#card")),
        (bool(how.damaged), Look("damaged", "#card")),
        (how.doubt is not None, Look("clock", "#clock")),
    ]
    return [look for is_so, look in found if is_so]


def _radio(receiver: ReceiverState) -> RadioCard:
    states: dict[str, State] = {"running": "good", "starting": "fair", "retrying": "bad", "ended": "fair"}
    status = receiver.status
    return RadioCard(
        name=receiver.name,
        source=(status.source if status and status.source else receiver.source)[:LONGEST_SOURCE],
        simulated=receiver.simulated,
        running=receiver.state,
        state=states[receiver.state],
        messages=receiver.messages,
        restarts=receiver.restarts,
    )


def _card(storage: StoreStatus | None, parts: Parts) -> Card | None:
    if storage is None:
        return None
    oldest_ms = storage.oldest_utc_ms
    return Card(
        state="bad" if storage.trouble else "fair" if storage.damaged_segments else "good",
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
