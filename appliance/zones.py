"""The zone of this program, in which times are told and days begin; and the zones that there are.

What a day is depends neither on who looks nor on which part of the program asks: there is one zone for all of it, the
one that is set (`[site] zone`), else this machine's. Debian names that by the link /etc/localtime (timezone(7)), the
environment by TZ; where neither names one that is known, it is UTC.

Zones are those of the IANA Time Zone Database as the machine has it, in Debian's package tzdata. Without it there is
UTC alone.
"""

import difflib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

LINK = Path("/etc/localtime")
# The areas of the database; what else it has are older names of zones in these.
REGIONS = (
    *("Africa", "America", "Antarctica", "Arctic", "Asia"),
    *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
)
_FOLDER = "zoneinfo/"
_UTC = ("UTC", "Etc/UTC", "Etc/UCT", "UCT", "Etc/Zulu", "Zulu", "Etc/Universal", "Universal")
# Names of files beside those of zones, which browsers do not know.
_NONE = re.compile(r"(posix|right)/.*|localtime|posixrules|Factory")
_chosen = ""


def is_known(name: str) -> bool:
    """Whether that is a zone here.

    >>> is_known("UTC"), is_known("Mars/Base"), is_known("localtime"), is_known("../UTC"), is_known("")
    (True, False, False, False, False)
    """
    if name in _UTC:
        return True
    try:
        # One that is not there is a KeyError, a folder of them an OSError, what is no such name at all a ValueError.
        return bool(name) and not _NONE.fullmatch(name) and ZoneInfo(name) is not None
    except (KeyError, ValueError, OSError):
        return False


def zone_of(name: str) -> tzinfo:
    """A zone that is known, by its name."""
    return UTC if name in _UTC else ZoneInfo(name)


@cache
def places() -> dict[str, tuple[str, ...]]:
    """The zones to choose from, by region: those that are named by a place. None where the machine has no database."""
    known = sorted(available_timezones())
    found = {region: tuple(name for name in known if name.startswith(f"{region}/")) for region in REGIONS}
    return {region: names for region, names in found.items() if names}


def doubt(name: str) -> str | None:
    """Why a name is not taken for that of a zone, at the end of a sentence; None if it is one.

    >>> doubt("America/Santigo"), doubt("America/Santiago")
    (' (did you mean America/Santiago?)', None)
    """
    if is_known(name):
        return None
    known = [known for names in places().values() for known in names]
    if not known:
        return "; this machine knows none but UTC: install its package tzdata"
    meant = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {meant[0]}?)" if meant else ""


def machines() -> str:
    """The zone of this machine."""
    for named in (os.environ.get("TZ", "").lstrip(":"), _linked()):
        if is_known(named):
            return "UTC" if named in _UTC else named
    return "UTC"


@contextmanager
def chosen(name: str) -> Iterator[None]:
    """Have the program in a zone that is known while entered; empty: in that of the machine.

    >>> with chosen("UTC"):
    ...     name()
    'UTC'
    """
    global _chosen
    before, _chosen = _chosen, "UTC" if name in _UTC else name
    try:
        yield
    finally:
        _chosen = before


def name() -> str:
    """The zone of the program, as the database calls it, for browsers too."""
    return _chosen or machines()


def here() -> tzinfo:
    """The zone of the program itself."""
    return zone_of(name())


def minutes_ahead() -> int:
    """By how much the zone of the program is ahead of UTC now, as the machine's clock has it."""
    offset = datetime.now(here()).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() / 60)


def midnights(last: date, days: int) -> list[int]:
    """When the last days up to `last` begin, and the one after it, in ms since 1970.

    >>> with chosen("America/Santiago"):
    ...     midnights(date(1970, 1, 1), 2)
    [-75600000, 10800000, 97200000]
    """
    nights = [datetime.combine(last + timedelta(days=n), time(), here()) for n in range(1 - days, 2)]
    return [round(night.timestamp() * 1000) for night in nights]


def _linked() -> str:
    try:
        return os.readlink(LINK).partition(_FOLDER)[2]
    except OSError:
        return ""
