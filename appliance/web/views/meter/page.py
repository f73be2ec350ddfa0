"""`/meters/{protocol}/{id}`: one meter, all that is known of it. `deeds.py` has what is done on it.

Charts are drawn in the browser from `consumption.json`; without JavaScript there are tables of the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

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
from appliance.tamper import happened, meaning
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import readers
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS, Parts
from appliance.web.quantities import Scale
from appliance.web.typed import Either
from appliance.web.views.meter.consumption import DAY_MS, Span, periods
from appliance.web.views.meter.one_meter import At, at_of, at_stamp, is_unsure, key_of, local
from appliance.web.views.meter.unheard import unheard
from appliance.web.views.meters import rows as meter_rows
from appliance.web.views.meters.sparks import SPARKS, Spark

DAYS_SHOWN, MONTHS_SHOWN, WEEKS_HEARD = 31, 24, 14
MOST_TAMPER, MOST_BREAKS, SHOWN_READINGS = 50, 20, 20
APART = 10


@dataclass(frozen=True, slots=True)
class Facts:
    """For _facts.html: the meter as it is now."""

    row: meter_rows.MeterRow
    endpoint_type: int
    frequency_mhz: float | None
    first: At


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """For _periods.html: a day or a month. `is_unsure`: when it began is an estimate."""

    first: date
    used: Decimal | int | None
    register: int | None
    quantity: Decimal | None
    breaks: tuple[str, ...]
    is_unsure: bool


@dataclass(frozen=True, slots=True)
class HeardRow:
    """For meter.html: how the meter was heard on a day."""

    day: date
    heard: Heard
    level: str
    bar_percent: int


@dataclass(frozen=True, slots=True)
class TamperRow:
    """For meter.html: a change of the counters; how often at least it `happened`, None where that cannot be told."""

    at: At
    phy: tuple[int | None, int | None]
    enc: tuple[int | None, int | None]
    phy_happened: int | None
    enc_happened: int | None


@dataclass(frozen=True, slots=True)
class BreakRow:
    """For meter.html: something that happened to the register."""

    at: At
    kind: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """For _readings.html: a reading as it is kept."""

    at: At
    kept: Kept
    quantity: Decimal | None


@dataclass(frozen=True, slots=True)
class Said:
    """For meter.html: a note or a comparison, and when."""

    at: At
    of: Any


@dataclass(frozen=True, slots=True)
class Trouble:
    """What was refused: in `part` "note" or "dial", as "dial" for what is none, else in `words`; and what was typed.

    `is_card`: the card did not take it, for the reason that the words say; `either`: it may be read in two ways.
    """

    part: str = ""
    words: str = ""
    hint: str = ""
    typed: str = ""
    is_card: bool = False
    either: Either | None = None


@dataclass(frozen=True, slots=True)
class MeterPage:
    """For meter.html. `who` has logged in, else ""; `lost` says why the history gives no answer, else ""."""

    facts: Facts
    scale: Scale
    who: str
    now_ms: int
    now_text: str
    cursor: str
    first_ms: int
    zone: str
    lost: str
    days: Sequence[PeriodRow]
    days_until: str
    days_before: str
    days_after: str
    months: Sequence[PeriodRow]
    heard: Sequence[HeardRow]
    breaks: Sequence[BreakRow]
    phy_meaning: str
    enc_meaning: str
    tamper: Sequence[TamperRow]
    readings: Sequence[ReadingRow]
    siblings: Sequence[tuple[str, MeterRow, str]]
    notes: Sequence[Said]
    longest_note: int
    comparisons: Sequence[Said]
    trouble: Trouble


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
        return unheard(request, key)
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
        heard=[_heard_row(one) for one in reversed(found.heard) if one.to_ms > first_ms],
        breaks=[_break_row(parts, event) for event in found.breaks],
        phy_meaning=meaning(key.protocol, meter.commodity, "phy").words,
        enc_meaning=meaning(key.protocol, meter.commodity, "enc").words,
        tamper=[tamper_row(parts, key, event) for event in found.tamper],
        readings=[reading_row(kept, scale) for kept in found.readings],
        siblings=[_sibling(parts, row) for row in found.siblings],
        notes=[Said(at_stamp(parts, note.at, seconds=False), note) for note in found.notes],
        longest_note=LONGEST_NOTE,
        comparisons=[Said(at_stamp(parts, one.at, seconds=False), one) for one in found.comparisons],
        trouble=trouble or Trouble(),
    )
    return html(request, "meter.html", shown, (503 if trouble.is_card else 422) if trouble else 200)


def facts(parts: Parts, meter: Meter, spark: Spark | None) -> Facts:
    """A meter as it is now."""
    row = meter_rows.meter_row(parts, meter, parts.store.assigned.of(meter.key), spark, parts.times)
    frequency_mhz = None if meter.frequency_hz is None else meter.frequency_hz / 1e6
    return Facts(row, meter.endpoint_type, frequency_mhz, at_stamp(parts, meter.first_at, seconds=False))


def period_row(parts: Parts, period: Period, scale: Scale) -> PeriodRow:
    """A day or a month."""
    used = scale.quantity(period.used) if scale.multiplier is not None else period.used
    return PeriodRow(
        local(period.from_ms).date(),
        used,
        period.register,
        scale.quantity(period.register),
        period.breaks,
        is_unsure(parts, period.from_ms),
    )


def tamper_row(parts: Parts, key: MeterKey, event: Event) -> TamperRow:
    """A change of tamper counters."""
    phy, enc = ((event.detail.get(name) or [None, None]) for name in ("phy", "enc"))
    return TamperRow(
        at_stamp(parts, event.at),
        (phy[0], phy[1]),
        (enc[0], enc[1]),
        happened(key.protocol, phy[0], phy[1]),
        happened(key.protocol, enc[0], enc[1]),
    )


def reading_row(kept: Kept, scale: Scale) -> ReadingRow:
    """A reading."""
    return ReadingRow(at_of(kept.moment), kept, scale.quantity(kept.consumption))


def breaks_of(history: History, key: MeterKey, limit: int) -> list[Event]:
    """What happened to a register, the latest first. Raises sqlite3.Error."""
    found = [event for kind in BREAKS for event in queries.events(history, kind, key, limit=limit)]
    timeline = history.timeline
    return sorted(found, key=lambda event: (timeline.utc_ms(event.at), event.number), reverse=True)[:limit]


def day_edges(until_ms: int, days: int) -> list[int]:
    """The midnights of the last days up to that of an instant, and the one after it."""
    last = local(until_ms).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    nights = [(last - timedelta(days=n)).replace(tzinfo=zones.here()) for n in range(days - 1, -2, -1)]
    return [round(night.timestamp() * 1000) for night in nights]


def _look(history: History, key: MeterKey, until: date, now_ms: int) -> Found:
    return Found(
        days=queries.days(history, key, until - timedelta(days=DAYS_SHOWN - 1), until, zones.here()),
        months=periods(history, key, Span(now_ms - MONTHS_SHOWN * 30 * DAY_MS, now_ms, "month")),
        heard=receptions(history, key, day_edges(now_ms, WEEKS_HEARD)),
        breaks=breaks_of(history, key, MOST_BREAKS),
        tamper=queries.tamper_changes(history, key, limit=MOST_TAMPER),
        readings=readings(history, key, limit=SHOWN_READINGS),
        siblings=siblings(history, key, APART),
        notes=notes(history, key),
        comparisons=comparisons(history, key),
    )


def _heard_row(heard: Heard) -> HeardRow:
    mean_db = heard.snr_mean_db
    percent = round(100 * min(1.0, max(0.0, (mean_db or 0.0) / meter_rows.FULL_BAR_DB)))
    return HeardRow(local(heard.from_ms).date(), heard, meter_rows.level_of(mean_db), percent)


def _break_row(parts: Parts, event: Event) -> BreakRow:
    return BreakRow(at_stamp(parts, event.at), event.kind, event.detail["before"], event.detail["after"])


def _sibling(parts: Parts, row: MeterRow) -> tuple[str, MeterRow, str]:
    of = parts.store.assigned.of(row.key)
    return f"/meters/{meter_rows.name_of(row.key)}", row, f"{of.name} {of.address}".strip() if of else ""


def _day(text: str, usual: date) -> date:
    try:
        return min(max(date.fromisoformat(text), queries.FIRST_DAY), usual)
    except ValueError:
        return usual
