"""What is plugged in: the dongles as librtlsdr lists them, and as the kernel does when that one sees none.

The kernel's list (/sys/bus/usb/devices) is there without a driver and without rights, so it tells apart "nothing
plugged in", "claimed by the television driver" and "not permitted", which librtlsdr all calls an error.

Source: librtlsdr's rtl-sdr.h; libusb's error codes; the kernel's sysfs-bus-usb.
"""

import contextlib
import importlib
import io
from ctypes import POINTER, c_ubyte, cast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.errors import SourceUnavailable
from appliance.radio.attached import (
    HINT_BUSY,
    HINT_NONE,
    HINT_RIGHTS,
    HINT_TELEVISION,
    SYSFS,
    TELEVISION_DRIVERS,
    list_usb,
)

LIBUSB_ACCESS, LIBUSB_NO_DEVICE, LIBUSB_BUSY = -3, -4, -6


@dataclass(frozen=True, slots=True)
class Dongle:
    """A dongle as librtlsdr lists it."""

    index: int
    name: str
    manufacturer: str
    product: str
    serial: str

    def __str__(self) -> str:
        return f"rtlsdr:{self.serial} ({self.manufacturer} {self.product})"


def load_driver() -> Any:
    """The `rtlsdr` module with its C library; raises SourceUnavailable when either is missing or does not load.

    To be called from the main thread: it takes over standard output while it loads.
    """
    said = io.StringIO()
    try:
        # pyrtlsdrlib prints why a library does not load, on standard output, where only lines of data belong.
        with contextlib.redirect_stdout(said):
            rtlsdr = importlib.import_module("rtlsdr")
    except (ImportError, AttributeError, OSError) as fault:
        reason = " ".join(f"{fault} {said.getvalue()}".split())
        raise SourceUnavailable(
            f"the dongle's driver library does not load: {reason}",
            "Install the packages pyrtlsdr and pyrtlsdrlib for this machine, or use rtl_tcp as the source.",
        ) from None
    if rtlsdr.librtlsdr is None:
        raise SourceUnavailable("pyrtlsdr is in client-only mode", "Remove the variable RTLSDR_CLIENT_MODE.")
    return rtlsdr


def list_dongles(driver: Any) -> list[Dongle]:
    """The dongles that librtlsdr sees; texts that it cannot read (another process, no right) are "?"."""
    dongles = []
    for index in range(driver.rtlsdr_get_device_count()):
        texts = [(c_ubyte * 256)() for _ in range(3)]
        pointers = [cast(text, POINTER(c_ubyte)) for text in texts]
        readable = driver.rtlsdr_get_device_usb_strings(index, *pointers) == 0
        manufacturer, product, serial = (_text(bytes(text)) if readable else "?" for text in texts)
        name = _text(driver.rtlsdr_get_device_name(index) or b"")
        dongles.append(Dongle(index, name, manufacturer, product, serial))
    return dongles


def open_device(rtlsdr: Any, index: int) -> Any:
    """Open a dongle as pyrtlsdr's RtlSdr; raises OSError, with the device given back.

    Made without the constructor: pyrtlsdr leaves the device claimed when opening fails half-way, and then there
    would be nothing left to close it by.
    """
    device = rtlsdr.RtlSdr.__new__(rtlsdr.RtlSdr)
    try:
        device.open(index)
    except OSError:
        if "device_opened" in vars(device):
            device.close()
        elif device.dev_p:
            rtlsdr.librtlsdr.rtlsdr_close(device.dev_p)
        raise
    return device


def explain_absence(root: Path = SYSFS) -> tuple[str, str]:
    """Message and hint for when librtlsdr lists no dongle."""
    seen = list_usb(root)
    if not seen:
        return "no dongle found: nothing on USB is one", HINT_NONE
    where = ", ".join(f"{device.ids} at USB {device.port}" for device in seen)
    if any(name in TELEVISION_DRIVERS for device in seen for name in device.drivers):
        return f"the dongle ({where}) is claimed by the kernel's television driver", HINT_TELEVISION
    return f"the dongle ({where}) is on USB, but this program cannot reach it", HINT_RIGHTS


def explain_refusal(dongle: Dongle, fault: OSError, root: Path = SYSFS) -> tuple[str, str]:
    """Message and hint for when a dongle is listed but does not open or take its settings."""
    code = fault.errno
    if code == LIBUSB_ACCESS:
        return f"no permission to open {dongle}", HINT_RIGHTS
    if code == LIBUSB_BUSY:
        claimed = [name for device in list_usb(root) for name in device.drivers if name in TELEVISION_DRIVERS]
        if claimed:
            return f"{dongle} is claimed by the kernel driver {claimed[0]}", HINT_TELEVISION
        return f"{dongle} is in use by another program", HINT_BUSY
    if code == LIBUSB_NO_DEVICE:
        return f"{dongle} went away while it was opened", HINT_NONE
    return f"{dongle} does not open: {fault}", HINT_NONE


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "replace").strip()
