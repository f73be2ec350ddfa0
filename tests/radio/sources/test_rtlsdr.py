"""The dongle, under the real pyrtlsdr and a stand-in for librtlsdr that misbehaves as told."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TRANSFER = 262_144


def finish(process, timeout=30):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def last_line(err):
    return [line for line in err.splitlines() if line.startswith("appliance: ")][-1]


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    path = tmp_path / "played.cu8"
    path.write_bytes(np.random.default_rng(1).integers(0, 256, 6 * TRANSFER, np.uint8).tobytes())
    return path


def test_a_capture_is_what_the_dongle_sent_bit_for_bit(start, codes, tmp_path):
    code, _, err = finish(start("record", tmp_path / "out.cu8", "--source", "rtlsdr", file=codes, rate=0))
    assert code == 69, err
    assert "the dongle was unplugged" in last_line(err)
    assert (tmp_path / "out.cu8").read_bytes() == codes.read_bytes()


def test_settings_reach_the_tuner_and_the_device_is_given_back(start, codes, tmp_path):
    log = tmp_path / "calls"
    options = "--sample-rate=2400000 --center-freq=912600155 --gain=40 --ppm=-3 --bias-tee --seconds=0.1".split()
    process = start("record", tmp_path / "out", "--source", "rtlsdr:00000001", *options, log=log, rate=0)
    assert finish(process)[0] == 0
    calls = log.read_text().split("\n")
    # pyrtlsdr sets its own defaults while it opens; ours come after them.
    for call in ("rate 2400000", "center 912600155", "manual 1", "gain 402", "ppm -3", "agc 0", "bias_tee 1"):
        assert call in calls
    assert calls[-2] == "close 0"
    meta = json.loads((tmp_path / "out.sigmf-meta").read_text())
    assert meta["global"]["core:sample_rate"] == 2_400_000
    assert meta["global"]["meter_appliance:gain_db"] == 40.2
    assert meta["captures"][0]["core:frequency"] == 912_600_155
    assert (tmp_path / "out.sigmf-data").stat().st_size == 2 * 240_000


def test_the_dongle_is_chosen_by_its_serial_number_and_two_work_at_once(start, tmp_path):
    processes = []
    for index, serial in enumerate(("left", "right")):
        log = tmp_path / serial
        options = ("--source", f"rtlsdr:{serial}", "--seconds", "0.2")
        processes.append((index, log, start("record", f"{log}.cu8", *options, serials="left,right", log=log)))
    for index, log, process in processes:
        assert finish(process)[0] == 0
        assert log.read_text().startswith(f"open {index}\n")


@pytest.mark.parametrize(
    ("settings", "source", "said"),
    [
        ({"serials": ""}, "rtlsdr", "no dongle found"),
        ({"serials": "left,right"}, "rtlsdr:roof", "no dongle has the serial number roof; found: rtlsdr:left"),
        ({"open_error": -6}, "rtlsdr", "is in use by another program"),
        ({"open_error": -3}, "rtlsdr", "no permission to open rtlsdr:00000001"),
        ({"open_error": -4}, "rtlsdr", "went away while it was opened"),
        ({"reset_error": -9}, "rtlsdr", "LIBUSB_ERROR_PIPE"),
    ],
)
def test_a_dongle_that_cannot_be_had_is_explained_in_one_line(start, tmp_path, settings, source, said):
    code, out, err = finish(start("record", tmp_path / "out.cu8", "--source", source, **settings))
    assert code == 69
    assert out == ""
    assert said in last_line(err)
    assert "Traceback" not in err


def test_a_device_that_opens_half_way_is_given_back(start, tmp_path):
    log = tmp_path / "calls"
    finish(start("record", tmp_path / "out.cu8", reset_error=-1, log=log))
    assert log.read_text() == "open 0\nclose 0\n"


def test_a_stall_is_noticed_and_the_device_given_back(start, tmp_path):
    log = tmp_path / "calls"
    code, _, err = finish(start("record", tmp_path / "out.cu8", stall_after=2, rate=0, log=log))
    assert code == 69
    assert "stopped sending" in last_line(err)
    assert "were recorded before" in last_line(err)
    assert log.read_text().endswith("close 0\n")
    assert (tmp_path / "out.cu8").stat().st_size == 2 * TRANSFER


def test_a_driver_that_never_returns_ends_the_process_with_its_own_code(start, tmp_path):
    code, _, err = finish(start("record", tmp_path / "out.cu8", hang_after=2, rate=0))
    assert code == 75
    assert "does not return" in last_line(err)
    assert (tmp_path / "out.cu8").stat().st_size == 2 * TRANSFER


def test_a_driver_that_hangs_while_opening(stand_in):
    script = (
        "from appliance.radio.sources import SourceSettings, rtlsdr; rtlsdr.OPEN_S = 0.2\n"
        "from appliance.errors import SourceHung\n"
        "try: rtlsdr.RtlSdrSource(SourceSettings('rtlsdr'))\n"
        "except SourceHung as hung: print(hung, flush=True)\n"
        "import os; os._exit(0)"
    )
    environment = stand_in | {"STAND_IN_OPEN_HANGS": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=30)
    assert "did not open the dongle" in done.stdout


def test_a_read_error_is_a_lost_source(start, tmp_path):
    code, _, err = finish(start("record", tmp_path / "out.cu8", error_after=1, rate=0))
    assert code == 69
    assert "libusb error -1" in last_line(err)


def test_a_dead_converter_is_noticed(start, tmp_path):
    code, _, err = finish(start("record", tmp_path / "out.cu8", constant=127, rate=0))
    assert code == 69
    assert "nothing but the value 127, 127" in last_line(err)


def test_an_odd_transfer_costs_one_byte_not_the_alignment(start, tmp_path):
    process = start("record", tmp_path / "out.cu8", odd_at=1, empty_at=3, unplug_after=5, rate=0)
    assert finish(process)[0] == 69
    counter = np.arange(3 * TRANSFER + 1001, dtype=np.uint64).astype(np.uint8)
    kept = np.delete(counter, TRANSFER + 1000)
    assert (tmp_path / "out.cu8").read_bytes() == kept.tobytes()


def test_ctrl_c_ends_a_recording_cleanly(start, tmp_path):
    log = tmp_path / "calls"
    process = start("record", tmp_path / "out.cu8", log=log)
    wait_for(lambda: (tmp_path / "out.cu8").exists() and (tmp_path / "out.cu8").stat().st_size)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 0
    assert "appliance: " not in err
    assert log.read_text().endswith("close 0\n")


def wait_for(condition):
    import time

    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("did not happen")


def test_listen_says_why_it_waits_and_takes_the_dongle_up_again(start):
    process = start("listen", "--source", "rtlsdr", "--status-interval", "0.2", unplug_after=4)
    states = []
    for line in process.stdout:
        status = json.loads(line)
        if not states or states[-1] != status["state"]:
            states.append(status["state"])
        if status["state"] == "retrying":
            assert "unplugged" in status["detail"]
        if states[-2:] == ["retrying", "running"]:
            break
    assert states == ["starting", "running", "retrying", "running"]
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 0


def test_listen_ends_when_the_driver_hangs(start):
    code, out, err = finish(start("listen", "--status-interval", "60", hang_after=1))
    assert code == 75
    assert [json.loads(line)["state"] for line in out.splitlines()] == ["starting", "running", "ended"]
    assert "Unplug the radio" in last_line(err)


def test_devices_lists_serial_numbers_and_tuners(start):
    code, out, _ = finish(start("devices", serials="left,right"))
    assert code == 0
    assert out.splitlines() == [
        "index  serial  maker    product        tuner",
        "0      left    Realtek  RTL2838UHIDIR  R820T",
        "1      right   Realtek  RTL2838UHIDIR  R820T",
    ]


def test_devices_says_what_is_wrong(start):
    code, out, _ = finish(start("devices", open_error=-3))
    assert code == 69
    assert "no permission to open rtlsdr:00000001" in out
    assert "udev" in out
    code, _, err = finish(start("devices", serials=""))
    assert code == 69
    assert "nothing on USB" in last_line(err)


def test_a_library_that_does_not_load_is_explained(start, tmp_path, stand_in):
    broken = tmp_path / "broken.so"
    broken.write_text("no library")
    code, out, err = finish(start("devices", library=broken))
    assert code == 69
    assert out == ""
    assert "driver library does not load" in last_line(err)


def asking(process, *commands):
    """Send commands one after the other; returns the answers to those with an id, and all lines until the last."""
    lines = []
    for command in commands:
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            lines.append(json.loads(line))
            if lines[-1].get("id") == command["id"]:
                break
    return [line for line in lines if line.get("id")], lines


def test_what_is_set_while_it_sends_reaches_the_driver_from_another_thread_than_its_readers(start, tmp_path):
    log = tmp_path / "calls"
    process = start("listen", "--source=rtlsdr", "--control", log=log, stdin=subprocess.PIPE)
    wait_for(lambda: log.exists() and "read" in log.read_text())
    before = log.read_text()
    answers, _ = asking(
        process,
        {"id": 1, "set": {"center_hz": 911_000_000, "gain_db": 39, "ppm": -3}},
        {"id": 2, "set": {"gain_db": "auto", "bias_tee": True}},
    )
    accepted = {"type": "set", "center_hz": 911_000_000, "ppm": -3}
    assert answers == [
        accepted | {"id": 1, "gain_db": 40.2, "bias_tee": False},
        accepted | {"id": 2, "gain_db": None, "bias_tee": True},
    ]
    calls = log.read_text().removeprefix(before).split("\n")
    assert calls[:4] == ["ppm -3", "center 911000000", "manual 1", "gain 402"]
    assert calls[4:7] == ["center 911000000", "manual 0", "bias_tee 1"]
    process.send_signal(signal.SIGTERM)
    code, out, _ = finish(process)
    assert code == 0
    last = json.loads(out.splitlines()[-1])
    assert (last["center_hz"], last["gain_db"]) == (911_000_000, None)
    assert last["dropped_samples"] > 0
    assert log.read_text().endswith("close 0\n")


def test_a_dongle_that_refuses_to_be_set_is_lost_and_found_again_as_it_was(start):
    process = start("listen", "--source=rtlsdr", "--control", set_error=-9, stdin=subprocess.PIPE)
    answers, _ = asking(process, {"id": 1, "set": {"center_hz": 911_000_000}})
    assert answers[0]["type"] == "refused"
    assert "libusb error -9" in answers[0]["reason"]
    for line in process.stdout:
        if json.loads(line).get("center_hz") and json.loads(line)["type"] == "set":
            break
    assert json.loads(line)["center_hz"] == 912_600_155


def test_a_driver_that_hangs_while_it_is_set_ends_the_process(start):
    process = start("listen", "--source=rtlsdr", "--control", set_hangs=1, stdin=subprocess.PIPE)
    answers, _ = asking(process, {"id": 1, "set": {"center_hz": 911_000_000}})
    assert "did not set the dongle" in answers[0]["reason"]
    code, _, err = finish(process)
    assert code == 75
    assert "Unplug the radio" in last_line(err)
