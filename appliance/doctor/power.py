"""Whether a Raspberry Pi gets enough power. Too little of it ruins cards and makes dongles go away.

Sources: the firmware's get_throttled, whose bits the documentation of `vcgencmd` explains (the upper half tells what
has occurred since the start), in the hexadecimal of the driver raspberrypi.c; the driver raspberrypi-hwmon.c
(`rpi_volt`), whose in0_lcrit_alarm is 1 while the voltage is below 4.63 V.
"""

from collections.abc import Iterator

from appliance.doctor.finding import Finding, Machine, text

UNDER_VOLTAGE, FREQUENCY_CAPPED, THROTTLED, TOO_HOT = 1, 2, 4, 8
SINCE_START = 16
SUPPLY = "Use the power supply made for this model and a short cable; take other devices off its USB."
COOLING = "Give it air or a heat sink, and keep it out of the sun."


def check_power(machine: Machine) -> Iterator[Finding]:
    """Under-voltage and throttling, now and since the start."""
    bits = _throttled(machine)
    alarm = _alarm(machine)
    if bits is None and alarm is None:
        if machine.pi:
            hint = "Look whether the kernel's log (dmesg) tells of under-voltage."
            yield Finding("power", "look", "this kernel does not tell whether the voltage is enough", hint)
        else:
            yield Finding("power", "n/a", "no Raspberry Pi")
        return
    bits = bits or 0
    before = bits >> SINCE_START
    if bits & UNDER_VOLTAGE or alarm:
        yield Finding("power", "bad", "the voltage is too low now", SUPPLY)
    elif before & UNDER_VOLTAGE:
        yield Finding("power", "bad", "the voltage has been too low since the machine was started", SUPPLY)
    else:
        yield Finding("power", "ok", "the voltage is and was enough")
    if bits & (THROTTLED | TOO_HOT | FREQUENCY_CAPPED):
        yield Finding("temperature", "look", "the processor is slowed down now", COOLING)
    elif before & (THROTTLED | TOO_HOT) and not before & UNDER_VOLTAGE:
        yield Finding("temperature", "look", "the processor was slowed down since the machine was started", COOLING)


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
