"""The receiver among what comes with messages: clipping, offset, images, carriers, silence, noise and other systems."""

import numpy as np
import pytest

from appliance.radio.geometry import CHIP_RATE_HZ
from appliance.radio.receiver import CANDIDATES_PER_BLOCK
from benchmarks.scenes import CENTER_HZ, Sent
from tests.radio.scenes import (
    ALICE,
    BLOCK,
    NOISE_CODES,
    RATE_HZ,
    different,
    dongle,
    new_receiver,
    noise,
    on_air,
    receive,
    said,
    words,
)


@pytest.mark.parametrize("wobble_hz", [0.0, 30e3])
def test_a_clipped_message_is_heard_once(wobble_hz):
    """16 dB beyond what the converter can take."""
    sent = Sent(100_000, ALICE, 310e3, 62.0, wobble_hz)
    receiver = new_receiver()
    iq = on_air([sent], 262_144)
    (message,) = receive(iq, receiver=receiver)
    assert said(message) == words([sent])[0]
    # A meter beside the antenna, without wobble, is measured where it is.
    assert message.frequency_hz == pytest.approx(CENTER_HZ + 310e3, abs=200 if not wobble_hz else 15e3)


def test_clipping_is_told_once():
    receiver = new_receiver()
    receiver.feed(dongle(100 * noise(BLOCK)))
    assert 0.5 < receiver.take_clipped() <= 1
    assert receiver.take_clipped() == 0
    receiver.feed(dongle(noise(BLOCK)))
    assert receiver.take_clipped() == 0


def test_levels_are_told():
    receiver = new_receiver()
    assert receiver.noise_floor_dbfs is None
    assert receiver.level_dbfs is None
    receiver.feed(dongle(noise(2 * BLOCK)))
    dbfs = 10 * np.log10(2 * (NOISE_CODES / 127.5) ** 2)
    assert receiver.noise_floor_dbfs == pytest.approx(dbfs, abs=0.3)
    assert receiver.level_dbfs == pytest.approx(dbfs, abs=0.3)
    receiver.feed(dongle(10 * noise(BLOCK)))
    assert receiver.level_dbfs == pytest.approx(dbfs + 20, abs=1)


@pytest.mark.parametrize("frequency_hz", [-2.5e3, 2.5e3, 40e3, 700e3])
def test_dc_offset_costs_no_message(frequency_hz):
    sent = [Sent(0.4 * BLOCK + BLOCK * n, different(n), frequency_hz, 22.0) for n in range(4)]
    messages = receive(on_air(sent, 5 * BLOCK) + np.complex64(6 - 4j))
    assert list(map(said, messages)) == words(sent)


def test_the_mirror_image_of_a_strong_message_is_no_second_message():
    sent = [Sent(0.4 * BLOCK + BLOCK * n, different(n), 450e3 - 100e3 * n, 44.0, [0.0, 30e3][n % 2]) for n in range(4)]
    iq = on_air(sent, 5 * BLOCK)
    messages = receive(iq + np.complex64(0.05 + 0.03j) * iq.conj())
    assert list(map(said, messages)) == words(sent)
    for message, one in zip(messages, sent, strict=True):
        assert message.frequency_hz == pytest.approx(CENTER_HZ + one.frequency_hz, abs=12e3)


@pytest.mark.parametrize("level_db", [10.0, 30.0, 45.0])
def test_steady_carriers_cost_no_message(level_db):
    """Three of them, on from the first sample on; messages between them and 12 kHz beside one."""
    n_samples = 12 * BLOCK
    carriers_hz = (-700e3, 100e3, 650e3)
    sent = [Sent(0.3 * BLOCK + BLOCK * n, different(n), 400e3 * (n % 5 - 2) + 112e3, 24.0) for n in range(11)]
    iq = on_air(sent, n_samples)
    amplitude = np.sqrt(2 * NOISE_CODES**2 * CHIP_RATE_HZ / RATE_HZ) * 10 ** (level_db / 20)
    for carrier_hz in carriers_hz:
        cycles = (carrier_hz / RATE_HZ * np.arange(n_samples)) % 1
        iq += (amplitude * np.exp(2j * np.pi * cycles)).astype(np.complex64)
    receiver = new_receiver()
    messages = receive(iq, receiver=receiver)
    assert set(map(said, messages)) <= set(words(sent))
    assert len(messages) >= 10
    assert set(words(sent[6:])) <= set(map(said, messages))


def test_silence_then_messages():
    """Digital silence, as a source gives it that has not begun, is no noise floor."""
    sent = [Sent(0.4 * BLOCK + BLOCK * n, different(n), 300e3, 22.0) for n in range(5)]
    receiver = new_receiver()
    assert receiver.feed(np.zeros(3 * BLOCK + 77_777, np.complex64)) == []
    assert receiver.noise_floor_dbfs is None
    messages = receiver.feed(dongle(on_air(sent, 6 * BLOCK))) + receiver.flush()
    assert list(map(said, messages)) == words(sent)


def test_silence_in_between():
    sent = Sent(0.6 * BLOCK, ALICE, 300e3, 22.0)
    receiver = new_receiver()
    messages = receiver.feed(dongle(on_air([sent], 2 * BLOCK)))
    messages += receiver.feed(np.zeros(10 * BLOCK + 100_000, np.complex64))
    again = sent.message._replace(consumption=31161)
    messages += receiver.feed(dongle(on_air([Sent(0.6 * BLOCK, again, 300e3, 22.0)], 2 * BLOCK))) + receiver.flush()
    assert [message.consumption for message in messages] == [31160, 31161]


def test_noise_gives_no_message_and_hardly_a_candidate():
    receiver = new_receiver()
    assert receive(noise(20 * BLOCK), receiver=receiver) == []
    assert receiver.candidates <= 8
    assert receiver.skipped_candidates == 0


def test_a_band_full_of_something_else_is_bounded_and_counted():
    """Patches of noise 20 dB above the floor, all over the band: the work is bounded, and messages come through."""
    rng = np.random.default_rng(3)
    receiver = new_receiver()
    iq = noise(8 * BLOCK)
    for _ in range(1500):
        at, n = int(rng.integers(4 * BLOCK, 8 * BLOCK - 20_000)), int(rng.integers(5_000, 20_000))
        cycles = rng.uniform(-0.5, 0.5) * np.arange(n)
        iq[at : at + n] += (20 * np.exp(2j * np.pi * cycles) * rng.standard_normal(n)).astype(np.complex64) / 4
        iq[at : at + n] += (8 * np.exp(2j * np.pi * cycles)).astype(np.complex64)
    messages = receive(iq, receiver=receiver)
    assert messages == []
    assert receiver.skipped_candidates > 0
    assert receiver.candidates <= 3 * CANDIDATES_PER_BLOCK * 9
