"""A program that changes what is set on the page, time and again, as the page does: a `Subject`.

Run by its path it is the program: DIRECTORY MARKS FIRST COUNT.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance import lasting
from appliance.config import TABLES
from appliance.lasting import Lasting, Made

CHANGES = 40


def settings(version: int) -> Lasting:
    """What tells its version throughout; some are longer than the one before, some shorter."""
    return Lasting(
        site={"name": f"version {version}", "place": "x" * (version * 37 % 120)},
        receivers={"radio": {"source": "rtlsdr", "ppm": version % 200}},
        made={"site": Made(version, "ana")},
    )


def work(directory: Path, marks: Path, first: int, count: int) -> None:
    said = os.open(marks, os.O_WRONLY | os.O_APPEND)
    os.write(said, b"here\n")
    for version in range(first, first + count):
        lasting.keep(directory, settings(version))
        os.write(said, f"{version}\n".encode())


class Setting:
    """`kept` is the version that is kept."""

    name = "lasting settings"

    def command(self, directory: Path, marks: Path, kept: Any) -> Sequence[str]:
        return [sys.executable, "-m", __name__, str(directory), str(marks), str((kept or 0) + 1), str(CHANGES)]

    def check(self, directory: Path, said: Sequence[str], kept: Any) -> Any:
        from benchmarks.powercuts.cuts import Lost, Verdict

        acknowledged = max([kept or 0, *(int(line) for line in said[1:])])
        found, wrong = lasting.kept(directory, TABLES)
        version = found.made["site"].at if found.made else 0
        if wrong or (version and found != settings(version)):
            raise Lost(f"damaged: {wrong}, {found}")
        if not acknowledged <= version <= acknowledged + 1:
            raise Lost(f"version {acknowledged} was acknowledged, {version} is there")
        return Verdict(version, 0)


if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
