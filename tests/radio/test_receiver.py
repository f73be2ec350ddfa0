"""The receiver as a whole: samples in, messages out, whatever comes with them."""

import json
import tracemalloc
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.radio import belief
from appliance.radio.geometry import CHIP_RATE_HZ, MESSAGE_S
from appliance.radio.receiver import Receiver
from benchmarks.scenes import CENTER_HZ, Sent, dense_street, strangers
from tests.radio.scenes import (
    ALICE,
    BLOCK,
    BOB,
    RATE_HZ,
    RATES_HZ,
    START,
    add,
    different,
    dongle,
    new_receiver,
    noise,
    on_air,
    receive,
    said,
    words,
)

LONG = int(MESSAGE_S * RATE_HZ) + 1


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_what_a_message_says_where_and_when(rate_hz):
    sent = [
        Sent(0.05 * rate_hz, ALICE, 0.21 * rate_hz, 20.0),
        Sent(0.11 * rate_hz, BOB, -0.37 * rate_hz, 26.0),
        Sent(0.17 * rate_hz, different(1), 0.02 * rate_hz, 24.0, wobble_hz=30e3),
    ]
    alice, bob, pulled = receive(on_air(sent, int(0.2 * rate_hz), rate_hz), rate_hz)
    for message, one in zip((alice, bob, pulled), sent, strict=True):
        assert said(message) == (one.message.meter_id, one.message.consumption)
        assert message.sample == pytest.approx(one.sample, abs=rate_hz / CHIP_RATE_HZ / 8)
        assert message.time == START + timedelta(microseconds=round((message.time - START).total_seconds() * 1e6))
        assert (message.time - START).total_seconds() == pytest.approx(one.sample / rate_hz, abs=5e-6)
        assert message.snr_db == pytest.approx(one.level_db, abs=1.2)
        assert message.corrected_bits == 0
    assert (alice.protocol, alice.commodity, alice.endpoint_type) == ("scm", "electric", 4)
    assert (alice.tamper_phy, alice.tamper_enc, alice.checksum) == (0, 3, 40837)
    assert alice.frequency_hz == pytest.approx(CENTER_HZ + sent[0].frequency_hz, abs=100)
    assert bob.frequency_hz == pytest.approx(CENTER_HZ + sent[1].frequency_hz, abs=100)
    assert pulled.frequency_hz == pytest.approx(CENTER_HZ + sent[2].frequency_hz, abs=8e3)


@pytest.mark.parametrize("rate_hz", [999_999, 3_200_001, 0, -2_400_000, float("nan"), float("inf")])
def test_other_rates_are_refused(rate_hz):
    with pytest.raises(UsageError, match="sample rate") as refusal:
        Receiver(rate_hz, CENTER_HZ, START)
    assert "1,000,000 to 3,200,000" in refusal.value.hint


def test_an_unknown_protocol_is_refused():
    with pytest.raises(UsageError, match="unknown protocol 'wmbus'") as refusal:
        Receiver(RATE_HZ, CENTER_HZ, START, ("scm", "wmbus"))
    assert "scm" in refusal.value.hint


@pytest.fixture(scope="module")
def busy_street():
    """A second of a dense street, its samples as a dongle gives them, and what is heard of it in one piece."""
    sent, n_samples = dense_street(60, 1.0, seed=11, meters=40)
    iq = dongle(on_air(sent, n_samples))
    receiver = new_receiver()
    messages = receiver.feed(iq) + receiver.flush()
    return sent, iq, [message.to_json() for message in messages], receiver


def test_most_of_a_busy_street_is_heard_and_nothing_else(busy_street):
    sent, _, lines, receiver = busy_street
    heard = [(line["meter_id"], line["consumption"]) for line in map(json.loads, lines)]
    assert len(heard) > 0.85 * len(sent)
    left = words(sent)
    for one in heard:
        left.remove(one)  # nothing false, nothing twice
    assert receiver.candidates < 4 * len(sent)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.sampled_from([1_000, 20_000, 100_000, 400_000, 2_000_000]))
def test_blocks_begin_and_end_anywhere(busy_street, seed, typical):
    _, iq, lines, whole = busy_street
    rng = np.random.default_rng(seed)
    receiver = new_receiver()
    messages, at = [], 0
    buffer = np.empty(8 * typical, np.complex64)
    while at < len(iq):
        n = min(int(rng.exponential(typical)), len(iq) - at, len(buffer))
        buffer[:n] = iq[at : at + n]
        messages += receiver.feed(buffer[:n])
        buffer[:] = 1  # a source uses its buffer again
        at += n
    messages += receiver.flush()
    assert [message.to_json() for message in messages] == lines
    assert receiver.refused == whole.refused
    assert receiver.candidates == whole.candidates
    assert receiver.samples == len(iq)


def test_a_message_comes_out_soon_after_its_end():
    receiver = new_receiver()
    sent = Sent(0.5 * BLOCK, ALICE, 300e3, 20.0)
    iq = dongle(on_air([sent], 3 * BLOCK))
    assert receiver.feed(iq[: int(sent.sample)]) == []
    messages = receiver.feed(iq[int(sent.sample) : int(sent.sample) + 2 * BLOCK])
    assert list(map(said, messages)) == words([sent])


def test_overlapping_messages_on_different_channels():
    sent = [Sent(100_000 + 1500 * n, different(n), (n - 3) * 250e3 + 30e3, 18.0 + 2 * n) for n in range(7)]
    messages = receive(on_air(sent, 200_000))
    assert sorted(map(said, messages)) == sorted(words(sent))
    assert [message.sample for message in messages] == sorted(message.sample for message in messages)


@pytest.mark.parametrize(("apart_hz", "later"), [(15e3, 4000), (40e3, 7000), (-80e3, -5000)])
def test_a_weak_message_under_a_strong_one_on_nearly_the_same_channel(apart_hz, later):
    strong = Sent(100_000, ALICE, 300e3, 38.0)
    weak = Sent(100_000 + later, BOB, 300e3 + apart_hz, 20.0)
    messages = receive(on_air([strong, weak], 200_000))
    assert sorted(map(said, messages)) == sorted(words([strong, weak]))


@pytest.mark.parametrize("at", [0, 1, 500, 3000])
def test_a_message_at_the_very_start(at):
    sent = Sent(at, ALICE, 300e3, 22.0)
    (message,) = receive(on_air([sent], 100_000))
    assert said(message) == words([sent])[0]
    assert message.sample == pytest.approx(at, abs=10)


@pytest.mark.parametrize("n_samples", [100_000, BLOCK, BLOCK + 1, 2 * BLOCK - 5000])
def test_a_message_at_the_very_end(n_samples):
    sent = Sent(n_samples - LONG, ALICE, 300e3, 22.0)
    (message,) = receive(on_air([sent], n_samples))
    assert said(message) == words([sent])[0]


@pytest.mark.parametrize("begin", range(BLOCK - 40_000, BLOCK + 12_000, 2_750))
def test_a_message_across_a_blocks_border_is_heard_once(begin):
    sent = [Sent(begin, ALICE, 300e3, 22.0), Sent(begin + 3000, BOB, -500e3, 30.0, wobble_hz=30e3)]
    assert sorted(map(said, receive(on_air(sent, 2 * BLOCK)))) == sorted(words(sent))


@pytest.mark.parametrize("lost", [1, 5_000, 100_000, BLOCK + 1, 3 * BLOCK, 30 * RATE_HZ])
@pytest.mark.parametrize("into_block", [0.3, 0.9, 0.97])
def test_a_gap_loses_what_it_cuts_and_nothing_else(lost, into_block):
    """Messages right before it, across it and right after it, at any place in a block."""
    gap = int((1 + into_block) * BLOCK)
    before, across = Sent(gap - LONG - 50, ALICE, 300e3, 22.0), Sent(gap - 6000, different(1), -300e3, 22.0)
    after = Sent(50, BOB, 600e3, 22.0)
    iq = dongle(on_air([before, across], gap))
    more = noise(2 * BLOCK, seed=5)
    add(more, after)
    receiver = new_receiver()
    messages = receiver.feed(iq) + receiver.lost(lost) + receiver.feed(dongle(more)) + receiver.flush()
    heard = {said(message): message for message in messages}
    if lost > 10:
        assert list(heard) == words([before, after])
    first, second = heard[words([before])[0]], heard[words([after])[0]]
    assert first.sample == pytest.approx(before.sample, abs=10)
    assert second.sample == pytest.approx(gap + lost + 50, abs=10)
    assert (second.time - START).total_seconds() == pytest.approx((gap + lost + 50) / RATE_HZ, abs=1e-5)
    assert receiver.dropped_samples == lost
    assert receiver.samples == gap + lost + len(more)


def test_after_a_week_places_and_times_are_as_exact():
    """Told of a gap of a week, rather than fed one."""
    receiver = new_receiver()
    week = 7 * 86_400 * RATE_HZ
    receiver.lost(week)
    sent = Sent(0.5 * BLOCK, ALICE, 300e3, 22.0)
    (message,) = receiver.feed(dongle(on_air([sent], BLOCK))) + receiver.flush()
    assert message.sample == pytest.approx(week + sent.sample, abs=10)
    assert (message.time - START).total_seconds() == pytest.approx(7 * 86_400 + sent.sample / RATE_HZ, abs=1e-5)


def test_many_small_gaps_cost_only_what_they_cut():
    rng = np.random.default_rng(2)
    receiver = new_receiver()
    messages, position, sent = [], 0, []
    for n in range(20):
        piece = noise(100_000, seed=n)
        one = Sent(40_000, different(n), rng.uniform(-1e6, 1e6), 22.0)
        add(piece, one)
        sent.append(one)
        messages += receiver.feed(dongle(piece)) + receiver.lost(20_000)
        position += 120_000
    messages += receiver.flush()
    assert sorted(map(said, messages)) == sorted(words(sent))
    assert receiver.samples == position
    assert receiver.dropped_samples == 20 * 20_000


def test_a_new_building_of_neighbouring_meters_is_not_confused():
    """Twenty consecutive IDs, young registers that are nearly alike, every other meter never heard well before."""
    rng = np.random.default_rng(4)
    meters = [ALICE._replace(meter_id=60243820 + n, consumption=int(rng.integers(60))) for n in range(20)]
    sent = [Sent(0.5 * BLOCK + 28_000 * n, meter, 300e3, 24.0) for n, meter in enumerate(meters[::2])]
    for n in range(60):
        n_meter = int(rng.integers(20))
        meters[n_meter] = meters[n_meter]._replace(consumption=meters[n_meter].consumption + int(rng.integers(3)))
        frequency_hz = (-1) ** n * (100e3 + 15e3 * n)
        sent.append(Sent(0.5 * BLOCK + 28_000 * (10 + n), meters[n_meter], frequency_hz, 7.0))
    messages = receive(on_air(sent, int(sent[-1].sample) + BLOCK, seed=4))
    true = {round((one.sample - 0.5 * BLOCK) / 28_000): one.message for one in sent}
    for message in messages:
        said_then = true[round((message.sample - 0.5 * BLOCK) / 28_000)]
        assert said(message) == (said_then.meter_id, said_then.consumption)
    assert len(messages) > 10 + 30


def test_no_samples_no_messages():
    receiver = new_receiver()
    assert receiver.feed(np.zeros(0, np.complex64)) == []
    assert receiver.lost(0) == []
    assert receiver.flush() == []
    assert (receiver.samples, receiver.candidates, receiver.messages) == (0, 0, 0)


def test_a_strangers_collision_waits_and_is_told_with_its_second_hearing():
    """Two messages on the very same carrier: the stronger can be read, but is not clear, so it may be neither's."""
    collided = [Sent(0.4 * BLOCK, ALICE, 300e3, 26.0), Sent(0.4 * BLOCK + 700, BOB, 300e3, 19.0)]
    again = Sent(2.4 * BLOCK, ALICE._replace(consumption=31161), -300e3, 26.0)
    receiver = new_receiver()
    heard = list(map(said, receive(on_air([*collided, again], 4 * BLOCK), receiver=receiver)))
    assert set(heard) <= set(words([*collided, again]))
    assert said(again.message) in heard
    assert receiver.candidates >= 3


def test_what_is_refused_is_counted_by_name():
    """Half a message is a candidate, and no word."""
    receiver = new_receiver()
    sent = [Sent(50_000, different(0), 300e3, 22.0)]
    iq = on_air(sent, 3 * BLOCK)
    cut = noise(LONG, seed=9)
    add(cut, Sent(0, different(1), -300e3, 22.0))
    iq[200_000 : 200_000 + LONG // 2] = cut[: LONG // 2]
    messages = receive(iq, receiver=receiver)
    assert list(map(said, messages)) == words(sent)
    assert receiver.refused["checksum"] >= 1
    assert set(receiver.refused) <= {"no preamble", "checksum", "unconfirmed", "contradicted", "empty", "duplicate"}
    assert receiver.candidates == len(messages) + sum(receiver.refused.values())


def test_memory_does_not_grow(monkeypatch):
    """Ever new strangers, several times as many as the tables hold."""
    monkeypatch.setattr(belief, "MOST_KNOWN", 60)
    monkeypatch.setattr(belief, "MOST_WAITING", 20)
    receiver = new_receiver()
    sent_so_far = set()

    def pass_by(seed):
        sent, n_samples = strangers([9.0, 14.0, 24.0], 50, seed)
        heard = set(map(said, receiver.feed(dongle(on_air(sent, n_samples, seed=seed)))))
        sent_so_far.update(words(sent))
        assert heard <= sent_so_far
        assert len(heard) > 90

    pass_by(1)
    pass_by(2)
    tracemalloc.start()
    pass_by(3)
    in_the_middle = tracemalloc.get_traced_memory()[0]
    pass_by(4)
    pass_by(5)
    at_the_end = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert at_the_end < in_the_middle + 100_000
