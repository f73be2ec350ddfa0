"""What the detector finds, where, and what it does not find."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.radio.detect import THRESHOLD, Detector, moving_sum
from appliance.radio.geometry import MESSAGE_S, Geometry
from benchmarks.scenes import Sent
from tests.radio.scenes import ALICE, NOISE_POWER, RATE_HZ, RATES_HZ, noise, on_air

MANY = 10_000
ROWS = 60


def detector_used_to_noise(rate_hz=RATE_HZ):
    detector = Detector(Geometry(rate_hz))
    for seed in range(100, 112):
        detector.track_floor(detector.power(noise(detector.geometry.block, seed)))
    return detector


@pytest.fixture(scope="module")
def used_to():
    """Detectors that have their noise floor, by sample rate; no test moves it."""
    detectors = {rate_hz: detector_used_to_noise(rate_hz) for rate_hz in RATES_HZ}
    for detector in detectors.values():
        detector.floor.flags.writeable = False
    return detectors


def everything(detector, power, limit=MANY):
    return detector.search(power, 0, len(power) - detector.geometry.groups_per_message + 1, limit)


def look(detector, sent, seed=7):
    """Candidates in ROWS rows of noise in which `sent` are on the air."""
    geometry = detector.geometry
    iq = on_air(sent, ROWS * geometry.group, geometry.rate_hz, seed)
    return everything(detector, detector.power(iq))[0]


def distance_hz(detector, candidate, offset_hz):
    return abs(detector.geometry.offset_hz(candidate.bin) - offset_hz)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_map_and_its_floor_have_the_power_of_a_sample(used_to, rate_hz):
    detector = used_to[rate_hz]
    power = detector.power(noise(detector.geometry.block, 9))
    assert power.shape == (detector.geometry.block // detector.geometry.group, detector.geometry.frame)
    assert power.mean() == pytest.approx(NOISE_POWER, rel=0.02)
    assert np.median(detector.floor) == pytest.approx(NOISE_POWER, rel=0.05)
    assert detector.floor == pytest.approx(np.full(len(detector.floor), NOISE_POWER), rel=0.35)


@pytest.mark.parametrize("rate_hz", [1_000_000, RATE_HZ])
def test_scores_of_noise_are_standard_deviations(rate_hz):
    detector = Detector(Geometry(rate_hz))
    detector.floor = np.full(detector.geometry.frame, NOISE_POWER, np.float32)
    for score in detector.score(detector.power(noise(4 * detector.geometry.block))):
        assert score.mean() == pytest.approx(0, abs=0.1)
        assert score.std() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_noise_gives_hardly_any_candidate(used_to, rate_hz):
    detector = used_to[rate_hz]
    found = []
    for seed in range(10, 16):
        candidates, skipped = everything(detector, detector.power(noise(detector.geometry.block, seed)))
        found += candidates
        assert skipped == 0
    assert len(found) <= 2
    assert all(candidate.score < 1.3 * THRESHOLD for candidate in found)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("wobble_hz", [0.0, 30e3])
@pytest.mark.parametrize("level_db", [10.0, 24.0])
def test_a_message_is_one_candidate_at_its_place(used_to, rate_hz, wobble_hz, level_db):
    detector = used_to[rate_hz]
    offset_hz = -0.27 * rate_hz
    sent = Sent(20.3 * detector.geometry.group, ALICE, offset_hz, level_db + 3 * bool(wobble_hz), wobble_hz)
    found = look(detector, [sent])
    assert len(found) <= 2
    best = found[0]
    assert best.score > 1.3 * THRESHOLD
    assert abs(best.row - 20.3) < 2
    assert distance_hz(detector, best, offset_hz) <= detector.geometry.bin_hz + wobble_hz / 2


def test_a_message_gives_hardly_more_than_one_candidate(used_to):
    """Of all levels and oscillators, at random places: the masks of the keying's sidebands cover them."""
    detector = used_to[RATE_HZ]
    rng = np.random.default_rng(5)
    candidates = 0
    for n in range(40):
        at, offset_hz = rng.uniform(10, 40) * detector.geometry.group, rng.uniform(-0.45, 0.45) * RATE_HZ
        sent = Sent(at, ALICE, offset_hz, rng.uniform(12, 45), [0.0, 30e3][n % 2])
        found = look(detector, [sent], n)
        assert distance_hz(detector, found[0], offset_hz) < 25e3
        candidates += len(found)
    assert candidates <= 1.5 * 40


def test_messages_at_the_same_time_on_different_channels_are_found_apart(used_to):
    detector = used_to[RATE_HZ]
    offsets_hz = [-800e3, -400e3, 0.0, 400e3, 800e3]
    sent = [Sent(20_000 + 900 * n, ALICE, offset_hz, 20.0 + n) for n, offset_hz in enumerate(offsets_hz)]
    found = look(detector, sent)
    assert len(found) >= 5
    for offset_hz in offsets_hz:
        assert min(distance_hz(detector, candidate, offset_hz) for candidate in found) <= detector.geometry.bin_hz


def test_messages_one_after_the_other_on_a_channel_are_found_apart(used_to):
    detector = used_to[RATE_HZ]
    begins = [10, 18, 26]
    found = look(detector, [Sent(at * detector.geometry.group, ALICE, 300e3, 20.0) for at in begins])
    rows = sorted(c.row for c in found if distance_hz(detector, c, 300e3) < 10e3)
    assert all(min(abs(row - at) for row in rows) <= 1 for at in begins)


@pytest.mark.parametrize("offset_hz", [-0.499 * RATE_HZ, 0.499 * RATE_HZ, 0.0])
def test_the_bands_edges_and_its_centre_are_like_any_other_place(used_to, offset_hz):
    detector = used_to[RATE_HZ]
    found = look(detector, [Sent(30_000, ALICE, offset_hz, 20.0)])
    assert len(found) == 1
    assert distance_hz(detector, found[0], offset_hz) <= 2 * detector.geometry.bin_hz


def test_only_the_rows_asked_for_but_compared_with_the_others(used_to):
    detector = used_to[RATE_HZ]
    geometry = detector.geometry
    power = detector.power(on_air([Sent(20 * geometry.group, ALICE, 300e3, 24.0)], ROWS * geometry.group))
    assert [c.row for c in detector.search(power, 20, 21, MANY)[0]] == [20]
    assert detector.search(power, 0, 19, MANY) == ([], 0)
    assert detector.search(power, 22, ROWS, MANY) == ([], 0)


def test_the_limit_leaves_the_strongest_and_counts_the_rest(used_to):
    detector = used_to[RATE_HZ]
    geometry = detector.geometry
    sent = [Sent(30_000, ALICE, 300e3 * n, 20.0 + 2 * n) for n in range(-3, 4)]
    power = detector.power(on_air(sent, ROWS * geometry.group))
    all_found, none_skipped = everything(detector, power)
    assert none_skipped == 0
    assert [c.score for c in all_found] == sorted((c.score for c in all_found), reverse=True)
    found, skipped = everything(detector, power, limit=3)
    assert found == all_found[:3]
    assert skipped >= len(all_found) - 3
    assert everything(detector, power, limit=len(all_found)) == (all_found, 0)


def test_a_band_full_of_something_else_is_bounded(used_to):
    """Noise 20 dB above the floor, in patches: no more than the limit, the rest counted."""
    detector = used_to[RATE_HZ]
    rng = np.random.default_rng(3)
    power = detector.power(noise(detector.geometry.block)) * np.where(rng.random((128, 1)) < 0.5, 100, 1)
    found, skipped = everything(detector, power.astype(np.float32), limit=20)
    assert len(found) == 20
    assert skipped > 0


def test_the_floor_follows_the_level_up_and_down():
    detector = detector_used_to_noise()
    for level, blocks in ((10.0, 25), (0.1, 50)):
        for seed in range(blocks):
            detector.track_floor(level * detector.power(noise(detector.geometry.block // 8, seed)))
        assert np.median(detector.floor) == pytest.approx(level * NOISE_POWER, rel=0.1)


def test_bursts_hardly_raise_the_floor():
    detector = detector_used_to_noise()
    geometry = detector.geometry
    for seed in range(20):
        sent = [Sent(0.25 * n * geometry.block + 3000, ALICE, 300e3, 40.0) for n in range(4)]
        detector.track_floor(detector.power(on_air(sent, geometry.block, seed=seed)))
    bin_ = geometry.bin_of(300e3)
    assert detector.floor[bin_] < 2.5 * NOISE_POWER
    assert np.median(detector.floor) < 1.2 * NOISE_POWER


def test_a_steady_carrier_ceases_to_be_a_candidate():
    detector = detector_used_to_noise()
    geometry = detector.geometry
    turn = np.exp(2j * np.pi * 0.1234 * np.arange(geometry.block)).astype(np.complex64)
    carrier = np.float32(np.sqrt(NOISE_POWER)) * turn
    assert not detector.has_carriers()
    found = []
    for seed in range(40):
        power = detector.power(noise(geometry.block, seed) + carrier)
        detector.track_floor(power)
        found.append(len(everything(detector, power)[0]))
    assert found[0] > 0
    assert sum(found[-5:]) == 0
    assert detector.has_carriers()


def test_silence_is_no_fault_and_noise_after_it_is_noise():
    detector = Detector(Geometry(RATE_HZ))
    silence = np.zeros((128, detector.geometry.frame), np.float32)
    detector.track_floor(silence)
    assert everything(detector, silence) == ([], 0)
    assert (detector.floor > 0).all()


def test_what_is_explained_is_noise_again_and_what_stands_beside_it_stays(used_to):
    detector = used_to[RATE_HZ]
    geometry = detector.geometry
    strong, weak = Sent(20 * geometry.group, ALICE, 300e3, 40.0), Sent(21 * geometry.group, ALICE, -500e3, 20.0)
    power = detector.power(on_air([strong, weak], ROWS * geometry.group))
    last = 20 + int(MESSAGE_S * RATE_HZ / geometry.group) + 1
    before = power.copy()
    detector.explain(power, 20, last, geometry.bin_of(300e3), steady=True)
    assert (power <= np.maximum(before, detector.floor)).all()
    np.testing.assert_array_equal(power[:20], before[:20])
    np.testing.assert_array_equal(power[last:], before[last:])
    (left,), _ = everything(detector, power)
    assert distance_hz(detector, left, -500e3) <= geometry.bin_hz
    assert abs(left.row - 21) <= 1


@given(st.integers(1, 20), st.integers(0, 30), st.sampled_from([0, 1]))
def test_moving_sums_are_sums(n, more, axis):
    values = np.random.default_rng(n).random((n + more, 3) if axis == 0 else (3, n + more), np.float32)
    wide = np.lib.stride_tricks.sliding_window_view(values, n, axis=axis).sum(axis=-1)
    np.testing.assert_allclose(moving_sum(values, n, axis), wide, rtol=1e-5)
