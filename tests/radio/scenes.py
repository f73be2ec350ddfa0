"""Small waveforms whose every message is known, made by the benchmark's generator rather than by the appliance's.

Samples are in codes of 8 bits, noise of NOISE_CODES rms a rail, until `dongle` makes them what a source gives.
"""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from appliance.model import from_json
from appliance.radio.geometry import Geometry
from appliance.radio.protocols.scm import Scm
from appliance.radio.receiver import Receiver
from benchmarks.scenes import CENTER_HZ, CHIP_RATE_HZ, Sent, waveform

NOISE_CODES = 4.0
NOISE_POWER = 2 * NOISE_CODES**2
START = datetime(2026, 5, 1, 12, tzinfo=UTC)
RATE_HZ = 2_359_296
BLOCK = Geometry(RATE_HZ).block
RATES_HZ = (1_000_000, 1_200_000, 2_048_000, 2_359_296, 2_400_000, 2_555_904, 3_200_000)
ALICE = Scm(meter_id=60243827, endpoint_type=4, tamper_phy=0, tamper_enc=3, consumption=31160)
BOB = Scm(meter_id=17556726, endpoint_type=8, tamper_phy=1, tamper_enc=0, consumption=1407059)


def noise(n_samples: int, seed: int = 1, codes: float = NOISE_CODES) -> NDArray[np.complex64]:
    rails = np.random.default_rng(seed).standard_normal(2 * n_samples, dtype=np.float32) * np.float32(codes)
    return rails.view(np.complex64)


def add(iq: NDArray[np.complex64], sent: Sent, rate_hz: float = RATE_HZ, seed: int = 1) -> None:
    """Put a message on the air, in place; what reaches beyond either end of `iq` is not heard.

    Its level is Eb/N0 over noise of NOISE_CODES.
    """
    amplitude = np.sqrt(NOISE_POWER * CHIP_RATE_HZ / rate_hz) * 10 ** (sent.level_db / 20)
    first, burst = waveform(sent, amplitude, rate_hz, np.random.default_rng((seed, int(sent.sample) & 0xFFFF)))
    begin, end = max(first, 0), min(first + len(burst), len(iq))
    iq[begin:end] += burst[begin - first : end - first]


def on_air(sent: list[Sent], n_samples: int, rate_hz: float = RATE_HZ, seed: int = 1) -> NDArray[np.complex64]:
    """The messages in noise, in codes: complex64 (n_samples,)."""
    iq = noise(n_samples, seed)
    for one in sent:
        add(iq, one, rate_hz, seed)
    return iq


def dongle(iq: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Codes as a dongle's 8 bits give them, full scale ±1: complex64 (n,)."""
    codes = np.clip(np.rint(iq.view(np.float32) + np.float32(127.5)), 0, 255)
    return ((codes - np.float32(127.5)) / np.float32(127.5)).astype(np.float32).view(np.complex64)


def new_receiver(rate_hz: float = RATE_HZ) -> Receiver:
    return Receiver(rate_hz, CENTER_HZ, START)


def said(message):
    return message.meter_id, message.consumption


def words(sent):
    return [(one.message.meter_id, one.message.consumption) for one in sent]


def receive(iq, rate_hz=RATE_HZ, receiver=None):
    """Messages in `iq`, codes, as a dongle gives them; the receiver's counts must add up."""
    receiver = receiver or new_receiver(rate_hz)
    messages = receiver.feed(dongle(iq)) + receiver.flush()
    for message in messages:
        assert from_json(message.to_json()) == message
    assert receiver.messages == len(messages)
    assert receiver.candidates - sum(receiver.refused.values()) <= len(messages)
    assert receiver.samples == len(iq)
    return messages


def different(n):
    return ALICE._replace(meter_id=20_000_000 + 7919 * n, consumption=31160 + 1000 * n)
