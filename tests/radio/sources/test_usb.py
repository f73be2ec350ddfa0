"""What the kernel's list of USB devices tells about a dongle that the driver does not list or open."""

import pytest

from appliance.radio.attached import UsbDevice, list_usb
from appliance.radio.sources.usb import Dongle, explain_absence, explain_refusal

DONGLE = Dongle(0, "Generic RTL2832U OEM", "Realtek", "RTL2838UHIDIR", "00000001")


def plug(root, port, ids, driver=None):
    device = root / "bus" / port
    device.mkdir(parents=True)
    (device / "idVendor").write_text(ids.split(":")[0] + "\n")
    (device / "idProduct").write_text(ids.split(":")[1] + "\n")
    (device / "product").write_text("RTL2838UHIDIR\n")
    interface = device / f"{port}:1.0"
    interface.mkdir()
    if driver:
        (root / "drivers" / driver).mkdir(parents=True)
        (interface / "driver").symlink_to(root / "drivers" / driver)
    return root / "bus"


def test_only_dongles_are_listed(tmp_path):
    plug(tmp_path, "1-1", "1d6b:0002", "hub")
    bus = plug(tmp_path, "1-1.2", "0bda:2838", "dvb_usb_rtl28xxu")
    assert list_usb(bus) == [UsbDevice("1-1.2", "0bda:2838", "RTL2838UHIDIR", "", ("dvb_usb_rtl28xxu",))]
    assert list_usb(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("ids", "driver", "said", "hint"),
    [
        ("1d6b:0002", None, "nothing on USB is one", "another USB port"),
        ("0bda:2838", "dvb_usb_rtl28xxu", "claimed by the kernel's television driver", "blacklist dvb_usb_rtl28xxu"),
        ("0bda:2832", None, "(0bda:2832 at USB 1-1) is on USB", "udev"),
    ],
)
def test_absence(tmp_path, ids, driver, said, hint):
    message, advice = explain_absence(plug(tmp_path, "1-1", ids, driver))
    assert said in message
    assert hint in advice


def test_a_claimed_dongle_tells_the_television_driver_from_another_program(tmp_path):
    busy = OSError(-6, "busy")
    assert "in use by another program" in explain_refusal(DONGLE, busy, tmp_path)[0]
    bus = plug(tmp_path, "1-1", "0bda:2838", "dvb_usb_rtl28xxu")
    message, hint = explain_refusal(DONGLE, busy, bus)
    assert "claimed by the kernel driver dvb_usb_rtl28xxu" in message
    assert "rmmod" in hint
