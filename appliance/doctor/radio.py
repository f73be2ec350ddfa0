"""The dongle, without opening it: so that an appliance that uses it is not disturbed.

What the kernel lists below /sys/bus/usb/devices says all: which dongles are there, which driver holds each. "usbfs"
is the driver of a program that has one open. Source: the kernel's sysfs-bus-usb; usbfs.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from appliance.config import Config
from appliance.doctor.finding import Finding
from appliance.errors import SourceUnavailable
from appliance.machine import Machine, text
from appliance.radio.attached import (
    HINT_BUSY,
    HINT_NONE,
    HINT_RIGHTS,
    HINT_TELEVISION,
    TELEVISION_DRIVERS,
    UsbDevice,
    list_usb,
)
from appliance.radio.sources.usb import load_driver


def check_library() -> Iterator[Finding]:
    """Whether the dongle's library loads."""
    try:
        load_driver()
    except SourceUnavailable as fault:
        yield Finding("radio library", "bad", str(fault), fault.hint)
    else:
        yield Finding("radio library", "ok", "loads")


def check_dongles(config: Config, machine: Machine, health: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Each dongle that is there or should be."""
    wanted = [r.source for r in config.receivers if not r.command and r.source.split(":")[0] == "rtlsdr"]
    devices = list_usb(machine.sys / "bus" / "usb" / "devices")
    running = health is not None and any(
        one["source"].startswith("rtlsdr") and one["state"] == "running" for one in health.get("receivers", ())
    )
    for device in devices:
        yield _dongle(device, machine, running)
    if not devices and wanted:
        yield Finding("dongle", "bad", "no dongle found: nothing on USB is one", HINT_NONE)
    elif not devices:
        yield Finding("dongle", "n/a", "none is there, and none is set in the configuration")
    serials = {device.serial for device in devices}
    for serial in [source.partition(":")[2] for source in wanted if ":" in source]:
        if devices and serial not in serials:
            there = ", ".join(sorted(serials))
            hint = f"Plug it in, or set source to one that is there: {there}."
            yield Finding("dongle", "bad", f"none has the serial number {serial}", hint)
    if devices and config.demonstration:
        hint = 'Set source = "rtlsdr" in a [[receiver]] table of the configuration to use it.'
        yield Finding("dongle", "look", "one is there, but only the simulated neighbourhood is heard", hint)


def check_television_driver(machine: Machine) -> Iterator[Finding]:
    """Whether the kernel's driver for television takes dongles."""
    lines = text(machine.proc / "modules").splitlines()
    loaded = sorted({line.split()[0] for line in lines if line.split()} & set(TELEVISION_DRIVERS))
    if loaded:
        advice = HINT_TELEVISION
        yield Finding("television driver", "look", f"{', '.join(loaded)} is loaded and takes a dongle", advice)
    else:
        yield Finding("television driver", "ok", "not loaded")


def _dongle(device: UsbDevice, machine: Machine, running: bool) -> Finding:
    what = f"{device.product or 'dongle'} {device.serial} at USB {device.port}".replace("  ", " ")
    claimed = [name for name in device.drivers if name in TELEVISION_DRIVERS]
    if claimed:
        return Finding("dongle", "bad", f"{what} is claimed by the kernel's driver {claimed[0]}", HINT_TELEVISION)
    place = machine.sys / "bus" / "usb" / "devices" / device.port
    bus, number = text(place / "busnum"), text(place / "devnum")
    node = machine.dev / "bus" / "usb" / bus.zfill(3) / number.zfill(3)
    if "usbfs" in device.drivers:
        if running:
            return Finding("dongle", "ok", f"{what} is in use by the appliance")
        return Finding("dongle", "look", f"{what} is in use by a program", HINT_BUSY)
    if not machine.accessible(node):
        return Finding("dongle", "bad", f"{what} may not be used by this user", HINT_RIGHTS)
    return Finding("dongle", "ok", f"{what} is there and free")
