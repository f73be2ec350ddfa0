"""A program that assigns lists of meters to a store, each of its own version: a `Subject`.

Run by its path it is the program: DIRECTORY MARKS FIRST COUNT.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.assignment import Assignment
from appliance.errors import StoreError
from appliance.store.assign import assign
from appliance.store.assigned import Assigned
from appliance.store.schema import CATALOGUE
from appliance.store.writer import Store

LISTS, METERS = 12, 150


def street(version: int) -> Assigned:
    """A list each row of which tells its version; some are shorter than the one before."""
    count = METERS - 40 * (version % 3)
    meters = (Assignment.of(1 + n, "", f"version {version}", "Calle 5", f"{version}.5") for n in range(count))
    return Assigned(version, version, tuple(meters))


async def work(directory: Path, marks: Path, first: int, count: int) -> None:
    said = os.open(marks, os.O_WRONLY | os.O_APPEND)
    os.write(said, b"here\n")
    store = Store(directory, 60)
    try:
        await store.open()
        for version in range(first, first + count):
            assert await assign(store, street(version))
            os.write(said, f"{version}\n".encode())
    finally:
        await store.close()


async def found(directory: Path) -> Assigned:
    """What a start finds. Raises StoreError."""
    store = Store(directory, 60)
    try:
        await store.open()
        if store.trouble:
            raise StoreError(store.trouble)
        return store.assigned
    finally:
        await store.close()


class Assigning:
    """`kept` is the version that is kept."""

    name = "assigning"

    def command(self, directory: Path, marks: Path, kept: Any) -> Sequence[str]:
        return [sys.executable, "-m", __name__, str(directory), str(marks), str((kept or 0) + 1), str(LISTS)]

    def check(self, directory: Path, said: Sequence[str], kept: Any) -> Any:
        from benchmarks.powercuts.cuts import Lost, Verdict

        acknowledged = max([kept or 0, *(int(line) for line in said[1:])])
        if not (directory / CATALOGUE).exists() and not acknowledged:
            return Verdict(0, 0)
        try:
            assigned = asyncio.run(found(directory))
        except StoreError as fault:
            raise Lost(str(fault)) from None
        if not acknowledged <= assigned.version <= acknowledged + 1:
            raise Lost(f"version {acknowledged} was acknowledged, {assigned.version} is there")
        if assigned.version and assigned != street(assigned.version):
            raise Lost(f"version {assigned.version} is not what was assigned")
        return Verdict(assigned.version, 0)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
