"""The card: room on it, whether its file system is sound and may be written to, by really writing.

Sources: statvfs(3); proc_pid_mountinfo(5); the kernel's sysfs-fs-ext4 (`errors_count`, kept in the file system).
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appliance.doctor.finding import Finding, Verdict
from appliance.machine import Machine, text
from appliance.status import size

# A full card costs history first; below this even what is kept in any case has little room.
LITTLE_BYTES, SCARCE_BYTES = 20_000_000, 200_000_000
LITTLE_INODES, SCARCE_INODES = 100, 2_000
MAKE_ROOM = "Delete what does not belong there, or use a larger card."
REPLACE = "Copy the data with 'appliance backup', and replace the card."


def check_disk(directory: Path, machine: Machine) -> Iterator[Finding]:
    """Everything about the place of the data directory."""
    place = next((p for p in (directory.absolute(), *directory.absolute().parents) if p.exists()), Path("/"))
    yield from _room(place)
    yield _errors(place, machine)
    yield _writable(directory, place)


def _room(place: Path) -> Iterator[Finding]:
    about = os.statvfs(place)
    free, whole = about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize
    words = f"{size(free)} of {size(whole)} free at {place}"
    if free < SCARCE_BYTES:
        yield Finding("disk space", "bad" if free < LITTLE_BYTES else "look", words, MAKE_ROOM)
    else:
        yield Finding("disk space", "ok", words)
    # Some file systems make inodes as they need them and tell none.
    if about.f_files and about.f_favail < SCARCE_INODES:
        verdict: Verdict = "bad" if about.f_favail < LITTLE_INODES else "look"
        yield Finding("disk inodes", verdict, f"room for {about.f_favail} more files", MAKE_ROOM)
    else:
        yield Finding("disk inodes", "ok" if about.f_files else "n/a", "enough" if about.f_files else "not counted")


def _errors(place: Path, machine: Machine) -> Finding:
    """The error flag of the file system, which ext4 keeps from one start to the next."""
    device = place.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    block = machine.sys / "dev" / "block" / number
    name = block.resolve().name if block.exists() else ""
    errors = text(machine.sys / "fs" / "ext4" / name / "errors_count") if name else ""
    options = _mount_options(number, machine)
    if errors not in ("", "0"):
        return Finding("file system", "bad", f"errors on record of {name}: {errors}", REPLACE)
    if "ro" in options:
        hint = (
            "Look into the kernel's log (dmesg) for why; after errors it is switched so, and the card may be failing."
        )
        return Finding("file system", "bad", f"{place} is read-only", hint)
    if errors == "0":
        return Finding("file system", "ok", f"{name} has no errors on record")
    return Finding("file system", "n/a", "keeps no record of errors")


def _mount_options(number: str, machine: Machine) -> set[str]:
    """Of the mount and of the file system itself: either may be read-only."""
    found: set[str] = set()
    for line in text(machine.proc / "self" / "mountinfo").splitlines():
        fields, _, system = (part.split() for part in line.partition(" - "))
        if len(fields) > 5 and fields[2] == number:
            # One that is mounted a second time read-only, as by a container, says nothing of the first.
            found = {*fields[5].split(","), *system[2].split(",")} if not found or "ro" in found else found
    return found


def _writable(directory: Path, place: Path) -> Finding:
    """Writes, brings it to the card, and removes it."""
    if place != directory.absolute():
        if os.access(place, os.W_OK | os.X_OK):
            return Finding("data directory", "ok", f"{directory} will be made when the appliance starts")
        hint = "Make it, owned by the user that runs the appliance, or set [store] directory to another."
        return Finding("data directory", "bad", f"{directory} is not there and cannot be made", hint)
    if not place.is_dir():
        return Finding("data directory", "bad", f"{directory} is no directory", "Set [store] directory to another.")
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(os.urandom(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        hint = "Give it to the user that runs the appliance; after errors of the card, replace the card."
        return Finding("data directory", "bad", f"{directory} cannot be written to: {fault.strerror}", hint)
    return Finding("data directory", "ok", f"{directory} can be written to")
