"""Soft bits, place, frequency and level of messages cut out with the error that detection makes."""

import numpy as np
import pytest

from appliance.radio.demodulate import STEADY, Demodulator
from appliance.radio.geometry import CHIP_RATE_HZ, Geometry
from appliance.radio.protocols import scm
from benchmarks.scenes import Sent
from tests.radio.scenes import ALICE, BOB, NOISE_POWER, RATE_HZ, RATES_HZ, noise, on_air

BITS = scm.encode(*ALICE[:5])


def window(rate_hz, level_db, *, late=0.0, frequency_hz=None, seed=1, **more):
    """A message of ALICE as detection cuts it out, `late` groups away from where it is believed; its offset in Hz."""
    geometry = Geometry(rate_hz)
    frequency_hz = 0.21 * rate_hz + 1234.5 if frequency_hz is None else frequency_hz
    begin = geometry.lead + late * geometry.group + 0.37
    sent = Sent(begin, ALICE, frequency_hz, level_db, **more)
    return on_air([sent], geometry.window, rate_hz, seed), geometry.offset_hz(geometry.bin_of(frequency_hz)), sent


def demodulate(rate_hz, iq, offset_hz):
    (burst,) = Demodulator(Geometry(rate_hz)).demodulate(iq[None], np.array([offset_hz]))
    return burst


def wrong_bits(soft, bits=BITS):
    return int(((soft > 0) != bits).sum(axis=1).min())


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("late", [-1.0, -0.3, 0.0, 0.6, 1.0])
def test_a_clean_message(rate_hz, late):
    iq, offset_hz, sent = window(rate_hz, 22.0, late=late)
    burst = demodulate(rate_hz, iq, offset_hz)
    assert wrong_bits(burst.soft) == 0
    assert burst.sample == pytest.approx(sent.sample, abs=rate_hz / CHIP_RATE_HZ / 16 + 0.5)
    assert burst.frequency_hz == pytest.approx(sent.frequency_hz, abs=100)
    assert 10 * np.log10(burst.level / NOISE_POWER) == pytest.approx(22, abs=1)
    assert burst.steadiness > 0.9
    assert burst.fit > 0.8
    assert burst.contrast > 0.9


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("wobble_hz", [20e3, 40e3])
def test_a_pulled_message(rate_hz, wobble_hz):
    iq, offset_hz, sent = window(rate_hz, 22.0, late=0.4, wobble_hz=wobble_hz)
    burst = demodulate(rate_hz, iq, offset_hz)
    assert wrong_bits(burst.soft) == 0
    assert burst.sample == pytest.approx(sent.sample, abs=rate_hz / CHIP_RATE_HZ / 6)
    assert burst.frequency_hz == pytest.approx(sent.frequency_hz, abs=wobble_hz / 4)
    assert 10 * np.log10(burst.level / NOISE_POWER) == pytest.approx(22, abs=1)
    assert burst.steadiness < STEADY
    assert burst.fit > 0.6


def test_a_drifting_carrier_is_still_steady():
    iq, offset_hz, _ = window(RATE_HZ, 20.0, drift_hz_per_s=300e3)
    burst = demodulate(RATE_HZ, iq, offset_hz)
    assert wrong_bits(burst.soft) == 0
    assert burst.steadiness > STEADY
    assert wrong_bits(Demodulator(Geometry(RATE_HZ)).second_look(burst)) == 0


@pytest.mark.parametrize("frequency_hz", [-0.46 * RATE_HZ, -3_000.0, 0.0, 0.46 * RATE_HZ])
def test_anywhere_in_the_band(frequency_hz):
    """At its centre too, and where the cut reaches around the band's edge."""
    iq, offset_hz, sent = window(RATE_HZ, 20.0, frequency_hz=frequency_hz)
    burst = demodulate(RATE_HZ, iq, offset_hz)
    assert wrong_bits(burst.soft) == 0
    assert burst.frequency_hz == pytest.approx(sent.frequency_hz, abs=100)


def test_a_converters_dc_does_not_disturb_a_message_beside_it():
    dc = np.complex64(20 - 13j)
    iq, offset_hz, _ = window(RATE_HZ, 16.0, frequency_hz=30_000.0)
    demodulator = Demodulator(Geometry(RATE_HZ))
    demodulator.expect_carriers(np.full(4 * len(iq), dc), NOISE_POWER)
    (burst,) = demodulator.demodulate((iq + dc)[None], np.array([offset_hz]))
    assert wrong_bits(burst.soft) == 0


@pytest.mark.parametrize(("wobble_hz", "level_db"), [(0.0, 9.5), (20e3, 11.5)])
def test_the_second_look_reads_what_the_first_does_not(wobble_hz, level_db):
    demodulator = Demodulator(Geometry(RATE_HZ))
    first = second = 0
    for seed in range(40):
        iq, offset_hz, _ = window(RATE_HZ, level_db, late=0.1 * (seed % 8), seed=seed, wobble_hz=wobble_hz)
        burst = demodulate(RATE_HZ, iq, offset_hz)
        read = wrong_bits(burst.soft) == 0
        first += read
        second += not read and wrong_bits(demodulator.second_look(burst)) == 0
    assert first < 36
    assert second > 0
    assert first + second > 20


def test_soft_bits_have_mean_weight_one_and_doubt_what_is_wrong():
    wrong, right = [], []
    for seed in range(20):
        iq, offset_hz, _ = window(RATE_HZ, 8.0, seed=seed)
        burst = demodulate(RATE_HZ, iq, offset_hz)
        np.testing.assert_allclose(np.abs(burst.soft).mean(axis=1), 1, rtol=1e-4)
        errors = (burst.soft > 0) != BITS
        wrong += np.abs(burst.soft)[errors].tolist()
        right += np.abs(burst.soft)[~errors].tolist()
    assert len(wrong) > 20
    assert np.mean(wrong) < 0.6 * np.mean(right)


def test_windows_together_are_as_each_alone():
    cut = [window(RATE_HZ, level, seed=n, frequency_hz=-4e5 * n) for n, level in enumerate((10.0, 18.0, 30.0))]
    iq = np.stack([one[0] for one in cut])
    offsets_hz = np.array([one[1] for one in cut])
    demodulator = Demodulator(Geometry(RATE_HZ))
    together = demodulator.demodulate(iq.copy(), offsets_hz)
    for burst, one, offset_hz in zip(together, iq, offsets_hz, strict=True):
        alone = demodulate(RATE_HZ, one, offset_hz)
        assert (burst.sample, burst.fit) == (alone.sample, pytest.approx(alone.fit, abs=1e-5))
        np.testing.assert_allclose(burst.soft, alone.soft, atol=1e-3)


def test_noise_fits_no_preamble_and_is_not_clear():
    fits, contrasts = [], []
    for seed in range(40):
        burst = demodulate(RATE_HZ, noise(Geometry(RATE_HZ).window, seed), 100e3)
        fits.append(burst.fit)
        contrasts.append(burst.contrast)
    assert np.median(fits) < 0.6
    assert max(contrasts) < 0.72


def test_silence_is_no_fault():
    burst = demodulate(RATE_HZ, np.zeros(Geometry(RATE_HZ).window, np.complex64), 0.0)
    assert burst.fit < 0.3
    assert burst.level == 0
    assert np.isfinite(burst.soft).all()
    assert np.isfinite(Demodulator(Geometry(RATE_HZ)).second_look(burst)).all()


def test_of_two_messages_in_a_window_the_whole_one_on_its_channel_is_read():
    """The other, 10 dB stronger and one hop channel away, begins before it and ends inside."""
    geometry = Geometry(RATE_HZ)
    mine = Sent(geometry.lead, ALICE, 300e3, 20.0)
    other = Sent(geometry.lead - 9000, BOB, 300e3 + 196_568, 30.0)
    burst = demodulate(RATE_HZ, on_air([mine, other], geometry.window), 300e3)
    assert wrong_bits(burst.soft) == 0
