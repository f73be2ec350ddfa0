"""The sizes that follow from the sample rate: frames, groups, blocks, and the window cut around a burst."""

from dataclasses import dataclass
from functools import cached_property

import scipy.fft

CHIP_RATE_HZ = 32_768
MESSAGE_CHIPS = 192
MESSAGE_S = MESSAGE_CHIPS / CHIP_RATE_HZ
FRAMES_PER_GROUP = 2
FRAME_STRIDE = 2
GROUPS_PER_BLOCK = 128
SAMPLES_PER_CHIP_OUT = 8
LOWEST_RATE_HZ = 1_000_000
HIGHEST_RATE_HZ = 3_200_000


@dataclass(frozen=True)
class Geometry:
    """All lengths in samples at `rate_hz` unless named otherwise.

    >>> g = Geometry(2_359_296)
    >>> g.frame, g.group, g.block, g.groups_per_message
    (512, 2048, 262144, 6)
    """

    rate_hz: float

    @cached_property
    def frame(self) -> int:
        """Length of the detection FFT: near 0.2 ms at any rate."""
        return 512 if self.rate_hz > 1_600_000 else 256

    @property
    def group(self) -> int:
        return self.frame * FRAME_STRIDE * FRAMES_PER_GROUP

    @property
    def block(self) -> int:
        return self.group * GROUPS_PER_BLOCK

    @property
    def bin_hz(self) -> float:
        return self.rate_hz / self.frame

    @property
    def groups_per_message(self) -> int:
        """Whole groups that fit into a message."""
        return int(MESSAGE_S * self.rate_hz / self.group)

    @cached_property
    def window(self) -> int:
        """Samples cut out around a candidate: a message and, before and after it, what detection may be off by.

        Of the lengths at most a tenth longer than needed whose FFT is fast, the first whose decimated length gives
        a fast one too, or simply the first.
        """
        needed = int(MESSAGE_S * self.rate_hz) + 4 * self.group
        lengths = [n for n in range(needed, needed * 11 // 10) if scipy.fft.next_fast_len(n) == n]
        return next((n for n in lengths if scipy.fft.next_fast_len(self.decimated(n)) == self.decimated(n)), lengths[0])

    @property
    def guard(self) -> int:
        """Rows of the map to keep before and after those that are searched: a window reaches so far."""
        return self.groups_per_message + 4

    nominal_out_hz = float(CHIP_RATE_HZ * SAMPLES_PER_CHIP_OUT)

    def decimated(self, n: int) -> int:
        """Length of `n` samples after decimation."""
        return round(n * self.nominal_out_hz / self.rate_hz)

    @property
    def lead(self) -> int:
        """Samples of a window before the place where detection believes the message begins."""
        return 2 * self.group + self.group // 4

    def offset_hz(self, bin_: int) -> float:
        """Frequency of a bin of the detection FFT, from the centre of the band."""
        return (bin_ - self.frame if bin_ >= self.frame // 2 else bin_) * self.bin_hz

    def bin_of(self, offset_hz: float) -> int:
        """The bin of the detection FFT that a frequency falls into."""
        return round(offset_hz / self.bin_hz) % self.frame
