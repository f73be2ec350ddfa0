"""All that happened, of every kind or of some, the latest first, page by page.

Each page costs the same however much has happened: of each kind the index leads to so many rows and no more. Times are
stamps. Raises sqlite3.Error or OSError when the catalogue cannot be read.
"""

import json
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from appliance.store.history import History, View
from appliance.store.queries import MOST_EVENTS, keys_of, lanes_before
from appliance.store.rows import MeterKey

Row = tuple[int, int, str, int | None, str]


class Logged(NamedTuple):
    """An event as it was written down, by whichever version of the program: kind and detail may be unknown here."""

    number: int
    at: int
    kind: str
    meter: MeterKey | None
    detail: dict[str, Any]


def logged(history: History, kinds: Sequence[str] = (), *, before: int | None = None, limit: int = 100) -> list[Logged]:
    """The last events of these kinds, of all if none is given; `before` is the number of the last of a page before."""
    bounded = max(0, min(limit, MOST_EVENTS))

    def question(view: View) -> list[Logged]:
        lanes = _lanes(view, kinds, before, bounded)
        latest = merge(*lanes, key=lambda row: (view.timeline.utc_ms(row[1]), row[1], row[0]), reverse=True)
        rows = list(islice(latest, bounded))
        keys = keys_of(view, [row[3] for row in rows])
        return [
            Logged(number, at, kind, None if meter is None else keys.get(meter), _detail(detail))
            for number, at, kind, meter, detail in rows
        ]

    return history.answer(question)


def _lanes(view: View, kinds: Sequence[str], before: int | None, limit: int) -> Iterator[list[Row]]:
    every: list[tuple[str, tuple[str, ...]]] = [("", ())]
    some: list[tuple[str, tuple[str, ...]]] = [("kind = ? AND ", (kind,)) for kind in kinds]
    for low, (at, number) in lanes_before(view, before):
        for of, values in some or every:
            query = (
                f"SELECT number, at, kind, meter, detail FROM event WHERE {of}at >= ? AND (at, number) < (?, ?) "
                "ORDER BY at DESC, number DESC LIMIT ?"
            )
            yield view.catalogue.execute(query, (*values, low, at, number, limit)).fetchall()


def _detail(written: str) -> dict[str, Any]:
    """What is said of an event; nothing where that cannot be read."""
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
