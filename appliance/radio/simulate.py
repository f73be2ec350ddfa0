"""From messages to I/Q: the simulated neighbourhood as a dongle would hear it.

The samples hold what a real street's do and a tidy test signal does not: oscillators that drift, and ones that the
keying pulls about, so that their energy is smeared over tens of kHz; near meters that drive the converter into its
limits; messages that overlap as they fall; steady carriers; bursts of other systems; the converter's DC offset and
mirror images. Level is Eb/N0 = A² · (samples per chip) / σ², with A the amplitude of an on chip and σ² the complex
noise variance per sample.

It runs for as long as a process does on a small part of one core: noise is drawn once and then read at two random
places at a time, turned by two random angles, so that no stretch of it comes twice; a burst is made only when it is
due. Each block is a function of the seed and the block's number, so the same seed gives the same bytes.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from appliance.radio.neighbourhood import EPOCH, Transmission, street, transmissions
from appliance.radio.protocols import scm

CHIP_RATE_HZ = 32_768
BLOCK_SAMPLES = 65_536
DEFAULT_METERS = 48
MAX_METERS = 1_000
# rms of the noise on a rail, in codes of 1/127.5 of full scale: what a dongle's automatic gain leaves on a quiet
# band. A meter beside the antenna (48 dB) then drives the converter into its limits.
NOISE_CODES = 4.0
# A dongle's filters cut off what is farther out.
BAND_SHARE = 0.92
# The keying pulls an oscillator about with this correlation time; measured on real captures.
WOBBLE_CORRELATION_S = 8e-6

_ZERO_CODE = np.float32(127.5)
_NOISE_SAMPLES = 1 << 20
_DC_CODES = 0.6 - 0.4j
_IMAGE = np.complex64(0.012 * np.exp(2.1j))  # 38 dB below the signal, as RTL2832U dongles have it
_CARRIERS = ((-0.31, 26.0), (0.17, 14.0), (0.372, 8.0))  # place in the band as a share of it, level in dB

Floats = NDArray[np.floating[Any]]


class Burst(NamedTuple):
    """Samples of something on the air: `iq` complex64 (n,) in codes, the first of them at `start`."""

    start: int
    iq: NDArray[np.complex64]


class Heard(NamedTuple):
    """A transmission and the sample at which its first bit begins."""

    sample: int
    sent: Transmission


class Simulated(NamedTuple):
    """A block: `codes` uint8 (2 n,), I and Q interleaved, and the messages that begin in it."""

    codes: NDArray[np.uint8]
    heard: tuple[Heard, ...]


class Neighbourhood:
    """A street of `meters`, received at `rate_hz` around `center_hz` from the moment `start` on.

    `gain_db` is how much more of it reaches the converter than the automatic gain would let.
    """

    def __init__(
        self,
        seed: int,
        rate_hz: int,
        center_hz: int,
        start: datetime,
        meters: int = DEFAULT_METERS,
        gain_db: float = 0.0,
    ) -> None:
        self.seed = seed
        self.rate_hz = rate_hz
        self.center_hz = center_hz
        self._start_s = (start - EPOCH).total_seconds()
        self._homes = street(seed, meters)
        self._amplitude_at_0_db = NOISE_CODES * np.sqrt(2 * CHIP_RATE_HZ / rate_hz)
        rng = np.random.default_rng((seed, 1))
        length = 2 * (_NOISE_SAMPLES + BLOCK_SAMPLES)
        self._noise = (rng.standard_normal(length, np.float32) * np.float32(NOISE_CODES / np.sqrt(2))).view(
            np.complex64
        )
        self._gain = np.float32(10 ** (gain_db / 20))
        self._steady = self._carriers()

    def blocks(self, first: int = 0) -> Iterator[NDArray[np.complex64]]:
        """Blocks of BLOCK_SAMPLES from number `first` on, without end: complex64 (n,), full scale ±1, of 8 bits."""
        for rails, _ in self._render(first):
            rails -= _ZERO_CODE
            rails *= np.float32(1) / _ZERO_CODE
            yield rails.view(np.complex64)

    def cu8(self) -> Iterator[Simulated]:
        """The same as the codes of a recording, with what is in them."""
        for rails, heard in self._render(0):
            yield Simulated(rails.astype(np.uint8), heard)

    def _render(self, first: int) -> Iterator[tuple[NDArray[np.float32], tuple[Heard, ...]]]:
        begin = first * BLOCK_SAMPLES
        half_band_hz = BAND_SHARE * self.rate_hz / 2
        band_hz = (self.center_hz - half_band_hz, self.center_hz + half_band_hz)
        coming = transmissions(self.seed, self._homes, self._start_s + begin / self.rate_hz, band_hz)
        others = self._others(begin)
        heard, other = self._next(coming), next(others)
        on_air: list[Burst] = []
        while True:
            end = begin + BLOCK_SAMPLES
            iq = self._quiet(begin // BLOCK_SAMPLES)
            starting = []
            while heard and heard.sample < end:
                starting.append(heard)
                on_air.append(self._message(heard))
                heard = self._next(coming)
            while other.start < end:
                on_air.append(other)
                other = next(others)
            for burst in on_air:
                _add(iq, burst, begin)
            on_air = [burst for burst in on_air if burst.start + len(burst.iq) > end]
            rails = iq.view(np.float32)
            if self._gain != 1:
                rails *= self._gain
            rails += _ZERO_CODE
            np.rint(rails, out=rails)
            np.clip(rails, 0, 255, out=rails)
            yield rails, tuple(starting)
            begin = end

    def _next(self, coming: Iterator[Transmission]) -> Heard | None:
        sent = next(coming, None)
        return None if sent is None else Heard(round((sent.time_s - self._start_s) * self.rate_hz), sent)

    def _quiet(self, number: int) -> NDArray[np.complex64]:
        """What is there without any burst: noise, carriers, DC; complex64 (BLOCK_SAMPLES,), in codes."""
        rng = np.random.default_rng((self.seed, 2, number))
        a, b = rng.integers(_NOISE_SAMPLES, size=2)
        turn = np.exp(2j * np.pi * rng.random(2)).astype(np.complex64)
        iq: NDArray[np.complex64] = self._noise[a : a + BLOCK_SAMPLES] * turn[0]
        iq += self._noise[b : b + BLOCK_SAMPLES] * turn[1]
        iq += self._steady
        return iq

    def _carriers(self) -> NDArray[np.complex64]:
        # Whole turns in a block, so that one block's worth of them serves all blocks.
        cycles = np.arange(BLOCK_SAMPLES) / BLOCK_SAMPLES
        # The converter's own offset is behind the gain.
        steady = np.full(BLOCK_SAMPLES, _DC_CODES / self._gain, np.complex64)
        for place, level_db in _CARRIERS:
            amplitude = self._amplitude_at_0_db * 10 ** (level_db / 20)
            steady += _with_image(amplitude * np.exp(2j * np.pi * round(place * BLOCK_SAMPLES) * cycles))
        return steady

    def _message(self, heard: Heard) -> Burst:
        sent = heard.sent
        bits = scm.encode(sent.meter_id, sent.endpoint_type, sent.tamper_phy, sent.tamper_enc, sent.consumption)
        chips = np.stack([bits, 1 - bits], axis=1).ravel()
        at = np.arange(int(np.ceil(len(chips) * self.rate_hz / CHIP_RATE_HZ)))
        keyed = chips[np.minimum((at * (CHIP_RATE_HZ / self.rate_hz)).astype(np.intp), len(chips) - 1)]
        rng = np.random.default_rng((*sent.key, 2))
        frequency_hz = sent.frequency_hz - self.center_hz + sent.drift_hz_per_s * (at / self.rate_hz)
        if sent.wobble_hz:
            frequency_hz += wobble(len(at), sent.wobble_hz, self.rate_hz, rng)
        amplitude = self._amplitude_at_0_db * 10 ** (sent.level_db / 20)
        return Burst(heard.sample, _with_image(amplitude * keyed * self._oscillate(frequency_hz, rng)))

    def _others(self, since: int) -> Iterator[Burst]:
        """Bursts of other systems in the band, in order: telemetry by frequency shift keying, and chirps."""
        every = int(1.7 * self.rate_hz)
        turn = since // every
        kinds: tuple[Callable[[np.random.Generator], Floats], ...] = (self._telemetry, self._chirps)
        while True:
            rng = np.random.default_rng((self.seed, 3, turn))
            start = turn * every + int(rng.integers(every // 2))
            if start >= since:
                frequency_hz = kinds[int(rng.integers(len(kinds)))](rng)
                frequency_hz += rng.uniform(-0.42, 0.42) * self.rate_hz
                amplitude = self._amplitude_at_0_db * 10 ** (rng.uniform(6, 32) / 20)
                yield Burst(start, _with_image(amplitude * self._oscillate(frequency_hz, rng)))
            turn += 1

    def _telemetry(self, rng: np.random.Generator) -> Floats:
        bits = rng.integers(2, size=int(rng.integers(400, 1600)))
        at = np.arange(int(len(bits) * self.rate_hz / 50_000)) * (50_000 / self.rate_hz)
        return (2.0 * bits[at.astype(np.intp)] - 1) * 25e3

    def _chirps(self, rng: np.random.Generator) -> Floats:
        at = np.arange(int(self.rate_hz * rng.uniform(0.01, 0.04))) * (1 / self.rate_hz)
        return 125e3 * ((at / 1.024e-3) % 1 - 0.5)

    def _oscillate(self, frequency_hz: Floats, rng: np.random.Generator) -> NDArray[np.complex64]:
        cycles = np.cumsum(frequency_hz) / self.rate_hz + rng.random()
        # In single precision only once the whole turns are gone.
        angle = ((cycles % 1) * (2 * np.pi)).astype(np.float32)
        result: NDArray[np.complex64] = np.cos(angle) + np.complex64(1j) * np.sin(angle)
        return result


def wobble(n: int, rms_hz: float, rate_hz: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """How far the keying pulls an oscillator, sample by sample: float64 (n,), Hz.

    An Ornstein-Uhlenbeck process: Gaussian of `rms_hz`, its correlation falling off over WOBBLE_CORRELATION_S.
    White noise shaped in frequency, so that no loop over samples is needed; it ends where it began.
    """
    length = scipy.fft.next_fast_len(n, real=True)
    keep = np.exp(-1 / (rate_hz * WOBBLE_CORRELATION_S))
    shape = np.sqrt(1 - keep**2) / (1 - keep * np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length))
    white = scipy.fft.rfft(rng.standard_normal(length))
    result: NDArray[np.float64] = rms_hz * scipy.fft.irfft(white * shape, length)[:n]
    return result


def _with_image(iq: NDArray[np.complex64] | NDArray[np.complex128]) -> NDArray[np.complex64]:
    return iq.astype(np.complex64) + _IMAGE * np.conj(iq).astype(np.complex64)


def _add(iq: NDArray[np.complex64], burst: Burst, begin: int) -> None:
    first = max(burst.start - begin, 0)
    last = min(burst.start - begin + len(burst.iq), len(iq))
    iq[first:last] += burst.iq[first - (burst.start - begin) : last - (burst.start - begin)]
