"""What is set on the page survives every power cut: as it was, or as it became, and never in part."""

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.powercuts.cuts import cut_power, kill
from tests.powercuts.lasting import Setting

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not sys.platform.startswith("linux"), reason="needs a C compiler and Linux"
)


def test_a_setting_is_there_or_the_one_before(tmp_path: Path) -> None:
    tally = cut_power(Setting(), tmp_path, seed=1, count=200, recoveries=1, per_recovery=20)
    assert (tally.cuts, tally.survived) == (220, 220), "\n".join(tally.complaints)


def test_a_program_that_is_killed_leaves_whole_settings(tmp_path: Path) -> None:
    tally = kill(Setting(), tmp_path, seed=1, count=3)
    assert (tally.cuts, tally.survived) == (3, 3), "\n".join(tally.complaints)
