"""The doctor about power: every bit of the firmware, the voltage alarm, and machines that have neither."""

import pytest

from appliance.doctor.power import check_power
from tests.doctor.machines import Pi, told

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


@pytest.mark.parametrize(
    ("bits", "alarm", "expected"),
    [
        ("0", "0", [("power", "ok")]),
        ("1", "0", [("power", "bad")]),
        ("0", "1", [("power", "bad")]),
        ("50000", "0", [("power", "bad")]),
        ("50005", "1", [("power", "bad"), ("temperature", "look")]),
        ("8", "0", [("power", "ok"), ("temperature", "look")]),
        ("e0000", "0", [("power", "ok"), ("temperature", "look")]),
        ("0x0", "0", [("power", "ok")]),
        ("rubbish", "0", [("power", "ok")]),
    ],
)
def test_bits(pi: Pi, bits: str, alarm: str, expected: list[tuple[str, str]]) -> None:
    pi.write(THROTTLED, bits + "\n")
    pi.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", alarm + "\n")
    assert [row[:2] for row in told(check_power(pi.machine))] == expected


def test_what_has_occurred_is_told_apart_from_what_is(pi: Pi) -> None:
    pi.write(THROTTLED, "10000\n")
    assert "has been too low since" in told(check_power(pi.machine))[0][2]
    pi.write(THROTTLED, "10001\n")
    assert "too low now" in told(check_power(pi.machine))[0][2]


def test_a_pi_whose_kernel_tells_nothing_and_what_is_no_pi(pi: Pi) -> None:
    pi.remove(THROTTLED)
    pi.write("sys/class/hwmon/hwmon1/name", "cpu_thermal\n")
    assert told(check_power(pi.machine))[0][:2] == ("power", "look")
    pi.remove("proc/device-tree/model")
    assert told(check_power(pi.machine)) == [("power", "n/a", "no Raspberry Pi")]
