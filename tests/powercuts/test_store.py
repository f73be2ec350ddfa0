"""The store under power cuts, in short; `make bench` makes a thousand of them."""

import shutil
import sys

import pytest

from benchmarks.powercuts.campaign import Campaign

SHORT = Campaign(lives=1, hours=1.5, cuts=50, recoveries=1, per_recovery=10, kills=3)


@pytest.mark.skipif(shutil.which("cc") is None or not sys.platform.startswith("linux"), reason="needs cc and Linux")
def test_the_store_survives_every_power_cut() -> None:
    tally = SHORT.run(seed=1)
    assert tally.cuts == tally.survived == SHORT.total, "\n".join(tally.complaints)
    assert tally.lost_s <= 60
