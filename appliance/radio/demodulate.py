"""From a window of samples around a candidate to soft bits, by several detectors at once.

A window is cut out in the frequency domain: the FFT of its samples, the bins around the candidate, an inverse
FFT. That filters, shifts to zero and decimates to 8 samples a chip in one go, for many candidates together.

    bit         1        1        0        1      …       1 = on, off; 0 = off, on
    chip     ████____ ████____ ____████ ████____  …       8 samples each after decimation
    soft bit    +        +        -        +      …       energy of its first chip minus that of its second

What to listen to depends on the oscillator. A steady carrier puts all of a chip into its mean; one that the
keying pulls spreads it over tens of kHz, and the best quadratic detector then weighs the modes of the
carrier's autocorrelation (the estimator-correlator of a Gaussian signal: Van Trees, Detection, Estimation and
Modulation Theory III). There is a detector for each of several wobbles. Their mistakes differ, so one of them
often reads a message that the others do not.

A steady carrier allows more: the sum of a bit's two chips has the carrier's phase whatever the bit, so phase
and drift are fitted over the message, followed over neighbouring bits, and the difference of the chips is read
along them, which is worth almost 1 dB.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from appliance.radio.geometry import CHIP_RATE_HZ, MESSAGE_CHIPS, SAMPLES_PER_CHIP_OUT, Geometry
from appliance.radio.protocols import scm

WOBBLES = ((0.0, 8.0), (20e3, 10.0), (30e3, 12.0), (40e3, 14.0), (70e3, 20.0))
"""Carriers that have a detector each: wobble in Hz rms, and the Eb/N0 (a ratio) it is best at."""
WOBBLE_CORRELATION_S = 8e-6
PHASE_SPANS = (16, 5)
"""Bits to either side over which a steady carrier's phase is averaged: one detector each."""
DRIFTS_HZ_PER_S = np.arange(-400e3, 401e3, 25e3)
CARRIER_STRETCHES = 4
CARRIER_OVER_NOISE = 8.0
STEADY = 0.3
"""Steadiness from which there is a carrier whose phase can be followed."""
BITS = MESSAGE_CHIPS // 2
BIT_RATE_HZ = CHIP_RATE_HZ / 2
CHIP = SAMPLES_PER_CHIP_OUT
PASS_HZ, MIDDLE_HZ, EDGE_HZ = 124e3, 57e3, 7e3
"""Half widths of the widest and the middle filter used to find the start, and of their edges."""


@dataclass(slots=True)
class Burst:
    """A candidate after demodulation.

    `sample` is where its first bit begins, from the start of the window; `soft` float32 (detectors, 96) has a soft
    bit's sign and weight, scaled to a mean weight of 1; `contrast` how clearly a bit's two chips differ, 1 without
    noise; `fit` how well the preamble matches, 1 at best; `level` the energy of a bit (power of the complex samples,
    summed over an on chip at the input rate); `frequency_hz` from the band's centre; `steadiness` how much of the
    carrier's phase survives from bit to bit, 1 for a clean oscillator; `chips` complex64 (192, 8), decimated samples.
    """

    sample: float
    soft: NDArray[np.float32]
    contrast: float
    fit: float
    level: float
    frequency_hz: float
    steadiness: float
    chips: NDArray[np.complex64]


class Demodulator:
    """The filters and detectors for one sample rate; remembers nothing but the carriers to expect."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.window = geometry.window
        self.length = geometry.decimated(self.window)
        out_hz = geometry.rate_hz * self.length / self.window
        self.samples_per_chip = out_hz / CHIP_RATE_HZ
        self.out_hz = out_hz
        offset = np.abs(scipy.fft.fftfreq(self.length, 1 / out_hz))
        scale = self.length / self.window
        self._wide = (scale * np.clip((PASS_HZ - offset) / EDGE_HZ, 0, 1)).astype(np.float32)
        self._middle = np.clip((MIDDLE_HZ - offset) / EDGE_HZ, 0, 1).astype(np.float32)
        self._pick = np.rint(scipy.fft.fftfreq(self.length, 1 / self.length)).astype(np.int64)
        self._modes, self._weights = detectors()
        edge = geometry.group // 2
        self._rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)).astype(np.float32)
        self.expect_no_carriers()
        self._bit_starts = np.rint(np.arange(BITS) * 2 * self.samples_per_chip).astype(int)
        self._chip_starts = np.rint(np.arange(MESSAGE_CHIPS) * self.samples_per_chip).astype(int)

    def expect_carriers(self, iq: NDArray[np.complex64], noise: float) -> None:
        """Find the steady carriers in a block of samples, to be cut out of the windows that follow.

        A steady carrier stands in the same fine bins of stretches all over the block; a message is in one of them.
        """
        starts = np.linspace(0, len(iq) - self.window, CARRIER_STRETCHES).astype(int)
        spectra = scipy.fft.fft(self._fade(iq[starts[:, None] + np.arange(self.window)]), axis=1)
        steady = np.flatnonzero(_power(spectra).min(axis=0) > CARRIER_OVER_NOISE * noise * self.window)
        self._carriers = np.unique((steady[:, None] + np.arange(-2, 3)) % self.window)

    def expect_no_carriers(self) -> None:
        """Cut nothing out of the windows that follow."""
        self._carriers = np.zeros(0, np.int64)

    def _fade(self, windows: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Fade the ends of windows in place, so that a strong carrier does not leak into all bins."""
        windows[:, : len(self._rise)] *= self._rise
        windows[:, -len(self._rise) :] *= self._rise[::-1]
        return windows

    def demodulate(self, windows: NDArray[np.complex64], offsets_hz: NDArray[np.float64]) -> list[Burst]:
        """Soft bits of each window: complex64 (k, window), its candidate `offsets_hz` (k,) from the centre.

        The windows are overwritten. The burst's `sample` is counted from the start of its window.
        """
        k = len(windows)
        bins = np.rint(offsets_hz * (self.window / self.geometry.rate_hz)).astype(np.int64)
        spectrum = scipy.fft.fft(self._fade(windows), axis=1, overwrite_x=True)
        spectrum[:, self._carriers] = 0
        cut = np.take_along_axis(spectrum, (bins[:, None] + self._pick) % self.window, axis=1) * self._wide
        y = scipy.fft.ifft(cut, axis=1)
        middle = scipy.fft.ifft(cut * self._middle, axis=1)
        energies = np.stack([_power(_chip_sum(y)) / CHIP, _chip_sum(_power(middle)), _chip_sum(_power(y))], axis=1)
        start, fit = self._find_start(energies)
        rows = np.arange(k)
        at = start[:, None] + self._chip_starts
        chips = y[rows[:, None, None], at[:, :, None] + np.arange(CHIP)]
        soft, contrast = self._soft_bits(chips)
        on = soft.sum(axis=1) > 0
        energy = energies[rows[:, None], 2, at]
        level = np.where(on, energy[:, 0::2] - energy[:, 1::2], energy[:, 1::2] - energy[:, 0::2]).mean(axis=1)
        frequency, steadiness = self._frequency(chips)
        return [
            Burst(
                sample=float((start[i] - 0.5) * self.window / self.length),
                soft=soft[i],
                contrast=float(contrast[i]),
                fit=float(fit[i]),
                level=float(max(level[i], 0) * self.window / self.length),
                frequency_hz=float(bins[i] * self.geometry.rate_hz / self.window + frequency[i]),
                steadiness=float(steadiness[i]),
                chips=chips[i],
            )
            for i in range(k)
        ]

    def _find_start(self, energies: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Where the preamble fits best: chip energies (k, bandwidths, n) → start (k,) in decimated samples, fit (k,).

            preamble    1 1 1 1 1 0 0 1 0 1 0 1 0 0 1 1 0 0 0 0 0
            fit         sum of ±(first chip − second chip) / sum of (first chip + second chip)

        The denominator is at least the preamble's share of the strongest 96 bits in sight: otherwise the first few
        bits of a strong message, taken for the end of a preamble, would fit better than the message itself.
        """
        n = energies.shape[2] - CHIP
        difference = energies[:, :, :n] - energies[:, :, CHIP:]
        total = energies[:, :, :n] + energies[:, :, CHIP:]
        starts = n - self._bit_starts[-1]
        match = np.zeros((*energies.shape[:2], starts), np.float32)
        weight = np.zeros_like(match)
        for bit, at in zip(scm.PREAMBLE, self._bit_starts, strict=False):
            (np.add if bit else np.subtract)(match, difference[:, :, at : at + starts], out=match)
            weight += total[:, :, at : at + starts]
        length = int(self._bit_starts[-1])
        sums = np.cumsum(total, axis=2)
        densest = (sums[:, :, length:] - sums[:, :, :-length]).max(axis=2, keepdims=True) / length
        match /= np.maximum(weight, np.float32(0.7 * len(scm.PREAMBLE)) * densest) + np.float32(1e-30)
        best = match.reshape(len(match), -1).argmax(axis=1)
        return best % starts, match.reshape(len(match), -1)[np.arange(len(match)), best]

    def second_look(self, burst: Burst) -> NDArray[np.float32]:
        """Soft bits of further detectors, for a burst that the first ones cannot read: float32 (detectors, 96).

        A steady carrier is followed in phase; an unsteady one is looked at again from its centre of gravity, and from
        an eighth of a chip earlier and later.
        """
        if burst.steadiness > STEADY:
            return coherent(burst.chips)
        within = (burst.chips[:, 1:] * burst.chips[:, :-1].conj()).sum()
        back = np.exp(np.float32(-np.angle(within)) * 1j * np.arange(CHIP)).astype(np.complex64)
        stream = (burst.chips * back).ravel()
        shifted = np.array([np.roll(stream, by).reshape(burst.chips.shape) for by in (0, 1, -1)])
        return self._soft_bits(shifted)[0].reshape(-1, BITS)

    def _soft_bits(self, chips: NDArray[np.complex64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Energy detectors: chips complex64 (k, 192, 8) → soft float32 (k, detectors, 96), contrast float32 (k,)."""
        energy = (_power(chips @ self._modes) @ self._weights).transpose(0, 2, 1)
        first, second = energy[:, :, 0::2], energy[:, :, 1::2]
        soft = first - second
        weight = np.abs(soft).mean(axis=2)
        contrast = weight / ((first + second).mean(axis=2) + np.float32(1e-30))
        return soft / (weight[:, :, None] + np.float32(1e-30)), contrast.max(axis=1)

    def _frequency(self, chips: NDArray[np.complex64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Carrier offset in Hz (k,) from the cut's centre, and steadiness (k,) of the carrier from bit to bit."""
        carrier = chips.sum(axis=2)
        carrier = carrier[:, 0::2] + carrier[:, 1::2]
        turn = (carrier[:, 1:] * carrier[:, :-1].conj()).sum(axis=1)
        steadiness = np.abs(turn) / (_power(carrier).sum(axis=1) + np.float32(1e-30))
        within = (chips[:, :, 1:] * chips[:, :, :-1].conj()).sum(axis=(1, 2))
        line_hz = np.angle(turn) * BIT_RATE_HZ / (2 * np.pi)
        centroid_hz = np.angle(within) * self.out_hz / (2 * np.pi)
        return np.where(steadiness > STEADY, line_hz, centroid_hz), steadiness


def detectors() -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Modes of a chip, complex64 (8, 8), one a column, and each energy detector's weights for them, (8, detectors)."""
    lag_s = np.abs(np.subtract.outer(np.arange(CHIP), np.arange(CHIP))) / (CHIP * CHIP_RATE_HZ)

    def autocorrelation(wobble_hz: float) -> NDArray[np.float64]:
        tau = WOBBLE_CORRELATION_S
        return np.exp(-((2 * np.pi * wobble_hz * tau) ** 2) * (lag_s / tau - 1 + np.exp(-lag_s / tau)))

    _, modes = np.linalg.eigh(autocorrelation(30e3))
    weights = []
    for wobble_hz, energy in WOBBLES:
        signal = autocorrelation(wobble_hz) * energy / CHIP
        best = signal @ np.linalg.inv(signal + np.eye(CHIP))
        weights.append(np.diag(modes.T @ best @ modes))
    return modes.astype(np.complex64), np.array(weights, np.float32).T


def coherent(chips: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Detectors that follow a steady carrier's phase: chips complex64 (192, 8) → float32 (spans, 96), mean weight 1."""
    whole = chips.sum(axis=1)
    carrier, difference = whole[0::2] + whole[1::2], whole[0::2] - whole[1::2]
    size = 128
    fitted = np.abs(scipy.fft.fft(carrier * _UNDRIFT, size, axis=1))
    drift, turn = divmod(int(fitted.argmax()), size)
    back = _UNDRIFT[drift] * np.exp(np.float32(-2 * np.pi * turn / size) * 1j * np.arange(BITS)).astype(np.complex64)
    carrier = carrier * back
    difference = difference * back
    soft = [
        (difference * np.convolve(carrier, np.hanning(2 * span + 3)[1:-1], "same").conj()).real for span in PHASE_SPANS
    ]
    stacked = np.array(soft, np.float32)
    return stacked / (np.abs(stacked).mean(axis=1, keepdims=True) + np.float32(1e-30))


_BIT_TIME_S = np.arange(BITS) / BIT_RATE_HZ - BITS / BIT_RATE_HZ / 2
_UNDRIFT = np.exp(-1j * np.pi * DRIFTS_HZ_PER_S[:, None] * _BIT_TIME_S**2).astype(np.complex64)


def _power(x: NDArray[np.complex64]) -> NDArray[np.float32]:
    return x.real**2 + x.imag**2


def _chip_sum(x: NDArray[Any]) -> NDArray[Any]:
    """Sums of 8 neighbours along the last axis, by doubling."""
    for width in (1, 2, 4):
        x = x[:, :-width] + x[:, width:]
    return x
