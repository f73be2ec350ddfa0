"""Stamps, and the UTC that they mean: an immutable resolution of all boots and all fixes that are known.

All that is stored is placed in time by a stamp, `boot << 42 | ms`: which boot of the machine, and how many milliseconds
of CLOCK_BOOTTIME into it. Stamps order what happened whatever any clock said. UTC is worked out when it is
shown or sent, so it gets better as time sources speak, and nothing stored is ever rewritten.

A boot during which no source spoke is an estimate: it lies after the boots before it and before those after it
(`appliance.boot_order`), and within that where the system clock, right or wrong, put it.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from appliance.boot_order import FLOOR_UTC_MS, bounds, without_contradictions
from appliance.fixes import Course, Fix, Piece, Source, drift_ms

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BOOT_SHIFT = 42
CALENDAR = 0
MS_LIMIT = 1 << BOOT_SHIFT
BOOT_LIMIT = 1 << (63 - BOOT_SHIFT)


def stamp(boot: int, ms: int) -> int:
    """The stamp of `ms` milliseconds into `boot`; boot 0 is the calendar, where `ms` is UTC since 1970.

    Raises ValueError when either is out of range.

    >>> stamp(3, 1500), boot_of(stamp(3, 1500)), ms_of(stamp(3, 1500))
    (13194139534812, 3, 1500)
    """
    if not (0 <= ms < MS_LIMIT and 0 <= boot < BOOT_LIMIT):
        raise ValueError(f"no stamp for boot {boot}, {ms} ms")
    return boot << BOOT_SHIFT | ms


def boot_of(stamp: int) -> int:
    """The number of the boot, 0 for the calendar."""
    return stamp >> BOOT_SHIFT


def ms_of(stamp: int) -> int:
    """Milliseconds since that boot; of the calendar, since 1970."""
    return stamp & (MS_LIMIT - 1)


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot of the machine, numbered from 1.

    `last_ms` is the latest time of its clock at which it is known to have run, no earlier than any stamp kept of it.
    `system_offset_ms` is CLOCK_REALTIME minus CLOCK_BOOTTIME as last seen while no source was trusted: a hint only.
    """

    number: int
    boot_id: str
    last_ms: int
    system_offset_ms: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A stamp in UTC. `uncertainty_ms` is None where nothing bounds it: before any source spoke."""

    utc_ms: int
    uncertainty_ms: int | None
    source: Source | Literal["estimate", "calendar"]


class _Line(NamedTuple):
    """Where a piece is the whole truth: from one stamp to another nothing moves what it tells."""

    first: int
    last: int
    first_utc_ms: int
    last_utc_ms: int
    at: int
    at_utc_ms: int
    rise_ms: int
    run_ms: int


class Timeline:
    """UTC of every stamp of the boots given. The order in which boots and fixes are given does not matter."""

    def __init__(self, boots: Iterable[Boot], fixes: Iterable[Fix]) -> None:
        by_number: dict[int, Boot] = {}
        for boot in boots:
            known = by_number.get(boot.number)
            # The same boot may be told of by several files; who saw it last knows it best.
            if boot.number > CALENDAR and (known is None or boot.last_ms >= known.last_ms):
                by_number[boot.number] = boot
        fixes_of: dict[int, list[Fix]] = {number: [] for number in by_number}
        for fix in fixes:
            if fix.boot in fixes_of:
                fixes_of[fix.boot].append(fix)
        self._numbers = sorted(by_number)
        self._boots = [by_number[number] for number in self._numbers]
        self._place = {number: place for place, number in enumerate(self._numbers)}
        self._last_ms = [max([b.last_ms, *(f.ms for f in fixes_of[b.number])]) for b in self._boots]
        courses = [Course(fixes_of[n]) if fixes_of[n] else None for n in self._numbers]
        self._courses = without_contradictions(courses, self._last_ms)
        self._lay_out()
        # Of thousands of instants that a question asks for, the next mostly lies on the piece of the last.
        self._line = _Line(0, -1, 0, -1, 0, 0, 1, 1)

    def _lay_out(self) -> None:
        """Places the beginning and the end of each boot, in order, within what is known of them."""
        low, high = bounds(self._courses, self._last_ms)
        self._ends: list[tuple[int, int]] = []
        self._doubts: list[tuple[int | None, int | None]] = []
        reached = -math.inf
        for place, (boot, course) in enumerate(zip(self._boots, self._courses, strict=True)):
            first, last = 2 * place, 2 * place + 1
            wanted = course.utc_ms(0) if course else boot.system_offset_ms
            start = int(max(min(max(wanted, low[first]), high[first]), reached))
            wanted = course.utc_ms(self._last_ms[place]) if course else start + self._last_ms[place]
            end = int(max(min(max(wanted, low[last]), high[last]), start))
            self._ends.append((start, end))
            self._doubts.append((_distance(start, low[first], high[first]), _distance(end, low[last], high[last])))
            reached = end
        self._starts = [start for start, _ in self._ends]
        self._reached = [self._utc_ms(place, last_ms) for place, last_ms in enumerate(self._last_ms)]

    def utc_ms(self, stamp: int) -> int:
        """Milliseconds since 1970; never decreasing over the stamps of boots from 1 on.

        A boot that the timeline does not know is taken to lie where the one before it ended.
        """
        line = self._line
        if line.first <= stamp <= line.last:
            return line.at_utc_ms + (stamp - line.at) * line.rise_ms // line.run_ms
        boot, ms = boot_of(stamp), ms_of(stamp)
        if boot == CALENDAR:
            return ms
        place = self._place.get(boot)
        if place is None:
            return self._unknown_utc_ms(boot)
        self._remember(place, ms)
        return self._utc_ms(place, ms)

    def moment(self, stamp: int) -> Moment:
        """UTC, with its uncertainty and the most trusted source behind it."""
        boot, ms = boot_of(stamp), ms_of(stamp)
        if boot == CALENDAR:
            return Moment(ms, 0, "calendar")
        place = self._place.get(boot)
        if place is None:
            return Moment(self._unknown_utc_ms(boot), None, "estimate")
        utc_ms = self._utc_ms(place, ms)
        moved_ms = abs(utc_ms - self._unmoved_utc_ms(place, ms))
        if course := self._courses[place]:
            return Moment(utc_ms, course.uncertainty_ms(ms) + moved_ms, course.source)
        at_start, at_end = self._doubts[place]
        if at_start is None or at_end is None:
            return Moment(utc_ms, None, "estimate")
        last_ms = self._last_ms[place]
        if ms >= last_ms:
            return Moment(utc_ms, at_end + drift_ms(ms - last_ms) + moved_ms, "estimate")
        return Moment(utc_ms, -(-(at_start * (last_ms - ms) + at_end * ms) // last_ms) + 1 + moved_ms, "estimate")

    def ran(self) -> list[tuple[int, int]]:
        """From when to when the machine ran in each boot, in UTC in ms, as far as is known."""
        known = [(boot.number, self.last_ms(boot.number)) for boot in self._boots]
        return [(self.utc_ms(stamp(number, 0)), self.utc_ms(stamp(number, last_ms))) for number, last_ms in known]

    def last_ms(self, boot: int) -> int:
        """The latest millisecond of a boot at which it is known to have run; 0 for one that is not known."""
        place = self._place.get(boot)
        return 0 if place is None else self._last_ms[place]

    def stamp_at(self, utc_ms: int) -> int:
        """The first stamp at which a boot was running and whose `utc_ms` is this or later.

        The last boot is taken to run on for ever.
        """
        line = self._line
        if line.first_utc_ms < utc_ms <= line.last_utc_ms:
            return line.at - (line.at_utc_ms - utc_ms) * line.run_ms // line.rise_ms
        if not self._boots:
            return stamp(1, 0)
        place = min(bisect_left(self._reached, utc_ms), len(self._boots) - 1)
        least, most = 0, self._last_ms[place]
        if place == len(self._boots) - 1:
            most = min(most + max(0, utc_ms - self._unmoved_utc_ms(place, most)), MS_LIMIT - 1)
        # Two clocks hardly drift apart: a step or two lead there. Where that does not hold, halving does.
        middle, steps = utc_ms - self._unmoved_utc_ms(place, 0), 8
        while least < most:
            middle = min(max(middle, least), most - 1) if steps else (least + most) // 2
            steps -= bool(steps)
            if (short_ms := utc_ms - self._utc_ms(place, middle)) > 0:
                least = middle + 1
            else:
                most = middle
            middle += short_ms or -1
        self._remember(place, least)
        return stamp(self._numbers[place], least)

    def _utc_ms(self, place: int, ms: int) -> int:
        # No boot begins before the one before it ended, though both be uncertain.
        utc_ms = max(self._unmoved_utc_ms(place, ms), self._starts[place])
        return utc_ms if place + 1 == len(self._starts) else min(utc_ms, self._starts[place + 1])

    def _unmoved_utc_ms(self, place: int, ms: int) -> int:
        return self._piece(place, ms).utc_ms(ms)

    def _piece(self, place: int, ms: int) -> Piece:
        if course := self._courses[place]:
            return course.piece(ms)
        (start, end), last_ms = self._ends[place], self._last_ms[place]
        if ms >= last_ms:
            return Piece(last_ms, math.inf, last_ms, end, 1, 1)
        return Piece(0, last_ms, 0, start, end - start, last_ms)

    def _remember(self, place: int, ms: int) -> None:
        """Keep the piece that `ms` lies on, if no boot before or after moves any of it."""
        piece, is_last = self._piece(place, ms), place + 1 == len(self._boots)
        first = int(max(piece.from_ms, 0))
        last = int(min(piece.to_ms, MS_LIMIT - 1 if is_last else self._last_ms[place]))
        first_utc_ms, last_utc_ms = piece.utc_ms(first), piece.utc_ms(last)
        moved = first_utc_ms < self._starts[place] or not (is_last or last_utc_ms <= self._starts[place + 1])
        if first <= ms <= last and piece.rise_ms > 0 and not moved:
            base = self._numbers[place] << BOOT_SHIFT
            ends = (base + first, base + last, first_utc_ms, last_utc_ms)
            self._line = _Line(*ends, base + piece.at_ms, piece.at_utc_ms, piece.rise_ms, piece.run_ms)

    def _unknown_utc_ms(self, boot: int) -> int:
        place = bisect_right(self._numbers, boot) - 1
        if place >= 0:
            return self._reached[place]
        return self._starts[0] if self._starts else FLOOR_UTC_MS


def _distance(chosen: int, low: float, high: float) -> int | None:
    return None if math.isinf(low) or math.isinf(high) else int(max(chosen - low, high - chosen))
