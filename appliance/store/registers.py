"""What a register showed, and what happened to it: the last reading that counts at or before an instant.

Each instant is one descent into the tree of the one segment that covers it, since a segment also knows the last
reading of each meter before it. Only after damage, and of what was imported, may earlier segments have to be asked.

What was imported lies beside in segments of the calendar. Where both tell of a meter, the later reading counts.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
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
_LIVE_READINGS = f"SELECT at, consumption FROM reading WHERE id > ? AND meter = ? AND NOT flags & {SUSPECT} ORDER BY id"
_BREAKS = (
    "SELECT number, at, kind, detail FROM event "
    f"WHERE meter = ? AND kind IN ({', '.join(repr(kind) for kind in BREAKS)}) AND at >= ? AND at < ?"
)
_DAMAGED = "SELECT 1 FROM event WHERE kind IN ('segment_damaged', 'live_restored') LIMIT 1"


class Known(NamedTuple):
    """A reading that counts, placed in UTC; `at` orders it among those of its kind, calendar or not."""

    utc_ms: int
    at: int
    consumption: int

    @property
    def imported(self) -> bool:
        return boot_of(self.at) == CALENDAR


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

    def __init__(self, view: View, number: int, shown: Sequence[Known | None]) -> None:
        self._lanes: dict[bool, list[_Break]] = {True: [], False: []}
        times = [known.utc_ms for known in shown if known]
        if not times:
            return
        low, high = times[0], times[-1] + 1
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

    def between(self, begin: Known, end: Known) -> list[_Break]:
        """What happened after one reading and up to another."""
        if not any(self._lanes.values()):
            return []
        lane = self._lanes[end.imported]
        if begin.imported == end.imported:
            return lane[_after(lane, begin.at) : _after(lane, end.at)]
        own = [b for b in lane[: _after(lane, end.at)] if b.utc_ms > begin.utc_ms]
        lane = self._lanes[begin.imported]
        others = [b for b in lane[_after(lane, begin.at) :] if b.utc_ms <= end.utc_ms]
        # What both a log and the appliance heard is one.
        return own + [b for b in others if not any(b.kind == o.kind and b.lacking == o.lacking for o in own)]


def _after(lane: Sequence[_Break], at: int) -> int:
    return bisect_right(lane, at, key=lambda b: b.at)


def registers_at(view: View, number: int, instants: Sequence[int]) -> list[Known | None]:
    """The last reading that counts at or before each of `instants`."""
    first_at = view.catalogue.execute("SELECT first_at FROM meter WHERE number = ?", (number,)).fetchone()[0]
    recent = view.live.execute(_LIVE_READINGS, (view.live_to, number)).fetchall()
    recent.sort(key=itemgetter(0))
    # All that is before the first stamp of the next millisecond is at or before this one.
    stamps = [view.timeline.stamp_at(utc_ms + 1) - 1 for utc_ms in instants]
    # What was salvaged may lack the copies of what preceded, and so may what was sealed after it.
    damaged = view.catalogue.execute(_DAMAGED).fetchone() is not None
    found: list[Known | None] = [None] * len(instants)
    asked: list[int] = []
    for n, stamp in enumerate(stamps):
        if place := bisect_right(recent, stamp, key=itemgetter(0)):
            at, consumption = recent[place - 1]
            found[n] = Known(view.timeline.utc_ms(at), at, consumption)
        elif stamp >= first_at:
            asked.append(n)
    for n, at, consumption in _latest(view, view.sealed, number, stamps, asked, carries=not damaged):
        found[n] = Known(view.timeline.utc_ms(at), at, consumption)
    if view.past:
        # What was imported is asked only where the appliance itself did not hear the meter later.
        end = max(row.to_at for row in view.past)
        asked = [n for n, own in enumerate(found) if instants[n] >= first_at and (own is None or own.utc_ms < end)]
        for n, at, consumption in _latest(view, view.past, number, instants, asked, carries=False):
            imported, own = Known(at, at, consumption), found[n]
            found[n] = max(own, imported) if own else imported
    return found


def _latest(
    view: View, segments: Sequence[SegmentRow], number: int, stamps: Sequence[int], asked: list[int], *, carries: bool
) -> Iterator[tuple[int, ...]]:
    """Those of `stamps` that are `asked` for and known, by place, with the last reading at or before each.

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
        values = (number, json.dumps([stamps[n] for n in here]))
        rows = {row[0]: row for row in view.rows(segments[place], _LATEST_OF_EACH, values)}
        latest = None
        for key, n in enumerate(here):
            if latest := rows.get(key, latest):
                yield n, *latest[1:]
            elif place and (ends[place - 1] >= stamps[n] or not carries):
                waiting.setdefault(place - 1, []).append(n)
