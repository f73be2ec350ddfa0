"""Which dongles the kernel lists on USB, and what to do about one that cannot be used; needs no driver and no rights.

Source: the kernel's sysfs-bus-usb.
"""

from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/bus/usb/devices")
USB_IDS = {"0bda:2832", "0bda:2838"}
TELEVISION_DRIVERS = ("dvb_usb_rtl28xxu", "rtl2832_sdr")

UDEV_RULE = 'SUBSYSTEM=="usb", ATTRS{idVendor}=="0bda", ATTRS{idProduct}=="2838", MODE="0660", GROUP="plugdev"'
HINT_NONE = "Plug the radio in; if it is plugged in, try another USB port or cable."
HINT_TELEVISION = (
    "Write 'blacklist dvb_usb_rtl28xxu' to /etc/modprobe.d/no-dvb.conf, then run 'rmmod dvb_usb_rtl28xxu' or restart."
)
HINT_RIGHTS = f"Write the line {UDEV_RULE} to /etc/udev/rules.d/60-rtl-sdr.rules, then plug the radio in again."
HINT_BUSY = "Stop the other program that uses the radio; 'appliance devices' shows what is there."


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A dongle as the kernel lists it: its place on the bus, its ids, the kernel drivers bound to it."""

    port: str
    ids: str
    product: str
    serial: str
    drivers: tuple[str, ...]


def list_usb(root: Path = SYSFS) -> list[UsbDevice]:
    """The dongles that the kernel sees; empty where it has no such list."""
    devices = []
    for device in sorted(root.glob("*")):
        ids = f"{_read(device / 'idVendor')}:{_read(device / 'idProduct')}"
        if ids in USB_IDS:
            links = sorted(device.glob(f"{device.name}:*/driver"))
            drivers = tuple(dict.fromkeys(link.resolve().name for link in links if link.is_symlink()))
            devices.append(UsbDevice(device.name, ids, _read(device / "product"), _read(device / "serial"), drivers))
    return devices


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
