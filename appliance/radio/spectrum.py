"""The spectrum for whoever watches it: frames of power by frequency, from the map that the detector makes anyway.

While nobody watches there is no `Watch` and nothing of this is done. A message lasts 6 ms, so in the mean over a
frame it can hardly be seen; therefore the most that each bin had in a row of the map is told too.
"""

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.control.lines import MOST_BURSTS, Burst, Spectrum
from appliance.radio.geometry import Geometry

LEAST_POWER = 1e-12
"""120 dB below full scale, where a converter of 8 bits has nothing to tell."""
STANDS_OUT = 2.0
"""Times the floor that a burst's rows have at least, as far as it lasts."""
BESIDE = 2
"""Bins to each side of a burst's that count for how long it lasts."""


class Watch:
    """Gathers frames for one sample rate, about `rate_hz` of them a second, of `bins` bins or as many as there are.

    `rate_hz` is met as well as whole blocks of a ninth of a second allow.
    """

    def __init__(self, geometry: Geometry, samples: int, rate_hz: float, bins: int) -> None:
        self.bins = min(geometry.frame, 1 << (bins.bit_length() - 1))
        self._geometry = geometry
        self._blocks_per_frame = max(1, round(geometry.rate_hz / geometry.block / rate_hz))
        self.begin(samples)

    def begin(self, samples: int) -> None:
        """Start a frame anew after so many samples of the stream."""
        self._began = samples
        self._blocks = self._rows = self._left_out = 0
        self._sum = np.zeros(self._geometry.frame, np.float64)
        self._peak = np.zeros(self._geometry.frame, np.float32)
        self._bursts: list[Burst] = []

    def take(self, power: NDArray[np.float32]) -> None:
        """Take in a block's map: float32 (rows, frame), FFT order."""
        self._blocks += 1
        self._rows += len(power)
        self._sum += power.sum(axis=0)
        np.maximum(self._peak, power.max(axis=0), out=self._peak)

    def burst(
        self, frequency_hz: int, sample: float, length_s: float, snr: float, outcome: str, meter_id: int | None
    ) -> None:
        """Note a burst that was looked at; `sample` is its place in the stream, `snr` a ratio."""
        if len(self._bursts) >= MOST_BURSTS:
            self._left_out += 1
            return
        self._bursts.append(
            Burst(
                frequency_hz=frequency_hz,
                start_s=round((sample - self._began) / self._geometry.rate_hz, 4),
                length_s=round(length_s, 4),
                snr_db=round(10 * float(np.log10(snr)), 1),
                outcome=outcome,
                meter_id=meter_id,
            )
        )

    def frame(self, samples: int, time: datetime, center_hz: float, noise_floor_dbfs: float | None) -> Spectrum | None:
        """The frame that ends with `samples` of the stream at `time`, if it is complete; the next one then begins."""
        if self._blocks < self._blocks_per_frame:
            return None
        mean = np.fft.fftshift(self._sum / self._rows).reshape(self.bins, -1).mean(axis=1)
        peak = np.fft.fftshift(self._peak).reshape(self.bins, -1).max(axis=1)
        result = Spectrum(
            time=time,
            center_hz=round(center_hz),
            span_hz=round(self._geometry.rate_hz),
            seconds=round((samples - self._began) / self._geometry.rate_hz, 4),
            noise_floor_dbfs=noise_floor_dbfs,
            mean_dbfs=_db(mean),
            peak_dbfs=_db(peak),
            bursts=tuple(self._bursts),
            bursts_left_out=self._left_out,
        )
        self.begin(samples)
        return result


def length_rows(rows: NDArray[np.float32], floor: NDArray[np.float32], row: int, bin_: int, geometry: Geometry) -> int:
    """For how many rows of the map, a message's at least, a burst stands out around `row` in and beside its bin.

    rows: float32 (n, frame), floor: float32 (frame,), FFT order.
    """
    near = np.arange(bin_ - BESIDE, bin_ + BESIDE + 1) % geometry.frame
    middle = min(row + geometry.groups_per_message // 2, len(rows) - 1)
    quiet = np.flatnonzero(rows[:, near].sum(axis=1) <= STANDS_OUT * floor[near].sum())
    after = int(np.searchsorted(quiet, middle))
    last = int(quiet[after]) if after < len(quiet) else len(rows)
    first = int(quiet[after - 1]) + 1 if after else 0
    return max(last - first, geometry.groups_per_message)


def _db(power: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    decibels = 10 * np.log10(np.maximum(power.astype(np.float64), LEAST_POWER))
    return tuple(np.round(decibels, 1).tolist())
