"""What the site asks of the history. Each costs the same however long the history is.

Registers are cumulative, so that nearly every question is one: what did the register show at these instants? Each
instant is one descent into the tree of the one segment that covers it, since a segment also knows the last reading
of each meter before it. Times are UTC in milliseconds; all functions raise sqlite3.Error.
"""

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise

from appliance.store import catalogue
from appliance.store.history import History, View
from appliance.store.rows import BREAKS, QUARTER_MS, SUSPECT, Event, MeterKey, MeterRow, SegmentRow

HOUR_MS = 3_600_000
MOST_POINTS = 2_000


@dataclass(frozen=True, slots=True)
class Register:
    """What a register showed at an instant, and since when; `consumption` is None before the meter was heard."""

    utc_ms: int
    consumption: int | None
    since_utc_ms: int | None


@dataclass(frozen=True, slots=True)
class Period:
    """What was used from `from_ms` to `to_ms`; `used` is None when either end is not known.

    `register` is what the register showed at the end. `messages` is how often the meter was heard, None where that is
    not kept any more or was not asked. `breaks` names what happened to the register meanwhile: consumption across it is
    what was counted before and after.
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
    with history.view() as view:
        return catalogue.meters(view.catalogue)


def silent(history: History, since_ms: int) -> list[MeterRow]:
    """The meters not heard since an instant, the one heard longest ago first."""
    with history.view() as view:
        stamp = view.timeline.stamp_at(since_ms)
        return [row for row in catalogue.meters(view.catalogue) if row.last_at < stamp]


def registers(history: History, meter: MeterKey, instants: Sequence[int]) -> list[Register]:
    """The register at each of these instants, given in order."""
    with history.view() as view:
        number = view.number(meter)
        if number is None:
            return [Register(utc_ms, None, None) for utc_ms in instants]
        return _registers(view, number, instants)


def series(history: History, meter: MeterKey, from_ms: int, to_ms: int, points: int = 400) -> list[Period]:
    """What was used in equal steps from one instant to another, as many as a screen shows."""
    points = max(1, min(points, MOST_POINTS))
    edges = [from_ms + (to_ms - from_ms) * n // points for n in range(points + 1)]
    return _periods(history, meter, edges, heard=False)


def intervals(history: History, meter: MeterKey, from_ms: int, to_ms: int) -> list[Period]:
    """What was used in each quarter of an hour, and how often the meter was heard in it; at most a month."""
    first = from_ms // QUARTER_MS
    last = min(-(-to_ms // QUARTER_MS), first + 31 * 96)
    return _periods(history, meter, [n * QUARTER_MS for n in range(first, last + 1)], heard=True)


def days(history: History, meter: MeterKey, first: date, last: date, zone: tzinfo | None = None) -> list[Period]:
    """What was used on each day from `first` to `last`, by the zone's midnights (this machine's if none is given)."""
    edges = [_midnight(first + timedelta(days=n), zone) for n in range((last - first).days + 2)]
    return _periods(history, meter, edges, heard=False)


def months(history: History, meter: MeterKey, first: date, last: date, zone: tzinfo | None = None) -> list[Period]:
    """What was used in each month from that of `first` to that of `last`."""
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month + 1)
    edges = [_midnight(date(n // 12, n % 12 + 1, 1), zone) for n in numbers]
    return _periods(history, meter, edges, heard=False)


def tamper_changes(
    history: History, meter: MeterKey | None = None, *, before: int | None = None, limit: int = 100
) -> list[Event]:
    """The last changes of tamper counters, the latest first: of one meter, or of all; `before` an event's stamp."""
    return events(history, "tamper", meter, before=before, limit=limit)


def events(
    history: History, kind: str, meter: MeterKey | None = None, *, before: int | None = None, limit: int = 100
) -> list[Event]:
    """The last events of a kind, the latest first."""
    with history.view() as view:
        number = view.number(meter) if meter else None
        if meter and number is None:
            return []
        rows = view.catalogue.execute(
            "SELECT number, at, kind, meter, detail FROM event WHERE kind = ? AND at < ?"
            f"{' AND meter = ?' if meter else ''} ORDER BY at DESC LIMIT ?",
            (kind, 2**62 if before is None else before, *([number] if meter else []), limit),
        ).fetchall()
        keys = {row[0]: MeterKey(row[1], row[2], bool(row[3])) for row in _meters_of(view, [row[3] for row in rows])}
        return catalogue.events(rows, keys)


def coverage(history: History, from_ms: int, to_ms: int) -> list[Coverage]:
    """What was heard in each hour in which anything was; at most 62 days."""
    from_ms = max(from_ms, to_ms - 62 * 24 * HOUR_MS)
    hours: dict[int, tuple[int, int]] = {}
    with history.view() as view:
        for at, heard, messages in _coverage(view, from_ms, to_ms):
            hour = view.timeline.utc_ms(at) // HOUR_MS * HOUR_MS
            most, total = hours.get(hour, (0, 0))
            hours[hour] = (max(most, heard), total + messages)
    return [Coverage(hour, *counts) for hour, counts in sorted(hours.items()) if from_ms <= hour < to_ms]


def _coverage(view: View, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, int]]:
    low, high = view.timeline.stamp_at(from_ms), view.timeline.stamp_at(to_ms)
    for rows, low_at, high_at in ((view.past, from_ms, to_ms), (view.sealed, low, high)):
        for row in _between(rows, low_at, high_at):
            query = "SELECT at, meters, messages FROM coverage WHERE at >= ? AND at < ?"
            yield from view.segment(row).execute(query, (low_at, high_at))
    query = "SELECT at, meters, messages FROM coverage WHERE id > ? AND at >= ? AND at < ?"
    yield from view.live.execute(query, (view.live_to, low, high))


def _periods(history: History, meter: MeterKey, edges: Sequence[int], *, heard: bool) -> list[Period]:
    with history.view() as view:
        number = view.number(meter)
        if number is None:
            return [Period(*pair, None, None, None) for pair in pairwise(edges)]
        shown = _registers(view, number, edges)
        breaks = _breaks(view, number, edges[0], edges[-1])
        messages = _messages(view, number, edges) if heard else {}
    found = []
    for begin, end in pairwise(shown):
        within = [b for b in breaks if begin.utc_ms < b[0] <= end.utc_ms]
        used = None
        if begin.consumption is not None and end.consumption is not None:
            used = end.consumption - begin.consumption + sum(more for _, _, more in within)
        count = messages.get(begin.utc_ms, 0) if heard else None
        names = tuple(name for _, name, _ in within)
        found.append(Period(begin.utc_ms, end.utc_ms, end.consumption, used, count, names))
    return found


def _breaks(view: View, number: int, from_ms: int, to_ms: int) -> list[tuple[int, str, int]]:
    """Time, kind, and what a difference of registers across it lacks."""
    found = []
    marks = ", ".join("?" * len(BREAKS))
    for low, high in ((from_ms, to_ms), (view.timeline.stamp_at(from_ms), view.timeline.stamp_at(to_ms))):
        rows = view.catalogue.execute(
            f"SELECT at, kind, detail FROM event WHERE meter = ? AND kind IN ({marks}) AND at >= ? AND at <= ?",
            (number, *BREAKS, low, high),
        )
        for at, kind, detail in rows:
            told = json.loads(detail)
            more = told["modulus"] if kind == "register_rolled_over" else told["before"] - told["after"]
            found.append((view.timeline.utc_ms(at), kind, more))
    return sorted(found)


def _registers(view: View, number: int, instants: Sequence[int]) -> list[Register]:
    stamps = [view.timeline.stamp_at(utc_ms) for utc_ms in instants]
    first_at = view.catalogue.execute("SELECT first_at FROM meter WHERE number = ?", (number,)).fetchone()[0]
    latest = _at_stamps(view, view.sealed, number, stamps, first_at, _live_readings(view, number))
    if view.past:
        earlier = _at_stamps(view, view.past, number, instants, first_at, [])
        latest = [one or other for one, other in zip(latest, earlier, strict=True)]
    found = []
    for utc_ms, reading in zip(instants, latest, strict=True):
        if reading is None:
            found.append(Register(utc_ms, None, None))
        else:
            found.append(Register(utc_ms, reading[1], view.timeline.utc_ms(reading[0])))
    return found


def _live_readings(view: View, number: int) -> list[tuple[int, int]]:
    query = f"SELECT at, consumption FROM reading WHERE meter = ? AND id > ? AND NOT flags & {SUSPECT}"
    return sorted(view.live.execute(query, (number, view.live_to)))


def _at_stamps(
    view: View,
    segments: Sequence[SegmentRow],
    number: int,
    stamps: Sequence[int],
    first_at: int,
    live: list[tuple[int, int]],
) -> list[tuple[int, int] | None]:
    """Stamp and register of the last reading at or before each of `stamps`; the meter was first heard at `first_at`."""
    live_ats, begins = [at for at, _ in live], [row.from_at for row in segments]
    found: list[tuple[int, int] | None] = [None] * len(stamps)
    asked: dict[int, list[int]] = {}
    for n, stamp in enumerate(stamps):
        if place := bisect_right(live_ats, stamp):
            found[n] = live[place - 1]
        elif place := bisect_right(begins, stamp):
            asked.setdefault(place - 1, []).append(n)
    for place in range(len(segments) - 1, -1, -1):
        waiting = [n for n in asked.get(place, []) if stamps[n] >= first_at]
        if not waiting:
            continue
        rows = _look_up(view.segment(segments[place]), number, [stamps[n] for n in waiting])
        for n, reading in zip(waiting, rows, strict=True):
            found[n] = reading
        missing = [n for n, reading in zip(waiting, rows, strict=True) if reading is None]
        if missing and place:
            asked.setdefault(place - 1, []).extend(missing)
    return found


def _look_up(segment: sqlite3.Connection, number: int, stamps: Sequence[int]) -> list[tuple[int, int] | None]:
    last = f"at <= i.value AND NOT flags & {SUSPECT} ORDER BY at DESC LIMIT 1"
    rows = segment.execute(
        "SELECT r.at, r.consumption FROM json_each(?2) AS i LEFT JOIN reading AS r ON r.meter = ?1 "
        f"AND r.at = (SELECT at FROM reading WHERE meter = ?1 AND {last})",
        (number, json.dumps(stamps)),
    ).fetchall()
    return [None if row[0] is None else row for row in rows]


def _messages(view: View, number: int, edges: Sequence[int]) -> dict[int, int]:
    """How often a meter was heard, by the begin of the quarter of an hour."""
    counts: dict[int, int] = {}
    from_ms, to_ms = edges[0], edges[-1]
    low, high = view.timeline.stamp_at(from_ms), view.timeline.stamp_at(to_ms)
    found: list[tuple[int, int, int]] = []
    for rows, low_at, high_at in ((view.past, from_ms, to_ms), (view.sealed, low, high)):
        for row in _between(rows, low_at, high_at):
            query = "SELECT at, last, count FROM reception WHERE meter = ? AND at >= ? AND at < ?"
            found += view.segment(row).execute(query, (number, low_at, high_at))
    query = "SELECT at, last, count FROM reception WHERE meter = ? AND id > ? AND at >= ? AND at < ?"
    found += view.live.execute(query, (number, view.live_to, low, high))
    for at, last, count in found:
        # A quarter was cut by the clock as it was known then: what it mostly lies in is what it is.
        middle = view.timeline.utc_ms((at + last) // 2)
        start = middle // QUARTER_MS * QUARTER_MS
        counts[start] = counts.get(start, 0) + count
    return counts


def _between(rows: Sequence[SegmentRow], low: int, high: int) -> Iterator[SegmentRow]:
    """The segments that may hold rows from `low` to `high`; a quarter of an hour is written after its end."""
    return (row for row in rows if row.from_at - 2 * QUARTER_MS < high and row.to_at >= low)


def _meters_of(view: View, numbers: Sequence[int | None]) -> list[tuple[int, str, int, int]]:
    wanted = json.dumps(sorted({n for n in numbers if n is not None}))
    query = "SELECT number, protocol, meter_id, simulated FROM meter WHERE number IN (SELECT value FROM json_each(?))"
    return view.catalogue.execute(query, (wanted,)).fetchall()


def _midnight(day: date, zone: tzinfo | None) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return round(midnight.timestamp() * 1000)
