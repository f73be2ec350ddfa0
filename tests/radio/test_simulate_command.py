"""`appliance simulate`: the three files, and what it says when it cannot write them."""

import argparse
import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, StoreError, UsageError
from appliance.model import parse_time
from appliance.radio import sigmf, simulate_command
from appliance.radio.receiver import Receiver
from appliance.radio.simulate import Neighbourhood
from appliance.radio.sources.samples import CU8, Converter

START = "2026-06-01T12:00:00Z"


def simulate(*words: str) -> int:
    parser = argparse.ArgumentParser()
    simulate_command.add_arguments(parser)
    return simulate_command.run(parser.parse_args(words))


def test_writes_recording_metadata_and_truth(tmp_path: Path) -> None:
    path = tmp_path / "street.cu8"
    assert simulate(str(path), "--seconds", "4", "--seed", "3", "--start", START, "--meters", "300") == 0
    assert path.stat().st_size == 4 * 2_359_296 * 2
    about = sigmf.read(path)
    assert about is not None
    assert (about.datatype, about.sample_rate_hz, about.center_hz) == ("cu8", 2_359_296, 912_600_155)
    assert about.start == parse_time(START)
    assert about.simulated
    truth = [json.loads(line) for line in (tmp_path / "street.cu8.truth.jsonl").read_text().splitlines()]
    assert 4 < len(truth) < 40
    assert [one["sample"] for one in truth] == sorted(one["sample"] for one in truth)
    assert set(truth[0]) == {
        *("sample", "time", "protocol", "meter_id", "endpoint_type", "tamper_phy", "tamper_enc", "consumption"),
        *("frequency_hz", "level_db", "oscillator"),
    }
    length = 192 * 72
    assert all(0 <= one["sample"] <= 4 * 2_359_296 - length for one in truth)
    assert all(abs(one["frequency_hz"] - 912_600_155) < 2_359_296 / 2 for one in truth)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["street.cu8", "street.cu8.truth.jsonl", "street.sigmf-meta"]


def test_the_receiver_hears_what_the_truth_says(tmp_path: Path) -> None:
    path = tmp_path / "street.cu8"
    simulate(str(path), "--seconds", "8", "--seed", "9", "--start", START, "--meters", "500")
    truth = [json.loads(line) for line in (tmp_path / "street.cu8.truth.jsonl").read_text().splitlines()]
    receiver = Receiver(2_359_296, 912_600_155, parse_time(START))
    heard = receiver.feed(Converter(CU8).to_complex(path.read_bytes())) + receiver.flush()
    told = ("meter_id", "endpoint_type", "tamper_phy", "tamper_enc", "consumption")
    sent = {tuple(one[name] for name in told) for one in truth}
    believed = {tuple(getattr(message, name) for name in told) for message in heard}
    assert believed <= sent, "a false message"
    loud = {tuple(one[name] for name in told) for one in truth if one["level_db"] > 16}
    assert len(loud) > 15
    assert len(loud - believed) <= len(loud) // 10


def test_same_words_same_bytes(tmp_path: Path) -> None:
    names = ("a.cu8", "b.cu8")
    for name in names:
        simulate(str(tmp_path / name), "--seconds", "0.5", "--start", START)
    digests = {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in names}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--seconds", "0"), "--seconds"),
        (("--seconds", "nan"), "--seconds"),
        (("--seconds", "1e12"), "--seconds"),
        (("--seed", "-1"), "--seed"),
        (("--meters", "1000000"), "--meters"),
        (("--sample-rate", "48000"), "48000"),
        (("--center-freq", "0"), "--center-freq"),
        (("--start", "noon"), "noon"),
        (("--start", "2026-06-01T12:00:00"), "--start"),
    ],
)
def test_a_wrong_number_is_named_and_nothing_written(tmp_path: Path, words: tuple[str, ...], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        simulate(str(tmp_path / "x.cu8"), *words)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_metadata_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="metadata"):
        simulate(str(tmp_path / "x.sigmf-meta"))


def missing_folder(tmp_path: Path) -> Path:
    return tmp_path / "nowhere" / "x.cu8"


def a_folder(tmp_path: Path) -> Path:
    return tmp_path


def below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"")
    return tmp_path / "file" / "x.cu8"


@pytest.mark.parametrize("place", [missing_folder, a_folder, below_a_file])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    path = place(tmp_path)
    with pytest.raises(StoreError, match="cannot be written") as caught:
        simulate(str(path), "--seconds", "0.1")
    assert str(path) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("taken", ["x.cu8", "x.sigmf-meta", "x.cu8.truth.jsonl"])
def test_nothing_that_is_there_is_written_over(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_bytes(b"precious")
    with pytest.raises(UsageError, match="already"):
        simulate(str(tmp_path / "x.cu8"), "--seconds", "0.1")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]


def test_a_disk_too_small_is_told_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate_command.shutil, "disk_usage", lambda path: _Usage())
    with pytest.raises(ApplianceError, match="2 MB are free"):
        simulate(str(tmp_path / "x.cu8"), "--seconds", "1")
    assert list(tmp_path.iterdir()) == []


class _Usage:
    free = 2_000_000


def test_progress_is_told_block_by_block() -> None:
    told: list[tuple[int, int | None]] = []
    start = datetime(2026, 6, 1, tzinfo=UTC)
    street = Neighbourhood(1, 1_048_576, 912_600_155, start, 0)
    recording = io.BytesIO()
    simulate_command.write(street, 200_000, start, recording, io.StringIO(), lambda *so_far: told.append(so_far))
    assert told == [(65536 * n, 200_000) for n in (1, 2, 3)]
    assert len(recording.getvalue()) == 400_000
