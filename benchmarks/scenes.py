"""Scenes to measure a receiver on: I/Q whose every message is known, made by the definitions of `docs/receiver.md`.

This generator is the benchmark's own, apart from the neighbourhood that the appliance simulates, so that
neither can be tuned to the other. Level is Eb/N0: A² · (samples per chip) / σ², with A the amplitude of an
on chip and σ² the complex noise variance per sample.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.radio.protocols import scm

CHIP_RATE_HZ = 32_768
RATE_HZ = 72 * CHIP_RATE_HZ
CENTER_HZ = 912_600_155
WOBBLE_CORRELATION_S = 8e-6


@dataclass(frozen=True, slots=True)
class Sent:
    """One message on the air: `sample` is where it begins, `frequency_hz` its offset from the centre."""

    sample: float
    message: scm.Scm
    frequency_hz: float
    level_db: float
    wobble_hz: float = 0.0
    drift_hz_per_s: float = 0.0


def waveform(
    sent: Sent, amplitude: float, rate_hz: float, rng: np.random.Generator
) -> tuple[int, NDArray[np.complex64]]:
    """First sample and I/Q of one message, in codes: (start, complex64 (n,))."""
    bits = scm.encode(*sent.message[:5])
    chips = np.stack([bits, 1 - bits], axis=1).ravel()
    first = int(np.ceil(sent.sample))
    n = int(len(chips) * rate_hz / CHIP_RATE_HZ)
    since_start = np.arange(n) + (first - sent.sample)
    on = chips[np.minimum((since_start * (CHIP_RATE_HZ / rate_hz)).astype(int), len(chips) - 1)]
    t = since_start / rate_hz
    cycles = sent.frequency_hz * t + 0.5 * sent.drift_hz_per_s * t**2 + rng.random()
    if sent.wobble_hz:
        cycles += np.cumsum(_wobble(n, sent.wobble_hz, rate_hz, rng)) / rate_hz
    return first, (amplitude * on * np.exp(2j * np.pi * cycles)).astype(np.complex64)


def _wobble(n: int, rms_hz: float, rate_hz: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """An Ornstein-Uhlenbeck process: Gaussian, exponentially correlated over `WOBBLE_CORRELATION_S`."""
    from scipy.signal import lfilter

    keep = np.exp(-1 / (rate_hz * WOBBLE_CORRELATION_S))
    kicks = rng.standard_normal(n) * rms_hz * np.sqrt(1 - keep**2)
    kicks[0] = rng.standard_normal() * rms_hz
    result: NDArray[np.float64] = lfilter([1.0], [1.0, -keep], kicks)
    return result


def render(
    sent: list[Sent], n_samples: int, noise_codes: float, seed: int, rate_hz: float = RATE_HZ
) -> Iterator[NDArray[np.uint8]]:
    """The scene as cu8, interleaved I and Q, about a second at a time; `noise_codes` is rms a rail."""
    rng = np.random.default_rng(seed)
    per_level = np.sqrt(2 * noise_codes**2 * CHIP_RATE_HZ / rate_hz)
    queue = sorted(sent, key=lambda s: s.sample)
    step = int(rate_hz)
    tail: NDArray[np.complex64] = np.zeros(0, np.complex64)
    for begin in range(0, n_samples, step):
        n = min(step, n_samples - begin)
        noise = rng.standard_normal(2 * (n + step // 64), dtype=np.float32) * np.float32(noise_codes)
        noise[2 * n :] = 0
        block = noise.view(np.complex64)
        block[: len(tail)] += tail
        while queue and queue[0].sample < begin + n - 1:
            first, iq = waveform(queue[0], per_level * 10 ** (queue[0].level_db / 20), rate_hz, rng)
            block[first - begin : first - begin + len(iq)] += iq
            queue.pop(0)
        tail = block[n:].copy()
        codes = np.rint(block[:n].view(np.float32) + np.float32(127.5))
        yield np.clip(codes, 0, 255).astype(np.uint8)


def strangers(
    levels_db: list[float],
    per_level: int,
    seed: int,
    wobble_hz: float = 0.0,
    rate_hz: float = RATE_HZ,
    span: float = 0.85,
) -> tuple[list[Sent], int]:
    """Messages that meters never heard before send once each, one at a time; and the scene's length in samples."""
    rng = np.random.default_rng(seed)
    levels = rng.permutation(np.repeat(levels_db, per_level))
    gap = 0.012 * rate_hz
    sent = [
        Sent(
            sample=(i + 1 + 0.3 * rng.random()) * gap,
            message=random_meter(rng),
            frequency_hz=span * rate_hz * (rng.random() - 0.5),
            level_db=float(level),
            wobble_hz=wobble_hz,
        )
        for i, level in enumerate(levels)
    ]
    return sent, int((len(sent) + 3) * gap)


def acquaintances(
    levels_db: list[float], per_level: int, meters: int, seed: int, rate_hz: float = RATE_HZ, wobble_hz: float = 0.0
) -> tuple[list[Sent], int]:
    """Meters heard loud once (24 dB), then faint, their registers creeping by 1 to 3 from message to message."""
    rng = np.random.default_rng(seed)
    known = [random_meter(rng) for _ in range(meters)]
    levels = [24.0] * meters + list(rng.permutation(np.repeat(levels_db, per_level)))
    gap = 0.012 * rate_hz
    sent = []
    for i, level in enumerate(levels):
        meter = known[i % meters]
        sent.append(
            Sent(
                sample=(i + 1 + 0.3 * rng.random()) * gap,
                message=meter,
                frequency_hz=0.85 * rate_hz * (rng.random() - 0.5),
                level_db=float(level),
                wobble_hz=wobble_hz,
            )
        )
        known[i % meters] = meter._replace(consumption=meter.consumption + int(rng.integers(1, 4)))
    return sent, int((len(sent) + 3) * gap)


def dense_street(
    messages_per_s: float, seconds: float, seed: int, meters: int = 300, rate_hz: float = RATE_HZ
) -> tuple[list[Sent], int]:
    """Poisson arrivals from a street of meters, near and far, clean and pulled, that overlap as they fall."""
    rng = np.random.default_rng(seed)
    street = [random_meter(rng) for _ in range(meters)]
    level = np.clip(rng.normal(24, 8, meters), 6, 48)
    pulled = rng.random(meters) < 1 / 3
    n_samples = int(seconds * rate_hz)
    sent: list[Sent] = []
    at = 0.0
    while True:
        at += rng.exponential(1 / messages_per_s)
        if at > seconds - 0.008:
            return sent, n_samples
        i = int(rng.integers(meters))
        sent.append(
            Sent(
                sample=at * rate_hz,
                message=street[i],
                frequency_hz=0.92 * rate_hz * (rng.random() - 0.5),
                level_db=float(np.clip(level[i] + rng.normal(0, 2), 6, 48)),
                wobble_hz=30_000.0 if pulled[i] else 0.0,
                drift_hz_per_s=0.0 if pulled[i] else float(rng.uniform(-300e3, 300e3)),
            )
        )
        street[i] = street[i]._replace(consumption=street[i].consumption + int(rng.integers(0, 2)))


def random_meter(rng: np.random.Generator) -> scm.Scm:
    """A meter with a plausible ID, type and register."""
    return scm.Scm(
        meter_id=int(rng.integers(1 << 20, 1 << 26)),
        endpoint_type=int(rng.choice([4, 5, 7, 8, 12, 13])),
        tamper_phy=int(rng.integers(4)),
        tamper_enc=int(rng.integers(4)),
        consumption=int(rng.integers(1000, 5_000_000)),
    )
