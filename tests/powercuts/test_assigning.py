"""A list of assignments survives every power cut: it is there in full once it was acknowledged, and never in part."""

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.powercuts.cuts import cut_power, kill
from tests.powercuts.assigning import Assigning

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not sys.platform.startswith("linux"), reason="needs a C compiler and Linux"
)


def test_a_list_is_there_or_the_one_before(tmp_path: Path) -> None:
    tally = cut_power(Assigning(), tmp_path, seed=1, count=60, recoveries=1, per_recovery=10)
    assert (tally.cuts, tally.survived) == (70, 70), "\n".join(tally.complaints)


def test_a_program_that_is_killed_leaves_a_whole_list(tmp_path: Path) -> None:
    tally = kill(Assigning(), tmp_path, seed=1, count=3)
    assert (tally.cuts, tally.survived) == (3, 3), "\n".join(tally.complaints)
