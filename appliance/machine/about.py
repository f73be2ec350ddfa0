"""What the machine is: model, system, memory, load, and for how long it has run.

Sources: proc(5) (device-tree, meminfo, loadavg); os-release(5); uname(2).
"""

import os
import platform
import re
from dataclasses import dataclass

from appliance.machine import Machine, text

_NAME = re.compile(r'^PRETTY_NAME="?([^"\n]*)"?$', re.MULTILINE)
_MEMORY = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class About:
    """Texts are empty and numbers None where nothing tells them.

    `uptime_s` is for how long it has run; `load` how many tasks wanted to run in the last five minutes, of which
    `processors` can at one time.
    """

    model: str
    is_pi: bool
    serial: str
    system: str
    kernel: str
    python: str
    uptime_s: float | None
    processors: int
    load: float | None
    memory_bytes: int | None
    available_bytes: int | None


def about(machine: Machine) -> About:
    """As of now."""
    told = _NAME.search(text(machine.etc / "os-release"))
    memory = {name: int(kib) * 1024 for name, kib in _MEMORY.findall(text(machine.proc / "meminfo"))}
    load, uptime = (text(machine.proc / name).split() for name in ("loadavg", "uptime"))
    return About(
        model=machine.model,
        is_pi=bool(machine.pi),
        serial=text(machine.proc / "device-tree" / "serial-number").strip("\0"),
        system=told[1] if told else "",
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        uptime_s=_number(uptime[0]) if uptime else None,
        processors=os.cpu_count() or 1,
        load=_number(load[1]) if len(load) > 2 else None,
        memory_bytes=memory.get("MemTotal"),
        available_bytes=memory.get("MemAvailable"),
    )


def _number(told: str) -> float | None:
    try:
        return float(told)
    except ValueError:
        return None
