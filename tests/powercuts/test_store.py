"""Store and outbox under power cuts, in short; `make bench` makes a thousand of them."""

import shutil
import sys
from pathlib import Path
from random import Random

import pytest

from benchmarks.powercuts.campaign import Campaign
from benchmarks.powercuts.cuts import Case, record_life
from benchmarks.powercuts.disk import Kind, Tree
from benchmarks.powercuts.store import Store
from benchmarks.powercuts.trace import Trace

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not sys.platform.startswith("linux"), reason="needs a C compiler and Linux"
)

SHORT = Campaign(lives=1, outboxes=1, hours=2.0, cuts=50, recoveries=1, per_recovery=10, kills=3, budgets=(2_400_000,))


def test_store_and_outbox_survive_every_power_cut() -> None:
    tally = SHORT.run(seed=1)
    assert tally.cuts == tally.survived == SHORT.total, "\n".join(tally.complaints)
    assert tally.lost_s <= 60


def test_a_start_that_is_cut_short_while_it_enters_a_finished_segment_is_done_again(tmp_path: Path) -> None:
    subject = Store(1, hours=1.6, budget_bytes=4_000_000, later_hours=0.02)
    path, trace = record_life(subject, tmp_path, Tree(frozenset(), {}), "life", None)
    joined = segments_named(trace)[-1]
    between = cut(subject, path, trace, joined, None)
    verdict = between.check(tmp_path)
    path, trace = record_life(subject, tmp_path, between.tree, "start", verdict.kept)
    syncs = [n for n, entry in enumerate(trace.entries) if entry.kind in (Kind.SYNC, Kind.UNLINK)][:30]
    for number in syncs:
        cut(subject, path, trace, number + 1, verdict.kept).check(tmp_path)


def segments_named(trace: Trace) -> list[int]:
    """The entries right after which a segment has its name, durably, and nothing else was done."""
    renamed = [n for n, e in enumerate(trace.entries) if e.kind == Kind.RENAME and e.other.startswith("history/0")]
    return [n + 2 for n in renamed if trace.entries[n].other.endswith(".db")]


def cut(subject: Store, path: Path, trace: Trace, number: int, kept: object) -> Case:
    disk = trace.disk()
    for index in range(number):
        disk.apply(index, trace.entries[index])
    return Case(subject, path, number, "all", "", disk.cut(Random(0), "all"), trace.marks(number), kept)
