"""What a check finds, and the machine it looks at: all paths are below roots that a test can build itself."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.kernel_clock import KernelTime, kernel_time

Verdict = Literal["ok", "look", "bad", "n/a"]
"""bad: it does not work, or will not for long; look: it works, but worth a look; n/a: there is no such thing here."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was found, and for "look" and "bad" what to do."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def _accessible(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the kernel and the system tell of themselves."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    dev: Path = Path("/dev")
    etc: Path = Path("/etc")
    accessible: Callable[[Path], bool] = _accessible
    kernel_time: Callable[[], KernelTime] = kernel_time

    @property
    def pi(self) -> str:
        """The model if this is a Raspberry Pi, else empty."""
        model = text(self.proc / "device-tree" / "model").strip("\0")
        return model if model.startswith("Raspberry Pi") else ""


def text(path: Path) -> str:
    """What a file of the kernel says, empty if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
