"""Whether a Raspberry Pi gets enough power, and how warm the processor is.

Sources: the firmware's get_throttled, whose bits the documentation of `vcgencmd` explains (the upper half tells what
has occurred since the start), in the hexadecimal of the driver raspberrypi.c; the driver raspberrypi-hwmon.c
(`rpi_volt`), whose in0_lcrit_alarm is 1 while the voltage is below 4.63 V; the kernel's sysfs-api of thermal zones.
"""

from dataclasses import dataclass

from appliance.machine import Machine, text

UNDER_VOLTAGE, FREQUENCY_CAPPED, THROTTLED, TOO_HOT = 1, 2, 4, 8
SINCE_START = 16
_OF_PROCESSOR = ("cpu", "soc", "x86_pkg")


@dataclass(frozen=True, slots=True)
class Power:
    """Whether the voltage is too low and the processor slowed down: now, and at any time since the start."""

    low_now: bool
    was_low: bool
    slowed_now: bool
    was_slowed: bool


def power(machine: Machine) -> Power | None:
    """As the firmware tells; None where nothing tells it."""
    told, alarm = _throttled(machine), _alarm(machine)
    if told is None and alarm is None:
        return None
    now = told or 0
    before = now >> SINCE_START
    return Power(
        low_now=bool(now & UNDER_VOLTAGE or alarm),
        was_low=bool(before & UNDER_VOLTAGE),
        slowed_now=bool(now & (THROTTLED | TOO_HOT | FREQUENCY_CAPPED)),
        was_slowed=bool(before & (THROTTLED | TOO_HOT)),
    )


def temperature_c(machine: Machine) -> float | None:
    """Of the processor, in °C; None where nothing measures it."""
    zones = sorted((machine.sys / "class" / "thermal").glob("thermal_zone*"))
    zones.sort(key=lambda zone: not text(zone / "type").startswith(_OF_PROCESSOR))
    for zone in zones:
        try:
            return int(text(zone / "temp")) / 1000
        except ValueError:
            continue
    return None


def _throttled(machine: Machine) -> int | None:
    for path in sorted((machine.sys / "devices" / "platform").glob("soc*/*firmware/get_throttled")):
        try:
            return int(text(path), 16)
        except ValueError:
            continue
    return None


def _alarm(machine: Machine) -> bool | None:
    for one in sorted((machine.sys / "class" / "hwmon").glob("*")):
        if text(one / "name") == "rpi_volt":
            return text(one / "in0_lcrit_alarm") == "1"
    return None
