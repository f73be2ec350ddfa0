"""Compares the count of samples with a clock, for sources that send them as time passes.

A dongle that drops USB packets, or an rtl_tcp server whose queue ran over, does not say so: the samples are simply
fewer than the time that went by. Blocks come late by all sorts of delays but never early, so the least lateness
over a few seconds is steady to about a millisecond; a crystal that is 100 ppm off moves it by 0.5 ms in 5 s.
A step of more than 40 ms is therefore a loss, and anything slower is the crystal, which the baseline follows.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

WINDOW_S = 5.0
LOSS_S = 0.04


class Lateness:
    """The least of the values seen in this window and the one before it."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._opened_s: float | None = None
        self._now = self._before = float("inf")

    def update(self, now_s: float, late_s: float) -> float:
        """Take in a value; returns the least, in seconds."""
        if self._opened_s is None or now_s - self._opened_s >= self._window_s:
            self._opened_s, self._before, self._now = now_s, self._now, late_s
        self._now = min(self._now, late_s)
        return min(self._now, self._before)


class Pace:
    """Finds samples that never came. Fed where they arrive, not where they are used: a slow reader is no loss."""

    def __init__(self, rate_hz: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz = rate_hz
        self._clock = clock
        self._began_s: float | None = None
        self._window_s = 0.0
        self._count = 0
        self._least_s = float("inf")
        self._baseline_s = 0.0
        self._windows = 0

    def count(self, samples: int) -> int:
        """Samples that arrived just now; returns how many are found missing before them."""
        now_s = self._clock()
        if self._began_s is None:
            self._began_s = self._window_s = now_s
            return 0
        self._count += samples
        self._least_s = min(self._least_s, now_s - self._began_s - self._count / self._rate_hz)
        if now_s - self._window_s < WINDOW_S:
            return 0
        least_s, self._least_s, self._window_s = self._least_s, float("inf"), now_s
        self._windows += 1
        missing_s = least_s - self._baseline_s
        # The first window holds what had piled up before the stream was read: it says nothing about the pace, and
        # the second one is the first baseline.
        if self._windows <= 2 or missing_s <= LOSS_S:
            self._baseline_s = least_s
            return 0
        lost = round(missing_s * self._rate_hz)
        self._count += lost
        return lost


class StreamClock:
    """Tells the time of a sample of a live stream.

    The count of samples alone would drift with the crystal (100 ppm are a minute a week) and would stand still when
    the system's clock is set, as it is on a Pi some time after it starts. So the time is that of the count, moved by
    how late the stream is, and by how far the system's clock was set since.
    """

    def __init__(
        self,
        rate_hz: float,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._rate_hz = rate_hz
        self._monotonic = monotonic
        self._wall = wall
        self._began_s = monotonic()
        self._began_wall_s = wall()
        self._lateness = Lateness()
        self._late_s = 0.0
        self._count = 0

    @property
    def start(self) -> datetime:
        """The time of the first sample, as it seemed when the stream began."""
        return datetime.fromtimestamp(self._began_wall_s, UTC)

    def arrived(self, samples: int) -> None:
        """So many samples, received or known to be lost, are over."""
        self._count += samples
        now_s = self._monotonic()
        self._late_s = self._lateness.update(now_s, now_s - self._began_s - self._count / self._rate_hz)

    def correct(self, moment: datetime) -> datetime:
        """The time of what by the count of samples from `start` was at `moment`."""
        clock_set_s = (self._wall() - self._began_wall_s) - (self._monotonic() - self._began_s)
        return moment + timedelta(seconds=self._late_s + clock_set_s)
