"""Messages by quarters of an hour over the last day, as a picture that needs no script."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby
from typing import NamedTuple

QUARTERS = 96
QUARTER_MS = 900_000
HEIGHT = 100
HOURS_APART = 6


class Bar(NamedTuple):
    """A quarter of an hour: where it stands, how high of `HEIGHT`, when it begins on the wall, how many messages."""

    x: int
    y: float
    height: float
    begins: str
    messages: int


@dataclass(frozen=True, slots=True)
class Picture:
    """The bars of the quarters in which anything was heard; `most` in one of them, all `messages`.

    `quiet` counts the quarters without any in which the machine ran, and `away` are those in which it did not, from one
    place to before another. `marks` are hours on the wall with their place in per cent. `is_known` is
    false as long as the history gives no answer.
    """

    is_known: bool = False
    bars: tuple[Bar, ...] = ()
    most: int = 0
    messages: int = 0
    quiet: int = 0
    away: tuple[tuple[int, int], ...] = ()
    marks: tuple[tuple[str, float], ...] = ()


def picture(
    counts: Iterable[tuple[int, int]], now_ms: int, here: tzinfo, ran: Iterable[tuple[int, int]] | None = None
) -> Picture:
    """The day that ends now, of pairs of the UTC in ms at which a quarter begins and its messages.

    `ran` are the times in which the machine ran, from and to in UTC in ms; None is all day.
    """
    first = now_ms // QUARTER_MS - QUARTERS + 1
    messages: Mapping[int, int] = {begin // QUARTER_MS - first: count for begin, count in counts if count}
    shown = {place: count for place, count in messages.items() if 0 <= place < QUARTERS}
    most = max(shown.values(), default=0)
    day = first * QUARTER_MS
    spans = [(day, now_ms)] if ran is None else [(max(low, day), min(high, now_ms)) for low, high in ran if high >= day]
    bars = []
    for place, count in sorted(shown.items()):
        height = max(1.0, round(HEIGHT * count / most, 1))
        bars.append(Bar(place, round(HEIGHT - height, 1), height, _wall(first + place, here), count))
    on = {place for low, high in spans for place in range(low // QUARTER_MS - first, high // QUARTER_MS - first + 1)}
    quiet = sorted(set(range(QUARTERS)) - set(shown))
    off = [place for place in quiet if place not in on]
    away = tuple((begin, begin + len(run)) for begin, run in _runs(off))
    marks = tuple(_marks(first, here))
    return Picture(True, tuple(bars), most, sum(shown.values()), len(quiet) - len(off), away, marks)


def _runs(places: Iterable[int]) -> Iterable[tuple[int, list[int]]]:
    """Places that follow each other, with the first of them."""
    for _, group in groupby(enumerate(places), lambda pair: pair[1] - pair[0]):
        run = [place for _, place in group]
        yield run[0], run


def _marks(first: int, here: tzinfo) -> Iterable[tuple[str, float]]:
    for place in range(QUARTERS):
        local = _local(first + place, here)
        if local.minute == 0 and local.hour % HOURS_APART == 0:
            yield f"{local:%H:%M}", round(100 * place / QUARTERS, 1)


def _wall(quarter: int, here: tzinfo) -> str:
    return f"{_local(quarter, here):%H:%M}"


def _local(quarter: int, here: tzinfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=quarter * QUARTER_MS)).astimezone(here)
