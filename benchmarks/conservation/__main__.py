"""`python -m benchmarks.conservation` sends 100,000 readings through 1,000 faults, and counts what arrives."""

import argparse
import sys

from benchmarks.conservation.campaign import measure
from benchmarks.conservation.check import Lost


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conservation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="makes the faults (default 1)")
    parser.add_argument("--quick", action="store_true", help="some 3,000 readings through 40 faults")
    parser.add_argument("--postgresql", action="store_true", help="two workers on PostgreSQL in place of one on SQLite")
    given = parser.parse_args()
    try:
        tally = measure(given.seed, quick=given.quick, postgresql=given.postgresql)
    except Lost as fault:
        print(f"LOST: {fault}")
        return 1
    for name, count in sorted(tally.happened.items()):
        print(f"  {count:>6}  {name}")
    print(f"{tally.readings} readings through {tally.faults} faults: each is there once, none altered, none invented")
    return 0


if __name__ == "__main__":
    sys.exit(main())
