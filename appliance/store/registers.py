"""What a register showed, and what happened to it: the last reading that counts at or before an instant.

Each instant is one descent into the tree of the one segment that covers it, since a segment also knows the last
reading of each meter before it. Only after damage, and of what was imported, may earlier segments have to be asked.

What was imported lies beside in segments of the calendar. Where both tell of a meter, the later reading counts.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from appliance.store.history import View
from appliance.store.rows import BREAKS, QUARTER_MS, SUSPECT, SegmentRow
from appliance.timeline import CALENDAR, boot_of

# Each instant looks no further back than to the one before it, so that a run of readings that do not count is gone
# through once, not once an instant.
_LATEST_OF_EACH = (
    "SELECT i.key, r.at, r.consumption "
    "FROM (SELECT key, value, lag(value, 1, -1) OVER (ORDER BY key) AS before FROM json_each(?2)) AS i "
    "CROSS JOIN reading AS r ON r.meter = ?1 AND r.at = (SELECT at FROM reading "
    f"WHERE meter = ?1 AND at > i.before AND at <= i.value AND NOT flags & {SUSPECT} ORDER BY at DESC LIMIT 1)"
)
# All readings that count from the one that counts at the first instant on.
_ALL_FROM = (
    f"SELECT at, consumption FROM reading WHERE meter = ?1 AND at <= ?3 AND NOT flags & {SUSPECT} AND at >= coalesce("
    f"(SELECT at FROM reading WHERE meter = ?1 AND at <= ?2 AND NOT flags & {SUSPECT} ORDER BY at DESC LIMIT 1), ?2) "
    "ORDER BY at LIMIT ?4"
)
# Where the instants lie so close, so many readings for each are read one after the other in less time than it takes to
# look for each instant; measured.
CLOSE_MS, READINGS_EACH = 3_600_000, 6
_LIVE_READINGS = f"SELECT at, consumption FROM reading WHERE id > ? AND meter = ? AND NOT flags & {SUSPECT} ORDER BY id"
_BREAKS = (
    "SELECT number, at, kind, detail FROM event "
    f"WHERE meter = ? AND kind IN ({', '.join(repr(kind) for kind in BREAKS)}) AND at >= ? AND at < ?"
)
_DAMAGED = "SELECT 1 FROM event WHERE kind IN ('segment_damaged', 'live_restored') LIMIT 1"


Row = tuple[int, ...]
"""A reading that counts: its stamp and its register."""


def _imported(row: Row) -> bool:
    return boot_of(row[0]) == CALENDAR


class _Break(NamedTuple):
    """Something that happened to a register; `lacking` is what a difference of registers across it lacks."""

    at: int
    utc_ms: int
    kind: str
    lacking: int


class Breaks:
    """What happened to a register between the first and the last of some readings.

    Something that happened is told before the reading that shows it, or with it: it counts where that reading does.
    """

    def __init__(self, view: View, number: int, shown: Sequence[Row | None]) -> None:
        self._lanes: dict[bool, list[_Break]] = {True: [], False: []}
        self.any = False
        readings = [row for row in shown if row]
        if not readings:
            return
        low, high = view.timeline.utc_ms(readings[0][0]), view.timeline.utc_ms(readings[-1][0]) + 1
        self._utc_ms = view.timeline.utc_ms
        rows = view.catalogue.execute(_BREAKS, (number, low, high)).fetchall()
        stamps = (view.timeline.stamp_at(low), view.timeline.stamp_at(high))
        rows += view.catalogue.execute(_BREAKS, (number, *stamps)).fetchall()
        # The live database is committed before the catalogue: of a reading that is there the event is too.
        rows += view.live.execute(_BREAKS, (number, *stamps)).fetchall()
        for _, at, kind, detail in sorted({row[0]: row for row in rows}.values()):
            told = json.loads(detail)
            lacking = told["modulus"] if kind == "register_rolled_over" else told["before"] - told["after"]
            self._lanes[boot_of(at) == CALENDAR].append(_Break(at, view.timeline.utc_ms(at), kind, lacking))
        for lane in self._lanes.values():
            lane.sort()
        self.any = bool(rows)

    def between(self, begin: Row, end: Row) -> list[_Break]:
        """What happened after one reading and up to another."""
        if not self.any:
            return []
        begin_at, end_at, lane = begin[0], end[0], self._lanes[_imported(end)]
        if _imported(begin) == _imported(end):
            return lane[_after(lane, begin_at) : _after(lane, end_at)]
        own = [b for b in lane[: _after(lane, end_at)] if b.utc_ms > self._utc_ms(begin_at)]
        lane = self._lanes[_imported(begin)]
        others = [b for b in lane[_after(lane, begin_at) :] if b.utc_ms <= self._utc_ms(end_at)]
        # What both a log and the appliance heard is one.
        return own + [b for b in others if not any(b.kind == o.kind and b.lacking == o.lacking for o in own)]


def _after(lane: Sequence[_Break], at: int) -> int:
    return bisect_right(lane, at, key=lambda b: b.at)


def registers_at(view: View, number: int, instants: Sequence[int]) -> list[Row | None]:
    """The last reading that counts at or before each of `instants`."""
    first_at = view.catalogue.execute("SELECT first_at FROM meter WHERE number = ?", (number,)).fetchone()[0]
    recent = view.live.execute(_LIVE_READINGS, (view.live_to, number)).fetchall()
    recent.sort(key=itemgetter(0))
    # All that is before the first stamp of the next millisecond is at or before this one.
    stamps = [view.timeline.stamp_at(utc_ms + 1) - 1 for utc_ms in instants]
    # What was salvaged may lack the copies of what preceded, and so may what was sealed after it.
    damaged = view.catalogue.execute(_DAMAGED).fetchone() is not None
    found: list[Row | None] = [None] * len(instants)
    sealed = bisect_left(stamps, recent[0][0]) if recent else len(stamps)
    found[sealed:] = _latest_among(recent, stamps[sealed:])
    asked = range(bisect_left(stamps, first_at), sealed)
    for n, row in _latest(view, view.sealed, number, instants, stamps, asked, carries=not damaged):
        found[n] = row
    if view.past:
        # What was imported is asked only where the appliance itself did not hear the meter later.
        end = max(row.to_at for row in view.past)
        utc_ms = view.timeline.utc_ms
        past = [n for n, own in enumerate(found) if instants[n] >= first_at and (not own or utc_ms(own[0]) < end)]
        for n, row in _latest(view, view.past, number, instants, instants, past, carries=False):
            own = found[n]
            found[n] = row if not own or utc_ms(own[0]) < row[0] else own
    return found


def _latest(
    view: View,
    segments: Sequence[SegmentRow],
    number: int,
    instants: Sequence[int],
    stamps: Sequence[int],
    asked: Sequence[int],
    *,
    carries: bool,
) -> Iterator[tuple[int, Row]]:
    """Those of `stamps`, at `instants`, that are `asked` for and known, by place, with the last reading by then.

    If each segment `carries` copies of what preceded it, none before it is asked but those that overlap it.
    """
    begins = [segment.from_at for segment in segments]
    ends = list(accumulate((segment.to_at for segment in segments), max))
    waiting: dict[int, list[int]] = {}
    for n in asked if segments else ():
        place = max(0, bisect_right(begins, stamps[n]) - 1)
        # A receiver that lags tells of messages from before a segment began.
        place += place + 1 < len(segments) and stamps[n] > segments[place].to_at - QUARTER_MS
        waiting.setdefault(place, []).append(n)
    for place in range(max(waiting, default=-1), -1, -1):
        # Each in ascending order, as they lie in the file: so the next pages are often read ahead.
        here = sorted(waiting.get(place, []))
        if not here:
            continue
        span_ms = instants[here[-1]] - instants[here[0]]
        rows = _latest_in(view, segments[place], number, [stamps[n] for n in here], span_ms)
        for n, row in zip(here, rows, strict=True):
            if row:
                yield n, row
            elif place and (ends[place - 1] >= stamps[n] or not carries):
                waiting.setdefault(place - 1, []).append(n)


def _latest_in(view: View, segment: SegmentRow, number: int, stamps: list[int], span_ms: int) -> list[Row | None]:
    """The last reading in a segment at or before each of `stamps`, which span so much time."""
    if span_ms < CLOSE_MS * len(stamps):
        most = READINGS_EACH * len(stamps)
        every = view.rows(segment, _ALL_FROM, (number, stamps[0], stamps[-1], most))
        if len(every) < most:
            return _latest_among(every, stamps)
    each = {row[0]: row[1:] for row in view.rows(segment, _LATEST_OF_EACH, (number, json.dumps(stamps)))}
    found: list[Row | None] = []
    for place in range(len(stamps)):
        # An instant without one of its own has that of the instant before.
        found.append(each.get(place, found[-1] if found else None))
    return found


def _latest_among(rows: Sequence[Row], stamps: Iterable[int]) -> list[Row | None]:
    """The last of some rows at or before each of `stamps`."""
    known = [at for at, _ in rows]
    return [rows[place - 1] if (place := bisect_right(known, stamp)) else None for stamp in stamps]
