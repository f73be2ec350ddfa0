"""What is left in the samples of a message that was subtracted."""

import numpy as np
import pytest

from appliance.radio.cancel import cancel
from appliance.radio.geometry import CHIP_RATE_HZ, MESSAGE_S, Geometry
from appliance.radio.protocols import scm
from benchmarks.scenes import Sent
from tests.radio.scenes import ALICE, BOB, NOISE_POWER, RATE_HZ, RATES_HZ, noise, on_air

BITS = scm.encode(*ALICE[:5])
BEGIN = 3000.4


def scene(level_db, rate_hz=RATE_HZ, **more):
    n = int(MESSAGE_S * rate_hz) + 6000
    return on_air([Sent(BEGIN, ALICE, 0.13 * rate_hz, level_db, **more)], n, rate_hz), n


def on_chips(n, rate_hz=RATE_HZ):
    """The samples in which the carrier is on: bool (n,)."""
    chips = np.stack([BITS, 1 - BITS], axis=1).ravel()
    at = np.floor((np.arange(n) - BEGIN) * CHIP_RATE_HZ / rate_hz).astype(int)
    return (at >= 0) & (at < len(chips)) & (chips[np.clip(at, 0, len(chips) - 1)] == 1)


def power(iq):
    return float(np.mean(np.abs(iq) ** 2))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("level_db", [15.0, 30.0, 45.0])
def test_a_clean_message_leaves_little_more_than_noise(rate_hz, level_db):
    """What stays are the samples at the edges: less than 2 % of the message's power, less than twice the noise."""
    iq, n = scene(level_db, rate_hz)
    on = on_chips(n, rate_hz)
    before = power(iq[on]) - NOISE_POWER
    left = cancel(iq, BEGIN, BITS, 0.13 * rate_hz, Geometry(rate_hz))
    assert power(iq[on]) < 1.1 * NOISE_POWER + 0.02 * before
    assert left < 0.02 + 1.3 * NOISE_POWER / before
    assert power(iq[~on]) < 1.1 * NOISE_POWER + 0.01 * before


@pytest.mark.parametrize(("wobble_hz", "share"), [(20e3, 0.05), (40e3, 0.1)])
def test_a_pulled_message_is_followed(wobble_hz, share):
    iq, n = scene(36.0, wobble_hz=wobble_hz)
    on = on_chips(n)
    before = power(iq[on]) - NOISE_POWER
    cancel(iq, BEGIN, BITS, 0.13 * RATE_HZ, Geometry(RATE_HZ))
    assert power(iq[on]) < 1.1 * NOISE_POWER + share * before


def test_a_drifting_carrier_a_rough_start_and_a_rough_frequency_are_enough():
    iq, n = scene(36.0, drift_hz_per_s=300e3)
    on = on_chips(n)
    before = power(iq[on]) - NOISE_POWER
    cancel(iq, BEGIN + 5, BITS, 0.13 * RATE_HZ + 150, Geometry(RATE_HZ))
    assert power(iq[on]) < 1.1 * NOISE_POWER + 0.03 * before


def test_what_is_beside_it_stays():
    """A weaker message on another channel loses less than a quarter of a decibel, and the samples around nothing."""
    _, n = scene(30.0)
    weak = Sent(BEGIN + 2000, BOB, -0.2 * RATE_HZ, 18.0)
    strong = Sent(BEGIN, ALICE, 0.13 * RATE_HZ, 30.0)
    both, alone = on_air([strong, weak], n), on_air([weak], n)
    cancel(both, BEGIN, BITS, strong.frequency_hz, Geometry(RATE_HZ))
    quiet = noise(n)
    weak_alone = alone - quiet
    kept = abs(np.vdot(weak_alone, both)) / np.vdot(weak_alone, weak_alone).real
    assert kept == pytest.approx(1, abs=0.03)
    np.testing.assert_array_equal(both[: int(BEGIN) - 20], alone[: int(BEGIN) - 20])


@pytest.mark.parametrize("start", [-1.0, 5.0, 6001.0, 1e6])
def test_a_message_that_reaches_beyond_is_left_alone(start):
    iq, _ = scene(30.0)
    before = iq.copy()
    assert cancel(iq, start, BITS, 0.13 * RATE_HZ, Geometry(RATE_HZ)) == 1
    np.testing.assert_array_equal(iq, before)


def test_silence_is_no_fault():
    iq = np.zeros(20_000, np.complex64)
    cancel(iq, BEGIN, BITS, 0.0, Geometry(RATE_HZ))
    assert not iq.any()
