"""The machine that the program runs on, as the kernel and the system tell of it: for the doctor and the System page.

All paths are below roots that a test can build itself. Reading changes nothing.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.kernel_clock import KernelTime, kernel_time
from appliance.machine.addresses import ipv4_addresses


def _accessible(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the kernel and the system tell of themselves, and what they are asked by calls.

    `ipv4_addresses` are pairs of interface and address; `systemctl` is the program that starts the machine anew.
    """

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    dev: Path = Path("/dev")
    etc: Path = Path("/etc")
    run: Path = Path("/run")
    accessible: Callable[[Path], bool] = _accessible
    kernel_time: Callable[[], KernelTime] = kernel_time
    ipv4_addresses: Callable[[], list[tuple[str, str]]] = ipv4_addresses
    systemctl: str = "systemctl"

    @property
    def model(self) -> str:
        """What the board calls itself, empty where nothing says it."""
        told = text(self.proc / "device-tree" / "model").strip("\0")
        return told or text(self.sys / "class" / "dmi" / "id" / "product_name")

    @property
    def pi(self) -> str:
        """The model if this is a Raspberry Pi, else empty."""
        return self.model if self.model.startswith("Raspberry Pi") else ""


def text(path: Path) -> str:
    """What a file of the kernel says, empty if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
