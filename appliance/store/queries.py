"""What the site asks of the history. Each costs the same however long the history is.

Registers are cumulative, so that nearly every question is one: what did the register show at these instants?
`registers.py` answers that, `heard.py` how meters were heard.

Times are UTC in milliseconds. All functions raise sqlite3.Error or OSError when the catalogue or the live database
cannot be read; segments that cannot are left out (`history.py`).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from heapq import merge
from itertools import islice, pairwise, repeat
from typing import NamedTuple

from appliance.assignment import Assignment
from appliance.store import assigned, catalogue
from appliance.store.heard import Messages, coverage_rows
from appliance.store.history import History, View
from appliance.store.registers import Breaks, Row, registers_at
from appliance.store.rows import QUARTER_MS, Event, MeterKey, MeterRow
from appliance.timeline import BOOT_SHIFT, CALENDAR, HOUR_MS, boot_of, ms_of

MOST_POINTS = 2_000
MOST_INTERVALS = 10 * 96
MOST_EVENTS = 1_000
LONGEST_COVERAGE_MS = 62 * 24 * HOUR_MS
# No reading is from before or after: stamps of the calendar begin in 1970, and clocks are believed until 2100.
FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(2100, 1, 1)

_EVENT_COLUMNS = "number, at, kind, meter, detail"


@dataclass(frozen=True, slots=True)
class Register:
    """What a register showed at an instant, and since when; `consumption` is None before the meter was heard."""

    utc_ms: int
    consumption: int | None
    since_utc_ms: int | None


class Period(NamedTuple):
    """What was used from `from_ms` to `to_ms`; `used` is None when the register at either end is not known.

    `register` is what the register showed at the end, or last if the meter was not heard until then; None when it was
    not heard in the period nor since. `messages` is how often it was heard, None where that is not kept any more or was
    not asked. `breaks` names what happened to the register meanwhile: consumption across it is what was counted before
    and after.
    """

    from_ms: int
    to_ms: int
    register: int | None
    used: int | None
    messages: int | None
    breaks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was heard in an hour: meters at most in a quarter of it, and messages."""

    utc_ms: int
    meters: int
    messages: int


def meters(history: History) -> list[MeterRow]:
    """Every meter as last written, the one heard longest ago first."""
    return history.answer(_meters)


def silent(history: History, since_ms: int) -> list[MeterRow]:
    """The meters not heard since an instant, the one heard longest ago first."""

    def question(view: View) -> list[MeterRow]:
        stamp = view.timeline.stamp_at(since_ms)
        return [row for row in _meters(view) if not _is_since(row, since_ms, stamp)]

    return history.answer(question)


def unheard(history: History, since_ms: int) -> list[Assignment]:
    """The assigned meters that were not heard since an instant."""

    def question(view: View) -> list[Assignment]:
        expected = assigned.read(view.catalogue)
        stamp = view.timeline.stamp_at(since_ms)
        heard = expected.among(row.key for row in _meters(view) if _is_since(row, since_ms, stamp))
        return [meter for meter in expected.meters if meter not in heard]

    return history.answer(question)


def registers(history: History, meter: MeterKey, instants: Sequence[int]) -> list[Register]:
    """The register at each of these instants, given in ascending order; at most 2000 of them."""
    instants = instants[:MOST_POINTS]

    def question(view: View) -> list[Register]:
        number = view.number(meter)
        found = [None] * len(instants) if number is None else registers_at(view, number, instants)
        return [
            Register(utc_ms, row[1], view.timeline.utc_ms(row[0])) if row else Register(utc_ms, None, None)
            for utc_ms, row in zip(instants, found, strict=True)
        ]

    return history.answer(question)


def series(history: History, meter: MeterKey, from_ms: int, to_ms: int, points: int = 360) -> list[Period]:
    """What was used in equal steps from one instant to another, as many as a screen shows."""
    if to_ms <= from_ms:
        return []
    points = max(1, min(points, MOST_POINTS, to_ms - from_ms))
    return _periods(history, meter, [from_ms + (to_ms - from_ms) * n // points for n in range(points + 1)])


def intervals(history: History, meter: MeterKey, from_ms: int, to_ms: int) -> list[Period]:
    """What was used in each quarter of an hour, and how often the meter was heard in it; at most ten days."""
    if to_ms <= from_ms:
        return []
    first = from_ms // QUARTER_MS
    last = min(-(-to_ms // QUARTER_MS), first + MOST_INTERVALS)
    return _periods(history, meter, [n * QUARTER_MS for n in range(first, last + 1)], heard=True)


def days(history: History, meter: MeterKey, first: date, last: date, zone: tzinfo) -> list[Period]:
    """What was used on each day from `first` to `last`, by the zone's midnights.

    At most 2000 days, none before 1970 or after 2099.
    """
    first, last = max(first, FIRST_DAY), min(last, LAST_DAY - timedelta(days=1))
    count = min((last - first).days + 1, MOST_POINTS)
    return _periods(history, meter, [_midnight(first + timedelta(days=n), zone) for n in range(count + 1)])


def months(history: History, meter: MeterKey, first: date, last: date, zone: tzinfo) -> list[Period]:
    """What was used in each month from that of `first` to that of `last`, none before 1970 or after 2099."""
    low = max(first.year * 12 + first.month - 1, FIRST_DAY.year * 12 + 1)
    high = min(last.year * 12 + last.month, LAST_DAY.year * 12)
    return _periods(history, meter, [_midnight(date(n // 12, n % 12 + 1, 1), zone) for n in range(low, high + 1)])


def tamper_changes(
    history: History, meter: MeterKey | None = None, *, before: int | None = None, limit: int = 100
) -> list[Event]:
    """The last changes of tamper counters, the latest first: of one meter, or of all; pages as `events` does."""
    return events(history, "tamper", meter, before=before, limit=limit)


def events(
    history: History, kind: str, meter: MeterKey | None = None, *, before: int | None = None, limit: int = 100
) -> list[Event]:
    """The last events of a kind, the latest first; `before` is the number of the last one of the page before."""

    def question(view: View) -> list[Event]:
        number = view.number(meter) if meter else None
        if meter and number is None:
            return []
        of, values = ("AND meter = ? ", (number,)) if meter else ("", ())
        lanes: list[Iterable[tuple[int, int, str, int | None, str]]] = []
        for low, (at, last) in lanes_before(view, before):
            query = (
                f"SELECT {_EVENT_COLUMNS} FROM event WHERE kind = ? {of}AND at >= ? AND (at, number) < (?, ?) "
                "ORDER BY at DESC, number DESC LIMIT ?"
            )
            lanes.append(view.catalogue.execute(query, (kind, *values, low, at, last, bounded)).fetchall())
        latest = merge(*lanes, key=lambda row: (view.timeline.utc_ms(row[1]), row[1], row[0]), reverse=True)
        rows = list(islice(latest, bounded))
        return catalogue.events(rows, keys_of(view, [row[3] for row in rows]))

    bounded = max(0, min(limit, MOST_EVENTS))
    return history.answer(question)


def coverage(history: History, from_ms: int, to_ms: int) -> list[Coverage]:
    """What was heard in each hour in which anything was, from that of `from_ms`; at most 62 days, the last ones."""
    from_ms = max(from_ms, to_ms - LONGEST_COVERAGE_MS) // HOUR_MS * HOUR_MS

    def question(view: View) -> list[Coverage]:
        hours: dict[int, tuple[int, int]] = {}
        for at, heard, messages in coverage_rows(view, from_ms, to_ms):
            # A quarter was cut by the clock as it was known then: what it mostly lies in is what it is. Only one that
            # begins with a boot may begin in its middle.
            middle = view.timeline.utc_ms(at) + (QUARTER_MS // 2 if ms_of(at) else 0)
            hour = middle // HOUR_MS * HOUR_MS
            most, total = hours.get(hour, (0, 0))
            hours[hour] = (max(most, heard), total + messages)
        return [Coverage(hour, *counts) for hour, counts in sorted(hours.items()) if from_ms <= hour < to_ms]

    return history.answer(question)


def _meters(view: View) -> list[MeterRow]:
    rows = catalogue.meters(view.catalogue)
    imported = [row for row in rows if row.last_at < 1 << BOOT_SHIFT]
    if not imported:
        return rows
    return list(merge(imported, rows[len(imported) :], key=lambda row: view.timeline.utc_ms(row.last_at)))


def _is_since(row: MeterRow, since_ms: int, stamp: int) -> bool:
    """Whether a meter was heard since an instant, of which `stamp` is the stamp."""
    return row.last_at >= (since_ms if _imported(row.last_at) else stamp)


def lanes_before(view: View, number: int | None) -> Iterator[tuple[int, tuple[int, int]]]:
    """The first stamp, and stamp and number before which to look: of events of the calendar, and of the others."""
    calendar_end, end = (1 << BOOT_SHIFT, 0), (2**63 - 1, 0)
    if number is not None:
        row = view.catalogue.execute("SELECT at FROM event WHERE number = ?", (number,)).fetchone()
        at = row[0] if row else 0
        if _imported(at):
            calendar_end, end = (at, number), (view.timeline.stamp_at(at), 0)
        else:
            calendar_end, end = (min(view.timeline.utc_ms(at) + 1, 1 << BOOT_SHIFT), 0), (at, number)
    yield 0, calendar_end
    yield 1 << BOOT_SHIFT, end


def _periods(history: History, meter: MeterKey, edges: Sequence[int], *, heard: bool = False) -> list[Period]:
    if len(edges) < 2:
        return []

    def question(view: View) -> list[Period]:
        number = view.number(meter)
        if number is None:
            return [Period(*pair, None, None, 0 if heard else None) for pair in pairwise(edges)]
        shown = registers_at(view, number, edges)
        breaks = Breaks(view, number, shown)
        spans = list(zip(pairwise(edges), pairwise(shown), strict=True))
        counts = Messages(view, number, edges[0], edges[-1]).of_quarters(edges[:-1]) if heard else repeat(None)
        heard_until_ms = _heard_until(view, number, shown[-1])
        found = []
        for ((from_ms, to_ms), (begin, end)), count in zip(spans, counts, strict=False):
            if end is None or from_ms >= heard_until_ms:
                found.append(Period(from_ms, to_ms, None, None, count))
            elif begin is None:
                found.append(Period(from_ms, to_ms, end[1], None, count))
            elif not breaks.any:
                found.append(Period(from_ms, to_ms, end[1], end[1] - begin[1], count))
            else:
                within = breaks.between(begin, end)
                used = end[1] - begin[1] + sum(b.lacking for b in within)
                found.append(Period(from_ms, to_ms, end[1], used, count, tuple(b.kind for b in within)))
        return found

    return history.answer(question)


def _heard_until(view: View, number: int, last: Row | None) -> int:
    """Until when the register is known: the catalogue learns of it once in a quarter of an hour."""
    last_at = view.catalogue.execute("SELECT last_at FROM meter WHERE number = ?", (number,)).fetchone()[0]
    return max(view.timeline.utc_ms(last_at), view.timeline.utc_ms(last[0]) if last else 0) + 1


def keys_of(view: View, numbers: Iterable[int | None]) -> dict[int, MeterKey]:
    """The meters of these numbers in the catalogue."""
    wanted = json.dumps(sorted({number for number in numbers if number is not None}))
    query = "SELECT number, protocol, meter_id, simulated FROM meter WHERE number IN (SELECT value FROM json_each(?))"
    return {row[0]: MeterKey(row[1], row[2], bool(row[3])) for row in view.catalogue.execute(query, (wanted,))}


def _imported(at: int) -> bool:
    return boot_of(at) == CALENDAR


def _midnight(day: date, zone: tzinfo) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return round(midnight.timestamp() * 1000)
