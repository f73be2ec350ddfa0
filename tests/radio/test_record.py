import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from appliance.errors import SourceLost, StoreError, UsageError
from appliance.radio import record as module
from appliance.radio import sigmf
from appliance.radio.record import record
from appliance.radio.sources import Block, SourceSettings
from appliance.radio.sources.samples import CU8, Converter, to_cu8
from appliance.radio.stop import StopRequest

CODES = np.random.default_rng(7).integers(0, 256, 600_000, np.uint8)
NOW_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


@pytest.fixture
def played(tmp_path: Path) -> str:
    path = tmp_path / "played.cu8"
    path.write_bytes(CODES.tobytes())
    return str(path)


def test_a_capture_reads_back_as_it_was(tmp_path, played):
    assert record(tmp_path / "copy", SourceSettings(played), StopRequest()) == 300_000
    assert (tmp_path / "copy.sigmf-data").read_bytes() == CODES.tobytes()
    described = sigmf.read(tmp_path / "copy.sigmf-data")
    assert described.sample_rate_hz == 2_359_296
    assert described.center_hz == 912_600_155


def test_so_many_seconds_to_the_sample(tmp_path, played):
    assert record(tmp_path / "a.cu8", SourceSettings(played), StopRequest(), seconds=0.1) == 235_930
    assert (tmp_path / "a.cu8").stat().st_size == 2 * 235_930


class Dropping:
    """A live source that loses samples and then goes away."""

    rate_hz, center_hz, gain_db, description, simulated = 1e6, 915_000_000, None, "dropping", False

    def __init__(self, settings):
        self.closed = False

    def blocks(self):
        converter = Converter(CU8)
        yield Block(converter.to_complex(CODES[:0]), 55)
        yield Block(converter.to_complex(CODES[:2000]))
        yield Block(converter.to_complex(CODES[:0]), 10)
        yield Block(converter.to_complex(CODES[2000:4000]), 32)
        raise SourceLost("it went away")

    def close(self):
        self.closed = True


def test_gaps_are_noted_and_what_came_before_a_loss_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "open_source", Dropping)
    with pytest.raises(SourceLost, match=r"it went away; 0.0 s were recorded before"):
        record(tmp_path / "a.cu8", SourceSettings("rtlsdr"), StopRequest(), wall=lambda: NOW_S)
    assert (tmp_path / "a.cu8").read_bytes() == CODES[:4000].tobytes()
    described = sigmf.read(tmp_path / "a.cu8")
    assert described.gaps == (sigmf.Gap(1000, 42),)
    assert described.start == datetime(2025, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)


@pytest.mark.parametrize("there", ["a.cu8", "a.sigmf-meta"])
def test_nothing_is_overwritten(tmp_path, played, there):
    (tmp_path / there).write_text("precious")
    with pytest.raises(UsageError, match=f"{there} is there already"):
        record(tmp_path / "a.cu8", SourceSettings(played), StopRequest())
    assert (tmp_path / there).read_text() == "precious"


def test_a_folder_that_is_not_there(tmp_path, played):
    with pytest.raises(StoreError, match="No such file or directory"):
        record(tmp_path / "none" / "a.cu8", SourceSettings(played), StopRequest())


def test_a_disk_that_takes_no_more_leaves_a_usable_capture(tmp_path, played):
    command = f"ulimit -f 256; exec {sys.executable} -m appliance record {tmp_path}/a.cu8 --source {played}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 74
    assert "a.cu8 cannot be written after 0.1 s: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    kept = (tmp_path / "a.cu8").read_bytes()
    assert kept == CODES.tobytes()[: len(kept)]
    assert len(kept) == 256 * 1024
    assert sigmf.read(tmp_path / "a.cu8") is not None


def test_a_kill_leaves_a_usable_capture(tmp_path):
    path = tmp_path / "a.cu8"
    command = [sys.executable, "-m", "appliance", "record", str(path), "--source", "simulated"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    for _ in range(1000):
        if path.exists() and path.stat().st_size > 500_000:
            break
        signal.sigtimedwait([], 0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    described = sigmf.read(path)
    assert described.simulated
    assert described.start is not None
    assert os.path.getsize(path) > 500_000
    assert json.loads((tmp_path / "a.sigmf-meta").read_text())["global"]["core:dataset"] == "a.cu8"


def test_to_cu8_of_a_simulated_street_is_what_was_simulated(tmp_path):
    record(tmp_path / "a.cu8", SourceSettings("simulated", seed=3), StopRequest(), seconds=0.2)
    codes = np.fromfile(tmp_path / "a.cu8", np.uint8)
    np.testing.assert_array_equal(to_cu8(Converter(CU8).to_complex(codes.tobytes())), codes)
