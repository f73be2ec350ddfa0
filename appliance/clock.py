"""The running program's clock: stamps for what happens now, and what the time sources say of this boot.

A Raspberry Pi has no clock that runs on without power, and may be started where there is no network. So the program
counts from the start of the machine, and learns what UTC that was when a source is trusted: NTP as the kernel reports
it, a real-time clock, a signed receipt of the aggregator, the technician's browser. What it learns is a handful of
fixes a day at most; `appliance.timeline` makes UTC of them.
"""

import datetime as dt
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from appliance import kernel_clock
from appliance.boot_order import FLOOR_UTC_MS
from appliance.fixes import RANK, Fix, Source, drift_ms
from appliance.kernel_clock import KernelTime, kernel_time
from appliance.timeline import (
    BOOT_SHIFT,
    CALENDAR,
    HOUR_MS,
    Boot,
    Moment,
    Timeline,
    boot_of,
    ms_of,
    stamp,
)

__all__ = [
    "BOOT_SHIFT",
    "CALENDAR",
    "CEILING_UTC_MS",
    "FLOOR_UTC_MS",
    "Boot",
    "Clock",
    "ClockEvent",
    "Fix",
    "KernelTime",
    "Moment",
    "Source",
    "Timeline",
    "boot_of",
    "ms_of",
    "stamp",
]

log = logging.getLogger(__name__)

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# What a source says must lie between the first stamps and this, 2100-01-01.
CEILING_UTC_MS = 4_102_444_800_000
STEP_MS = 500
# A receiver tells a message some tenths of a second after it was on the air, a busy one after seconds.
LATENCY_MS = 10_000
# In an hour two clocks come apart by 0.36 s at most: so often a fix of the same source says something again. In a boot
# that lasts long, seldom enough that a year of it is some 700 fixes.
FIX_INTERVAL_MS = 6 * HOUR_MS
FIX_INTERVALS_OF_AGE = 256
# A source that jumps about is recorded 64 times, and then eight times a day.
BURST = 64
FIX_ALLOWANCE_MS = 3 * HOUR_MS
# Two clocks were read at one instant if reading them took no longer; else the program was held up in between.
SAME_INSTANT_MS = 20


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """`clock_set`: a source made the time known, or another one than before. `clock_stepped`: the system clock jumped.

    `detail` holds `source`, `uncertainty_ms` (or None), `moved_ms`: by how much this boot's UTC moved, and
    `system_moved_ms`: by how much the system clock did.
    """

    kind: Literal["clock_set", "clock_stepped"]
    detail: dict[str, Any]


class Clock:
    """Time in this run of the program. `begin` with what is known, `poll` every few seconds, `take_changes` to keep."""

    def __init__(
        self,
        *,
        boottime_ms: Callable[[], int] = kernel_clock.boottime_ms,
        realtime_ms: Callable[[], int] = kernel_clock.realtime_ms,
        boot_id: str | None = None,
        kernel: Callable[[], KernelTime] = kernel_time,
    ) -> None:
        self._boottime_ms = boottime_ms
        self._realtime_ms = realtime_ms
        self._kernel = kernel
        self._zero_ms = 0
        self._latest_ms = 0
        self._unwritten: list[Fix] = []
        self._boot_id = boot_id or kernel_clock.boot_id() or ""
        if not self._boot_id:
            # Nothing tells this boot from another, so each run of the program counts as one, from 0.
            self._boot_id, self._zero_ms = str(uuid.uuid4()), boottime_ms()
        self.begin((), ())

    def begin(self, boots: Sequence[Boot], fixes: Sequence[Fix]) -> None:
        """Take up what is known of earlier boots, and of this one if the program ran in it before.

        It is this one if the newest has its `boot_id`; else this gets the next number. What sources said before is
        kept; stamps made before belong to the boot number of before.
        """
        ms, system_offset_ms = self._read()
        newest = max(boots, key=lambda boot: boot.number, default=None)
        # A machine brought back from a snapshot goes on in its old boot, at an earlier time.
        same = newest is not None and newest.boot_id == self._boot_id and newest.last_ms <= ms
        self._new = not same
        if newest is not None and same:
            self._own = newest
        else:
            number = newest.number + 1 if newest else 1
            self._own = Boot(number, self._boot_id, ms, _plausible_offset(system_offset_ms))
        self.boot = self._own.number
        self._others = [boot for boot in boots if boot.number != self.boot]
        self._unwritten = [replace(fix, boot=self.boot) for fix in self._unwritten]
        self._fixes = [*fixes, *self._unwritten]
        self._system_offset_ms = system_offset_ms
        self._ticked: tuple[int, int] | None = None
        self._resolve()
        if self._estimated and abs(system_offset_ms - self._own.system_offset_ms) > STEP_MS:
            self._hint(system_offset_ms)
        self._told = self.timeline

    @property
    def current(self) -> Boot:
        """The boot that is running, as it is to be written down."""
        return replace(self._own, last_ms=self._read()[0])

    @property
    def fixes(self) -> list[Fix]:
        """What sources said during the boot that is running, believed or not."""
        return [fix for fix in self._fixes if fix.boot == self.boot]

    @property
    def has_changes(self) -> bool:
        """Whether `take_changes` would give something."""
        return self._new or bool(self._unwritten)

    def take_changes(self) -> tuple[Boot, list[Fix]] | None:
        """The running boot and its fixes not written yet, or None if nothing but the passing of time is new."""
        if not self._new and not self._unwritten:
            return None
        fixes, self._unwritten, self._new = self._unwritten, [], False
        return self.current, fixes

    def put_back(self, fixes: Sequence[Fix]) -> None:
        """What `take_changes` gave could not be written: it will be given again."""
        self._unwritten = list(dict.fromkeys([*fixes, *self._unwritten]))
        self._new = True

    def now(self) -> int:
        """The stamp of now."""
        return stamp(self.boot, self._read()[0])

    def utc_ms(self, stamp: int) -> int:
        """Milliseconds since 1970, as far as is known now."""
        return self.timeline.utc_ms(stamp)

    def moment(self, stamp: int) -> Moment:
        """UTC with its uncertainty and source, as far as is known now."""
        return self.timeline.moment(stamp)

    def datetime(self, stamp: int) -> dt.datetime:
        """UTC, as far as is known now."""
        return EPOCH + dt.timedelta(milliseconds=self.utc_ms(stamp))

    def stamp_of(self, moment: dt.datetime) -> int:
        """The stamp of a message that came in just now, and says by the system clock when it was on the air.

        What is older than a receiver's delay, or yet to come, was said by a clock that has been set since or by
        another one: it counts as now.
        """
        ms, system_offset_ms = self._read()
        age_ms = ms + system_offset_ms - (moment - EPOCH) // dt.timedelta(milliseconds=1)
        return stamp(self.boot, max(0, ms - age_ms) if 0 <= age_ms < LATENCY_MS else ms)

    def offer(self, source: Source, utc_ms: int, uncertainty_ms: int) -> bool:
        """`source` says that it is `utc_ms` now, give or take; True if that told something and was taken down."""
        return self._offer(Fix(self.boot, self._read()[0], utc_ms, max(1, uncertainty_ms), source))

    def poll(self) -> ClockEvent | None:
        """Ask the kernel; tells what changed since it was last asked, offers of others included."""
        # In this order: a clock read before it was set is not what the kernel vouches for.
        kernel = self._kernel()
        ms, system_offset_ms = self._read()
        if kernel.synchronized:
            self._offer(Fix(self.boot, ms, ms + system_offset_ms, kernel.uncertainty_ms, "ntp"))
        elif kernel.rtc_utc_ms is not None:
            self._offer_rtc(ms, kernel.rtc_utc_ms)
        step_ms = system_offset_ms - self._system_offset_ms
        stepped = abs(step_ms) > STEP_MS
        if stepped:
            self._system_offset_ms = system_offset_ms
            if self._estimated:
                self._hint(system_offset_ms)
        before, after = self._told.moment(stamp(self.boot, ms)), self.timeline.moment(stamp(self.boot, ms))
        self._told = self.timeline
        moved_ms = after.utc_ms - before.utc_ms
        told_anew = after.source != before.source or (
            before.uncertainty_ms is not None and abs(moved_ms) > max(STEP_MS, before.uncertainty_ms)
        )
        if not (told_anew or stepped):
            return None
        event = ClockEvent(
            "clock_set" if told_anew else "clock_stepped",
            {
                "source": after.source,
                "uncertainty_ms": after.uncertainty_ms,
                "moved_ms": moved_ms,
                "system_moved_ms": step_ms if stepped else 0,
            },
        )
        log.info("%s source=%s moved_ms=%d system_moved_ms=%d", event.kind, after.source, moved_ms, step_ms)
        return event

    def _offer_rtc(self, ms: int, rtc_utc_ms: int) -> None:
        before, self._ticked = self._ticked, (ms, rtc_utc_ms)
        if before is None or abs((rtc_utc_ms - before[1]) - (ms - before[0])) > 2000:
            # A clock whose crystal died stands still: it is asked twice before it is believed.
            return
        # The kernel sets it while NTP holds the system clock. Since then it drifts: a watch crystal is good to 20 ppm,
        # and 0.034 ppm/K² slower away from 25 °C, in the heat and frost of a roof 70 ppm.
        set_ms = max((f.utc_ms for f in self._fixes if f.source == "ntp" and f.utc_ms <= rtc_utc_ms), default=0)
        since_ms = rtc_utc_ms - max(set_ms, FLOOR_UTC_MS)
        self._offer(Fix(self.boot, ms, rtc_utc_ms, 1000 + drift_ms(since_ms), "rtc"))

    def _offer(self, fix: Fix) -> bool:
        if not FLOOR_UTC_MS <= fix.utc_ms <= CEILING_UTC_MS or not self._says_something(fix):
            return False
        self._fixes.append(fix)
        self._unwritten.append(fix)
        self._resolve()
        return True

    def _says_something(self, fix: Fix) -> bool:
        own = self.fixes
        if len(own) >= BURST + fix.ms // FIX_ALLOWANCE_MS:
            return False
        same = [known for known in own if known.source == fix.source]
        if not same:
            known = self.timeline.moment(stamp(self.boot, fix.ms))
            if known.uncertainty_ms is None or known.source == "estimate" or known.source == "calendar":
                return True
            return (
                RANK[fix.source] < RANK[known.source]
                or abs(fix.utc_ms - known.utc_ms) > fix.uncertainty_ms + known.uncertainty_ms
                or 2 * fix.uncertainty_ms < known.uncertainty_ms
            )
        last = max(same, key=lambda known: known.ms)
        since_ms = fix.ms - last.ms
        expected_ms = last.uncertainty_ms + drift_ms(since_ms)
        return (
            abs(fix.utc_ms - last.utc_ms - since_ms) > fix.uncertainty_ms + expected_ms
            or 2 * fix.uncertainty_ms < min(known.uncertainty_ms for known in same)
            or (
                since_ms >= max(FIX_INTERVAL_MS, fix.ms // FIX_INTERVALS_OF_AGE)
                and 2 * fix.uncertainty_ms < expected_ms
            )
        )

    @property
    def _estimated(self) -> bool:
        return self.timeline.moment(stamp(self.boot, self._own.last_ms)).source == "estimate"

    def _hint(self, system_offset_ms: int) -> None:
        self._own = replace(self._own, system_offset_ms=_plausible_offset(system_offset_ms))
        self._new = True
        self._resolve()

    def _resolve(self) -> None:
        self.timeline = Timeline([*self._others, self._own], self._fixes)

    def _read(self) -> tuple[int, int]:
        """The boot's clock, which never goes back, and by how much the system clock is ahead of it."""
        for _ in range(3):
            before_ms = self._boottime_ms()
            realtime_ms = self._realtime_ms()
            after_ms = self._boottime_ms()
            if after_ms - before_ms <= SAME_INSTANT_MS:
                break
        self._latest_ms = max(self._latest_ms, after_ms - self._zero_ms)
        return self._latest_ms, realtime_ms - self._latest_ms


def _plausible_offset(system_offset_ms: int) -> int:
    return max(0, min(system_offset_ms, CEILING_UTC_MS))
