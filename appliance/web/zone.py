"""Times as the site writes them, in the zone of the program: see `zones.py`."""

from datetime import datetime

from appliance.zones import here, name

__all__ = ["here", "name", "offset", "written"]


def written(moment: datetime, *, seconds: bool = False, day_only: bool = False) -> str:
    """A time in the site's zone, with the zone, in the order that every language reads.

    >>> written(datetime.fromisoformat("2026-03-01T12:00Z")).startswith("2026-03-01")
    True
    """
    local = moment.astimezone(here())
    if day_only:
        return local.strftime("%Y-%m-%d")
    return f"{local:%Y-%m-%d %H:%M:%S}{offset(local)}" if seconds else f"{local:%Y-%m-%d %H:%M}{offset(local)}"


def offset(local: datetime) -> str:
    """How a local time differs from UTC.

    >>> [offset(datetime.fromisoformat(f"2026-03-01T12:00{at}")) for at in ("Z", "-03:30")]
    [' UTC', ' UTC−03:30']
    """
    told = f"{local:%z}"
    hours, minutes = told[:3].replace("-", "−"), told[3:5]
    if told.strip("+-0") == "":
        return " UTC"
    return f" UTC{hours}" if minutes == "00" else f" UTC{hours}:{minutes}"
