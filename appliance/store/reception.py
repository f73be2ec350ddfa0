"""How a meter was heard over time: how often, how well, and where in the band; and how much was heard of all.

Times are UTC in milliseconds, of buckets that follow each other. Where history was thinned or dropped this is not kept.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from appliance.store.heard import between, coverage_rows, not_kept, running
from appliance.store.history import History, View
from appliance.store.queries import Coverage
from appliance.store.rows import QUARTER_MS, MeterKey, Reception
from appliance.timeline import ms_of

MOST_BUCKETS = 800
LONGEST_RECEPTION_MS = 100 * 86_400_000
LONGEST_QUARTERS_MS = 4 * 86_400_000
_NO_LEVEL = -30_000
# A quarter of an hour belongs to the bucket in which its middle lies, since it was cut by the clock as known then.
_SUMS = f"""
SELECT b.key, sum(r.count), sum(r.corrected), sum(r.levels), sum(r.snr_sum_cdb),
       coalesce(max(r.snr_best_cdb), {_NO_LEVEL}),
       coalesce(min(r.frequency_min_hz), 0), coalesce(max(r.frequency_max_hz), 0)
FROM (SELECT key, value AS begin, lead(value) OVER (ORDER BY key) AS until FROM json_each(?2)) AS b
CROSS JOIN reception AS r ON r.meter = ?1 AND r.at >= b.begin - {2 * QUARTER_MS} AND r.at < b.until
    AND (r.at + r.last) / 2 >= b.begin AND (r.at + r.last) / 2 < b.until
WHERE b.until IS NOT NULL GROUP BY b.key
"""
_ROWS = (
    "SELECT at, count, corrected, levels, snr_sum_cdb, snr_best_cdb, frequency_min_hz, frequency_max_hz, last "
    "FROM reception WHERE id > ? AND meter = ? AND at >= ?"
)


@dataclass(frozen=True, slots=True)
class Heard:
    """How a meter was heard from `from_ms` to `to_ms`.

    `corrected` of the `messages` had bits corrected; levels are Eb/N0 in dB, None where none was measured, as are the
    lowest and highest carrier. `is_kept` says whether all of it is: where not, more may have been heard.
    """

    from_ms: int
    to_ms: int
    messages: int
    corrected: int
    snr_mean_db: float | None
    snr_best_db: float | None
    frequency_min_hz: int | None
    frequency_max_hz: int | None
    is_kept: bool


def receptions(history: History, meter: MeterKey, edges: Sequence[int]) -> list[Heard]:
    """How a meter was heard between each of some instants and the next; at most 800, the last 100 days of them.

    Raises sqlite3.Error.
    """
    edges = [edge for edge in edges if edge >= edges[-1] - LONGEST_RECEPTION_MS][-MOST_BUCKETS - 1 :]

    def question(view: View) -> list[Heard]:
        number = view.number(meter)
        sums = [Reception(meter, 0) for _ in edges[1:]]
        if number is not None and sums:
            _add_up(view, number, edges, sums)
        gone = not_kept(view) if number is not None else []
        found = []
        for (from_ms, to_ms), total in zip(pairwise(edges), sums, strict=True):
            is_kept = not any(low < to_ms and from_ms <= high for low, high in gone)
            found.append(_heard(from_ms, to_ms, total, is_kept))
        return found

    return history.answer(question)


def quarters(history: History, from_ms: int, to_ms: int) -> list[Coverage]:
    """What was heard in each quarter of an hour in which anything was; at most four days, the last ones.

    Raises sqlite3.Error.
    """
    from_ms = max(from_ms, to_ms - LONGEST_QUARTERS_MS) // QUARTER_MS * QUARTER_MS

    def question(view: View) -> list[Coverage]:
        found: dict[int, tuple[int, int]] = {}
        for at, heard, messages in coverage_rows(view, from_ms, to_ms):
            middle = view.timeline.utc_ms(at) + (QUARTER_MS // 2 if ms_of(at) else 0)
            begin = middle // QUARTER_MS * QUARTER_MS
            most, total = found.get(begin, (0, 0))
            found[begin] = (max(most, heard), total + messages)
        return [Coverage(begin, *counts) for begin, counts in sorted(found.items()) if from_ms <= begin < to_ms]

    return history.answer(question)


def _add_up(view: View, number: int, edges: Sequence[int], sums: list[Reception]) -> None:
    stamps = [view.timeline.stamp_at(edge) for edge in edges]
    for rows, instants in ((view.past, edges), (view.sealed, stamps)):
        told = json.dumps(list(instants))
        for segment in between(rows, instants[0], instants[-1]):
            for place, *counts in view.rows(segment, _SUMS, (number, told)):
                sums[place].join(_part(sums[place].meter, *counts))
    low = view.timeline.stamp_at(edges[0] - 2 * QUARTER_MS)
    recent = [Reception(sums[0].meter, *row) for row in view.live.execute(_ROWS, (view.live_to, number, low))]
    for reception in recent + [r for _, r in running(view, [number])]:
        middle = view.timeline.utc_ms((reception.at + reception.last) // 2)
        within = next((n for n, (begin, end) in enumerate(pairwise(edges)) if begin <= middle < end), None)
        if within is not None:
            sums[within].join(reception)


def _part(
    meter: MeterKey, count: int, corrected: int, levels: int, level_cdb: int, best_cdb: int, low_hz: int, high_hz: int
) -> Reception:
    best = None if best_cdb == _NO_LEVEL else best_cdb
    return Reception(meter, 0, count, corrected, levels, level_cdb, best, low_hz or None, high_hz or None)


def _heard(from_ms: int, to_ms: int, total: Reception, is_kept: bool) -> Heard:
    mean_db = total.snr_sum_cdb / total.levels / 100 if total.levels else None
    best_db = None if total.snr_best_cdb is None else total.snr_best_cdb / 100
    band = (total.frequency_min_hz, total.frequency_max_hz)
    return Heard(from_ms, to_ms, total.count, total.corrected, mean_db, best_db, *band, is_kept)
