"""The machine as the kernel tells of it: a Raspberry Pi in a folder, one that tells nothing, and the one we run on."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.machine import Machine
from appliance.machine.about import about
from appliance.machine.addresses import ipv4_addresses
from appliance.machine.network import Interface, default_route, interfaces, is_announced, name_servers
from appliance.machine.power import Power, power, temperature_c
from appliance.machine.restart import can_restart, restart
from tests.doctor.machines import Pi

WIRELESS = """Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   54.  -56.  -256        0      0      0      0      0        0
 wlan1: 0000   54.   56.  0        0      0      0      0      0        0
 wlan2: rubbish
"""


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path / "pi")


def nothing(path: Path) -> Machine:
    """A machine that tells nothing at all."""
    return Machine(path, path, path, path, path, ipv4_addresses=list)


def test_about_a_pi(pi: Pi) -> None:
    pi.write("proc/device-tree/serial-number", "10000000a1b2c3d4\0")
    pi.write("proc/meminfo", "MemTotal:         996000 kB\nMemFree:  1 kB\nMemAvailable:     500000 kB\n")
    pi.write("proc/loadavg", "0.31 0.42 0.40 1/200 3")
    pi.write("proc/uptime", "3601.25 9000.00")
    pi.write("etc/os-release", 'NAME="x"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    found = about(pi.machine)
    assert (found.model, found.is_pi, found.serial) == ("Raspberry Pi 4 Model B Rev 1.5", True, "10000000a1b2c3d4")
    assert (found.system, found.load, found.uptime_s) == ("Debian GNU/Linux 12 (bookworm)", 0.42, 3601.25)
    assert (found.memory_bytes, found.available_bytes) == (996_000 * 1024, 500_000 * 1024)


def test_what_nothing_tells_is_not_known(tmp_path: Path) -> None:
    machine = nothing(tmp_path)
    found = about(machine)
    assert (found.model, found.is_pi, found.serial, found.system) == ("", False, "", "")
    assert (found.load, found.uptime_s, found.memory_bytes, found.available_bytes) == (None, None, None, None)
    assert (power(machine), temperature_c(machine)) == (None, None)
    assert (interfaces(machine), default_route(machine), name_servers(machine)) == ([], None, [])
    assert not is_announced(machine)
    assert not can_restart(machine)


def test_a_model_that_is_no_pi(pi: Pi) -> None:
    pi.remove("proc/device-tree/model")
    pi.write("sys/class/dmi/id/product_name", "A laptop\n")
    assert (about(pi.machine).model, about(pi.machine).is_pi) == ("A laptop", False)


def test_the_temperature_is_that_of_the_processor(pi: Pi) -> None:
    for n, (kind, told) in enumerate((("battery", "20000"), ("cpu-thermal", "58420"))):
        pi.write(f"sys/class/thermal/thermal_zone{n}/type", kind + "\n")
        pi.write(f"sys/class/thermal/thermal_zone{n}/temp", told + "\n")
    assert temperature_c(pi.machine) == 58.42
    pi.write("sys/class/thermal/thermal_zone1/temp", "rubbish\n")
    assert temperature_c(pi.machine) == 20.0


def test_power(pi: Pi) -> None:
    pi.write("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    assert power(pi.machine) == Power(low_now=True, was_low=True, slowed_now=True, was_slowed=True)


def test_interfaces(pi: Pi) -> None:
    for name, state, kind in (
        ("lo", "unknown", "772"),
        ("eth0", "up", "1"),
        ("wlan0", "down", "1"),
        ("tun0", "up", "65534"),
    ):
        pi.write(f"sys/class/net/{name}/operstate", state + "\n")
        pi.write(f"sys/class/net/{name}/type", kind + "\n")
    for path in ("eth0/device/x", "wlan0/device/x", "wlan0/wireless/x", "usb0/device/x", "wwan0/device/x"):
        pi.write(f"sys/class/net/{path}", "")
    pi.write("proc/net/wireless", WIRELESS)
    pi.write("proc/net/if_inet6", f"20010db8{'0' * 22}20 02 40 00 80     eth0\nfe80{'0' * 26}20 02 40 20 80     eth0\n")
    assert interfaces(pi.machine) == [
        Interface("eth0", "cable", True, ("192.168.1.20", "2001:db8::20")),
        Interface("usb0", "other", False, ()),
        Interface("wlan0", "Wi-Fi", False, (), -56),
        Interface("wwan0", "mobile", False, ()),
    ]
    pi.ipv4.append(("tun0", "10.0.0.2"))
    assert interfaces(pi.machine)[1] == Interface("tun0", "other", True, ("10.0.0.2",))


def test_the_way_out(pi: Pi) -> None:
    assert default_route(pi.machine) == ("eth0", "192.168.1.1")
    pi.write("proc/net/route", "Iface\tDestination\n")
    none = "0" * 32
    pi.write("proc/net/ipv6_route", f"{none} 00 {none} 00 fe80{none[5:]}1 00000400 00000001 00000000 00000003 eth0\n")
    assert default_route(pi.machine) == ("eth0", "fe80::1")
    assert name_servers(pi.machine) == ["192.168.1.1"]


def test_the_addresses_of_this_machine() -> None:
    assert ("lo", "127.0.0.1") in ipv4_addresses()
    assert about(Machine()).uptime_s


async def test_a_machine_is_started_anew_where_systemd_is(pi: Pi, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    script = tmp_path / "systemctl"
    script.write_text(f'#!/bin/sh\necho "$@" > {asked}\n')
    script.chmod(0o755)
    machine = replace(pi.machine, systemctl=str(script))
    assert not can_restart(machine)
    pi.write("run/systemd/system/x", "")
    assert can_restart(machine)
    assert not can_restart(replace(machine, systemctl=str(tmp_path / "none")))
    assert await restart(machine) == ""
    assert asked.read_text() == "--no-ask-password --no-block reboot\n"


async def test_a_refusal_is_told_in_words(pi: Pi, tmp_path: Path) -> None:
    script = tmp_path / "systemctl"
    script.write_text(f"#!{sys.executable}\nprint('Interactive\\n authentication required.')\nraise SystemExit(1)\n")
    script.chmod(0o755)
    assert await restart(replace(pi.machine, systemctl=str(script))) == "Interactive authentication required."
    script.write_text("#!/bin/sh\nexit 3\n")
    assert (await restart(replace(pi.machine, systemctl=str(script)))).endswith("ended with 3")
    assert "No such file" in await restart(replace(pi.machine, systemctl=str(tmp_path / "none")))


async def test_one_that_hangs_is_ended(pi: Pi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.machine.restart.ANSWER_S", 0.05)
    script = tmp_path / "systemctl"
    script.write_text("#!/bin/sh\nexec sleep 20\n")
    script.chmod(0o755)
    assert "gave no answer" in await restart(replace(pi.machine, systemctl=str(script)))
