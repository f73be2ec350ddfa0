"""The listen loop, with the real receiver, over a street that is simulated and sources that fail."""

import io
import json
import random
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from appliance.errors import InputError, SourceHung, SourceLost, SourceUnavailable
from appliance.model import from_json
from appliance.radio import listen as module
from appliance.radio.listen import LONGEST_WAIT_S, Listener
from appliance.radio.output import Output
from appliance.radio.simulate import Neighbourhood
from appliance.radio.sources import NO_SAMPLES, Block, SourceSettings
from appliance.radio.stop import StopRequest

RATE_HZ = 2_359_296
START = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Time:
    """A clock that a source and a waiting loop move on; the system's clock beside it."""

    def __init__(self):
        self.now_s = 100.0
        self.stop = StopRequest()
        self.stop.wait = self.wait

    def monotonic(self):
        return self.now_s

    def wall(self):
        return START.timestamp() + self.now_s - 100.0

    def wait(self, timeout_s):
        self.now_s += timeout_s
        return self.stop.requested


class Scripted:
    """A source that plays a list of blocks, numbers of lost samples and faults."""

    rate_hz, center_hz, gain_db, description, simulated = float(RATE_HZ), 912_600_155, 30.0, "scripted", False

    def __init__(self, time, script):
        self.time, self.script, self.closed = time, script, 0

    def blocks(self):
        for item in self.script:
            if isinstance(item, Exception):
                raise item
            if callable(item):
                item()
                continue
            self.time.now_s += len(item.iq) / RATE_HZ or 0.25
            yield item

    def close(self):
        self.closed += 1


@pytest.fixture(scope="module")
def street():
    blocks = Neighbourhood(1, RATE_HZ, 912_600_155, START, meters=400).blocks()
    return [next(blocks).copy() for _ in range(40)]


def listen(monkeypatch, time, opened, source="rtlsdr", **settings):
    """Run a listener over what `opened` gives one after the other; returns its lines."""
    opened = iter(opened)

    def open_source(_settings):
        item = next(opened)
        if isinstance(item, Exception):
            raise item
        return item

    monkeypatch.setattr(module, "open_source", open_source)
    stream = io.StringIO()
    usual = {"live": True, "status_interval_s": 5.0, "rng": random.Random(1)}
    listener = Listener(
        SourceSettings(source),
        ("scm",),
        Output(stream, "json", live=True),
        time.stop,
        monotonic=time.monotonic,
        wall=time.wall,
        **(usual | settings),
    )
    fault = None
    try:
        listener.run()
    except (SourceHung, InputError) as raised:
        fault = raised
    return [from_json(line) for line in stream.getvalue().splitlines()], fault


def states(lines):
    return [line.state for line in lines if hasattr(line, "state")]


def messages(lines):
    return [line for line in lines if not hasattr(line, "state")]


def test_messages_carry_the_time_they_were_heard(monkeypatch, street):
    time = Time()
    source = Scripted(time, [Block(iq) for iq in street])
    lines, _ = listen(monkeypatch, time, [source])
    assert states(lines) == ["starting", "running", "ended"]
    assert source.closed
    assert len(messages(lines)) > 3
    for message in messages(lines):
        assert abs((message.time - START).total_seconds() - message.sample / RATE_HZ) < 0.001
    assert lines[-1].samples == sum(len(iq) for iq in street)
    assert lines[-1].messages == len(messages(lines))
    assert lines[-1].gain_db == 30.0


def test_a_clock_that_is_set_meanwhile_is_followed(monkeypatch, street):
    time = Time()
    step_s = [0.0]
    before = time.wall
    time.wall = lambda: before() + step_s[0]

    def set_clock():
        step_s[0] = 86_400.0

    script = [*(Block(iq) for iq in street[:20]), set_clock, *(Block(iq) for iq in street[20:])]
    lines, _ = listen(monkeypatch, time, [Scripted(time, script)])
    days = {message.time.day for message in messages(lines)}
    assert days == {1, 2}


def test_a_lost_source_is_tried_again_and_what_was_missed_is_counted(monkeypatch, street):
    time = Time()
    first = Scripted(time, [*(Block(iq) for iq in street[:20]), SourceLost("unplugged")])
    second = Scripted(time, [Block(iq) for iq in street[20:]])
    gone = SourceUnavailable("no dongle found")
    lines, _ = listen(monkeypatch, time, [first, gone, gone, gone, second])
    assert [s for at, s in enumerate(states(lines)) if at == 0 or s != states(lines)[at - 1]] == [
        "starting",
        "running",
        "retrying",
        "running",
        "ended",
    ]
    details = [line.detail for line in lines if hasattr(line, "state") and line.state == "retrying"]
    assert "unplugged" in details[0]
    assert "no dongle found" in details[-1]
    assert "Plug the radio in" in details[-1]
    waited_s = time.now_s - 100 - sum(len(iq) for iq in street) / RATE_HZ
    assert lines[-1].dropped_samples == pytest.approx(waited_s * RATE_HZ, rel=0.01)
    for message in messages(lines)[-3:]:
        assert abs((message.time - START).total_seconds() - message.sample / RATE_HZ) < 0.001


def test_statuses_go_on_while_nothing_comes_and_the_waits_have_a_limit(monkeypatch):
    time = Time()
    tries = [SourceUnavailable("no dongle found") for _ in range(12)]

    def give_up():
        time.stop.request()

    last = Scripted(time, [give_up, Block(NO_SAMPLES), Block(NO_SAMPLES)])
    lines, _ = listen(monkeypatch, time, [*tries, last])
    said = [line.time.timestamp() for line in lines]
    assert max(b - a for a, b in pairwise(said)) < 5.5
    assert time.now_s - 100 < 12 * LONGEST_WAIT_S
    assert states(lines)[-1] == "ended"


def test_a_silent_live_source_still_says_how_it_is(monkeypatch):
    time = Time()
    lines, _ = listen(monkeypatch, time, [Scripted(time, [Block(NO_SAMPLES)] * 58)])
    assert states(lines) == ["starting", "starting", "starting", "ended"]


def test_a_hung_driver_ends_it_with_the_reason_in_the_last_status(monkeypatch, street):
    time = Time()
    lines, fault = listen(monkeypatch, time, [Scripted(time, [Block(street[0]), SourceHung("stuck")])])
    assert isinstance(fault, SourceHung)
    assert states(lines) == ["starting", "running", "ended"]
    assert lines[-1].detail == "stuck"


def test_lost_samples_reach_the_receiver(monkeypatch, street):
    time = Time()
    lines, _ = listen(monkeypatch, time, [Scripted(time, [Block(street[0]), Block(street[1], 5000)])])
    assert lines[-1].dropped_samples == 5000
    assert lines[-1].samples == len(street[0]) + len(street[1]) + 5000


def test_a_recording_keeps_its_own_time_and_has_one_status(monkeypatch, street):
    time = Time()
    source = Scripted(time, [Block(iq) for iq in street])
    lines, _ = listen(monkeypatch, time, [source], source="a.cu8", live=False, start=START, status_interval_s=None)
    assert states(lines) == ["ended"]
    assert (lines[-1].time - START).total_seconds() == pytest.approx(lines[-1].samples / RATE_HZ, abs=1e-5)
    for message in messages(lines):
        assert abs((message.time - START).total_seconds() - message.sample / RATE_HZ) < 1e-5


def test_lines_are_json_objects_of_one_schema(monkeypatch, street):
    time = Time()
    lines, _ = listen(monkeypatch, time, [Scripted(time, [Block(np.zeros(1000, np.complex64))])])
    assert json.loads(lines[-1].to_json())["type"] == "status"
