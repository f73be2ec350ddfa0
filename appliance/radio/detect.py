"""Find bursts in time and frequency, so that each can be cut out and demodulated on its own.

The band is looked at through short FFTs, summed into groups of a millisecond or so. What stands out of the
noise floor of its bin for about a message's length is a candidate: either a line (a clean oscillator) or a
hump tens of kHz wide (an oscillator pulled by its keying). Both are searched in one map, in which the
stronger of two close candidates wins.

    frame    512 samples (256 at low sample rates), Hann window, no overlap
    group    4 frames: one row of the map
    message  5.86 ms: 6 or 7 groups

The map is in standard deviations of noise: a Hann-windowed bin of noise has exponentially distributed power,
which correlates with its neighbour's by 4/9 and with the next one's by 1/36.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from appliance.radio.geometry import FRAMES_PER_GROUP, Geometry

HUMP_HZ = 55_000.0
THRESHOLD = 8.0
"""Noise alone exceeds it less than once a minute; a message that can be decoded exceeds it twice over."""

MASK_HZ = np.array([0, 42e3, 55e3, 74e3, 92e3, 110e3, 147e3, 221e3, 294e3, 460e3, 920e3, 3.3e6])
MASK_DB = np.array([0, 0, -3, -5, -8, -11, -16, -22, -26, -31, -36, -46])
"""What a message's own keying throws beside its centre, an upper bound: measured on clean oscillators and ones
pulled by up to 40 kHz, plus 2 dB. A weaker peak below this mask is taken for a part of the stronger."""

FLOOR_MEMORY = 0.85
"""Share of the old noise floor that a block of a ninth of a second leaves."""

LOWEST_FLOOR = 1e-10
"""Noise power that is assumed at least, so that digital silence has a floor: 16 bits' rounding is below it."""

MOST_PEAKS = 400
"""Peaks of a map that are compared with each other; more than a band full of messages has."""

MEDIAN_OF_GROUP = 3.672 / 4
"""Median over mean of the sum of four exponentials (the gamma distribution of shape 4)."""


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
        self.window = (window / np.sqrt(np.sum(window**2))).astype(np.float32)
        self.floor: NDArray[np.float32] = np.zeros(n, np.float32)
        """Noise power per sample seen in each bin: float32 (frame,), FFT order; zero before the first block."""
        self._mask = self._mask_by_bin_distance()
        rows = geometry.groups_per_message
        deviation = np.sqrt(rows / FRAMES_PER_GROUP)
        width = 2 * round(HUMP_HZ / geometry.bin_hz / 2) + 1
        correlated = width + 2 * (4 / 9 * (width - 1) + 1 / 36 * (width - 2))
        self._line = rows, deviation
        self._hump = width, rows * width, deviation * np.sqrt(correlated)

    def _mask_by_bin_distance(self) -> NDArray[np.float32]:
        distance = np.arange(self.geometry.frame)
        distance = np.minimum(distance, self.geometry.frame - distance)
        mask_db = np.interp(distance * self.geometry.bin_hz, MASK_HZ, MASK_DB)
        return (10 ** (mask_db / 10)).astype(np.float32)

    def power(self, iq: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Rows of the map: mean power of a group in each bin.

        iq: complex64 (rows * group,); returns float32 (rows, frame), where white noise of variance σ² gives σ².
        """
        frame = self.geometry.frame
        rows = len(iq) // self.geometry.group
        power = np.empty((rows, frame), np.float32)
        step = 16  # rows at a time: the intermediate spectra stay in the processor's cache
        for start in range(0, rows, step):
            part = iq[start * self.geometry.group : (start + step) * self.geometry.group].reshape(-1, frame)
            spectra = scipy.fft.fft(part * self.window, axis=1, overwrite_x=True).view(np.float32)
            spectra = spectra.reshape(-1, FRAMES_PER_GROUP, 2 * frame)
            squares = np.einsum("gfb,gfb->gb", spectra, spectra)
            np.add(squares[:, 0::2], squares[:, 1::2], out=power[start : start + step])
        power *= np.float32(1 / FRAMES_PER_GROUP)
        return power

    def track_floor(self, power: NDArray[np.float32]) -> None:
        """Take a block's rows into the noise floor: their median, which bursts hardly move, slowly followed.

        Once there is a floor, every fourth row will do.
        """
        started = bool(self.floor.any())
        middle = np.median(power[:: 4 if started else 1], axis=0) * np.float32(1 / MEDIAN_OF_GROUP)
        if started:
            middle = np.float32(FLOOR_MEMORY) * self.floor + np.float32(1 - FLOOR_MEMORY) * middle
        self.floor = np.maximum(middle, np.float32(LOWEST_FLOOR))

    def score(self, power: NDArray[np.float32]) -> NDArray[np.float32]:
        """The map: how far a burst that begins in a row stands out: float32 (rows - groups_per_message + 1, frame)."""
        rows, deviation = self._line
        width, mean, hump_deviation = self._hump
        line = moving_sum(power * (1 / self.floor), rows)
        before = width // 2
        around = np.concatenate([line[:, -before:], line, line[:, : width - before - 1]], axis=1)
        hump = moving_sum(around, width, axis=1)
        hump -= np.float32(mean)
        hump *= np.float32(1 / hump_deviation)
        line -= np.float32(rows)
        line *= np.float32(1 / deviation)
        return np.maximum(line, hump, out=line)

    def search(self, power: NDArray[np.float32], first: int, last: int, limit: int) -> tuple[list[Candidate], int]:
        """Candidates that begin in rows first ≤ row < last of `power`, strongest first, and how many were cut off.

        Candidates are peaks of the map that no stronger peak close by explains. The rows before and after are there
        to be compared with. No more than `limit` are returned.
        """
        score = self.score(power)
        rows, bins = _peaks(score)
        if not len(rows):
            return [], 0
        values = score[rows, bins]
        order = np.argsort(-values, kind="stable")[:MOST_PEAKS]
        skipped = len(rows) - len(order)
        rows, bins, values = rows[order], bins[order], values[order]
        alive = np.ones(len(rows), bool)
        reach = self.geometry.groups_per_message
        found: list[Candidate] = []
        for i in range(len(rows)):
            if not alive[i]:
                continue
            close = np.abs(rows[i:] - rows[i]) <= reach
            alive[i:] &= ~(close & (values[i:] <= values[i] * self._mask[bins[i:] - bins[i]]))
            if first <= rows[i] < last:
                if len(found) < limit:
                    found.append(Candidate(int(rows[i]), int(bins[i]), float(values[i])))
                else:
                    skipped += 1
        return found, skipped

    def explain(self, power: NDArray[np.float32], first: int, last: int, bin_: int) -> None:
        """Lower to the noise floor, in place, what a message in rows first ≤ row < last around `bin_` accounts for."""
        part = power[max(0, first) : last]
        near = np.arange(bin_ - 2, bin_ + 3) % self.geometry.frame
        explained = part <= part[:, near].max() * np.roll(self._mask, bin_)
        np.copyto(part, self.floor, where=explained)


def _peaks(score: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and bins of the cells above the threshold that no neighbour exceeds; the band's edges are neighbours."""
    rows, bins = np.nonzero(score > THRESHOLD)
    values = score[rows, bins]
    peak = np.ones(len(rows), bool)
    last_row, n_bins = len(score) - 1, score.shape[1]
    for row_step, bin_step in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        peak &= values >= score[np.clip(rows + row_step, 0, last_row), (bins + bin_step) % n_bins]
    return rows[peak], bins[peak]


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
