"""How fast the history grows, by what was sealed of late: an estimate, as good as the next weeks are like the last."""

from collections.abc import Sequence

from appliance.store.rows import DAYS, SegmentRow
from appliance.timeline import BOOT_SHIFT, DAY_MS, Timeline

LEAST_MS, MOST_MS = DAY_MS, 30 * DAY_MS


def growth_bytes_a_day(segments: Sequence[SegmentRow], timeline: Timeline) -> float | None:
    """Of the last month; None while less than a day of history is sealed."""
    total_bytes, from_ms, to_ms = 0, 0, 0
    for row in reversed(segments):
        if row.rank == DAYS or row.from_at < 1 << BOOT_SHIFT:
            continue
        to_ms = to_ms or timeline.utc_ms(row.to_at)
        from_ms = timeline.utc_ms(row.from_at)
        total_bytes += row.bytes
        if to_ms - from_ms >= MOST_MS:
            break
    return total_bytes * DAY_MS / (to_ms - from_ms) if to_ms - from_ms >= LEAST_MS else None
