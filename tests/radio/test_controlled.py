"""The control channel of the listening loop, over a scripted radio that is set, lost and found again."""

import io
import json
import os
import random
import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from appliance.cli import main
from appliance.control.lines import from_json, is_line
from appliance.errors import SourceLost, UsageError
from appliance.radio import listen as module
from appliance.radio import sigmf
from appliance.radio.command_input import CommandInput
from appliance.radio.controlled import Control
from appliance.radio.listen import Listener
from appliance.radio.output import Output
from appliance.radio.simulate import Neighbourhood
from appliance.radio.sources import Block, SourceSettings
from appliance.radio.sources.recording import RecordingSource
from appliance.radio.sources.samples import to_cu8
from appliance.radio.stop import StopRequest

RATE_HZ = 2_359_296
START = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = 36  # blocks


@pytest.fixture(scope="module")
def street():
    blocks = Neighbourhood(1, RATE_HZ, 912_600_155, START, meters=400).blocks()
    return [next(blocks).copy() for _ in range(SECOND)]


class Radio:
    """A source that plays a second of the street over and over, does what the script says before each block, and can
    be set; below 900 MHz it hears nothing."""

    rate_hz, description, simulated = float(RATE_HZ), "scripted", False

    def __init__(self, world, settings):
        self.world = world
        self.gain_db = self.center_hz = None
        self.set(settings)

    def set(self, settings):
        self.center_hz, self.gain_db = settings.center_hz, settings.gain_db and round(settings.gain_db)

    def tune(self, settings):
        if settings.ppm == 13:
            raise SourceLost("pulled out")
        self.world.tuned.append(settings)
        self.set(settings)

    def blocks(self):
        while self.world.script:
            todo = self.world.script.pop(0)
            if isinstance(todo, Exception):
                raise todo
            if todo is not None:
                todo()
            iq = self.world.street[self.world.count % SECOND]
            self.world.count += 1
            self.world.now_s += len(iq) / RATE_HZ
            yield Block(iq if self.center_hz > 900_000_000 else iq * 0 + np.float32(0.01))

    def close(self):
        pass


class World:
    """A listener over scripted radios, its clock, the pipe of its commands, and the lines that it prints."""

    def __init__(self, street, monkeypatch, captures=None, source="rtlsdr"):
        self.street, self.count, self.now_s = street, 0, 100.0
        self.tuned, self.script, self.stream = [], [], io.StringIO()
        self.stop = StopRequest()
        self.stop.wait = self.wait
        self.reading, self.writing = os.pipe()
        self.control = Control(
            CommandInput(self.reading),
            lambda line: self.stream.write(line + "\n"),
            captures,
            lambda: self.now_s,
            lambda: START.timestamp() + self.now_s,
        )
        self.settings = SourceSettings(source)
        monkeypatch.setattr(module, "open_source", lambda settings: Radio(self, settings))

    def wait(self, timeout_s):
        self.now_s += timeout_s
        return False

    def say(self, **command):
        return lambda: os.write(self.writing, json.dumps(command).encode() + b"\n")

    def run(self, *script):
        """Play the script, a step a block; returns the lines of the control channel, then those of the rest."""
        self.script = list(script)
        clock = {"monotonic": lambda: self.now_s, "wall": lambda: START.timestamp() + self.now_s}
        listener = Listener(
            self.settings,
            ("scm",),
            Output(self.stream, "json", live=True),
            self.stop,
            live=True,
            status_interval_s=5.0,
            control=self.control,
            rng=random.Random(1),
            **clock,
        )
        listener.run()
        os.close(self.writing)
        os.close(self.reading)
        lines = self.stream.getvalue().splitlines()
        ours = [from_json(line) for line in lines if is_line(line.encode())]
        return ours, [json.loads(line) for line in lines if not is_line(line.encode())]


@pytest.fixture
def world(street, monkeypatch, tmp_path):
    return World(street, monkeypatch, tmp_path / "captures")


def of(lines, kind):
    return [line for line in lines if type(line).__name__ == kind]


def test_what_the_radio_accepted_is_answered_and_counters_go_on(world):
    setting = world.say(id=4, set={"center_hz": 911_000_000, "gain_db": 39.4})
    ours, rest = world.run(*[None] * 20, setting, *[None] * 20)
    first, answer = of(ours, "Set")
    assert (first.id, first.center_hz, first.gain_db) == (None, 912_600_155, None)
    assert (answer.id, answer.center_hz, answer.gain_db) == (4, 911_000_000, 39)
    assert world.tuned == [replace(world.settings, center_hz=911_000_000, gain_db=39.4)]
    last = rest[-1]
    assert (last["center_hz"], last["gain_db"], last["samples"]) == (911_000_000, 39, 41 * 65_536 - 0)
    frequencies = [line["frequency_hz"] for line in rest if line["type"] == "message"]
    assert last["messages"] == len(frequencies) > 0


def test_settings_by_hand_outlive_a_radio_that_is_lost(world):
    ours, rest = world.run(world.say(set={"center_hz": 911_000_000}), None, SourceLost("unplugged"), *[None] * 3)
    assert [line.center_hz for line in of(ours, "Set")] == [912_600_155, 911_000_000, 911_000_000]
    assert rest[-1]["state"] == "ended"


def test_bad_commands_are_answered_one_by_one_and_a_flood_waits_in_the_pipe(world):
    def flood():
        os.write(world.writing, b"rubbish\n" * 50 + b"x" * 9000 + b'\n\n{"id": 9, "set": {"ppm": 1}}\n')

    ours, _ = world.run(flood, *[None] * 60)
    refused = of(ours, "Refused")
    assert len(refused) == 51
    assert "JSON object" in refused[0].reason
    assert "at most 4096 bytes" in refused[-1].reason
    assert of(ours, "Set")[-1].id == 9
    # One a block: the last was not read before the 52nd.
    assert world.count == 61


def test_the_end_of_the_commands_is_no_reason_to_stop(world):
    def hang_up():
        os.dup2(os.open(os.devnull, os.O_WRONLY), world.writing)

    _, rest = world.run(hang_up, *[None] * 10)
    assert rest[-1]["samples"] == 11 * 65_536


def test_a_radio_that_is_lost_while_it_is_set_is_told_and_tried_again(world):
    ours, rest = world.run(world.say(id=1, set={"ppm": 13}), *[None] * 5)
    assert "pulled out" in of(ours, "Refused")[0].reason
    assert "retrying" in [line.get("state") for line in rest]
    assert of(ours, "Set")[-1].ppm == 0


def test_commands_are_taken_while_no_radio_is_there(world, monkeypatch):
    opening = []

    def open_source(settings):
        opening.append(settings)
        if len(opening) == 1:
            world.say(id=1, set={"center_hz": 911_000_000})()
            world.say(id=2, record={"seconds": 1})()
            raise SourceLost("nobody there")
        return Radio(world, settings)

    monkeypatch.setattr(module, "open_source", open_source)
    ours, _ = world.run(None, None)
    assert of(ours, "Set")[0].id == 1
    assert "no radio is there now" in of(ours, "Refused")[0].reason
    assert opening[1].center_hz == 911_000_000


def test_a_recording_takes_no_settings(street, monkeypatch, tmp_path):
    world = World(street, monkeypatch, tmp_path, source="street.cu8")
    commands = [{"set": {"ppm": 1}}, {"survey": {"centers_hz": [911_000_000]}}]
    ours, _ = world.run(*(world.say(id=n, **one) for n, one in enumerate(commands)), None)
    assert [line.id for line in of(ours, "Refused")] == [0, 1]
    assert all("recording" in line.reason for line in of(ours, "Refused"))
    (tmp_path / "a.cu8").write_bytes(bytes(1000))
    with closing(RecordingSource(SourceSettings(str(tmp_path / "a.cu8")))) as source:
        with pytest.raises(UsageError, match="recording"):
            source.tune(world.settings)


def test_frames_come_while_they_are_wanted_over_a_lost_radio_too(world):
    ours, _ = world.run(
        *[None] * 10,
        world.say(id=1, spectrum={"rate_hz": 10, "bins": 64}),
        *[None] * 12,
        SourceLost("unplugged"),
        *[None] * 12,
        world.say(id=2, spectrum=None),
        *[None] * 12,
    )
    kinds = [type(line).__name__ for line in ours]
    begin, end = (at for at, kind in enumerate(kinds) if kind == "Accepted")
    assert kinds[:begin].count("Spectrum") == 0
    assert kinds[begin:end].count("Spectrum") in range(5, 9)
    assert kinds[end:].count("Spectrum") == 0
    assert len(of(ours, "Spectrum")[0].mean_dbfs) == 64


def settle(world):
    """A step that waits until the capture's thread is done, as long as that takes."""

    def wait():
        capture = world.control._capture
        if capture is not None and capture._closed:
            capture._queue.put(None)
            capture._thread.join(30)

    return wait


def test_a_capture_is_what_was_received_while_it_went_on(world, tmp_path):
    steps = [None, world.say(id=1, record={"seconds": 0.2}), *[None] * 9, settle(world), None, None]
    ours, rest = world.run(*steps)
    told = of(ours, "Recorded")
    assert [line.state for line in told] == ["recording", "done"]
    assert (told[-1].bytes, told[-1].seconds, told[-1].lost_samples) == (2 * 471_859, 0.2, 0)
    data = tmp_path / "captures" / told[-1].name
    codes = np.concatenate([to_cu8(iq) for iq in world.street[2:10]])[: 2 * 471_859]
    np.testing.assert_array_equal(np.fromfile(data, np.uint8), codes)
    about = sigmf.read(data)
    assert (about.center_hz, about.sample_rate_hz, about.gaps) == (912_600_155, RATE_HZ, ())
    assert abs((about.start - START).total_seconds() - 100 - 2 * 65_536 / RATE_HZ) < 1e-3
    assert sorted(path.suffix for path in data.parent.iterdir()) == [".sigmf-data", ".sigmf-meta"]
    assert rest[-1]["samples"] == world.count * 65_536


def test_a_capture_stopped_by_hand_is_kept_and_meanwhile_nothing_else_begins(world, tmp_path):
    ours, _ = world.run(
        world.say(id=1, record={"seconds": 30}),
        world.say(id=2, set={"ppm": 1}),
        world.say(id=3, record={"seconds": 1}),
        world.say(id=4, survey={"centers_hz": [911_000_000]}),
        world.say(id=5, record=None),
        settle(world),
        None,
        None,
    )
    assert [line.id for line in of(ours, "Refused")] == [2, 3, 4]
    assert all("a capture is being recorded" in line.reason for line in of(ours, "Refused"))
    last = of(ours, "Recorded")[-1]
    assert (last.state, last.detail) == ("done", "stopped by hand")
    assert (tmp_path / "captures" / last.name).stat().st_size == last.bytes == 4 * 2 * 65_536


def test_a_capture_of_a_lost_radio_ends_there_and_one_of_a_receiver_that_ends_is_not_there(world, tmp_path):
    lost = SourceLost("unplugged")
    again = world.say(record={"seconds": 5})
    ours, _ = world.run(world.say(record={"seconds": 5}), None, None, lost, settle(world), None, None, again, None)
    (kept,) = [line for line in of(ours, "Recorded") if line.state != "recording"]
    assert "unplugged" in kept.detail
    assert [path.name for path in (tmp_path / "captures").glob("*data*")] == [kept.name]


def test_what_a_power_cut_left_of_captures_is_removed_and_nothing_else(street, monkeypatch, tmp_path):
    stem = "20260101T000000Z-912600155Hz"
    whole = [f"{stem}.sigmf-data", f"{stem}.sigmf-meta", "notes.part", f"{stem}.txt"]
    for name in (*whole, f"{stem}-2.sigmf-data", f"{stem}-3.sigmf-data.part"):
        (tmp_path / name).write_text("x")
    World(street, monkeypatch, tmp_path).run(None)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(whole)


def test_without_a_folder_or_room_no_capture_begins(street, monkeypatch, tmp_path):
    world = World(street, monkeypatch)
    ours, _ = world.run(world.say(id=1, record={"seconds": 1}), None)
    assert "--captures" in of(ours, "Refused")[0].reason
    usage = shutil.disk_usage(tmp_path)._replace(free=512_000_000)
    monkeypatch.setattr("appliance.radio.capture.shutil.disk_usage", lambda folder: usage)
    world = World(street, monkeypatch, tmp_path)
    ours, _ = world.run(world.say(id=1, record={"seconds": 10}), None)
    assert "47 MB more are needed. Delete older captures" in of(ours, "Refused")[0].reason
    (tmp_path / "file").write_text("")
    world = World(street, monkeypatch, tmp_path / "file")
    ours, _ = world.run(world.say(id=1, record={"seconds": 1}), None)
    assert "no capture can be written" in of(ours, "Refused")[0].reason


def test_a_survey_counts_each_centre_and_comes_back(world):
    survey = {"centers_hz": [912_600_155, 500_000_000], "dwell_s": 1}
    ours, rest = world.run(None, world.say(id=1, survey=survey), *[None] * 90)
    here, nowhere = of(ours, "Surveyed")
    messages = [line for line in rest if line["type"] == "message"]
    assert (here.center_hz, nowhere.center_hz) == (912_600_155, 500_000_000)
    assert here.messages > 2
    assert set(here.meters["scm"]) <= {message["meter_id"] for message in messages}
    assert here.distinct_meters > 2
    assert (nowhere.messages, nowhere.meters) == (0, {})
    states = of(ours, "Survey")
    assert [line.state for line in states][-1] == "done"
    assert {line.state for line in states[:-1]} == {"running"}
    assert states[0].left_s == pytest.approx(2, abs=0.1)
    assert [settings.center_hz for settings in world.tuned] == [912_600_155, 500_000_000, 912_600_155]


@pytest.mark.parametrize("how", ["stopped", "lost", "ended"])
def test_a_survey_that_is_cut_short_says_so_and_the_radio_is_where_it_was(world, how):
    begin = world.say(id=1, survey={"from_hz": 500_000_000, "to_hz": 502_000_000, "step_hz": 1_000_000})
    setting = world.say(id=2, set={"ppm": 2})
    cut = {"stopped": world.say(id=3, survey=None), "lost": SourceLost("unplugged"), "ended": None}[how]
    ours, rest = world.run(begin, setting, *[None] * 5, cut, *([] if how == "ended" else [None] * 5))
    assert "a survey is under way" in of(ours, "Refused")[0].reason
    last = of(ours, "Survey")[-1]
    assert last.state == ("stopped" if how == "stopped" else "failed")
    if how != "ended":
        assert rest[-1]["center_hz"] == 912_600_155
    if how == "lost":
        assert "unplugged" in last.detail


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--captures=x"], "--captures is of no use without --control"),
        (["--control", "--format=csv"], "the format json"),
        (["--control", "--source=-"], "standard input for commands"),
    ],
)
def test_options_that_do_not_go_together(options, said, capsys):
    assert main(["listen", *options]) == 64
    assert said in capsys.readouterr().err
