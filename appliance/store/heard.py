"""How meters were heard, by quarters of an hour: what is sealed, what is not yet, and the quarter that is running."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from appliance.store import live
from appliance.store.history import View
from appliance.store.rows import DAYS, QUARTER_MS, MeterKey, Reception, SegmentRow

_RECEPTIONS = "SELECT at, last, count FROM reception WHERE meter = ? AND at >= ? AND at < ?"
_LIVE_RECEPTIONS = "SELECT at, last, count FROM reception WHERE id > ? AND meter = ? AND at >= ? AND at < ?"
# The last ones tell of all that were dropped, unless more logs than these were imported and dropped since.
_DROPPED = "SELECT detail FROM event WHERE kind = 'history_dropped' ORDER BY at DESC LIMIT 100"
_COVERAGE = "SELECT at, meters, messages FROM coverage WHERE at >= ? AND at < ?"
_LIVE_COVERAGE = "SELECT at, meters, messages FROM coverage WHERE id > ? AND at >= ? AND at < ?"


class Messages:
    """How often a meter was heard, by quarters of an hour."""

    def __init__(self, view: View, number: int, from_ms: int, to_ms: int) -> None:
        timeline = view.timeline
        low, high = timeline.stamp_at(from_ms - 2 * QUARTER_MS), timeline.stamp_at(to_ms)
        found: list[tuple[int, ...]] = []
        for rows, low_at, high_at in ((view.past, from_ms - 2 * QUARTER_MS, to_ms), (view.sealed, low, high)):
            for row in between(rows, low_at, high_at):
                found += view.rows(row, _RECEPTIONS, (number, low_at, high_at))
        found += view.live.execute(_LIVE_RECEPTIONS, (view.live_to, number, low, high))
        found += [(r.at, r.last, r.count) for _, r in running(view, [number])]
        self._counts: dict[int, int] = {}
        for at, last, count in found:
            # A quarter was cut by the clock as it was known then: what it mostly lies in is what it is.
            start = timeline.utc_ms((at + last) // 2) // QUARTER_MS
            self._counts[start] = self._counts.get(start, 0) + count
        self._unknown: set[int] = set()
        for low, high in not_kept(view):
            self._unknown.update(range(max(low, from_ms) // QUARTER_MS, min(high, to_ms) // QUARTER_MS + 1))

    def of_quarters(self, begins_ms: Iterable[int]) -> list[int | None]:
        """How often in each of the quarters of an hour that begin then; None if that is not kept any more."""
        counts, unknown = self._counts, self._unknown
        quarters = [from_ms // QUARTER_MS for from_ms in begins_ms]
        return [counts.get(quarter) or (None if quarter in unknown else 0) for quarter in quarters]


def not_kept(view: View) -> list[tuple[int, int]]:
    """The spans of time, in ms, of which how often meters were heard is not kept any more."""
    utc_ms = view.timeline.utc_ms
    thinned = [
        (utc_ms(before), utc_ms(row.to_at))
        for lane in (view.past, view.sealed)
        for before, row in _with_end_before(lane)
        if row.rank == DAYS
    ]
    return thinned + [(0, json.loads(detail)["to_utc_ms"]) for (detail,) in view.catalogue.execute(_DROPPED)]


def coverage_rows(view: View, from_ms: int, to_ms: int) -> Iterator[tuple[int, ...]]:
    """Begin, meters and messages of the quarters of an hour from one instant to another; some may lie before."""
    from_ms -= QUARTER_MS
    low, high = view.timeline.stamp_at(from_ms), view.timeline.stamp_at(to_ms)
    for rows, low_at, high_at in ((view.past, from_ms, to_ms), (view.sealed, low, high)):
        for row in between(rows, low_at, high_at):
            yield from view.rows(row, _COVERAGE, (low_at, high_at))
    yield from view.live.execute(_LIVE_COVERAGE, (view.live_to, low, high))
    numbers = [number for (number,) in view.catalogue.execute("SELECT number FROM meter")]
    yield from live.coverage(reception for _, reception in running(view, numbers))


def running(view: View, numbers: Iterable[int]) -> list[tuple[int, Reception]]:
    """The receptions of these meters in the quarter of an hour that is not over yet, as last written, by number."""
    packed = view.live.execute("SELECT receptions FROM running").fetchone()
    # Only their numbers are asked for here.
    keys = {number: MeterKey("", number, False) for number in numbers}
    return [(r.meter.meter_id, r) for r in live.unpack(packed[0], keys)] if packed else []


def between(rows: Sequence[SegmentRow], low: int, high: int) -> Iterator[SegmentRow]:
    """The segments that may hold receptions from `low` to `high`.

    A segment begins with its first reading, which may come long after the first reception; but no reception is older
    than what was sealed before, except by the quarter of an hour that was under way then.
    """
    for before, row in _with_end_before(rows):
        if before - 2 * QUARTER_MS < high and row.to_at >= low:
            yield row


def _with_end_before(rows: Sequence[SegmentRow]) -> Iterator[tuple[int, SegmentRow]]:
    """Each segment with the last stamp of those before it, 0 if there is none."""
    return zip(accumulate((row.to_at for row in rows), max, initial=0), rows, strict=False)
