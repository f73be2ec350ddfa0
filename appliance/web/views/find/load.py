"""`/find/load`: the meters whose register moved more than it usually does since somebody switched a load on.

All that has happened stands in the address, so that it outlives a reload, a phone that sleeps and a program that starts
again: `power` in W, and the stamps at which the load was switched `on` and `off`, by the appliance's clock.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode

from aiohttp import web

from appliance.errors import StoreError
from appliance.store.asked import asked
from appliance.store.finding import LONGEST_MS, UPDATE_MS, Moved, by_load, registers_at
from appliance.web.frame.guard import readers
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import html, render, span
from appliance.web.middle import keep_up
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.times import Shown
from appliance.web.typed import typed as number_typed
from appliance.web.views.meters.rows import MeterRow, meter_row, name_of
from appliance.web.views.meters.sparks import SPARKS, Sparks

LONGEST_TYPED = 20
LEAST_W, MOST_W, USUAL_W = 20, 100_000, 1000
# What a register may count, in Wh; a load shows by so many counts above what is usual.
COUNTS_WH, COUNTS_SEEN = (1, 10, 100, 1000), 4
LEAST_ON_S = 600
# The last update of a register comes so long after the load was switched off.
AFTER_MS = UPDATE_MS + 60_000
EVERY_S = 10.0
CLEAR, FAINT = 3.0, 1.5
MOST_SHOWN = 10
_POWER = re.compile(r"\s*([0-9][0-9.,]*)\s*(k?)w?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Load:
    """What somebody says of a load. `power_w` is None if they do not know, `on` and `off` are stamps."""

    power_w: int | None = None
    on: int | None = None
    off: int | None = None

    def address(self, **changed: int | None) -> str:
        """The page of this load, with something changed."""
        said = {"power": self.power_w, "on": self.on, "off": self.off} | changed
        query = urlencode({name: value for name, value in said.items() if value is not None})
        return f"/find/load?{query}" if query else "/find/load"

    @property
    def query(self) -> str:
        """What comes after the path of its address."""
        return self.address().partition("?")[2]


@dataclass(frozen=True, slots=True)
class Step:
    """For _moved.html: how long the load has to be on for a meter of such counts, "" if that is too long to wait."""

    count: str
    time: str
    percent: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """For _moved.html: a meter that moved, by more than chance has it if it `is_clear`; a count would be `each_wh`.

    None is clear of which nobody knows what it `usually` does.
    """

    row: MeterRow
    name: str
    counts: int
    usually: float | None
    is_clear: bool
    each_wh: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """For _moved.html: how it stands. `trouble` is why the history gives no answer, else "".

    `left` is how long the last updates may take from now, "" once they are there. `others` moved as usual. `early`: no
    register can have come since. `usual` is whether anybody's usual use is known.
    """

    switched_on: Shown
    switched_off: Shown | None
    steps: Sequence[Step]
    candidates: Sequence[Candidate]
    others: int
    left: str
    early: bool
    usual: bool
    trouble: str

    @property
    def clear(self) -> int:
        """How many stand out."""
        return sum(one.is_clear for one in self.candidates)


@dataclass(frozen=True, slots=True)
class LoadPage:
    """For find_load.html. `trouble` is "power", "old" or "times" for what was wrong; `told` is None before it is on."""

    trouble: str
    typed: str
    load: Load
    steps: Sequence[Step]
    usual_w: int
    told: Told | None
    now_ms: int
    now_text: str


@readers
async def view(request: web.Request) -> web.Response:
    """The page; what is switched now gets its stamp, and an address of its own."""
    parts, query = request.app[PARTS], request.query
    typed = query.get("power", "")
    power_w = power_of(typed)
    if power_w is None and typed.strip():
        return await _page(request, Load(), "power", typed[:LONGEST_TYPED])
    now = parts.store.clock.now()
    on, off = (now if query.get(name) == "now" else _stamp(query.get(name, ""), now) for name in ("on", "off"))
    if on == -1 or off == -1 or (off is not None and (on is None or off < on)):
        return await _page(request, Load(power_w), "times")
    load = Load(power_w, on, off)
    if "now" in (query.get("on"), query.get("off")):
        return web.Response(status=303, headers={"Location": load.address()})
    if on is not None and _elapsed_ms(parts, on, off or now) + (AFTER_MS if off else 0) > LONGEST_MS:
        return await _page(request, Load(power_w), "old")
    return await _page(request, load)


@readers
async def events(request: web.Request) -> web.StreamResponse:
    """How it stands, again and again: the page's middle, drawn anew."""
    parts, sparks, language, query = request.app[PARTS], request.app[SPARKS], language_of(request), request.query
    now = parts.store.clock.now()
    load = Load(power_of(query.get("power", "")), _stamp(query.get("on", ""), now), _stamp(query.get("off", ""), now))
    if load.on in (None, -1) or load.off == -1:
        raise web.HTTPNotFound

    async def draw() -> str:
        return render(PACKAGE, language, "_moved.html", await _told(parts, sparks, load))

    return await keep_up(request, draw, EVERY_S)


def power_of(typed: str) -> int | None:
    """A power in W, as it is typed; None for what is none, or too small or too large to be of use.

    Nobody tells thousandths of a watt, so that three digits after a mark are thousands; of a kilowatt they are watts.

    >>> [power_of(typed) for typed in ("2000", " 2,2 kW", "1500w", "1.500", "22,000 W", "2.200 kW", "5", "-3", "")]
    [2000, 2200, 1500, 1500, 22000, 2200, None, None, None]
    """
    match = _POWER.fullmatch(typed)
    found = number_typed(match[1]) if match else None
    if match is None or found is None:
        return None
    power_w = Decimal(found.digits) * (1000 if match[2] or found.is_either else 1)
    return round(power_w) if LEAST_W <= power_w <= MOST_W else None


def steps(power_w: int, on_s: float) -> list[Step]:
    """How long a load has to be on, by what the register counts, and how much of that is over.

    >>> [(step.count, step.time) for step in steps(2000, 0)]
    [('1 Wh', '10 min'), ('10 Wh', '10 min'), ('100 Wh', '17 min'), ('1 kWh', '2 h 5 min')]
    """
    found = []
    for count_wh in COUNTS_WH:
        needed_s = max(LEAST_ON_S, UPDATE_MS / 1000 + COUNTS_SEEN * count_wh * 3600 / power_w)
        is_near = needed_s * 1000 <= LONGEST_MS
        name = f"{count_wh // 1000} kWh" if count_wh >= 1000 else f"{count_wh} Wh"
        found.append(Step(name, _long(needed_s) if is_near else "", min(100, int(100 * on_s / needed_s))))
    return found


def _long(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def _stamp(text: str, now: int) -> int | None:
    """A stamp in the past, None for none, -1 for what is no such thing."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        return -1
    return int(text) if int(text) <= now else -1


def _elapsed_ms(parts: Parts, since: int, until: int) -> int:
    return max(0, parts.store.clock.utc_ms(until) - parts.store.clock.utc_ms(since))


async def _page(request: web.Request, load: Load, trouble: str = "", typed: str = "") -> web.Response:
    parts, sparks = request.app[PARTS], request.app[SPARKS]
    times = parts.times
    page = LoadPage(
        trouble=trouble,
        typed=typed or ("" if load.power_w is None else str(load.power_w)),
        load=load,
        steps=steps(load.power_w or USUAL_W, 0),
        usual_w=USUAL_W,
        told=None if load.on is None else await _told(parts, sparks, load),
        now_ms=times.moment.utc_ms,
        now_text=times.of_day,
    )
    return html(request, "find_load.html", page, 422 if trouble else 200)


async def _told(parts: Parts, sparks: Sparks, load: Load) -> Told:
    assert load.on is not None
    await sparks.refresh()
    clock, times, ledger = parts.store.clock, parts.times, parts.store.ledger
    on_ms, now_ms = clock.utc_ms(load.on), times.moment.utc_ms
    off_ms = None if load.off is None else clock.utc_ms(load.off)
    until_ms = now_ms if off_ms is None else min(now_ms, off_ms + AFTER_MS)
    on_s = max(0, (now_ms if off_ms is None else off_ms) - on_ms) / 1000
    # Nobody warms a gas meter with a kettle.
    registers = {m.key: m.consumption for m in ledger.meters if m.commodity in ("electric", "unknown")}
    moved: list[Moved] = []
    trouble = ""
    # What the ledger knows by now is newer than the rows written by then, by as much as waits to be written.
    early = now_ms - on_ms < UPDATE_MS
    try:
        if until_ms < now_ms and not early:
            registers = await asked(parts.store, registers_at, registers, until_ms)
        if not early:
            moved = await asked(parts.store, by_load, on_ms, until_ms, registers, sparks.days)
    except StoreError as fault:
        trouble = str(fault)
    shown = [one for one in moved if one.score >= FAINT][:MOST_SHOWN]
    candidates = [made for one in shown if (made := _candidate(parts, one, load.power_w, on_s)) is not None]
    return Told(
        switched_on=times.at(load.on),
        switched_off=None if load.off is None else times.at(load.off),
        steps=steps(load.power_w or USUAL_W, on_s),
        candidates=candidates,
        others=len(moved) - len(shown),
        left=span((off_ms + AFTER_MS - now_ms) / 1000, up=True) if off_ms and off_ms + AFTER_MS > now_ms else "",
        early=early,
        usual=any(one.usually is not None for one in moved),
        trouble=trouble,
    )


def _candidate(parts: Parts, moved: Moved, power_w: int | None, on_s: float) -> Candidate | None:
    if (meter := parts.store.ledger.get(moved.meter)) is None:
        return None
    row = meter_row(parts, meter, parts.store.assigned.of(moved.meter), None, parts.times)
    more = moved.counts - (moved.usually or 0)
    each_wh = power_w * on_s / 3600 / more if power_w and more > 0 else 0
    return Candidate(
        row=row,
        name=name_of(moved.meter),
        counts=moved.counts,
        usually=moved.usually,
        is_clear=moved.score >= CLEAR and moved.usually is not None,
        each_wh=round(each_wh) if each_wh >= 1 else None,
    )
