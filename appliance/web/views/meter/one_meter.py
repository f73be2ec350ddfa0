"""Which meter an address names, and the times of its history as its pages show them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web

from appliance import zones
from appliance.clock import EPOCH, Moment
from appliance.store.ledger import Meter
from appliance.store.rows import MeterKey
from appliance.web.parts import PARTS, Parts
from appliance.web.times import doubt

PATH = "/{protocol:[a-z0-9+]{1,16}}/{meter:[1-9][0-9]{0,15}(-simulated)?}"


@dataclass(frozen=True, slots=True)
class At:
    """A time in full: as machines read it, and in the site's zone, told with or without `seconds`.

    `is_unsure`: it may be off by a minute.
    """

    iso: str
    local: datetime
    seconds: bool
    is_unsure: bool


def meter_of(request: web.Request) -> Meter:
    """The meter that an address made by `name_of` names. Raises HTTPNotFound when it was never heard."""
    if (meter := request.app[PARTS].store.ledger.get(key_of(request))) is None:
        raise web.HTTPNotFound
    return meter


def key_of(request: web.Request) -> MeterKey:
    """What an address made by `name_of` names, heard or not."""
    meter_id, simulated, _ = request.match_info["meter"].partition("-simulated")
    return MeterKey(request.match_info["protocol"], int(meter_id), bool(simulated))


def at_of(moment: Moment, *, seconds: bool = True) -> At:
    """The time of a moment."""
    time = EPOCH + timedelta(milliseconds=moment.utc_ms)
    return At(time.isoformat(timespec="milliseconds"), local(moment.utc_ms), seconds, doubt(moment) is not None)


def at_stamp(parts: Parts, stamp: int, *, seconds: bool = True) -> At:
    """The time of a stamp."""
    return at_of(parts.store.clock.moment(stamp), seconds=seconds)


def is_unsure(parts: Parts, utc_ms: int) -> bool:
    """Whether what is placed at an instant may have been a minute or more before or after it."""
    timeline = parts.store.clock.timeline
    return doubt(timeline.moment(timeline.stamp_at(utc_ms))) is not None


def local(utc_ms: int) -> datetime:
    """An instant in the site's zone."""
    return (EPOCH + timedelta(milliseconds=utc_ms)).astimezone(zones.here())
