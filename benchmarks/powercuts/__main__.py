"""`python -m benchmarks.powercuts` cuts the power of store and outbox some 1,500 times.

With the DIRECTORY that a failure named it checks once more what that cut had left.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.powercuts.campaign import measure
from benchmarks.powercuts.cuts import Lost, kept_case


def check_again(directory: Path) -> int:
    case = kept_case(directory)
    with tempfile.TemporaryDirectory() as work:
        try:
            verdict = case.check(Path(work))
        except Lost as fault:
            print(f"{case}: {fault}")
            return 1
    print(f"{case}: survived, {verdict.lost_s:.0f} s lost")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.powercuts", description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", help="one that a failure named; its part `left` stays")
    parser.add_argument("--seed", type=int, default=1, help="makes the street and the cuts (default 1)")
    parser.add_argument("--quick", action="store_true", help="some 100 cuts")
    given = parser.parse_args()
    if given.directory:
        return check_again(given.directory)
    tally = measure(given.seed, quick=given.quick)
    print(f"{tally.cuts} power cuts, {tally.survived} survived, at most {tally.lost_s:.0f} s of readings lost")
    return int(tally.survived < tally.cuts)


if __name__ == "__main__":
    sys.exit(main())
