"""`python -m benchmarks.powercuts DIRECTORY` checks once more what a cut that was not survived had left."""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.powercuts.cuts import Lost, kept_case


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.powercuts", description=__doc__)
    parser.add_argument("directory", type=Path, help="one that a failure named; its part `left` stays as it is")
    case = kept_case(parser.parse_args().directory)
    with tempfile.TemporaryDirectory() as work:
        try:
            verdict = case.check(Path(work))
        except Lost as fault:
            print(f"{case}: {fault}")
            return 1
    print(f"{case}: survived, {verdict.lost_s:.0f} s lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
