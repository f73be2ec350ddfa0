"""What a register showed, and what happened to it: the last reading that counts at or before an instant.

Each instant is one descent into the tree of the one segment that covers it, since a segment also knows the last
reading of each meter before it.

What was imported lies beside in segments of the calendar. Where both tell of a meter, the later reading counts.
"""

import json
from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from appliance.store.history import View
from appliance.store.rows import BREAKS, QUARTER_MS, SUSPECT, SegmentRow
from appliance.timeline import CALENDAR, boot_of

_LATEST = (
    "SELECT at, consumption FROM reading "
    f"WHERE meter = ?1 AND at <= ?2 AND NOT flags & {SUSPECT} ORDER BY at DESC LIMIT 1"
)
_LATEST_OF_EACH = (
    "SELECT i.key, r.at, r.consumption FROM json_each(?2) AS i CROSS JOIN reading AS r ON r.meter = ?1 AND r.at = ("
    f"SELECT at FROM reading WHERE meter = ?1 AND at <= i.value AND NOT flags & {SUSPECT} ORDER BY at DESC LIMIT 1)"
)
_LIVE_READINGS = f"SELECT at, consumption FROM reading WHERE id > ? AND meter = ? AND NOT flags & {SUSPECT} ORDER BY id"
_BREAKS = (
    "SELECT number, at, kind, detail FROM event "
    f"WHERE meter = ? AND kind IN ({', '.join(repr(kind) for kind in BREAKS)}) AND at >= ? AND at < ?"
)


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
    found = list(_latest(view, view.sealed, number, stamps, first_at, recent))
    if view.past:
        imported = _latest(view, view.past, number, instants, first_at, [])
        found = [max(pair, key=lambda known: known or (-1,)) for pair in zip(imported, found, strict=True)]
    return found


def _latest(
    view: View,
    segments: Sequence[SegmentRow],
    number: int,
    stamps: Sequence[int],
    first_at: int,
    recent: Sequence[tuple[int, int]],
) -> list[Known | None]:
    """The last reading at or before each of `stamps`, of a meter that was first heard at `first_at`."""
    found: list[Known | None] = [None] * len(stamps)
    begins = [segment.from_at for segment in segments]
    asked: dict[int, list[int]] = {}
    for n, stamp in enumerate(stamps):
        if place := bisect_right(recent, stamp, key=itemgetter(0)):
            at, consumption = recent[place - 1]
            found[n] = Known(view.timeline.utc_ms(at), at, consumption)
        elif segments and stamp >= first_at:
            place = max(0, bisect_right(begins, stamp) - 1)
            # A segment knows of each meter what preceded it, though the one before be damaged or dropped; and a
            # receiver that lags tells of messages from before a segment began.
            place += place + 1 < len(segments) and stamp > segments[place].to_at - QUARTER_MS
            asked.setdefault(place, []).append(n)
    # Each in ascending order, as they lie in the file: so the next pages are often read ahead.
    for place in range(len(segments) - 1, -1, -1):
        waiting = asked.get(place, [])
        if waiting and view.rows(segments[place], _LATEST, (number, stamps[waiting[-1]])):
            values = (number, json.dumps([stamps[n] for n in waiting]))
            for n, at, consumption in view.rows(segments[place], _LATEST_OF_EACH, values):
                found[waiting[n]] = Known(view.timeline.utc_ms(at), at, consumption)
        # Segments overlap by what was under way; and where one is missing, so may be the copies of what preceded.
        missing = [n for n in waiting if found[n] is None]
        if missing:
            asked[place - 1] = sorted(asked.get(place - 1, []) + missing)
    return found
