"""How fast the history grows, by what was sealed."""

import pytest

from appliance.clock import Timeline
from appliance.store.growth import growth_bytes_a_day
from appliance.store.rows import DAYS, SegmentRow
from appliance.timeline import DAY_MS, Boot, Fix, stamp

LINE = Timeline([Boot(1, "one", 90 * DAY_MS, 0)], [Fix(1, 0, 1_770_000_000_000, 1, "ntp")])


def segment(number: int, from_day: float, to_day: float, size: int, rank: int = 0) -> SegmentRow:
    ends = (stamp(1, round(from_day * DAY_MS)), stamp(1, round(to_day * DAY_MS)))
    return SegmentRow(number, rank, *ends, 0, 0, size, "", 0)


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([], None),
        ([segment(1, 0, 0.9, 5000)], None),
        ([segment(1, 0, 0.5, 1000), segment(2, 0.5, 2, 3000)], 2000.0),
        ([segment(1, 0, 30, 9_000_000), segment(2, 30, 70, 4000)], 100.0),
        ([segment(1, 0, 10, 9_000_000, DAYS), segment(2, 10, 20, 1000)], 100.0),
        ([SegmentRow(1, 0, 0, 5 * DAY_MS, 0, 0, 9_000_000, "", 0), segment(2, 10, 20, 1000)], 100.0),
    ],
)
def test_of_the_last_month(segments: list[SegmentRow], expected: float | None) -> None:
    assert growth_bytes_a_day(segments, LINE) == expected
