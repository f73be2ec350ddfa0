"""What the operator's pages look at, and times as they show them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database
from appliance.aggregator.ingest import Ingest
from appliance.web.frame.rendering import span

PACKAGE = "appliance.aggregator.pages"
"""Which has the templates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """One worker of the aggregator as the pages see it."""

    database: Database
    appliances: Appliances
    ingest: Ingest
    now_utc_ms: Callable[[], int]


CENTRE = web.AppKey("CENTRE", Centre)


@dataclass(frozen=True, slots=True)
class When:
    """A time: as machines read it and in UTC, and how long ago it was."""

    iso: str
    utc: datetime
    age: str


def when(utc_ms: int | None, now_utc_ms: int) -> When | None:
    """A time, seen from now; None stays None.

    >>> told = when(1_700_000_000_000, 1_700_000_100_000)
    >>> told.iso, told.age
    ('2023-11-14T22:13:20Z', '1 min')
    """
    if utc_ms is None:
        return None
    time = datetime.fromtimestamp(utc_ms / 1000, UTC)
    age = span(max(0.0, (now_utc_ms - utc_ms) / 1000))
    return When(f"{time:%Y-%m-%dT%H:%M:%SZ}", time, age)


def grouped(identity: str) -> str:
    """An identity as people compare it.

    >>> grouped("0123456789ab")
    '0123 4567 89ab'
    """
    return " ".join(identity[i : i + 4] for i in range(0, len(identity), 4))
