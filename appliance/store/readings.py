"""A meter's readings as they are kept, page by page, the latest first: what is behind every figure about it.

A message that changed nothing is no reading: how often the meter was heard besides, `reception.py` tells.
"""

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import accumulate, islice
from typing import NamedTuple

from appliance.store.history import History, View
from appliance.store.rows import CARRIED, SUSPECT, MeterKey, SegmentRow
from appliance.timeline import BOOT_SHIFT, CALENDAR, Moment, boot_of

MOST_READINGS = 500
_END = 2**63 - 1
_COLUMNS = "at, consumption, coalesce(tamper_phy, -1), coalesce(tamper_enc, -1), flags"
_SEALED = (
    f"SELECT {_COLUMNS} FROM reading WHERE meter = ? AND at < ? AND NOT flags & {CARRIED} ORDER BY at DESC LIMIT ?"
)
_LIVE = f"SELECT {_COLUMNS} FROM reading WHERE id > ? AND meter = ? AND at < ?"

Row = tuple[int, ...]


class Kept(NamedTuple):
    """A reading: its stamp, by which the next page is asked for; when that was, and how sure that is.

    `is_suspect`: the register cannot have moved so, and no second message agreed.
    """

    at: int
    moment: Moment
    consumption: int
    tamper_phy: int | None
    tamper_enc: int | None
    is_suspect: bool


def readings(history: History, meter: MeterKey, *, before: int | None = None, limit: int = 100) -> list[Kept]:
    """The last readings of a meter; `before` is the stamp of the last one of the page before. Raises sqlite3.Error."""
    bounded = max(0, min(limit, MOST_READINGS))

    def question(view: View) -> list[Kept]:
        number = view.number(meter)
        if number is None or not bounded:
            return []
        past, own = _before(view, before)
        utc_ms = view.timeline.utc_ms
        lanes = (_past(view, number, past, bounded), _own(view, number, own, bounded))
        latest = merge(*lanes, key=lambda row: (utc_ms(row[0]), row[0]), reverse=True)
        return [_kept(view, row) for row in islice(latest, bounded)]

    return history.answer(question)


def _before(view: View, at: int | None) -> tuple[int, int]:
    """The stamps before which to look: in the calendar, and in boots."""
    if at is None:
        return 1 << BOOT_SHIFT, _END
    if boot_of(at) == CALENDAR:
        return at, view.timeline.stamp_at(at)
    return min(view.timeline.utc_ms(at) + 1, 1 << BOOT_SHIFT), at


def _past(view: View, number: int, before: int, limit: int) -> Iterator[Row]:
    yield from _latest(view, view.past, number, before, limit, [])


def _own(view: View, number: int, before: int, limit: int) -> Iterator[Row]:
    recent = view.live.execute(_LIVE, (view.live_to, number, before)).fetchall()
    yield from _latest(view, view.sealed, number, before, limit, recent)


def _latest(
    view: View, segments: Sequence[SegmentRow], number: int, before: int, limit: int, found: list[Row]
) -> list[Row]:
    """The last rows of segments and of those `found` already, each once, as far back as it takes to have enough."""
    known = {row[0]: row for row in found}
    ends = list(accumulate((segment.to_at for segment in segments), max))
    for segment, end in zip(reversed(segments), reversed(ends), strict=True):
        enough = sorted(known, reverse=True)[:limit]
        if len(enough) == limit and enough[-1] > end:
            break
        if segment.from_at < before:
            for row in view.rows(segment, _SEALED, (number, before, limit)):
                known.setdefault(row[0], row)
    return [known[at] for at in sorted(known, reverse=True)[:limit]]


def _kept(view: View, row: Row) -> Kept:
    at, consumption, tamper_phy, tamper_enc, flags = row
    tamper = (None if tamper_phy < 0 else tamper_phy, None if tamper_enc < 0 else tamper_enc)
    return Kept(at, view.timeline.moment(at), consumption, *tamper, bool(flags & SUSPECT))
