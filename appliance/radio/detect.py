"""Find bursts in time and frequency, so that each can be cut out and demodulated on its own.

The band is looked at through short FFTs, summed into groups of a millisecond or so. What stands out of the
noise floor of its bin for about a message's length is a candidate: either a line (a clean oscillator) or a
hump tens of kHz wide (an oscillator pulled by its keying). Both are searched in one map, in which the
stronger of two close candidates wins.

    frame    512 samples (256 at low sample rates), Hann window; every other one is looked at, which is plenty
    group    2 frames looked at: one row of the map
    message  5.86 ms: 6 or 7 groups

The map is in standard deviations of noise: a Hann-windowed bin of noise has exponentially distributed power,
which correlates with its neighbour's by 4/9 and with the next one's by 1/36.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from appliance.radio.geometry import FRAME_STRIDE, FRAMES_PER_GROUP, Geometry

HUMP_HZ = 55_000.0
THRESHOLD = 7.0
"""Noise alone exceeds it less than once a second; a message that can be decoded exceeds it twice over."""

MASK_HZ = np.array([0, 33e3, 42e3, 55e3, 74e3, 92e3, 110e3, 147e3, 221e3, 294e3, 460e3, 920e3, 3.3e6])
LINE_MASK_DB = np.array([0, 0, -5, -10, -14, -17, -18, -22, -25, -27, -31, -35, -45])
HUMP_MASK_DB = np.array([0, 0, 0, 0, -1, -4, -7, -12, -19, -23, -28, -33, -43])
"""What a message's own keying throws beside its centre, an upper bound for a clean oscillator and for one pulled by
up to 40 kHz: measured, plus 3 dB. A weaker peak below this mask is taken for a part of the stronger."""

FLOOR_MEMORY = 0.85
"""Share of the old noise floor that a block of a ninth of a second leaves."""

CARRIER_EXCESS = 4.0

LOWEST_FLOOR = 1e-10
"""Noise power that is assumed at least, so that digital silence has a floor: 16 bits' rounding is below it."""

CLIPPED_AT, CLIPPED_MEAN = 2.5, 0.976
"""Times the floor at which cells are clipped, and what is then left of the mean of noise."""

MEDIAN_OF_GROUP = 1.678 / 2
"""Median over mean of the sum of two exponentials (the gamma distribution of shape 2)."""


class Candidate(NamedTuple):
    """A burst: the row of the map where it begins, its bin (FFT order), and how far it stands out."""

    row: int
    bin: int
    score: float


class Detector:
    """Power map, noise floor and search for one sample rate. The floor is its only state."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        n = geometry.frame
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        self.window = (window / np.sqrt(FRAMES_PER_GROUP * np.sum(window**2))).astype(np.float32)
        self.floor: NDArray[np.float32] = np.zeros(n, np.float32)
        """Noise power per sample seen in each bin: float32 (frame,), FFT order; zero before the first block."""
        self._masks = np.array([self._mask_by_bin_distance(db) for db in (LINE_MASK_DB, HUMP_MASK_DB)])
        rows = geometry.groups_per_message
        deviation = np.sqrt(rows / FRAMES_PER_GROUP)
        pairs = 2 * round(HUMP_HZ / geometry.bin_hz / 4) + 1
        response = np.convolve(np.convolve(np.ones(pairs), np.ones(pairs)).repeat(2), [0.5])
        lags = np.correlate(response, response, "full")[len(response) - 1 :]
        variance = lags[0] + 2 * (4 / 9 * lags[1] + 1 / 36 * lags[2])
        self._line = rows, deviation
        self._hump = pairs, rows * response.sum(), deviation * np.sqrt(variance)

    def _mask_by_bin_distance(self, mask_db: NDArray[np.float64]) -> NDArray[np.float32]:
        distance = np.arange(self.geometry.frame)
        distance = np.minimum(distance, self.geometry.frame - distance)
        return (10 ** (np.interp(distance * self.geometry.bin_hz, MASK_HZ, mask_db) / 10)).astype(np.float32)

    def power(self, iq: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Rows of the map: mean power of a group in each bin.

        iq: complex64 (rows * group,); returns float32 (rows, frame), where white noise of variance σ² gives σ².
        """
        frame = self.geometry.frame
        frames = iq.reshape(-1, FRAME_STRIDE, frame)[:, 0]
        spectra = scipy.fft.fft(frames * self.window, axis=1, overwrite_x=True).view(np.float32)
        spectra = spectra.reshape(-1, FRAMES_PER_GROUP, 2 * frame)
        squares = np.einsum("gfb,gfb->gb", spectra, spectra)
        power: NDArray[np.float32] = squares[:, 0::2] + squares[:, 1::2]
        return power

    def track_floor(self, power: NDArray[np.float32]) -> None:
        """Follow the noise floor: the mean of a block's rows, from which bursts are clipped.

        A floor that rises is followed by 0.9 dB a block; one that falls by more than half, as when the gain is turned
        down, at once.
        """
        if not self.floor.any():
            level = np.median(power, axis=0) * np.float32(1 / MEDIAN_OF_GROUP)
        else:
            clipped = np.minimum(power, self.floor * np.float32(CLIPPED_AT)).mean(axis=0)
            level = np.float32(FLOOR_MEMORY) * self.floor + np.float32((1 - FLOOR_MEMORY) / CLIPPED_MEAN) * clipped
            level = np.minimum(level, 2 * clipped)
        self.floor = np.maximum(level, np.float32(LOWEST_FLOOR))

    def forget_floor(self) -> None:
        """Take the floor anew from the next block, as for the first one."""
        self.floor = np.zeros_like(self.floor)

    def typical_floor(self) -> float:
        """The median bin's noise floor, which steady carriers do not move."""
        middle = len(self.floor) // 2
        return float(np.partition(self.floor, middle)[middle])

    def has_carriers(self) -> bool:
        """Whether some bins' floor stands so far above the others' that there are steady carriers in them."""
        return bool(self.floor.max() > CARRIER_EXCESS * self.typical_floor())

    def score(self, power: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """How far a burst that begins in a row stands out, as a line and as a hump.

        Returns float32 (rows - groups_per_message + 1, frame) and, for pairs of bins, (…, frame / 2).
        """
        rows, deviation = self._line
        pairs, mean, hump_deviation = self._hump
        over_floor = power * (1 / np.maximum(self.floor, LOWEST_FLOOR)).astype(np.float32)
        line = moving_sum(over_floor, rows)
        hump = line[:, 0::2] + line[:, 1::2]
        hump *= np.float32(0.5)
        hump = np.concatenate([hump[:, 1 - pairs :], hump, hump[:, : pairs - 1]], axis=1)
        hump = moving_sum(moving_sum(hump, pairs, axis=1), pairs, axis=1)
        hump -= np.float32(mean)
        hump *= np.float32(1 / hump_deviation)
        line -= np.float32(rows)
        line *= np.float32(1 / deviation)
        return line, hump

    def search(self, power: NDArray[np.float32], first: int, last: int, limit: int) -> tuple[list[Candidate], int]:
        """Candidates that begin in rows first ≤ row < last of `power`, strongest first, and how many were cut off.

        Candidates are peaks of the map that no stronger peak close by explains. The rows before and after are there
        to be compared with. No more than `limit` are returned.
        """
        line, hump = self.score(power)
        line_rows, line_bins = _peaks(line)
        hump_rows, hump_bins = _peaks(hump)
        if not len(line_rows) and not len(hump_rows):
            return [], 0
        values = np.concatenate([line[line_rows, line_bins], hump[hump_rows, hump_bins]])
        order = np.argsort(-values, kind="stable")
        values = values[order]
        rows = np.concatenate([line_rows, hump_rows])[order]
        bins = np.concatenate([line_bins, 2 * hump_bins + 1])[order]
        masks = self._masks[(order >= len(line_rows)).astype(int)]
        left = np.arange(len(rows))
        found: list[Candidate] = []
        reach = self.geometry.groups_per_message
        while len(left):
            best, left = left[0], left[1:]
            if first <= rows[best] < last:
                if len(found) == limit:
                    return found, 1 + len(left)
                found.append(Candidate(int(rows[best]), int(bins[best]), float(values[best])))
            close = np.abs(rows[left] - rows[best]) <= reach
            left = left[~(close & (values[left] <= values[best] * masks[best][bins[left] - bins[best]]))]
        return found, 0

    def explain(self, power: NDArray[np.float32], first: int, last: int, bin_: int, steady: bool) -> None:
        """Lower to the noise floor, in place, what a message in rows first ≤ row < last around `bin_` accounts for."""
        part = power[max(0, first) : last]
        near = np.arange(bin_ - 2, bin_ + 3) % self.geometry.frame
        explained = part <= part[:, near].max() * np.roll(self._masks[0 if steady else 1], bin_)
        np.copyto(part, self.floor, where=explained)


def _peaks(score: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and bins of the cells above the threshold that no neighbour exceeds."""
    warm = np.flatnonzero(score.max(axis=1) > THRESHOLD)
    if not len(warm):
        return warm, warm
    # Along a row first, in whole rows, which leaves few cells to look up one by one.
    n_bins = score.shape[1]
    row = score[warm]
    peak = row > THRESHOLD
    rising = row[:, 1:] >= row[:, :-1]
    falling = row[:, :-1] >= row[:, 1:]
    peak[:, 1:] &= rising
    peak[:, :-1] &= falling
    rows, bins = np.divmod(np.flatnonzero(peak), n_bins)
    rows = warm[rows]
    for row_step in (1, -1):
        beside = np.clip(rows + row_step, 0, len(score) - 1)
        above = [score[beside, (bins + bin_step) % n_bins] for bin_step in (-1, 0, 1)]
        peak_too = score[rows, bins] >= np.maximum(np.maximum(above[0], above[1]), above[2])
        rows, bins = rows[peak_too], bins[peak_too]
    return rows, bins


def moving_sum(values: NDArray[np.float32], n: int, axis: int = 0) -> NDArray[np.float32]:
    """Sums of `n` neighbours along an axis, by doubling; the axis gets n - 1 shorter.

    >>> moving_sum(np.arange(5, dtype=np.float32), 3)
    array([3., 6., 9.], dtype=float32)
    """

    def part(x: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
        return x[start:stop] if axis == 0 else x[:, start:stop]

    length = values.shape[axis] - n + 1
    total: NDArray[np.float32] | None = None
    doubled, width, offset = values, 1, 0
    while True:
        if n & width:
            addend = part(doubled, offset, offset + length)
            total = addend.copy() if total is None else np.add(total, addend, out=total)
            offset += width
        if width * 2 > n:
            break
        size = doubled.shape[axis]
        doubled = part(doubled, 0, size - width) + part(doubled, width, size)
        width *= 2
    assert total is not None
    return total
