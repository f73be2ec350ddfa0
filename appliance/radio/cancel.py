"""Take a decoded message out of the samples, so that what it covered can be heard.

The bits are known, hence when the carrier was on. What is left to estimate is when exactly it began, and its
amplitude and phase, which are averaged over as long as the oscillator allows: many chips for a steady one, a
few microseconds for one that the keying pulls. The average is subtracted wherever the carrier was on.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.radio.geometry import CHIP_RATE_HZ, Geometry

SPANS_S = (12 / CHIP_RATE_HZ, 1.5 / CHIP_RATE_HZ, 6e-6)
"""What the carrier may be averaged over: a steady one, one that drifts fast, one that is pulled."""
CLEARLY_LESS = 0.8
"""A shorter average follows the noise and whatever else is there: it is taken only if it leaves so much less."""
SMOOTHING_S = 4e-6
TIMING_REACH_S = 5e-6


def cancel(
    iq: NDArray[np.complex64], start: float, bits: NDArray[np.uint8], frequency_hz: float, geometry: Geometry
) -> float:
    """Subtract the message of `bits` (96,) that begins near sample `start` at `frequency_hz` from `iq`, in place.

    Returns the share of the carrier's power that is left where it was on, about 1 / (Eb/N0) at best; when nothing
    sensible can be subtracted (the message reaches beyond `iq`), leaves `iq` alone and returns 1.
    """
    rate_hz = geometry.rate_hz
    chip = rate_hz / CHIP_RATE_HZ
    chips = np.stack([bits, 1 - bits], axis=1).ravel().astype(np.int8)
    reach = round(TIMING_REACH_S * rate_hz) + 1
    smoothing = max(1, round(SMOOTHING_S * rate_hz))
    first = int(np.floor(start)) - reach - smoothing
    last = int(np.ceil(start + len(chips) * chip)) + reach + smoothing
    if first < 0 or last > len(iq):
        return 1.0
    turn = np.float32(2 * np.pi * ((frequency_hz / rate_hz * np.arange(last - first)) % 1))
    carrier = (np.cos(turn) + 1j * np.sin(turn)).astype(np.complex64)
    baseband = iq[first:last] * carrier.conj()
    steps = np.diff(chips, prepend=0, append=0)
    edges = np.flatnonzero(steps)
    edge_times = start - first + edges * chip
    edge_times += _timing(baseband, edge_times, steps[edges], reach, smoothing)
    on = np.zeros(len(baseband), np.int8)
    on[np.ceil(edge_times).astype(int)] = steps[edges]
    keyed = np.cumsum(on, dtype=np.int8).astype(np.float32)
    baseband *= keyed
    total = _energy(baseband) + 1e-30
    best, best_left = None, np.inf
    for span_s in SPANS_S:
        span = max(3, round(span_s * rate_hz))
        envelope = _moving_mean(baseband, keyed, span)
        envelope *= keyed
        left = _energy(baseband - envelope) / total
        samples = span / 2 if span > 2 * chip else span
        penalised = left * (1 + 2 / samples)
        if penalised < CLEARLY_LESS * best_left:
            best, best_left = envelope, penalised
    assert best is not None
    best *= carrier
    iq[first:last] -= best
    return float(best_left)


def _timing(
    baseband: NDArray[np.complex64],
    edges: NDArray[np.floating[Any]],
    signs: NDArray[np.int8],
    reach: int,
    smoothing: int,
) -> float:
    """Shift of the edges, in samples, for which most energy lies where the carrier is said to be on."""
    sums = np.cumsum(baseband)
    smooth = sums[smoothing:] - sums[:-smoothing]
    energy = np.cumsum(smooth.real**2 + smooth.imag**2, dtype=np.float64)
    shifts = np.arange(-reach, reach + 1)
    at = np.rint(edges[:, None] + shifts - (smoothing + 2) / 2).astype(int)
    inside = -(signs[:, None] * energy[np.clip(at, 0, len(energy) - 1)]).sum(axis=0)
    return float(shifts[inside.argmax()])


def _moving_mean(values: NDArray[np.complex64], weights: NDArray[np.float32], span: int) -> NDArray[np.complex64]:
    """Mean of `values` over the weighted samples within ± span/2 of each sample."""
    half = span // 2
    n = len(values)
    low = np.maximum(np.arange(n) - half - 1, 0)
    high = np.minimum(np.arange(n) + half, n - 1)
    sums, counts = np.cumsum(values), np.cumsum(weights)
    return (sums[high] - sums[low]) / np.maximum(counts[high] - counts[low], np.float32(1))


def _energy(x: NDArray[np.complex64]) -> float:
    return float(np.vdot(x, x).real)
