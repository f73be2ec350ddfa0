"""Times as the pages show them: how long ago, and marked where the clock was too unsure to be taken at its word.

How long ago something of the present boot was is exact whatever any clock says; of an earlier one it is as good as the
UTC of both (`docs/time.md`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from appliance import zones
from appliance.clock import EPOCH, Clock, Moment, boot_of
from appliance.web.frame.cldr import clock
from appliance.web.frame.rendering import age, span

# On a page nobody needs them better.
UNSURE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A time as machines read it, and how long ago it was.

    `doubt` is None where the time is well known, else by how much it may be off, empty where nothing bounds that.
    `rough`: how long ago it was is in doubt too.
    """

    iso: str
    age: str
    doubt: str | None
    rough: bool = False


def told(what: str, shown: Shown | None) -> dict[str, str | bool | None]:
    """A time for programs, under a name, and whether it is an estimate.

    >>> told("answered", None)
    {'answered': None, 'answered_is_estimate': False}
    """
    return {what: shown.iso if shown else None, f"{what}_is_estimate": bool(shown and shown.doubt is not None)}


class Times:
    """Now by the store's clock, and other times as seen from it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._boot = clock.boot
        self.moment: Moment = clock.moment(clock.now())
        self.now: datetime = utc(self.moment)
        self.doubt: str | None = doubt(self.moment)

    @property
    def of_day(self) -> str:
        """The time of day now, with its zone, and with a ≈ where it is in doubt."""
        local = self.now.astimezone(zones.here())
        return f"{'' if self.doubt is None else '≈'}{clock(local, seconds=True)}"

    @property
    def stand(self) -> dict[str, int | str]:
        """When it is, UTC in ms, and in which zone times are told: for what keeps open pages up to date."""
        return {"now": self.moment.utc_ms, "zone": zones.name()}

    def at(self, stamp: int) -> Shown:
        """The time of a stamp."""
        moment = self._clock.moment(stamp)
        unsure = doubt(moment)
        rough = boot_of(stamp) != self._boot and (unsure is not None or self.doubt is not None)
        return self._shown(utc(moment), unsure, rough)

    def ago(self, elapsed_s: float) -> Shown:
        """The time so many seconds ago, during this run of the program."""
        return self._shown(self.now - timedelta(seconds=elapsed_s), self.doubt, False)

    def of_utc(self, utc_ms: int) -> Shown:
        """A time that somebody else's clock told."""
        return self._shown(self.at_utc(utc_ms), None, self.doubt is not None)

    def at_utc(self, utc_ms: int) -> datetime:
        """UTC in ms as a date and a time of day."""
        return EPOCH + timedelta(milliseconds=utc_ms)

    def _shown(self, time: datetime, unsure: str | None, rough: bool) -> Shown:
        return Shown(time.isoformat(timespec="milliseconds"), age(time, self.now), unsure, rough)


def utc(moment: Moment) -> datetime:
    """The moment as a date and a time of day, in UTC."""
    return EPOCH + timedelta(milliseconds=moment.utc_ms)


def doubt(moment: Moment) -> str | None:
    """None for a time that is well known, else by how much it may be off, empty where nothing bounds that.

    >>> [doubt(Moment(0, ms, "rtc")) for ms in (250, 60_000, 61_000, 8_000_000, None)]
    [None, None, '2 min', '3 h', '']
    """
    if moment.uncertainty_ms is None:
        return ""
    return span(moment.uncertainty_ms / 1000, up=True) if moment.uncertainty_ms > UNSURE_MS else None
