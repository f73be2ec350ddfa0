"""What is exported is what is kept: complete, in order, in each format, while the store goes on."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.clock import Clock
from appliance.errors import StoreError
from appliance.model import Message, commodity_of, parse_time
from appliance.store.history import opened
from appliance.store.schema import segment_path
from appliance.store.transfer.export_command import FIELDS, Reader, Span
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
LOGGED = (
    '{"Time":"2016-04-01T12:24:59.025000Z","Offset":0,"Length":0,"Type":"SCM","Message":'
    '{"ID":60243827,"Type":4,"TamperPhy":0,"TamperEnc":3,"Consumption":31160,"ChecksumVal":40837}}\n'
)


def message(minutes: float, consumption: int, meter_id: int = 60243827, **more: object) -> Message:
    fields = {
        "time": START + timedelta(minutes=minutes),
        "protocol": "scm",
        "meter_id": meter_id,
        "endpoint_type": 4,
        "commodity": commodity_of(4),
        "tamper_phy": 0,
        "tamper_enc": 3,
        "consumption": consumption,
        "checksum": 0,
        "frequency_hz": 912_600_155,
        "snr_db": 20.0,
        "corrected_bits": 0,
        "sample": 0,
    }
    return Message(**(fields | more))  # type: ignore[arg-type]


class Machine:
    """A data directory, and the time of its machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.minutes = 0.0
        self.config = folder / "appliance.toml"
        self.config.write_text(f'[store]\ndirectory = "{folder}/data"\n')

    def store(self) -> Store:
        def boottime_ms() -> int:
            return round(self.minutes * 60_000) + 10_000

        def realtime_ms() -> int:
            return round(START.timestamp() * 1000) + round(self.minutes * 60_000)

        return Store(self.folder / "data", 60, Clock(boottime_ms=boottime_ms, realtime_ms=realtime_ms, boot_id="1"))

    def run(self, command: str, *options: object) -> int:
        signals = signal.getsignal(signal.SIGTERM)
        try:
            return main([command, "--config", str(self.config), *map(str, options)])
        finally:
            signal.signal(signal.SIGTERM, signals)


@pytest.fixture
async def machine(tmp_path: Path) -> Machine:
    """Imported, sealed and live readings of three meters, one of them simulated, one of another protocol."""
    machine = Machine(tmp_path)
    (tmp_path / "log").write_text(LOGGED)
    assert machine_import(machine) == 0
    store = machine.store()
    await store.open()
    upkeep = Upkeep(store, monotonic=lambda: 0.0)
    for n in range(40):
        machine.minutes = n
        store.hear(message(n, 40_000 + n), False)
        store.hear(message(n, 7 * n, 17556726, protocol="scm+", tamper_phy=None, tamper_enc=None), False)
        store.hear(message(n, n, 12), True)
        if n == 19:
            await store.commit()
            await upkeep._seal()
    await store.close()
    return machine


def machine_import(machine: Machine) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "import", "log", "--config", str(machine.config)],
        cwd=machine.folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_everything_in_order(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    assert machine.run("export") == 0
    text, error = capfd.readouterr()
    assert error == ""
    found = rows(text)
    assert tuple(found[0]) == FIELDS
    assert [int(row["meter_id"]) for row in found] == [12] * 40 + [17556726] * 40 + [60243827] * 41
    assert {row["simulated"] for row in found[:40]} == {"true"}
    assert {row["protocol"] for row in found[40:80]} == {"scm+"}
    assert {row["tamper_phy"] for row in found[40:80]} == {""}
    mine = found[80:]
    assert [int(row["consumption"]) for row in mine] == [31160, *range(40_000, 40_040)]
    assert (mine[0]["time"], mine[0]["time_source"], mine[0]["time_uncertainty_s"]) == (
        "2016-04-01T12:24:59.025000Z",
        "calendar",
        "0.0",
    )
    assert mine[1]["time_source"] in ("estimate", "ntp", "rtc")
    times = [parse_time(row["time"]) for row in mine]
    assert times == sorted(times)
    assert {later - earlier for earlier, later in pairwise(times[1:])} == {timedelta(minutes=1)}


def test_every_cell_is_a_number_or_a_known_word(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    assert machine.run("export") == 0
    cells = {cell for row in rows(capfd.readouterr().out) for cell in row.values()}
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]


def test_json_has_the_same(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    assert machine.run("export", "--meter", 17556726, "--format", "json") == 0
    found = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [one["consumption"] for one in found] == [7 * n for n in range(40)]
    assert tuple(found[0]) == FIELDS
    assert found[0]["tamper_phy"] is None
    assert found[0]["simulated"] is False
    assert found[0]["flags"] == ""


def test_a_span_of_time(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    assert machine.run("export", "--meter", 60243827) == 0
    times = [row["time"] for row in rows(capfd.readouterr().out)]
    for first, last in ((0, 1), (1, 2), (5, 30), (18, 23), (40, 41), (0, 41)):
        end = times[last] if last < len(times) else "2030-01-01T00:00:00Z"
        assert machine.run("export", "--meter", 60243827, "--from", times[first], "--to", end) == 0
        assert [row["time"] for row in rows(capfd.readouterr().out)] == times[first:last]
    assert machine.run("export", "--meter", 60243827, "--from", "2020-01-01T00:00:00Z") == 0
    assert len(rows(capfd.readouterr().out)) == 40
    assert machine.run("export", "--meter", 60243827, "--to", "2020-01-01T00:00:00-03:00") == 0
    assert len(rows(capfd.readouterr().out)) == 1


def test_rtlamrs_lines_come_back_as_they_went(
    machine: Machine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert machine.run("export", "--format", "rtlamr", "--output", tmp_path / "log1") == 0
    assert "80 readings have no form in rtlamr" in capfd.readouterr().err
    lines = (tmp_path / "log1").read_text()
    assert lines.splitlines()[0] + "\n" == LOGGED
    (tmp_path / "other").mkdir()
    other = Machine(tmp_path / "other")
    assert other.run("import", tmp_path / "log1") == 0
    assert other.run("export", "--format", "rtlamr", "--output", tmp_path / "log2") == 0
    assert (tmp_path / "log2").read_text() == lines


async def test_the_writer_goes_on_while_a_meter_is_read(machine: Machine) -> None:
    with opened(machine.folder / "data") as history:
        reader = Reader(history)
        (meter,) = reader.meters(60243827)
        reading = reader.readings(meter, Span())
        first = next(reading)
        store = machine.store()
        await store.open()
        upkeep = Upkeep(store, monotonic=lambda: 0.0)
        machine.minutes = 41
        store.hear(message(41, 40_050), False)
        await store.commit()
        await upkeep._seal()
        assert store.live is not None
        # Nobody reads: all of the log ahead can be carried over.
        async with store.live.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
            assert (await cursor.fetchone())[0] == 0  # type: ignore[index]
        await store.close()
        # Its files may go: they are open.
        for path in (machine.folder / "data" / "history").glob("0*.db"):
            path.unlink()
        assert [first.consumption, *(one.consumption for one in reading)] == [31160, *range(40_000, 40_040)]
        with pytest.raises(StoreError, match="segment of the history is missing"):
            list(Reader(history).readings(meter, Span()))
        reader.close()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--meter", "99"], 64, "meter 99 was never heard"),
        (["--meter", "x"], 64, "is no number of a meter"),
        (["--meter", "²"], 64, "is no number of a meter"),
        (["--from", "noon"], 64, "--from 'noon' is no time"),
        (["--from", "2026-05-01"], 64, "is no time"),
        (["--from", "2026-05-02T00:00:00Z", "--to", "2026-05-01T00:00:00Z"], 64, "--from is not before --to"),
        (["--format", "xml"], 64, "invalid choice"),
        (["--output", "/proc/x"], 74, "/proc/x: cannot be written: "),
        (["--output", "/dev/null"], 64, "is there already"),
    ],
)
def test_what_cannot_be_exported(
    machine: Machine, options: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert machine.run("export", *options) == code
    error = capfd.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_no_data_and_a_missing_segment(machine: Machine, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    segment_path(machine.folder / "data", 2).unlink()
    assert machine.run("export") == 74
    assert "a segment of the history is missing" in capfd.readouterr().err
    (tmp_path / "none").mkdir()
    assert Machine(tmp_path / "none").run("export") == 74
    assert "holds no data of an appliance" in capfd.readouterr().err


def test_a_reader_that_went_away_and_a_full_disk(machine: Machine) -> None:
    command = [sys.executable, "-m", "appliance", "export", "--config", str(machine.config)]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 74
    assert "cannot write the output: No space left on device" in done.stderr
