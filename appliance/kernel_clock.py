"""What the kernel says about time: its clocks, whether a time service holds them, and the real-time clock.

Sources: clock_gettime(2), adjtimex(2), and Linux's Documentation/ABI/testing/sysfs-class-rtc. The kernel calls its
clock unsynchronized from the start, and again when no time service has spoken for so long that the error it assumes,
half a millisecond more each second, has grown to 16 s.
"""

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
RTC = Path("/sys/class/rtc")
# systemd-timesyncd tells the kernel an error of 0 whenever it has asked a server. What it asked over a mobile link may
# be wrong by half of a round trip of half a second.
LEAST_UNCERTAINTY_MS = 250

_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class KernelTime:
    """Whether a time service holds CLOCK_REALTIME, how well; and what the real-time clock says, if that is asked.

    It is asked only while no time service does: on a Raspberry Pi it hangs on a slow bus.
    """

    synchronized: bool
    uncertainty_ms: int = 0
    rtc_utc_ms: int | None = None


class Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2); `long` has the machine's width, so the layout holds for 32 and 64 bit."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_sec", ctypes.c_long),
        ("time_usec", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


def _adjtimex(state: Timex) -> int:
    return int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state)))


def boottime_ms() -> int:
    """Milliseconds since the machine was started, time asleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def realtime_ms() -> int:
    """What the system clock takes for UTC, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def boot_id(path: Path = BOOT_ID) -> str | None:
    """The name the kernel gave to this boot, or None where there is none to be read."""
    try:
        return path.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def kernel_time(adjtimex: Callable[[Timex], int] = _adjtimex, rtc: Path = RTC) -> KernelTime:
    """Ask the kernel; changes nothing and needs no rights. Where it does not answer, nothing is synchronized."""
    state = Timex()
    answer = adjtimex(state)
    if answer < 0 or answer == _TIME_ERROR or state.status & _STA_UNSYNC:
        return KernelTime(synchronized=False, rtc_utc_ms=rtc_utc_ms(rtc))
    # What is still to be slewed away is wrong now.
    pending_us = abs(state.offset) // (1000 if state.status & _STA_NANO else 1)
    uncertainty_us = max(state.maxerror, state.esterror) + pending_us
    return KernelTime(synchronized=True, uncertainty_ms=max(LEAST_UNCERTAINTY_MS, -(-uncertainty_us // 1000)))


def rtc_utc_ms(directory: Path = RTC) -> int | None:
    """The real-time clock from which the kernel set its own at the start, or None if it had none or it cannot be read.

    It tells whole seconds: half a second is added, so that this is off by half a second at most.
    """
    for clock in sorted(directory.glob("rtc*")):
        try:
            if (clock / "hctosys").read_text(encoding="ascii").strip() == "1":
                return int((clock / "since_epoch").read_text(encoding="ascii")) * 1000 + 500
        except (OSError, ValueError):
            # Its oscillator stood still, so that the driver knows its time to be worthless, or it left the bus.
            continue
    return None
