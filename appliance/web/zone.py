"""The zone in which the site tells times and counts days: this machine's.

A phone may be set to another one; what a day is must not depend on who looks. Debian names the zone by the link
/etc/localtime (timezone(7)), the environment by TZ; where neither names one that is known, it is UTC.
"""

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

LINK = Path("/etc/localtime")
_FOLDER = "zoneinfo/"
_UTC = ("Etc/UTC", "Etc/UCT", "UCT", "Etc/Zulu", "Zulu", "Etc/Universal", "Universal")


def name() -> str:
    """The zone as the IANA database calls it, for browsers too.

    >>> bool(ZoneInfo(name()))
    True
    """
    for named in (os.environ.get("TZ", "").lstrip(":"), _linked()):
        try:
            if named and ZoneInfo(named):
                return "UTC" if named in _UTC else named
        except (ValueError, OSError):
            continue
    return "UTC"


def here() -> tzinfo:
    """The zone itself."""
    named = name()
    return UTC if named == "UTC" else ZoneInfo(named)


def written(moment: datetime, *, seconds: bool = False, day_only: bool = False) -> str:
    """A time in the site's zone, with the zone, in the order that every language reads.

    >>> written(datetime(2026, 3, 1, 12, tzinfo=UTC)).startswith("2026-03-01")
    True
    """
    local = moment.astimezone(here())
    if day_only:
        return local.strftime("%Y-%m-%d")
    return f"{local:%Y-%m-%d %H:%M:%S}{offset(local)}" if seconds else f"{local:%Y-%m-%d %H:%M}{offset(local)}"


def offset(local: datetime) -> str:
    """How a local time differs from UTC.

    >>> offset(datetime(2026, 3, 1, 12, tzinfo=UTC)), offset(datetime.fromisoformat("2026-03-01T12:00-03:30"))
    (' UTC', ' UTC−03:30')
    """
    told = f"{local:%z}"
    hours, minutes = told[:3].replace("-", "−"), told[3:5]
    if told.strip("+-0") == "":
        return " UTC"
    return f" UTC{hours}" if minutes == "00" else f" UTC{hours}:{minutes}"


def _linked() -> str:
    try:
        return os.readlink(LINK).partition(_FOLDER)[2]
    except OSError:
        return ""
