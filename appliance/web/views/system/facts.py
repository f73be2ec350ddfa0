"""What the System page tells of the machine, the parts, the card, the clock and the network, as of now.

What the kernel tells is read beside the event loop: some of it comes from the firmware or over a slow bus.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from appliance import zones
from appliance.clock import stamp
from appliance.machine import Machine
from appliance.machine.about import About, about
from appliance.machine.network import Interface, default_route, interfaces, is_announced, name_servers
from appliance.machine.power import Power, power, temperature_c
from appliance.machine.restart import can_restart
from appliance.store.growth import growth_bytes_a_day
from appliance.store.rows import StoreStatus
from appliance.store.wear import Wear, wear
from appliance.web.frame.rendering import span
from appliance.web.parts import Parts
from appliance.web.times import Shown, Times

State = Literal["good", "fair", "bad", "plain"]

# From here on a Raspberry Pi slows down.
HOT_C = 80.0
# The estimate of a card's life is rough: what is beyond this is long enough.
LONG_YEARS = 30
FULL_PERCENT = 97
MOST_DAYS = 30 * 365
# Besides the zone of the site: those of Chile, and what is the same everywhere.
ZONES = ("America/Santiago", "America/Coyhaique", "America/Punta_Arenas", "Pacific/Easter", "UTC")
PARTS_OF_PROGRAM = {
    "site": "Site",
    "store": "Storage",
    "history": "History",
    "outbox": "Outbox",
    "delivery": "Delivery",
    "stick": "USB stick",
    "first account": "First account",
    "watchdog": "Watchdog",
    "configuration": "Configuration",
    "settings": "Settings made on the page",
    "data": "Data",
}
RECEIVER = "receiver "
TRUSTED_MORE = ("ntp", "rtc", "receipt")
STATES: dict[str, tuple[State, str]] = {
    "healthy": ("good", "works"),
    "degraded": ("fair", "works less than it should"),
    "failed": ("bad", "does not work"),
}
KINDS = ("cable", "Wi-Fi", "mobile", "other")
DYNAMIC = (*PARTS_OF_PROGRAM.values(), *(words for _, words in STATES.values()), *KINDS, "Receiver")


class Words(NamedTuple):
    """What a part of the program said, in the language `lang`."""

    text: str
    lang: str


@dataclass(frozen=True, slots=True)
class PartRow:
    """For system.html: a part of the program. `receiver` is its name if it is one; `failures` since the start."""

    name: str
    receiver: str
    state: State
    state_words: str
    reason: Words
    hint: Words
    failures: int


@dataclass(frozen=True, slots=True)
class CardFacts:
    """For system.html: room and wear of the card. `days_left` until the budget is used up, as it grows now.

    None is what is not known yet. `is_full`: as much is kept as may be, and the oldest makes room for the newest.
    """

    storage: StoreStatus | None
    used_percent: int
    since: date | None
    days_left: int | None
    is_full: bool
    wear: Wear | None
    written_in: str
    years: int | None
    is_long: bool


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """For system.html. `off` is empty where nothing bounds it; `told` is when its source spoke last, if one did.

    `is_held`: by a source that is trusted more than a person.
    """

    now_ms: int
    stamp: int
    local: datetime
    is_rough: bool
    zone: str
    zones: Sequence[str]
    source: str
    off: str
    state: State
    told: Shown | None
    is_held: bool


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """For system.html. `names` are those by which the page is reached; `way_out` and `gateway` of the default route."""

    interfaces: Sequence[Interface]
    way_out: str
    gateway: str
    name_servers: Sequence[str]
    names: Sequence[str]


class Looked(NamedTuple):
    """What the kernel tells. Numbers are None where nothing tells them."""

    about: About
    power: Power | None
    temperature_c: float | None
    wear: Wear | None
    network: NetworkFacts
    can_restart: bool


async def looked(parts: Parts) -> Looked:
    """As of now."""
    return await asyncio.to_thread(_look, parts.machine, parts.store.directory, parts.names)


def _look(machine: Machine, directory: Path, names: Sequence[str]) -> Looked:
    known = about(machine)
    route = default_route(machine) or ("", "")
    own = [f"{socket.gethostname()}.local"] if is_announced(machine) else []
    return Looked(
        about=known,
        power=power(machine),
        temperature_c=temperature_c(machine),
        wear=None if known.uptime_s is None else wear(directory, known.uptime_s, machine.sys / "dev" / "block"),
        network=NetworkFacts(interfaces(machine), *route, name_servers(machine), [*own, *names]),
        can_restart=can_restart(machine),
    )


def part_rows(parts: Parts, say: Callable[[str], str], language: str) -> list[PartRow]:
    """Each part of the program, those that are worst off first."""

    def words(text: str) -> Words:
        translated = say(text)
        return Words(translated, language if translated != text else "en")

    rows = []
    for name, health in parts.health().items():
        state, state_words = STATES[health.state]
        receiver = name.removeprefix(RECEIVER) if name.startswith(RECEIVER) else ""
        known = "Receiver" if receiver else PARTS_OF_PROGRAM.get(name, name)
        told = words(health.reason), words(health.hint)
        rows.append(PartRow(known, receiver, state, state_words, *told, health.failures))
    return sorted(rows, key=lambda row: ("bad", "fair", "good").index(row.state))


def card_facts(parts: Parts, known: Wear | None) -> CardFacts:
    """Room and wear of the card."""
    storage = parts.storage
    percent = (
        min(100, round(100 * storage.bytes_used / storage.bytes_budget)) if storage and storage.bytes_budget else 0
    )
    pace = growth_bytes_a_day(parts.store.segments, parts.store.clock.timeline)
    left = max(0, storage.bytes_budget - storage.bytes_used) if storage else 0
    oldest_ms = storage.oldest_utc_ms if storage else None
    years = known.years if known else None
    return CardFacts(
        storage=storage,
        used_percent=percent,
        since=None if oldest_ms is None else parts.times.at_utc(oldest_ms).astimezone(zones.here()).date(),
        days_left=min(round(left / pace), MOST_DAYS) if pace and storage else None,
        is_full=percent >= FULL_PERCENT,
        wear=known,
        written_in=span(known.within_s) if known else "",
        years=None if years is None else max(1, round(min(years, LONG_YEARS))),
        is_long=years is not None and years > LONG_YEARS,
    )


def clock_facts(parts: Parts, times: Times) -> ClockFacts:
    """What time it is, and who says so."""
    clock, moment = parts.store.clock, times.moment
    last_ms = max((fix.ms for fix in clock.fixes if fix.source == moment.source), default=None)
    uncertain_ms = moment.uncertainty_ms
    return ClockFacts(
        now_ms=moment.utc_ms,
        stamp=clock.now(),
        local=times.now.astimezone(zones.here()),
        is_rough=times.doubt is not None,
        zone=zones.name(),
        zones=tuple(dict.fromkeys((zones.name(), *filter(zones.is_known, ZONES)))),
        source=moment.source,
        off="" if uncertain_ms is None else span(uncertain_ms / 1000, up=True) if uncertain_ms >= 1000 else "1 s",
        state="good" if times.doubt is None else "fair",
        told=None if last_ms is None else times.at(stamp(clock.boot, last_ms)),
        is_held=moment.source in TRUSTED_MORE,
    )
