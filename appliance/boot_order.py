"""What the order of boots says about their times: which courses can all be true, and the bounds of the others.

Beginnings and ends of all boots form one chain, in which each boot lasts at least as long as it is known to have run:
walking it forward gives the least, backward the most that each can be.
"""

import math
from bisect import bisect_left, bisect_right, insort
from typing import NamedTuple

from appliance.fixes import SOURCES, Course, drift_ms

# No stamp was made before there were stamps: 2025-01-01. A clock that says so was never set.
FLOOR_UTC_MS = 1_735_689_600_000


def bounds(courses: list[Course | None], last_ms: list[int]) -> tuple[list[float], list[float]]:
    """The least and the most UTC of each boot's beginning and end, in turn, in milliseconds; infinite if unbounded."""
    low: list[float] = []
    high: list[float] = []
    for course, until_ms in zip(courses, last_ms, strict=True):
        for ms in (0, until_ms):
            low.append(course.utc_ms(ms) - course.uncertainty_ms(ms) if course else -math.inf)
            high.append(course.utc_ms(ms) + course.uncertainty_ms(ms) if course else math.inf)
    steps = [step for ms in last_ms for step in (ms - drift_ms(ms), 0)]
    for at in range(len(high) - 2, -1, -1):
        high[at] = min(high[at], high[at + 1] - steps[at])
    if high and high[0] >= FLOOR_UTC_MS:
        low[0] = max(low[0], FLOOR_UTC_MS)
    for at in range(1, len(low)):
        low[at] = max(low[at], low[at - 1] + steps[at - 1])
    return low, high


def without_contradictions(courses: list[Course | None], last_ms: list[int]) -> list[Course | None]:
    """The courses that can all be true, None in place of the others: no boot ended after a later one began.

    The more trusted source stands; of equals the one that fewer contradict, so that one boot with a wrong server does
    not outvote a year of others; of these the one with the smaller uncertainty, then the later.
    """
    # With the length of all boots before it taken off, no boot that ends late may come before one that begins early.
    claims: dict[int, _Claim] = {}
    before_ms = 0
    for place, (course, until_ms) in enumerate(zip(courses, last_ms, strict=True)):
        begins_ms = before_ms
        before_ms += until_ms - drift_ms(until_ms)
        if course:
            latest_start = course.utc_ms(0) + course.uncertainty_ms(0) - begins_ms
            earliest_end = course.utc_ms(until_ms) - course.uncertainty_ms(until_ms) - before_ms
            claims[place] = _Claim(course, latest_start, earliest_end)
    if not any(_objections(claims).values()):
        return courses
    standing: dict[int, _Claim] = {}
    latest_end, earliest_start = _HighestBefore(len(courses)), _HighestBefore(len(courses))
    for source in SOURCES:
        peers = {place: claim for place, claim in claims.items() if claim.course.source == source}
        doubts = _doubts(peers, standing)
        for place in sorted(peers, key=lambda place: (doubts[place], claims[place].course.best_ms, -place)):
            claim, mirrored = claims[place], len(courses) - 1 - place
            if latest_end(place) <= claim.latest_start and earliest_start(mirrored) <= -claim.earliest_end:
                standing[place] = claim
                latest_end.add(place, claim.earliest_end)
                earliest_start.add(mirrored, -claim.latest_start)
    return [course if place in standing else None for place, course in enumerate(courses)]


class _Claim(NamedTuple):
    course: Course
    latest_start: int
    earliest_end: int


def _doubts(peers: dict[int, _Claim], standing: dict[int, _Claim]) -> dict[int, int]:
    """How doubtful each of `peers` is, from 0: those that most others contradict are left out first, then counted anew.

    So a lie stops to count against those whom it contradicts. Each round halves the worst count at least.
    """
    rounds: list[list[int]] = []
    left = dict(peers)
    while left:
        objections = _objections(dict(sorted((standing | left).items())))
        worst = max(objections[place] for place in left)
        if not worst:
            break
        rounds.append([place for place in left if 2 * objections[place] > worst])
        for place in rounds[-1]:
            del left[place]
    doubts = dict.fromkeys(peers, 0)
    for doubt, places in enumerate(reversed(rounds), 1):
        doubts.update(dict.fromkeys(places, doubt))
    return doubts


def _objections(claims: dict[int, _Claim]) -> dict[int, int]:
    """How many of the others each contradicts; `claims` in the order of boots."""
    objections = dict.fromkeys(claims, 0)
    earlier: list[int] = []
    for place, claim in claims.items():
        objections[place] += len(earlier) - bisect_right(earlier, claim.latest_start)
        insort(earlier, claim.earliest_end)
    later: list[int] = []
    for place, claim in reversed(claims.items()):
        objections[place] += bisect_left(later, claim.earliest_end)
        insort(later, claim.latest_start)
    return objections


class _HighestBefore:
    """The highest value added at any place before a given one, in logarithmic time: a binary indexed tree."""

    def __init__(self, places: int) -> None:
        self._tree = [-math.inf] * (places + 1)

    def add(self, place: int, value: int) -> None:
        node = place + 1
        while node < len(self._tree):
            self._tree[node] = max(self._tree[node], value)
            node += node & -node

    def __call__(self, place: int) -> float:
        highest = -math.inf
        while place:
            highest = max(highest, self._tree[place])
            place -= place & -place
        return highest
