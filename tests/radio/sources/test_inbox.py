import threading
from itertools import islice

import numpy as np
import pytest

from appliance.errors import SourceLost
from appliance.radio.sources.inbox import FROZEN_S, STALL_S, Inbox, live_blocks
from appliance.radio.sources.pace import Pace, StreamClock


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def codes(n, value=None):
    rng = np.random.default_rng(n)
    return np.full(2 * n, value, np.uint8) if value is not None else rng.integers(0, 256, 2 * n, np.uint8)


def test_what_does_not_fit_is_dropped_and_counted_before_the_next_that_does():
    inbox = Inbox(1e6, queue_bytes=2000)
    for _ in range(4):
        inbox.put(codes(500))
    assert [inbox.take(0)[1] for _ in range(2)] == [0, 0]
    inbox.put(codes(500))
    assert inbox.take(0)[1] == 1000
    assert inbox.take(0) is None


def test_what_was_lost_at_the_very_end_is_told_before_the_fault():
    inbox = Inbox(1e6, queue_bytes=2000)
    for _ in range(4):
        inbox.put(codes(500))
    inbox.fail(SourceLost("gone"))
    blocks = live_blocks(inbox, 1e6, lambda: SourceLost("stalled"))
    assert [(len(block.iq), block.lost) for block in islice(blocks, 3)] == [(500, 0), (500, 0), (0, 1000)]
    with pytest.raises(SourceLost, match="gone"):
        next(blocks)


def test_what_is_queued_comes_out_before_the_fault():
    inbox = Inbox(1e6)
    inbox.put(codes(10))
    inbox.fail(SourceLost("gone"))
    inbox.fail(SourceLost("later"))
    assert inbox.take(0)[0].size == 20
    with pytest.raises(SourceLost, match="gone"):
        inbox.take(0)


def test_what_is_discarded_counts_as_lost():
    inbox = Inbox(1e6)
    inbox.put(codes(10))
    inbox.put(codes(20))
    inbox.lose(3)
    inbox.discard(15)
    inbox.put(codes(10))
    inbox.put(codes(10))
    inbox.put(codes(10))
    taken, lost = inbox.take(0)
    assert (taken.size, lost) == (20, 10 + 20 + 3 + 10 + 10)


def test_a_waiting_reader_is_woken():
    inbox = Inbox(1e6)
    threading.Timer(0.05, inbox.put, [codes(10)]).start()
    assert inbox.take(30)[0].size == 20


def test_a_silent_radio_gives_turns_and_then_up(monkeypatch):
    monkeypatch.setattr("appliance.radio.sources.inbox.POLL_S", 0.001)
    clock = Clock()
    blocks = live_blocks(Inbox(1e6), 1e6, lambda: SourceLost("silent"), clock)
    assert len(next(blocks).iq) == 0
    clock.now_s += STALL_S + 0.1
    with pytest.raises(SourceLost, match="silent"):
        next(blocks)


def test_a_busy_reader_is_no_stall(monkeypatch):
    monkeypatch.setattr("appliance.radio.sources.inbox.POLL_S", 0.001)
    clock = Clock()
    inbox = Inbox(1e6)
    inbox.put(codes(10))
    blocks = live_blocks(inbox, 1e6, lambda: SourceLost("silent"), clock)
    assert len(next(blocks).iq) == 10
    clock.now_s += 100
    assert len(next(blocks).iq) == 0


def test_one_value_for_ever_is_a_broken_radio():
    inbox = Inbox(1e6, queue_bytes=10**9)
    for _ in range(5):
        inbox.put(codes(1_000_000, value=127))
    blocks = live_blocks(inbox, 1e6, lambda: SourceLost("silent"))
    with pytest.raises(SourceLost, match="nothing but the value 127, 127"):
        for number, _ in enumerate(blocks):
            assert number < FROZEN_S


RATE_HZ = 2_000_000


def arrive(pace, clock, blocks, samples=100_000, jitter=0.0, rng=None):
    lost = 0
    for _ in range(blocks):
        clock.now_s += samples / RATE_HZ
        late_s = rng.exponential(jitter) if rng else 0.0
        clock.now_s += late_s
        lost += pace.count(samples)
        clock.now_s -= late_s
    return lost


def test_pace_finds_dropped_samples_within_a_window():
    clock = Clock()
    pace = Pace(RATE_HZ, clock)
    rng = np.random.default_rng(1)
    assert arrive(pace, clock, 400, jitter=0.02, rng=rng) == 0
    clock.now_s += 0.5
    found = arrive(pace, clock, 240, jitter=0.02, rng=rng)
    assert found == pytest.approx(0.5 * RATE_HZ, rel=0.02)
    assert arrive(pace, clock, 400, jitter=0.02, rng=rng) == 0


def test_pace_follows_a_crystal_that_is_off_and_a_burst_at_the_start():
    clock = Clock()
    pace = Pace(RATE_HZ * (1 + 150e-6), clock)
    pace.count(100_000)
    assert all(pace.count(100_000) == 0 for _ in range(20))
    assert arrive(pace, clock, 20_000) == 0


def test_a_live_stream_tells_the_time_though_its_crystal_is_off_and_the_clock_is_set():
    monotonic, wall = Clock(), Clock()
    wall.now_s = 5.0
    clock = StreamClock(RATE_HZ, monotonic, wall)
    count = 0
    for _ in range(20_000):
        count += 100_000
        passed_s = 100_000 / (RATE_HZ * (1 - 100e-6))
        monotonic.now_s += passed_s
        wall.now_s += passed_s
        clock.arrived(100_000)
    by_count_s = clock.start.timestamp() + count / RATE_HZ
    from datetime import UTC, datetime

    def told_s():
        return clock.correct(datetime.fromtimestamp(by_count_s, UTC)).timestamp()

    assert wall.now_s - by_count_s > 0.09
    assert told_s() == pytest.approx(wall.now_s, abs=0.002)
    wall.now_s += 1e9
    assert told_s() == pytest.approx(wall.now_s, abs=0.002)
