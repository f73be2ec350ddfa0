"""The last 24 hours of all meters at once: what each used by the hour, and in how many hours it was heard.

For a list of hundreds of meters with a small picture each. The first answer of an hour goes through what was sealed,
one step down a tree for each meter and hour, and through the live database; from then on each question only reads the
rows that came since, by their ids, which only grow. It begins anew when the hour, the time, or the list of segments
changes. What was imported counts like what was heard here, where nothing was heard here.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from appliance.store import catalogue
from appliance.store.heard import running
from appliance.store.history import History, View
from appliance.store.rows import BREAKS, SUSPECT, MeterRow, SegmentRow
from appliance.store.schema import LIVE, segment_path
from appliance.timeline import BOOT_SHIFT, HOUR_MS, Timeline

HOURS = 24
_END = 1 << 62
# Anyone can transmit any ID: of more meters those heard last are told of.
MOST_METERS = 2_000
MOST_BREAKS = 200
# A part of each meter's rows is a part of most pages: of a segment that is not too large they come faster all in a row.
READ_AHEAD_BYTES = 32 << 20

# The register at the end of each hour, and whether the meter was heard in it.
_SEALED = f"""
WITH hour (place, begin, until) AS MATERIALIZED (
    SELECT key, value, lead(value) OVER (ORDER BY key) FROM json_each(?2))
SELECT m.value, h.place,
    coalesce((SELECT consumption FROM reading
              WHERE meter = m.value AND at < h.until AND NOT flags & {SUSPECT} ORDER BY at DESC LIMIT 1), -1),
    EXISTS (SELECT 1 FROM reception WHERE meter = m.value AND at >= h.begin AND at < h.until)
FROM json_each(?1) AS m CROSS JOIN hour AS h WHERE h.until IS NOT NULL
"""
# The last of each meter in an hour: among these ids all rows of the hour are, and others.
_READINGS = (
    "SELECT meter, consumption, max(at) FROM reading "
    f"WHERE id >= ? AND id < ? AND at >= ? AND at < ? AND NOT flags & {SUSPECT} GROUP BY meter"
)
_FROM_ID = "SELECT id, at FROM reading WHERE id >= ? ORDER BY id LIMIT 1"
# Receivers lag behind each other: rows are in the order of their stamps but for less than this.
LAG_MS = 120_000
_RECEPTIONS = "SELECT meter, at FROM reception WHERE id > ? AND at >= ?"
_LAST_ID = "SELECT max(id) FROM (SELECT max(id) AS id FROM reading UNION ALL SELECT max(id) FROM reception)"
_BREAKS = (
    "SELECT number, meter, at, kind, detail FROM event "
    f"WHERE kind IN ({', '.join(repr(kind) for kind in BREAKS)}) AND at >= ? AND at < ? AND meter IS NOT NULL "
    f"ORDER BY at DESC LIMIT {MOST_BREAKS}"
)


class Day(NamedTuple):
    """A meter and its last 24 hours, the running one last.

    `used` in each is None where the register at one end is not known, and after the meter was heard last; `heard` tells
    of each whether the meter was heard in it.
    """

    meter: MeterRow
    used: tuple[int | None, ...]
    heard: tuple[bool, ...]

    @property
    def share_heard(self) -> float:
        """The share of the hours in which the meter was heard."""
        return sum(self.heard) / HOURS


@dataclass(slots=True)
class _Course:
    """A meter: registers at the end of each hour by what was sealed, -1 for none; hours heard; the last, by a stamp.

    `used` is what came out of it last, None when that is not true any more.
    """

    sealed: list[int] = field(default_factory=lambda: [-1] * (HOURS + 1))
    heard: int = 0
    last_at: int = 0
    used: tuple[int | None, ...] | None = None


def _read_ahead(path: Path) -> None:
    """Have the kernel read a file that is about to be asked for much; that it cannot is no fault of the question."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(handle)


class _Break(NamedTuple):
    """Something that happened to a register, told of in an hour; `lacking` is what a difference across it lacks."""

    hour: int
    before: int
    after: int
    lacking: int


class LastDay:
    """Answers for one `History`, and remembers of it what the next answer needs. Not to be shared by threads."""

    def __init__(self) -> None:
        self._of: list[int] = []
        self._first_ms = 0
        self._timeline: Timeline | None = None
        # When each hour begins, the one before the first included, and the last ends: here, and by the calendar.
        self._stamps: list[int] = []
        self._utc_ms: list[int] = []
        self._courses: dict[int, _Course] = {}
        self._recent: list[dict[int, int]] = []
        self._last_id = 0

    def answer(self, history: History, now_ms: int) -> list[Day]:
        """The last day of each of the 2,000 meters heard last, the one heard longest ago first.

        Raises sqlite3.Error.
        """
        return history.answer(lambda view: self._answer(view, now_ms))

    def _answer(self, view: View, now_ms: int) -> list[Day]:
        rows = catalogue.meters(view.catalogue)[-MOST_METERS:]
        first_ms = (now_ms // HOUR_MS - HOURS + 1) * HOUR_MS
        of = [row.number for row in (*view.past, *view.sealed)]
        is_other = of != self._of or view.timeline is not self._timeline or view.live_to > self._last_id
        if is_other or first_ms != self._first_ms:
            self._begin(view, rows, first_ms)
            past, sealed = self._telling(view, view.past), self._telling(view, view.sealed)
            # The kernel reads these meanwhile.
            self._read_on(view)
            self._read_sealed(view, past)
            self._read_sealed(view, sealed)
            self._fill()
            self._of, self._timeline, self._first_ms = of, view.timeline, first_ms
        else:
            self._read_on(view)
        breaks, heard_now = self._breaks(view), self._heard_now(view, rows)
        return [self._day(row, breaks.get(row.number, ()), heard_now.get(row.number, 0)) for row in rows]

    def _begin(self, view: View, rows: Iterable[MeterRow], first_ms: int) -> None:
        """Forget all."""
        self._of = []
        utc_ms = [first_ms + (n - 1) * HOUR_MS for n in range(HOURS + 2)]
        # Of the hour before the first only its end counts, so all that was before may be taken for a part of it.
        self._stamps = [1 << BOOT_SHIFT, *map(view.timeline.stamp_at, utc_ms[1:])]
        self._utc_ms = [0, *utc_ms[1:]]
        self._courses = {row.number: _Course() for row in rows}
        self._recent = [{} for _ in range(HOURS + 1)]
        self._last_id = view.live_to
        _read_ahead(view.history.directory / LIVE)

    def _telling(self, view: View, segments: Sequence[SegmentRow]) -> Sequence[SegmentRow]:
        """Those of some segments in the order of time that tell of these hours."""
        first = max([0, *(n for n, row in enumerate(segments) if row.from_at <= self._edges(row.from_at)[1])])
        for segment in segments[first:]:
            if segment.bytes <= READ_AHEAD_BYTES:
                _read_ahead(segment_path(view.history.directory, segment.number))
        return segments[first:]

    def _read_sealed(self, view: View, segments: Sequence[SegmentRow]) -> None:
        known = json.dumps(list(self._courses)[:MOST_METERS])
        for n, segment in enumerate(segments):
            # Of the first what was before the first hour, too.
            low = self._place(segment.from_at) if n else 0
            edges = self._edges(segment.from_at)[low : self._place(segment.to_at) + 2]
            for number, hour, consumption, heard in view.rows(segment, _SEALED, (known, json.dumps(edges))):
                course = self._courses[number]
                if consumption >= 0:
                    course.sealed[low + hour] = consumption
                course.heard |= heard << (low + hour)

    def _fill(self) -> None:
        """Between readings a register is what it was."""
        for course in self._courses.values():
            course.used = None
            for hour in range(1, HOURS + 1):
                if course.sealed[hour] < 0:
                    course.sealed[hour] = course.sealed[hour - 1]

    def _read_on(self, view: View) -> None:
        """Take what came since."""
        end = view.live.execute(_LAST_ID).fetchone()[0] or 0
        first = self._id_from(view, self._last_id + 1, end + 1, self._stamps[1] - LAG_MS)
        for place in range(HOURS + 1):
            # Of the hour before the first nothing counts but how it ended; of the last, all that came.
            low, high = self._stamps[place], self._stamps[place + 1] if place < HOURS else _END
            begin = self._last_id + 1 if place == 0 else first
            first = self._id_from(view, first, end + 1, high - LAG_MS)
            until = self._id_from(view, first, end + 1, high + LAG_MS)
            for number, consumption, at in view.live.execute(_READINGS, (begin, until, low, high)):
                self._recent[place][number] = consumption
                course = self._course(number)
                course.used, course.last_at = None, max(course.last_at, at)
        last_at = bit = 0
        for number, at in view.live.execute(_RECEPTIONS, (self._last_id, self._stamps[1])):
            if at != last_at:
                last_at, bit = at, 1 << self._place(at)
            self._course(number).heard |= bit
        self._last_id = max(self._last_id, end)

    def _id_from(self, view: View, low: int, high: int, at: int) -> int:
        """An id from `low` to `high` such that the readings before it have stamps before `at`, but for their lag."""
        while low < high:
            middle = (low + high) // 2
            row = view.live.execute(_FROM_ID, (middle,)).fetchone()
            if row is None or row[1] >= at:
                high = middle
            else:
                low = row[0] + 1
        return low

    def _course(self, number: int) -> _Course:
        course = self._courses.get(number)
        if course is None:
            course = self._courses[number] = _Course()
        return course

    def _edges(self, at: int) -> list[int]:
        """When the hours begin, in stamps of the kind that `at` is."""
        return self._stamps if at >= 1 << BOOT_SHIFT else self._utc_ms

    def _place(self, at: int) -> int:
        """The hour that a stamp is in."""
        edges = self._edges(at)
        return next((n for n in range(HOURS, 0, -1) if at >= edges[n]), 0)

    def _heard_now(self, view: View, rows: Iterable[MeterRow]) -> Mapping[int, int]:
        """The hours of the receptions that are not rows yet, by meter."""
        found: dict[int, int] = {}
        for number, reception in running(view, (row.number for row in rows)):
            found[number] = found.get(number, 0) | 1 << self._place(reception.at)
        return found

    def _breaks(self, view: View) -> dict[int, list[_Break]]:
        """What happened to registers, by meter."""
        # What is told of may be long before the reading that shows it: the meter may have been silent in between.
        low_ms = self._first_ms - HOURS * HOUR_MS
        heard_here = (view.timeline.stamp_at(low_ms), _END)
        rows = view.catalogue.execute(_BREAKS, heard_here).fetchall()
        rows += view.catalogue.execute(_BREAKS, (low_ms, 1 << BOOT_SHIFT)).fetchall() if view.past else []
        # The live database is committed before the catalogue: of a reading that is there the event is too.
        rows += view.live.execute(_BREAKS, heard_here).fetchall()
        found: dict[int, list[_Break]] = {}
        for _, number, at, kind, detail in sorted({row[0]: row for row in rows}.values()):
            told = json.loads(detail)
            lacking = told["modulus"] if kind == "register_rolled_over" else told["before"] - told["after"]
            found.setdefault(number, []).append(_Break(self._place(at), told["before"], told["after"], lacking))
        return found

    def _day(self, row: MeterRow, breaks: Sequence[_Break], heard_now: int) -> Day:
        course = self._course(row.number)
        if course.used is None or course.last_at < row.last_at or breaks:
            course.last_at = max(course.last_at, row.last_at)
            course.used = self._used(row.number, course, breaks)
        bits = course.heard | heard_now
        return Day(row, course.used, tuple([bits >> hour & 1 == 1 for hour in range(1, HOURS + 1)]))

    def _used(self, number: int, course: _Course, breaks: Sequence[_Break]) -> tuple[int | None, ...]:
        registers = list(course.sealed)
        latest: int | None = None
        for hour, recent in enumerate(self._recent):
            latest = recent.get(number, latest)
            if latest is not None:
                registers[hour] = latest
        edges = self._edges(course.last_at)
        lacking: dict[int, int] = {}
        for one in breaks:
            later = range(one.hour, HOURS + 1)
            shows = (n for n in later if abs(registers[n] - one.after) <= abs(registers[n] - one.before))
            hour = next(shows, HOURS)
            lacking[hour] = lacking.get(hour, 0) + one.lacking
        return tuple(
            None
            if registers[hour] < 0 or registers[hour - 1] < 0 or edges[hour] > course.last_at
            else registers[hour] - registers[hour - 1] + lacking.get(hour, 0)
            for hour in range(1, HOURS + 1)
        )
