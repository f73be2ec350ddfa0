"""What time sources said during one boot, which of it holds together, and the UTC that follows from it.

A *fix* says: when this boot's clock (CLOCK_BOOTTIME) showed `ms`, a source said that it was `utc_ms`, give or take its
uncertainty. Between fixes the boot's clock runs as its crystal does. Such crystals are cut to 10 to 30 ppm and move by
as much again with temperature and age (a Raspberry Pi 3 by 6 ppm with that of the room:
raspberrypi.stackexchange.com/questions/74482), some 50 ppm in all. Twice that is taken as the bound, for what is
concluded from it must hold.

While a time service holds the system clock, CLOCK_BOOTTIME is slewed together with it (clock_gettime(2)): then the
difference of the two changes by steps only, and these are what further fixes tell.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Source = Literal["ntp", "rtc", "receipt", "browser"]
# In order of trust.
SOURCES: tuple[Source, ...] = ("ntp", "rtc", "receipt", "browser")
RANK: dict[Source, int] = {source: rank for rank, source in enumerate(SOURCES)}
DRIFT_PPM = 100
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Fix:
    """During `boot`, `ms` after it began, `source` said that it was `utc_ms` since 1970, ± `uncertainty_ms`."""

    boot: int
    ms: int
    utc_ms: int
    uncertainty_ms: int
    source: Source


def drift_ms(elapsed_ms: int) -> int:
    """By how much a boot's clock and UTC may come apart in `elapsed_ms`, rounded up.

    >>> drift_ms(24 * 3600 * 1000)
    8640
    """
    return -(-abs(elapsed_ms) * DRIFT_PPM // _MILLION)


class Piece(NamedTuple):
    """A straight piece of the way from a boot's clock to UTC: `rise_ms` of UTC in `run_ms`, through a point."""

    from_ms: float
    to_ms: float
    at_ms: int
    at_utc_ms: int
    rise_ms: int
    run_ms: int

    def utc_ms(self, ms: int) -> int:
        """UTC at `ms` after the boot began, in milliseconds since 1970."""
        return self.at_utc_ms + (ms - self.at_ms) * self.rise_ms // self.run_ms


class Course:
    """UTC along one boot, from the fixes that hold together: a line through them, never decreasing.

    Before the first and after the last of them the clock is taken to run true. `source` is the most trusted of
    those believed, `best_ms` the smallest uncertainty that any of them has.
    """

    __slots__ = ("_ms", "_uncertainty_ms", "_utc_ms", "best_ms", "source")

    def __init__(self, fixes: Iterable[Fix]) -> None:
        believed = consistent(fixes)
        if not believed:
            raise ValueError("a course needs a fix")
        anchors = decisive(believed)
        self.source: Source = min((fix.source for fix in believed), key=RANK.__getitem__)
        self.best_ms = min(fix.uncertainty_ms for fix in anchors)
        self._ms = [fix.ms for fix in anchors]
        self._utc_ms = [fix.utc_ms for fix in anchors]
        self._uncertainty_ms = [fix.uncertainty_ms for fix in anchors]

    def utc_ms(self, ms: int) -> int:
        """UTC at `ms` after the boot began, in milliseconds since 1970."""
        return self.piece(ms).utc_ms(ms)

    def piece(self, ms: int) -> Piece:
        """The straight piece of the course that `ms` lies on."""
        after = bisect_right(self._ms, ms)
        if not after:
            return Piece(-math.inf, self._ms[0], self._ms[0], self._utc_ms[0], 1, 1)
        if after == len(self._ms):
            return Piece(self._ms[-1], math.inf, self._ms[-1], self._utc_ms[-1], 1, 1)
        start_ms, start_utc_ms = self._ms[after - 1], self._utc_ms[after - 1]
        rise_ms, run_ms = self._utc_ms[after] - start_utc_ms, self._ms[after] - start_ms
        return Piece(start_ms, self._ms[after], start_ms, start_utc_ms, rise_ms, run_ms)

    def uncertainty_ms(self, ms: int) -> int:
        """The truth lies no further than this from `utc_ms(ms)`, if the sources told the truth."""
        after = bisect_right(self._ms, ms)
        if after in (0, len(self._ms)):
            near = min(after, len(self._ms) - 1)
            return self._uncertainty_ms[near] + drift_ms(ms - self._ms[near])
        since_ms, until_ms = ms - self._ms[after - 1], self._ms[after] - ms
        if not since_ms:
            return self._uncertainty_ms[after - 1]
        # Of a curve whose slope is within ± drift of 1, the chord is at most 2·drift·d1·d2/(d1+d2) away; the
        # chord itself is as wrong as its ends, in proportion. One millisecond more for what utc_ms rounds off.
        ends = until_ms * self._uncertainty_ms[after - 1] + since_ms * self._uncertainty_ms[after]
        bow = 2 * DRIFT_PPM * since_ms * until_ms
        return -(-(ends * _MILLION + bow) // ((since_ms + until_ms) * _MILLION)) + 1


def consistent(fixes: Iterable[Fix]) -> list[Fix]:
    """Those of one boot's fixes that hold together, by `ms`; their order does not matter.

    Two fixes agree when UTC and the boot's clock advanced alike from one to the other, within both uncertainties and
    the drift, and neither went back. Of two that do not, the more trusted is believed, and of one source the later.
    """
    line = sorted(set(fixes), key=lambda fix: (fix.ms, fix.utc_ms, fix.uncertainty_ms, fix.source))
    believed = [False] * len(line)
    for source in (source for source in SOURCES if any(fix.source == source for fix in line)):
        # What those believed so far admit at each fix, from the left; then from the right, deciding on the way.
        # Offsets are in nanoseconds, so that the drift of a millisecond is a whole number.
        before = []
        low, high, earliest, at_ms = -math.inf, math.inf, -math.inf, 0
        for fix, kept in zip(line, believed, strict=True):
            widening = DRIFT_PPM * (fix.ms - at_ms)
            low, high, at_ms = low - widening, high + widening, fix.ms
            before.append((low, high, earliest))
            if kept:
                least, most = _offset_ns(fix)
                low, high, earliest = max(low, least), min(high, most), fix.utc_ms
        low, high, latest = -math.inf, math.inf, math.inf
        for place in range(len(line) - 1, -1, -1):
            fix = line[place]
            widening = DRIFT_PPM * (at_ms - fix.ms)
            low, high, at_ms = low - widening, high + widening, fix.ms
            least, most = _offset_ns(fix)
            if fix.source == source:
                left_low, left_high, earliest = before[place]
                fits = least <= min(high, left_high) and max(low, left_low) <= most
                believed[place] = fits and earliest <= fix.utc_ms <= latest
            if believed[place]:
                low, high, latest = max(low, least), min(high, most), fix.utc_ms
    return [fix for fix, kept in zip(line, believed, strict=True) if kept]


def _offset_ns(fix: Fix) -> tuple[int, int]:
    offset_ms = fix.utc_ms - fix.ms
    return (offset_ms - fix.uncertainty_ms) * _MILLION, (offset_ms + fix.uncertainty_ms) * _MILLION


def decisive(fixes: list[Fix]) -> list[Fix]:
    """Without those less certain than what another says at their place; `fixes` and what is returned are by `ms`.

    A fix good to minutes bends no line between two good to milliseconds. Of what is returned no two have the same `ms`.
    """
    for _ in range(2):
        sharper: list[Fix] = []
        known_ns, at_ms = math.inf, 0
        for fix in fixes:
            known_ns += DRIFT_PPM * abs(fix.ms - at_ms)
            at_ms = fix.ms
            if fix.uncertainty_ms * _MILLION < known_ns:
                sharper.append(fix)
                known_ns = fix.uncertainty_ms * _MILLION
        fixes = sharper[::-1]
    return fixes
