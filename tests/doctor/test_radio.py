"""The doctor about dongles: none, one that is free, one that something else holds."""

import pytest

from appliance.config import Config, Receiver
from appliance.doctor.radio import check_dongles, check_library, check_television_driver
from tests.doctor.machines import Pi, told

ONE = Config(receivers=(Receiver(source="rtlsdr"),))
RUNNING = {"receivers": [{"source": "rtlsdr", "state": "running"}]}


def test_the_library_that_comes_with_the_packages_loads() -> None:
    assert told(check_library()) == [("radio library", "ok", "loads")]


def test_no_dongle(pi: Pi) -> None:
    assert told(check_dongles(ONE, pi.machine, None))[0][1] == "bad"
    ((_, verdict, _),) = told(check_dongles(Config(), pi.machine, None))
    assert verdict == "n/a"


@pytest.mark.parametrize(
    ("driver", "health", "verdict", "words"),
    [
        ("", None, "ok", "RTL2838UHIDIR 00000001 at USB 1-1.2 is there and free"),
        ("dvb_usb_rtl28xxu", None, "bad", "claimed by the kernel's driver dvb_usb_rtl28xxu"),
        ("usbfs", None, "look", "in use by a program"),
        ("usbfs", {"receivers": []}, "look", "in use by a program"),
        ("usbfs", RUNNING, "ok", "in use by the appliance"),
    ],
)
def test_who_holds_it(pi: Pi, driver: str, health: dict[str, object] | None, verdict: str, words: str) -> None:
    pi.dongle(driver)
    ((_, found_verdict, found),) = told(check_dongles(ONE, pi.machine, health))
    assert (found_verdict, words in found) == (verdict, True)


def test_no_permission(pi: Pi) -> None:
    pi.locked.add(pi.dongle())
    ((_, verdict, words),) = told(check_dongles(ONE, pi.machine, None))
    assert (verdict, "may not be used by this user" in words) == ("bad", True)


def test_another_serial_number(pi: Pi) -> None:
    pi.dongle(serial="7")
    config = Config(receivers=(Receiver(source="rtlsdr:8"), Receiver(name="b", source="rtl_tcp://pi:1234")))
    assert told(check_dongles(config, pi.machine, None))[1:] == [("dongle", "bad", "none has the serial number 8")]


def test_a_dongle_that_is_not_used(pi: Pi) -> None:
    pi.dongle()
    assert [row[1] for row in told(check_dongles(Config(), pi.machine, None))] == ["ok", "look"]


def test_the_television_driver(pi: Pi) -> None:
    assert told(check_television_driver(pi.machine)) == [("television driver", "ok", "not loaded")]
    pi.write("proc/modules", "rtl2832 28672 1 dvb_usb_rtl28xxu, Live 0x0\ndvb_usb_rtl28xxu 40960 0 - Live 0x0\n")
    ((_, verdict, words),) = told(check_television_driver(pi.machine))
    assert (verdict, "dvb_usb_rtl28xxu is loaded" in words) == ("look", True)
