"""The end of the kernel's log, where this user may read it.

Source: the kernel's Documentation/ABI/testing/dev-kmsg: one record a read, "level,number,µs since boot,flags;text",
with lines of further fields behind it; EPIPE when records were overwritten meanwhile.
"""

import os
from collections import deque
from pathlib import Path

MOST_LINES, LONGEST_LINE = 1_000, 300
RECORD_BYTES = 8_192
# The log is a ring of some 100 kB to a few MB; no record is shorter than this many make up.
MOST_RECORDS = 100_000
# What it was started with is for nobody to read: a network's settings may be among it.
_LEFT_OUT = "command line:"


def kernel_log(path: Path = Path("/dev/kmsg")) -> list[str]:
    """The last lines, the oldest first, each with the seconds since the boot; or the one that says why not."""
    lines: deque[str] = deque(maxlen=MOST_LINES)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as fault:
        return [f"cannot be read: {fault.strerror}"]
    try:
        for _ in range(MOST_RECORDS):
            try:
                record = os.read(handle, RECORD_BYTES)
            except BrokenPipeError:
                continue
            except BlockingIOError:
                break
            if not record:
                break
            if line := _line(record.decode("utf-8", "replace")):
                lines.append(line)
    except OSError as fault:
        lines.append(f"cannot be read on: {fault.strerror}")
    finally:
        os.close(handle)
    return list(lines)


def _line(record: str) -> str:
    r"""A record in words; "" for one that is left out.

    >>> _line("6,339,5140900,-;usb 1-1: new high-speed USB device\n SUBSYSTEM=usb\n")
    '[    5.140900] usb 1-1: new high-speed USB device'
    """
    head, _, text = record.partition(";")
    text = text.partition("\n")[0]
    if _LEFT_OUT in text.lower():
        return ""
    fields = head.split(",")
    elapsed_us = int(fields[2]) if len(fields) > 2 and fields[2].isdecimal() else 0
    return f"[{elapsed_us / 1e6:12.6f}] {text[:LONGEST_LINE]}"
