"""The time as a person brings it, by the clock of a phone or typed: what it says, and whether it was believed.

The page asks the appliance what its own clock shows, and notes what the phone's showed in the middle of that round
trip. So it does not matter how long the person then takes, nor how slow the link is, but for half of the round trip
(as in NTP, RFC 5905). A phone is taken to be good to two seconds: its network holds it, and it is looked at by people.

The least trusted of all sources (`docs/time.md`): it makes known what nobody has told, and whatever speaks later and
knows better puts it right.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

from appliance.clock import CEILING_UTC_MS, FLOOR_UTC_MS, Clock, boot_of, ms_of

PHONE_MS = 2_000
# A minute that is read from a watch and typed, and a while until the button is pressed.
TYPED_MS = 120_000
# What was noted so long ago may be of before the phone slept.
MOST_AGE_MS = 60_000
MOST_ROUND_TRIP_MS = 20_000
_HALF_MINUTE = timedelta(seconds=30)
# A stamp is below 2**63.
_MOST_DIGITS = 19

Trouble = Literal["unread", "old", "slow", "twice", "impossible"]
Outcome = Literal["taken", "agreed", "better", "contradicted", "too many"]


class TimeRefused(Exception):
    """What was brought is no time that can be taken; `trouble` says why."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble: Trouble = trouble


class Brought(NamedTuple):
    """It is `utc_ms` now, give or take."""

    utc_ms: int
    uncertainty_ms: int


@dataclass(frozen=True, slots=True)
class Told:
    """What became of it, and by how much the time moved.

    "agreed": it is known as well or better; "better": another source that is trusted more says otherwise;
    "contradicted": then an earlier start would have ended after this one began; "too many": so often it is not
    taken down in one start.
    """

    outcome: Outcome
    moved_ms: int


def of_phone(fields: Mapping[str, str], clock: Clock) -> Brought:
    """What the page's script noted: `stamp`, the appliance's clock; `utc_ms`, the phone's; `round_trip_ms`.

    Raises TimeRefused.
    """
    stamp, utc_ms, round_trip_ms = (_number(fields.get(name, "")) for name in ("stamp", "utc_ms", "round_trip_ms"))
    now = clock.now()
    age_ms = ms_of(now) - ms_of(stamp)
    if boot_of(stamp) != boot_of(now) or not 0 <= age_ms <= MOST_AGE_MS:
        raise TimeRefused("old")
    if round_trip_ms > MOST_ROUND_TRIP_MS:
        raise TimeRefused("slow")
    return _possible(utc_ms + age_ms, PHONE_MS + math.ceil(round_trip_ms / 2))


def typed(text: str, zone: tzinfo) -> Brought:
    """A date and a time of day in a zone, as a browser's field sends them. Raises TimeRefused."""
    try:
        local = datetime.fromisoformat(text) if len(text) < 30 else None
    except ValueError:
        local = None
    if local is None or local.tzinfo is not None or not 1970 < local.year < 9000:
        raise TimeRefused("unread")
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        raise TimeRefused("twice")
    # A minute without seconds has begun, and is over half a minute later as likely as not.
    middle = first if local.second else first + _HALF_MINUTE
    return _possible(round(middle.timestamp() * 1000), TYPED_MS)


def tell(clock: Clock, brought: Brought) -> Told:
    """Have the clock weigh it."""
    before = clock.moment(clock.now())
    is_news = clock.offer("browser", *brought)
    after = clock.moment(clock.now())
    moved_ms = after.utc_ms - before.utc_ms
    known_ms = math.inf if after.uncertainty_ms is None else after.uncertainty_ms
    if abs(after.utc_ms - brought.utc_ms) > brought.uncertainty_ms + min(known_ms, brought.uncertainty_ms):
        if after.source == "browser":
            return Told("too many", 0)
        return Told("contradicted" if after.source == "estimate" else "better", 0)
    return Told("taken" if is_news and after != before else "agreed", moved_ms)


def _possible(utc_ms: int, uncertainty_ms: int) -> Brought:
    if not FLOOR_UTC_MS <= utc_ms <= CEILING_UTC_MS:
        raise TimeRefused("impossible")
    return Brought(utc_ms, uncertainty_ms)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise TimeRefused("unread")
    return int(text)
