"""The UTC of rows, from what a batch says of its boots' clocks; in Python for new rows, in SQL for those told before.

A clock is cut into spans within which time runs evenly. A row is as uncertain as the worse end of its span, and its
source is that end's.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, ColumnElement, bindparam

from appliance.sync.batch import MS_LIMIT, Knot, utc_ms

# What SQL multiplies stays below 2⁶³. Most clocks are far from it: two years with a drift of an hour are.
MOST_PRODUCT = 1 << 62


When = tuple[int, int | None, str]
"""The time of a row, in the columns' order: `at`, `uncertainty_ms`, `source`."""


class Span(NamedTuple):
    """From a millisecond of the boot to before another: `utc_ms` at `ms`, then `skew_ms` too fast in `run_ms`."""

    from_ms: int
    to_ms: int
    ms: int
    utc_ms: int
    skew_ms: int
    run_ms: int
    uncertainty_ms: int | None
    source: str


def spans(clock: Sequence[Knot]) -> list[Span]:
    """What a clock says, all milliseconds in turn.

    >>> [(s.from_ms, s.to_ms, s.skew_ms) for s in spans([Knot(10, 1000, 5, "ntp"), Knot(20, 1011, 5, "ntp")])]
    [(0, 10, 0), (10, 20, 1), (20, 4398046511104, 0)]
    """
    first, last = clock[0], clock[-1]
    found = [Span(0, first.ms, first.ms, first.utc_ms, 0, 1, first.uncertainty_ms, first.source)] if first.ms else []
    for low, high in pairwise(clock):
        worse = max(low, high, key=_doubt)
        found += _even(low, high, worse)
    return [*found, Span(last.ms, MS_LIMIT, last.ms, last.utc_ms, 0, 1, last.uncertainty_ms, last.source)]


def span_count(clock: Sequence[Knot]) -> int:
    """How many spans a clock has, without that these are made."""
    return bool(clock[0].ms) + sum(_pieces(low, high) for low, high in pairwise(clock)) + 1


def _even(low: Knot, high: Knot, worse: Knot) -> list[Span]:
    """The spans between two knots: one, or more where SQL could not reckon with it; these are true to 1 ms."""
    pieces = _pieces(low, high)
    cuts = [low.ms + (high.ms - low.ms) * piece // pieces for piece in range(pieces + 1)]
    ends = list(zip(cuts, [*utc_ms((low, high), cuts[:-1]), high.utc_ms], strict=True))
    return [
        Span(ms, to_ms, ms, utc, to_utc - utc - (to_ms - ms), to_ms - ms, worse.uncertainty_ms, worse.source)
        for (ms, utc), (to_ms, to_utc) in pairwise(ends)
    ]


def _pieces(low: Knot, high: Knot) -> int:
    run_ms, rise_ms = high.ms - low.ms, high.utc_ms - low.utc_ms
    pieces = 1
    while 2 * (run_ms // pieces + 1) * (abs(rise_ms - run_ms) // pieces + 2) >= MOST_PRODUCT:
        pieces *= 2
    return pieces


def _doubt(knot: Knot) -> int:
    return MS_LIMIT << 12 if knot.uncertainty_ms is None else knot.uncertainty_ms


def times(clock: Sequence[Knot], moments: Sequence[int]) -> list[When]:
    """When rows of a boot were, by their milliseconds."""
    if not moments:
        return []
    known = spans(clock)
    begins = [span.from_ms for span in known]
    first, last = (known[bisect_right(begins, ms) - 1] for ms in (min(moments), max(moments)))
    if first is last:
        _, _, zero, utc, skew, run, uncertainty_ms, source = first
        return [(utc + ms - zero + (ms - zero) * skew // run, uncertainty_ms, source) for ms in moments]
    return [_when(known[bisect_right(begins, ms) - 1], ms) for ms in moments]


def _when(span: Span, ms: int) -> When:
    at = span.utc_ms + ms - span.ms + (ms - span.ms) * span.skew_ms // span.run_ms
    return at, span.uncertainty_ms, span.source


def _parameter(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger)


def restated_at(ms: Column[int]) -> ColumnElement[int]:
    """The same in SQL, for the bound parameters of a span, `span_parameters`.

    SQL's division of whole numbers rounds towards 0, which is down only from 0 on: hence the bias.
    """
    after, run = ms - _parameter("zero_ms"), _parameter("run_ms")
    skew, bias = _parameter("skew_ms"), _parameter("bias_ms")
    return _parameter("utc_ms") + after + (after * skew + run * bias) // run - bias


def span_parameters(span: Span) -> dict[str, int | str | None]:
    """A span as what `restated_at` binds."""
    return {
        "low_ms": span.from_ms,
        "high_ms": span.to_ms,
        "zero_ms": span.ms,
        "utc_ms": span.utc_ms,
        "run_ms": span.run_ms,
        "skew_ms": span.skew_ms,
        "bias_ms": abs(span.skew_ms),
        "new_uncertainty_ms": span.uncertainty_ms,
        "new_source": span.source,
    }
