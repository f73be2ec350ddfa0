"""The commands as a person or a script runs them."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import __version__
from appliance.cli import DATA_COMMANDS, FORMATS, SAMPLE_FORMATS, main

ROOT = Path(__file__).parent.parent
CAPTURE = ROOT.parent / "shared" / "recordings" / "ert-scm-2555904sps.cu8"
COMMAND = [sys.executable, "-W", "error", "-m", "appliance"]


# As a user's shell starts it: whatever buffering the tests themselves run with.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def appliance(*arguments, **settings):
    usual = {
        "env": ENVIRONMENT,
        "capture_output": True,
        "text": True,
        "timeout": 60,
        "cwd": ROOT,
        "stdin": subprocess.DEVNULL,
    }
    return subprocess.run([*COMMAND, *map(str, arguments)], **(usual | settings))


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    path = tmp_path_factory.mktemp("street") / "street.cu8"
    options = "--seconds 2 --seed 1 --meters 400 --start 2026-05-01T12:00:00Z".split()
    assert appliance("simulate", path, *options).returncode == 0
    return path


def test_decode_prints_messages_then_one_status(street):
    done = appliance("decode", street)
    *messages, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert done.stderr == ""
    assert {line["type"] for line in messages} == {"message"}
    assert (last["type"], last["state"], last["messages"]) == ("status", "ended", len(messages))
    truth = Path(f"{street}.truth.jsonl").read_text().splitlines()
    sent = {(one["meter_id"], one["consumption"]) for one in map(json.loads, truth)}
    assert {(one["meter_id"], one["consumption"]) for one in messages} <= sent
    assert len(messages) > len(truth) / 2
    assert messages[0]["time"].startswith("2026-05-01T12:00:0")


def test_a_pipe_is_as_good_as_a_file_and_a_start_can_be_told(street):
    with street.open("rb") as file:
        piped = appliance("decode", "-", "--start", "2020-01-01T00:00:00Z", "--format", "csv", stdin=file)
    told = appliance("decode", street, "--start", "2020-01-01T00:00:00Z", "--format", "csv")
    assert piped.stdout == told.stdout
    assert told.stdout.splitlines()[1].startswith("2020-01-01T00:00:0")


def test_the_real_capture():
    if not CAPTURE.exists():
        pytest.skip(f"the recordings are not at {CAPTURE.parent}")
    done = appliance("decode", CAPTURE, "--sample-rate", "2555904", "--format", "rtlamr")
    heard = {json.loads(line)["Message"]["ID"] for line in done.stdout.splitlines()}
    expected = CAPTURE.with_suffix(".expected.jsonl").read_text().splitlines()
    assert {json.loads(line)["meter_id"] for line in expected} <= heard


def test_listen_plays_a_recording_and_ends_with_it(street):
    done = appliance("listen", "--source", street)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    states = [line["state"] for line in lines if line["type"] == "status"]
    assert (states[0], states[-1]) == ("starting", "ended")
    assert done.returncode == 0


def test_listen_says_that_a_street_is_simulated_and_ends_when_asked():
    process = subprocess.Popen([*COMMAND, "listen", "--source", "simulated"], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        status = json.loads(line)
        assert status["simulated"]
        if status["state"] == "running":
            break
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["state"] == "ended"


def test_a_reader_that_went_away_is_no_error(street):
    for arguments in (("decode", street), ("listen", "--source", "simulated"), ("--help",)):
        read, write = os.pipe()
        os.close(read)
        done = appliance(*arguments, capture_output=False, stdout=write, stderr=subprocess.PIPE)
        os.close(write)
        assert (done.returncode, done.stderr) == (0, "")


def test_standard_output_on_a_full_disk(street):
    with open("/dev/full", "w") as full:
        done = appliance("decode", street, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 74
    assert done.stderr.startswith("appliance: cannot write the output: No space left on device. ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("closed", "arguments", "code"),
    [
        *((1, ("decode", "STREET"), 74), (1, ("listen", "--source", "STREET"), 74), (0, ("decode", "-"), 65)),
        *((2, ("decode", "STREET"), 0), (2, ("decode", "missing.cu8"), 65), (2, ("sing",), 64)),
    ],
)
def test_a_closed_standard_stream(street, closed, arguments, code):
    words = [str(street) if word == "STREET" else word for word in arguments]
    line = ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *COMMAND, *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == code
    assert done.stderr.count("\n") == (closed != 2)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["decode", "missing.cu8"], 65, "'missing.cu8' cannot be opened: No such file"),
        (["decode", "/"], 65, "directory"),
        (["decode", "x.cu8", "--sample-rate", "900000"], 64, "900000 Hz is not usable"),
        (["decode", "x.cu8", "--sample-rate", "nan"], 64, "--sample-rate: invalid frequency value: 'nan'"),
        (["decode", "x.cu8", "--protocols", "scm,morse"], 64, "morse is not known"),
        (["decode", "x.cu8", "--protocols", ","], 64, "no protocol is named"),
        (["decode", "x.cu8", "--start", "noon"], 64, "invalid RFC 3339 time value: 'noon'"),
        (["decode", "x.cu8", "--format", "xml"], 64, "invalid choice: 'xml'"),
        (["listen", "--gain", "loud"], 64, "invalid gain value: 'loud'"),
        (["listen", "--source", "rtl_tcp://"], 64, "no address of an rtl_tcp server"),
        (["listen", "--source", "missing.cu8"], 65, "cannot be opened"),
        (["record", "x.cu8", "--source", "missing.cu8"], 65, "cannot be opened"),
        (["record", "x.cu8", "--seconds", "-1"], 64, "invalid number value"),
        (["decode", "x.cu8", "--start", "0001-01-01T00:00:00+14:00"], 64, "invalid RFC 3339 time value"),
        (["simulate", "."], 74, "Is a directory"),
        (["sing"], 64, "invalid choice: 'sing'"),
        ([], 64, "COMMAND"),
    ],
)
def test_every_fault_is_one_line_with_a_code(arguments, code, said, capfd):
    assert main(arguments) == code
    error = capfd.readouterr().err.splitlines()
    assert len(error) == 1
    assert error[0].startswith("appliance: ")
    assert said in error[0]


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"appliance {__version__}\n"


def test_choices_are_those_of_the_parts_that_are_loaded_later():
    from appliance.radio import output
    from appliance.radio.sources import samples

    assert tuple(output.FORMATS) == FORMATS
    assert tuple(samples.FORMATS) == SAMPLE_FORMATS


def test_decoding_loads_nothing_of_the_site():
    script = (
        "import sys; from appliance.cli import main; main(['decode', 'missing.cu8'])\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'aiohttp', 'asyncio', 'aiosqlite', 'rtlsdr'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_progress_is_for_terminals_only(tmp_path):
    from appliance.progress import Progress

    now_s = [0.0]
    terminal, far_end = pty.openpty()
    with open(far_end, "w") as stream:
        shown = Progress(stream, 1.0, lambda: now_s[0])
        shown(1, 4)
        now_s[0] = 3.0
        shown(1, 4)
        shown.end()
        text = os.read(terminal, 100)
    os.close(terminal)
    assert text.startswith(b"\r 25.0 % ")
    with (tmp_path / "log").open("w") as stream:
        silent = Progress(stream, 1.0, lambda: now_s[0])
        now_s[0] = 9.0
        silent(1, 4)
        silent.end()
    assert (tmp_path / "log").read_text() == ""


def test_every_command_and_exit_code_is_documented():
    from appliance import errors

    text = (ROOT / "docs" / "commands.md").read_text()
    tree = [value for value in vars(errors).values() if isinstance(value, type)]
    for code in {value.exit_code for value in tree}:
        assert f"| {code} |" in text
    receiving = ("run", "listen", "decode", "record", "simulate", "devices", "status", "doctor")
    for command in (*receiving, *DATA_COMMANDS):
        assert f"appliance {command}" in text
