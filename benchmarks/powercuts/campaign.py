"""A thousand power cuts of store and outbox: lives cut where they were recorded, and one killed again and again."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.powercuts.cuts import Subject, Tally, cut_power, kill
from benchmarks.powercuts.outbox import TheOutbox
from benchmarks.powercuts.store import Store

# A file system in memory, where there is one: thousands of directories are made.
MEMORY = Path("/dev/shm")
ENDLESS_HOURS = 1000.0
KILLED_BUDGET_BYTES = 2_600_000


@dataclass(frozen=True)
class Campaign:
    """So many lives of the store, each cut `cuts` times and of these `recoveries` again; and so many SIGKILLs.

    As many times each of the lives of the outbox, `outboxes`, is cut.

    The data directories get these `budgets` in bytes, in turn: with the first nothing has to go in four hours, with the
    second history is thinned and some of it dropped.
    """

    lives: int = 5
    outboxes: int = 2
    hours: float = 4.0
    cuts: int = 160
    recoveries: int = 3
    per_recovery: int = 10
    kills: int = 100
    budgets: tuple[int, ...] = (4_000_000, 2_600_000)

    @property
    def total(self) -> int:
        """How many cuts these are."""
        return (self.lives + self.outboxes) * (self.cuts + self.recoveries * self.per_recovery) + self.kills

    def run(self, seed: int, progress: Callable[[Tally], None] = lambda tally: None) -> Tally:
        """Make them all. Raises Lost when the store fails without a cut, Unrecorded when it escapes the recorder."""
        tally = Tally()

        def shown(earlier: Tally, part: Tally) -> None:
            progress(earlier.joined(part))

        with _memory() as work:
            lives: list[Subject] = [TheOutbox(seed + n, self.hours) for n in range(self.outboxes)]
            lives += [Store(seed + n, self.hours, self.budgets[n % len(self.budgets)]) for n in range(self.lives)]
            for n, life in enumerate(lives):
                part = cut_power(
                    life, work, seed + n, self.cuts, self.recoveries, self.per_recovery, partial(shown, tally)
                )
                tally = tally.joined(part)
            killed = Store(seed, ENDLESS_HOURS, KILLED_BUDGET_BYTES, ENDLESS_HOURS, reboots=False)
            return tally.joined(kill(killed, work, seed, self.kills, partial(shown, tally)))


LONG = Campaign()
QUICK = Campaign(lives=1, outboxes=1, hours=2.0, cuts=80, recoveries=1, kills=10, budgets=(2_400_000,))


def measure(seed: int, *, quick: bool = False) -> Tally:
    """The long campaign, or a quick one, with its progress and what went wrong on standard error."""
    campaign = QUICK if quick else LONG

    def show(tally: Tally) -> None:
        print(f"\r  power cuts: {tally.cuts} of {campaign.total}", end="", file=sys.stderr, flush=True)

    tally = campaign.run(seed, show)
    print(file=sys.stderr)
    for complaint in tally.complaints:
        print(complaint, file=sys.stderr)
    return tally


@contextmanager
def _memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="powercuts-") as name:
        yield Path(name)
