"""The spectrum as it is watched: where power is, how much of it, and what became of each burst."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from appliance.control.lines import MOST_BURSTS, Spectrum
from appliance.radio.receiver import Receiver
from appliance.radio.simulate import Neighbourhood
from appliance.radio.spectrum import Watch, length_rows

RATE_HZ, CENTER_HZ = 2_359_296, 912_600_155
START = datetime(2026, 5, 1, 12, tzinfo=UTC)


def frames(receiver: Receiver, blocks: list[np.ndarray]) -> list[Spectrum]:
    found = []
    for iq in blocks:
        receiver.feed(iq)
        assert receiver.watch is not None
        time = START + timedelta(seconds=receiver.samples / RATE_HZ)
        if frame := receiver.watch.frame(receiver.samples, time, receiver.center_hz, receiver.noise_floor_dbfs):
            found.append(frame)
    return found


def watched(rate_hz: float, bins: int) -> Receiver:
    receiver = Receiver(RATE_HZ, CENTER_HZ, START)
    receiver.watch = Watch(receiver.geometry, 0, rate_hz, bins)
    return receiver


@pytest.mark.parametrize(("asked", "given"), [(64, 64), (100, 64), (256, 256), (1024, 512)])
def test_a_carrier_stands_where_it_is_above_the_floor_of_the_noise(asked: int, given: int) -> None:
    rng = np.random.default_rng(2)
    n = 4 * 262_144
    noise = (rng.standard_normal(2 * n, np.float32) * np.float32(0.01 / np.sqrt(2))).view(np.complex64)
    offset_hz = 300_000
    iq = noise + (0.1 * np.exp(2j * np.pi * offset_hz / RATE_HZ * np.arange(n))).astype(np.complex64)
    found = frames(watched(10, asked), [iq[at : at + 131_072] for at in range(0, n, 131_072)])
    assert len(found) == 4
    frame = found[-1]
    assert (len(frame.mean_dbfs), len(frame.peak_dbfs)) == (given, given)
    assert frame.seconds == pytest.approx(262_144 / RATE_HZ, abs=1e-4)
    bin_ = int(np.argmax(frame.mean_dbfs))
    assert abs((bin_ + 0.5) / given - 0.5 - offset_hz / RATE_HZ) <= 1.5 / given
    assert frame.noise_floor_dbfs == pytest.approx(-40, abs=0.3)
    assert np.median(frame.mean_dbfs) == pytest.approx(-40, abs=0.5)
    assert all(peak >= mean for peak, mean in zip(frame.peak_dbfs, frame.mean_dbfs, strict=True))


def test_each_burst_is_told_with_what_became_of_it() -> None:
    street = Neighbourhood(1, RATE_HZ, CENTER_HZ, START, meters=400).blocks()
    blocks = [next(street).copy() for _ in range(80)]
    receiver, unwatched = watched(2, 256), Receiver(RATE_HZ, CENTER_HZ, START)
    messages = [message for iq in blocks for message in unwatched.feed(iq)]
    found = frames(receiver, blocks)
    assert receiver.messages == unwatched.messages == len(messages) > 5
    bursts = [burst for frame in found for burst in frame.bursts]
    heard = {burst.meter_id: burst for burst in bursts if burst.outcome == "heard"}
    for message in messages:
        burst = heard[message.meter_id]
        assert abs(burst.frequency_hz - (message.frequency_hz or 0)) < 2_000
        assert burst.snr_db == pytest.approx(message.snr_db, abs=1)
        assert 0.005 < burst.length_s < 0.03
    refused = [burst for burst in bursts if burst.outcome != "heard"]
    assert {burst.outcome for burst in refused} <= set(receiver.refused)
    assert all(burst.meter_id is None for burst in refused)
    assert len(bursts) == receiver.candidates


def test_bursts_are_bounded_and_counted() -> None:
    receiver = watched(10, 64)
    assert receiver.watch is not None
    for n in range(MOST_BURSTS + 5):
        receiver.watch.burst(CENTER_HZ, 100.0 * n, 0.006, 100.0, "checksum", None)
    (frame,) = frames(receiver, [np.full(262_144, 0.01, np.complex64)])
    assert (len(frame.bursts), frame.bursts_left_out) == (MOST_BURSTS, 5)
    assert frame.bursts[3].start_s == pytest.approx(300 / RATE_HZ, abs=1e-4)


def test_the_length_of_a_burst_is_that_of_what_stands_out() -> None:
    geometry = Receiver(RATE_HZ, CENTER_HZ, START).geometry
    rows, floor = np.ones((128, 512), np.float32), np.ones(512, np.float32)
    rows[40:63, 509:512] = 50
    assert length_rows(rows, floor, 42, 511, geometry) == 23
    assert length_rows(rows, floor, 100, 200, geometry) == geometry.groups_per_message


def test_a_radio_set_anew_begins_a_frame_and_a_floor_anew_but_time_and_meters_go_on() -> None:
    there_hz = CENTER_HZ - 1_500_000
    streets = [Neighbourhood(1, RATE_HZ, hz, START, meters=400) for hz in (CENTER_HZ, there_hz)]
    first = [iq.copy() for _, iq in zip(range(40), streets[0].blocks(), strict=False)]
    second = [iq.copy() for _, iq in zip(range(60), streets[1].blocks(40), strict=False)]
    receiver = watched(10, 64)
    before = [message for iq in first for message in receiver.feed(iq)] + receiver.retune(there_hz)
    assert (receiver.center_hz, receiver.samples) == (there_hz, 40 * 65_536)
    assert receiver.noise_floor_dbfs is None
    after = [message for iq in second for message in receiver.feed(iq * np.float32(0.1))]
    assert len(before) > 2
    assert len(after) > 1
    assert receiver.messages == len(before) + len(after)
    assert all(message.sample < 40 * 65_536 <= later.sample for message in before for later in after)
    assert all(abs((message.frequency_hz or 0) - there_hz) < RATE_HZ / 2 for message in after)
    alone = Receiver(RATE_HZ, there_hz, START)
    expected = [message for iq in second for message in alone.feed(iq)]
    assert {m.meter_id for m in after} >= {m.meter_id for m in expected if (m.snr_db or 0) > 14}
    assert all(abs((m.time - START).total_seconds() - m.sample / RATE_HZ) < 1e-4 for m in after)
