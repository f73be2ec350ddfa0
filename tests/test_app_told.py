"""What a running `appliance run` tells systemd, `appliance status` and `appliance doctor`."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_app import Start, start
from tests.test_notify import Systemd

__all__ = ["start"]


async def until(systemd: Systemd, heard: list[str], *wanted: str) -> None:
    async with asyncio.timeout(30):
        while not all(any(state.startswith(one) for state in heard) for one in wanted):
            heard += systemd.heard()
            await asyncio.sleep(0.02)


async def test_systemd_is_told(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    appliance = await start()
    heard: list[str] = []
    await until(systemd, heard, "READY=1", "STATUS=", "WATCHDOG=1")
    assert heard[0] == "READY=1"
    assert (await appliance.health())["state"] == "healthy"
    await appliance.until_heard(20)
    await until(systemd, heard, "STATUS=20 meters known")
    assert await appliance.end(signal.SIGTERM) == 0
    assert systemd.heard()[-1] == "STOPPING=1"
    systemd.socket.close()


async def test_systemd_is_told_of_a_wrong_configuration(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    await start(store="commit_interval_s = 0\n")
    heard: list[str] = []
    await until(systemd, heard, "READY=1", "STATUS=0 meters known; configuration: ", "WATCHDOG=1")
    systemd.socket.close()


async def test_status_and_doctor_of_a_running_appliance(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def run(command: str) -> subprocess.CompletedProcess[str]:
        words = ("-m", "appliance", command, "--config", str(tmp_path / "appliance.toml"))
        return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)

    appliance = await start(port=port)
    await appliance.until_heard(20)
    said = await asyncio.to_thread(run, "status")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("healthy: version ")
    assert "  20 meters known\n" in said.stdout
    said = await asyncio.to_thread(run, "doctor")
    assert "ok    appliance          runs, healthy\n" in said.stdout
    assert f"ok    port               {port} is that of the appliance\n" in said.stdout
    await appliance.end(signal.SIGTERM)
    said = await asyncio.to_thread(run, "status")
    assert (said.returncode, said.stdout) == (69, "")
    assert said.stderr.startswith(f"appliance: no appliance answers at 127.0.0.1:{port}: ")
