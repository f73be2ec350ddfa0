"""Whether a Raspberry Pi gets enough power. Too little of it ruins cards and makes dongles go away."""

from collections.abc import Iterator

from appliance.doctor.finding import Finding
from appliance.machine import Machine
from appliance.machine.power import power

SUPPLY = "Use the power supply made for this model and a short cable; take other devices off its USB."
COOLING = "Give it air or a heat sink, and keep it out of the sun."


def check_power(machine: Machine) -> Iterator[Finding]:
    """Under-voltage and throttling, now and since the start."""
    known = power(machine)
    if known is None:
        if machine.pi:
            hint = "Look whether the kernel's log (dmesg) tells of under-voltage."
            yield Finding("power", "look", "this kernel does not tell whether the voltage is enough", hint)
        else:
            yield Finding("power", "n/a", "no Raspberry Pi")
        return
    if known.low_now:
        yield Finding("power", "bad", "the voltage is too low now", SUPPLY)
    elif known.was_low:
        yield Finding("power", "bad", "the voltage has been too low since the machine was started", SUPPLY)
    else:
        yield Finding("power", "ok", "the voltage is and was enough")
    if known.slowed_now:
        yield Finding("temperature", "look", "the processor is slowed down now", COOLING)
    elif known.was_slowed and not known.was_low:
        yield Finding("temperature", "look", "the processor was slowed down since the machine was started", COOLING)
