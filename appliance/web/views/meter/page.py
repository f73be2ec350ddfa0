"""`/meters/{protocol}/{id}`: one meter, all that is known of it. `deeds.py` has what is done on it.

Charts are drawn in the browser from what `document.py` tells; without JavaScript there are tables of the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from aiohttp import web

from appliance import zones
from appliance.errors import StoreError
from appliance.store import queries
from appliance.store.asked import asked
from appliance.store.dials import Comparison, comparisons
from appliance.store.finding import siblings
from appliance.store.history import History
from appliance.store.ledger import Meter
from appliance.store.notes import LONGEST_NOTE, Note, notes
from appliance.store.queries import Period
from appliance.store.readings import Kept, readings
from appliance.store.reception import Heard, receptions
from appliance.store.rows import BREAKS, Event, MeterKey, MeterRow
from appliance.tamper import meaning
from appliance.timeline import DAY_MS
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import readers
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS
from appliance.web.views.find.page import nowhere
from appliance.web.views.meter.consumption import Span, periods
from appliance.web.views.meter.one_meter import at_stamp, key_of, local
from appliance.web.views.meter.shown import (
    MeterPage,
    NoteRow,
    Trouble,
    break_row,
    comparison_row,
    facts,
    heard_row,
    period_row,
    reading_row,
    sibling,
    tamper_row,
)
from appliance.web.views.meter.unheard import unheard
from appliance.web.views.meters.sparks import SPARKS

DAYS_SHOWN, MONTHS_SHOWN, DAYS_HEARD = 31, 24, 14
MOST_TAMPER, MOST_BREAKS, SHOWN_READINGS = 50, 20, 20
APART = 10


@dataclass(frozen=True, slots=True)
class Found:
    """What the history answered."""

    days: Sequence[Period] = ()
    months: Sequence[Period] = ()
    heard: Sequence[Heard] = ()
    breaks: Sequence[Event] = ()
    tamper: Sequence[Event] = ()
    readings: Sequence[Kept] = ()
    siblings: Sequence[MeterRow] = ()
    notes: Sequence[Note] = ()
    comparisons: Sequence[Comparison] = ()


@readers
async def view(request: web.Request) -> web.Response:
    """The page."""
    key = key_of(request)
    if (meter := request.app[PARTS].store.ledger.get(key)) is None:
        return unheard(request, key) or nowhere(request, key.protocol, request.match_info["meter"])
    return await page(request, meter)


async def page(request: web.Request, meter: Meter, trouble: Trouble | None = None) -> web.Response:
    """The page of a meter, with what was refused if anything was."""
    parts, sparks = request.app[PARTS], request.app[SPARKS]
    times = parts.times
    until = _day(request.query.get("until", ""), times.now.astimezone(zones.here()).date())
    lost, found = "", Found()
    try:
        found = await asked(parts.store, _look, meter.key, until, times.moment.utc_ms)
    except StoreError as fault:
        lost = str(fault)
    here = facts(parts, meter, sparks.of.get(meter.key))
    scale = here.row.scale
    first_ms = parts.store.clock.utc_ms(meter.first_at)
    first_day, today = local(first_ms).date(), times.now.astimezone(zones.here()).date()
    before = until - timedelta(days=DAYS_SHOWN)
    key = meter.key
    shown = MeterPage(
        facts=here,
        scale=scale,
        who=request[SESSION].name if SESSION in request else "",
        now_ms=times.moment.utc_ms,
        now_text=times.of_day,
        cursor=f"{parts.edition}-{meter.revision}",
        first_ms=first_ms,
        zone=zones.name(),
        lost=lost,
        days=[period_row(parts, one, scale) for one in reversed(found.days) if one.to_ms > first_ms],
        days_until=until.isoformat(),
        days_before=before.isoformat() if before >= first_day else "",
        days_after=min(today, until + timedelta(days=DAYS_SHOWN)).isoformat() if until < today else "",
        months=[period_row(parts, one, scale) for one in reversed(found.months) if one.to_ms > first_ms],
        heard=[heard_row(one) for one in reversed(found.heard) if one.to_ms > first_ms],
        breaks=[break_row(parts, event) for event in found.breaks],
        phy_meaning=meaning(key.protocol, meter.commodity, "phy").words,
        enc_meaning=meaning(key.protocol, meter.commodity, "enc").words,
        tamper=[tamper_row(parts, key, event) for event in found.tamper],
        readings=[reading_row(kept, scale) for kept in found.readings],
        siblings=[sibling(parts, row) for row in found.siblings],
        notes=[NoteRow(at_stamp(parts, note.at, seconds=False), note) for note in found.notes],
        longest_note=LONGEST_NOTE,
        comparisons=[comparison_row(parts, key, one) for one in found.comparisons],
        trouble=trouble or Trouble(),
    )
    return html(request, "meter.html", shown, (503 if trouble.is_card else 422) if trouble else 200)


def breaks_of(history: History, key: MeterKey, limit: int) -> list[Event]:
    """What happened to a register, the latest first. Raises sqlite3.Error."""
    found = [event for kind in BREAKS for event in queries.events(history, kind, key, limit=limit)]
    timeline = history.timeline
    return sorted(found, key=lambda event: (timeline.utc_ms(event.at), event.number), reverse=True)[:limit]


def _look(history: History, key: MeterKey, until: date, now_ms: int) -> Found:
    return Found(
        days=queries.days(history, key, until - timedelta(days=DAYS_SHOWN - 1), until, zones.here()),
        months=periods(history, key, Span(now_ms - MONTHS_SHOWN * 30 * DAY_MS, now_ms, "month")),
        heard=receptions(history, key, zones.midnights(local(now_ms).date(), DAYS_HEARD)),
        breaks=breaks_of(history, key, MOST_BREAKS),
        tamper=queries.tamper_changes(history, key, limit=MOST_TAMPER),
        readings=readings(history, key, limit=SHOWN_READINGS),
        siblings=siblings(history, key, APART),
        notes=notes(history, key),
        comparisons=comparisons(history, key),
    )


def _day(text: str, usual: date) -> date:
    try:
        return min(max(date.fromisoformat(text), queries.FIRST_DAY), usual)
    except ValueError:
        return usual
