"""Two hosts in network namespaces, with a slow link between them that is cut: what waited arrives, and once."""

import pytest

from benchmarks.offline import Unavailable, measure


def test_a_day_offline_is_caught_up_over_a_slow_link_that_is_cut() -> None:
    try:
        # Raises when not all arrives, or not once.
        caught_up = measure(days=1, meters=20, rate_kbit=512, cuts_s=(0.5, 1.0))
    except Unavailable as fault:
        pytest.skip(str(fault))
    assert (caught_up.batches, caught_up.readings) == (96, 28_800)
    assert caught_up.sent_bytes < 12 * caught_up.readings
