"""The doctor about the program's own affairs, and as a whole."""

import io
import os
import re
import socket
from pathlib import Path

import pytest

from appliance.config import Config, Draft, Web, read
from appliance.config import Store as StoreSettings
from appliance.doctor import BAD, examine
from appliance.doctor.program import check_port, check_rights, check_running, check_settings
from tests.doctor.machines import Pi, told


def test_settings(tmp_path: Path) -> None:
    path = tmp_path / "appliance.toml"
    path.write_text("[web]\nport = -1\n[site]\nnam = 'x'\n")
    rows = told(check_settings(read(path)))
    assert [row[1] for row in rows] == ["bad", "bad"]
    assert rows[0][2].startswith(f"{path}: web.port = -1 must be a whole number")
    path.write_text("[web\n")
    ((_, verdict, words),) = told(check_settings(read(path)))
    assert (verdict, words.count(str(path))) == ("bad", 1)
    assert told(check_settings(Draft(None, Config()))) == [("settings", "ok", "no file, hence the defaults")]


def test_ports() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Web(host="127.0.0.1", port=other.getsockname()[1])
        assert told(check_port(taken, running=False))[0][1] == "bad"
        assert told(check_port(taken, running=True))[0][1] == "ok"
    assert told(check_port(Web(port=0), running=False))[0][1] == "ok"
    assert told(check_port(Web(host="192.0.2.77"), running=False))[0][1] == "bad"
    assert told(check_port(Web(host="meters.example"), running=False))[0][1] == "n/a"


def test_parts_of_the_running_appliance() -> None:
    parts = {
        "store": {"state": "degraded", "reason": "the card is full", "hint": ""},
        "receiver a": {"state": "failed", "reason": "no dongle found", "hint": "Plug it in."},
        "site": {"state": "healthy", "reason": "", "hint": ""},
    }
    assert told(check_running({"state": "failed", "parts": parts}, "", "")) == [
        ("appliance", "ok", "runs, failed"),
        ("store", "look", "degraded: the card is full"),
        ("receiver a", "bad", "failed: no dongle found"),
    ]
    assert told(check_running(None, "nobody answers", "start it"))[0][1] == "look"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user(tmp_path: Path) -> None:
    draft = Draft(None, Config(store=StoreSettings(directory=tmp_path)))
    assert told(check_rights(draft))[0][1] == "ok"
    os.chown(tmp_path, 12345, -1)
    assert told(check_rights(draft))[0][2].startswith(f"{tmp_path} belongs to user 12345")


def test_a_machine_that_is_well_and_one_that_is_not(pi: Pi, tmp_path: Path) -> None:
    settings = tmp_path / "appliance.toml"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings.write_text(f"[web]\nport = {port}\nhost = '127.0.0.1'\n[store]\ndirectory = '{tmp_path}'\n")
    out, err = io.StringIO(), io.StringIO()
    assert examine(read(settings), out, err, pi.machine) == 0, out.getvalue()
    lines = out.getvalue().splitlines()
    assert all(re.match(r"(ok|look|n/a)\s{2,}\S|\s+→ |$|0 bad, 1 worth a look", line) for line in lines), lines
    pi.write("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    assert examine(read(settings), out, err, pi.machine) == BAD
    assert "bad   power              the voltage is too low now\n" in out.getvalue()
    assert err.getvalue() == ""


def test_what_takes_long_is_told(pi: Pi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    import appliance.doctor as doctor

    shown = threading.Event()

    class Err(io.StringIO):
        def write(self, text: str) -> int:
            shown.set()
            return super().write(text)

    def slow(*_: object) -> list[object]:
        assert shown.wait(20)
        return []

    monkeypatch.setattr(doctor, "LONG_S", 0.01)
    monkeypatch.setattr(doctor, "check_power", slow)
    err = Err()
    examine(Draft(None, Config(store=StoreSettings(directory=tmp_path))), io.StringIO(), err, pi.machine)
    assert "looking at power ...\n" in err.getvalue()
