"""`/system`: the machine and the program on it: versions, power, parts, card, clock, network, the log, starting anew.

What changes something is in `clock.py` and `restart.py`, the whole log in `log.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from appliance import __version__
from appliance.errors import StoreError
from appliance.store.asked import asked
from appliance.store.event_log import logged
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import readers
from appliance.web.frame.language import catalogue, language_of
from appliance.web.frame.rendering import html
from appliance.web.glances import GLANCES, Contacted
from appliance.web.parts import PACKAGE, PARTS
from appliance.web.times import Shown
from appliance.web.views.overview import SOURCES
from appliance.web.views.system.facts import (
    HOT_C,
    CardFacts,
    ClockFacts,
    Looked,
    PartRow,
    card_facts,
    clock_facts,
    looked,
    part_rows,
)
from appliance.web.views.system.log import Told, told

LAST_EVENTS = 6
# Of a time that was told, in the address of the page to which that leads.
OUTCOMES = ("taken", "agreed", "better", "contradicted", "too many")


@dataclass(frozen=True, slots=True)
class SystemPage:
    """For system.html. `may_act`: somebody has logged in, and sees the log.

    `outcome` is what became of a time that was told, `clock_trouble` why it could not be taken, `typed` what was typed.
    """

    version: str
    up: Shown
    machine_up: Shown | None
    looked: Looked
    is_hot: bool
    parts: Sequence[PartRow]
    card: CardFacts
    clock: ClockFacts
    source_words: str
    contacts: Sequence[Contacted]
    has_gate: bool
    may_act: bool
    events: Sequence[Told] | None
    outcome: str
    clock_trouble: str = ""
    typed: str = ""
    zone: str = ""


@readers
async def view(request: web.Request) -> web.Response:
    """The page."""
    return await page(request)


async def page(
    request: web.Request, status: int = 200, clock_trouble: str = "", typed: str = "", zone: str = ""
) -> web.Response:
    """The page, with what is wrong about a time that was told."""
    parts, glances, language = request.app[PARTS], request.app[GLANCES], language_of(request)
    await glances.refresh()
    found, times = await looked(parts), parts.times
    clock = clock_facts(parts, times)
    uptime_s, hot = found.about.uptime_s, found.temperature_c
    told_of = request.query.get("clock", "")
    return html(
        request,
        "system.html",
        SystemPage(
            version=__version__,
            up=times.ago(parts.uptime_s),
            machine_up=None if uptime_s is None else times.ago(uptime_s),
            looked=found,
            is_hot=hot is not None and hot >= HOT_C,
            parts=part_rows(parts, catalogue(PACKAGE, language).gettext, language),
            card=card_facts(parts, found.wear),
            clock=clock,
            source_words=SOURCES.get(clock.source, SOURCES["estimate"]),
            contacts=glances.contacts(times),
            has_gate=parts.gate is not None,
            may_act=SESSION in request,
            events=await _last_events(request, language) if SESSION in request else (),
            outcome=told_of if told_of in OUTCOMES else "",
            clock_trouble=clock_trouble,
            typed=typed,
            zone=zone or clock.zone,
        ),
        status,
    )


async def _last_events(request: web.Request, language: str) -> list[Told] | None:
    """None while the catalogue cannot be read."""
    parts = request.app[PARTS]
    try:
        return [told(parts, event, language) for event in await asked(parts.store, logged, limit=LAST_EVENTS)]
    except StoreError:
        return None
