"""What a meter used over a span of time, as its charts and tables show it; and how it was heard meanwhile.

The step follows from the span, unless one is asked for: quarter hours up to some days, else days, else months, so that
there are never more of them than a screen has room for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from appliance import zones
from appliance.store import queries
from appliance.store.history import History
from appliance.store.queries import MOST_INTERVALS, MOST_POINTS, Period
from appliance.store.reception import Heard, receptions
from appliance.store.rows import QUARTER_MS, MeterKey
from appliance.timeline import DAY_MS
from appliance.web.views.meter.one_meter import local

Step = Literal["quarter", "day", "month"]
STEPS: tuple[Step, ...] = ("quarter", "day", "month")
# Up to here quarter hours are told apart, and days.
QUARTERS_MS, DAYS_MS = 8 * DAY_MS, 400 * DAY_MS
SHORTEST_MS = QUARTER_MS
_LEAST_MS, _MOST_MS = 0, 4_102_444_800_000


@dataclass(frozen=True, slots=True)
class Span:
    """From one instant to another, in steps."""

    from_ms: int
    to_ms: int
    step: Step


class Used(NamedTuple):
    """A step, and since when the meter was not heard before it, as far as the steps shown tell; None where it was."""

    period: Period
    since_ms: int | None


def span_of(query: Mapping[str, str], now_ms: int) -> Span:
    """What an address asks for by `from` and `to`, in ms since 1970, and `step`; else the last day.

    Of more than can be shown in that step it is the last part.
    """
    to_ms = max(_instant(query.get("to", ""), now_ms), SHORTEST_MS)
    from_ms = min(_instant(query.get("from", ""), to_ms - DAY_MS), to_ms - SHORTEST_MS)
    asked = next((step for step in STEPS if step == query.get("step")), None)
    step = asked or ("quarter" if to_ms - from_ms <= QUARTERS_MS else "day" if to_ms - from_ms <= DAYS_MS else "month")
    longest_ms = {"quarter": (MOST_INTERVALS - 1) * QUARTER_MS, "day": (MOST_POINTS - 2) * DAY_MS, "month": _MOST_MS}
    return Span(max(from_ms, to_ms - longest_ms[step], _LEAST_MS), to_ms, step)


def periods(history: History, meter: MeterKey, span: Span) -> list[Period]:
    """The steps of a span, whole ones. Raises sqlite3.Error."""
    if span.step == "quarter":
        return queries.intervals(history, meter, span.from_ms, span.to_ms)
    first, last = local(span.from_ms).date(), local(span.to_ms - 1).date()
    ask = queries.days if span.step == "day" else queries.months
    return ask(history, meter, first, last, zones.here())


def heard_in(history: History, meter: MeterKey, steps: Sequence[Period]) -> list[Heard | None]:
    """How a meter was heard in each step; None for those that are too long ago. Raises sqlite3.Error."""
    if not steps:
        return []
    found = receptions(history, meter, [*(step.from_ms for step in steps), steps[-1].to_ms])
    return [None] * (len(steps) - len(found)) + list(found)


def used_in(history: History, meter: MeterKey, span: Span) -> list[Used]:
    """What a meter used in the steps of a span, whole ones. Raises sqlite3.Error."""
    steps = periods(history, meter, span)
    return placed(steps, heard_in(history, meter, steps))


def placed(steps: Sequence[Period], heard: Sequence[Heard | None]) -> list[Used]:
    """What was used in each step, as far as that can be told.

    A register that was not heard stands still and moves all at once when it is: of the steps without a message nothing
    is known, and what the one after them shows was used in any of them.
    """
    found: list[Used] = []
    silent_ms: int | None = None
    for step, one in zip(steps, heard, strict=True):
        if one is not None and one.is_kept and not one.messages and step.used == 0:
            silent_ms = step.from_ms if silent_ms is None else silent_ms
            found.append(Used(step._replace(used=None), None))
        else:
            found.append(Used(step, silent_ms if step.used else None))
            silent_ms = None
    return found


def chart(history: History, meter: MeterKey, span: Span) -> dict[str, Any]:
    """What charts are drawn from, by columns: times in ms, registers and use in counts. Raises sqlite3.Error."""
    whole = periods(history, meter, span)
    heard = heard_in(history, meter, whole)
    used = placed(whole, heard)
    steps = [one.period for one in used]
    return {
        "from": span.from_ms,
        "to": span.to_ms,
        "step": span.step,
        "begin": [step.from_ms for step in steps],
        "end": [step.to_ms for step in steps],
        "register": [step.register for step in steps],
        "used": [step.used for step in steps],
        "since": [{"place": place, "ms": one.since_ms} for place, one in enumerate(used) if one.since_ms is not None],
        "breaks": [{"place": place, "kinds": step.breaks} for place, step in enumerate(steps) if step.breaks],
        "messages": [one.messages if one and (one.is_kept or one.messages) else None for one in heard],
        "level_db": [None if one is None or one.snr_mean_db is None else round(one.snr_mean_db, 1) for one in heard],
        "not_kept": [place for place, one in enumerate(heard) if one is None or not one.is_kept],
    }


def _instant(text: str, usual: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        return usual
    return min(max(int(text), _LEAST_MS), _MOST_MS)
