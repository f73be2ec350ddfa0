"""What processes have used of processor and memory, from Linux's /proc (proc(5))."""

import os
from collections.abc import Sequence
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
# Of /proc/PID/stat, counted from what follows the program's name in brackets.
_PARENT, _OWN, _ENDED_CHILDREN = 1, slice(11, 13), slice(13, 15)


def processor_s(processes: Sequence[int]) -> float:
    """Seconds of processor time that processes have used, all threads; 0 for one that is gone."""
    return sum(_ticks(pid, _OWN) for pid in processes) * _TICK_S


def family_processor_s(parent: int) -> float:
    """Seconds of processor time of a process and of all children that it has or had."""
    children = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and _is_child(path, parent)]
    return processor_s([parent, *children]) + _ticks(parent, _ENDED_CHILDREN) * _TICK_S


def peak_memory_bytes(pid: int) -> int:
    """The most memory that a process ever had, of what is not shared with the disk's cache; 0 for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return 1024 * int(status.partition("VmHWM:")[2].split(maxsplit=1)[0] if "VmHWM:" in status else 0)


def parent_of(pid: int, program: str) -> int | None:
    """The parent of a process on this machine, if both run that program."""
    try:
        if Path(f"/proc/{pid}/comm").read_text().strip() != program:
            return None
        parent = int(_fields(pid)[_PARENT])
        return parent if Path(f"/proc/{parent}/comm").read_text().strip() == program else None
    except OSError:
        return None


def _is_child(path: Path, parent: int) -> bool:
    try:
        return int(_fields(int(path.name))[_PARENT]) == parent
    except OSError:
        return False


def _ticks(pid: int, which: slice) -> int:
    try:
        return sum(map(int, _fields(pid)[which]))
    except OSError:
        return 0


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
