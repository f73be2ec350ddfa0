"""`/find/{id}` and `/find/{protocol}/{id}`: how loud one meter is, for who moves the antenna or walks.

By its number alone it is whichever meter of that number was heard last, and one that was never heard is waited for. The
events tell of a message within a tenth of a second: the ledger's revision, which is compared so often, costs nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from appliance.store.ledger import Ledger, Meter
from appliance.store.rows import MeterKey
from appliance.web.frame.guard import readers
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import html, render, span
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.streams import HEARTBEAT_S, stream
from appliance.web.times import Shown
from appliance.web.views.find import page as find
from appliance.web.views.meter.one_meter import key_of
from appliance.web.views.meters import rows as meter_rows

PATH = "/{meter:[1-9][0-9]{0,15}}"
INTERVAL_S = 0.1
# Beside a meter 50 dB are common, and in a street half of that.
FULL_GAUGE_DB = 60.0
# Of fewer messages in the last hour nobody can say how often they come.
FEWEST, HOUR_S = 3, 3600.0
# Who moves an antenna has moved it by then; most meters send every 30 s.
OLD_S = 180


@dataclass(frozen=True, slots=True)
class Level:
    """For _level.html. `row` is None until the meter was heard; `listening` is None while no radio runs.

    `every` is how much time there is between two messages, "" where that is not known. `is_old`: it says nothing of
    now. `same` are the addresses and protocols of the meters with this number, if there are several.
    """

    row: meter_rows.MeterRow | None
    every: str
    is_old: bool
    frequency_mhz: float | None
    gauge_percent: int
    listening: Shown | None
    same: Sequence[tuple[str, MeterKey]]


@dataclass(frozen=True, slots=True)
class LevelPage:
    """For find_level.html. `name` is what its address ends with; `heard` and `edition` are where the events begin.

    `place` is the name and the address of its service point, `full_db` what fills the gauge; a level is
    old after `old_s`.
    """

    name: str
    meter_id: int
    place: tuple[str, str]
    level: Level
    full_db: float
    old_s: int
    heard: str
    edition: str
    now_ms: int
    now_text: str


class Sought:
    """The meters of a number, as the ledger knows them by now, and which of them is meant."""

    def __init__(self, meter_id: int, key: MeterKey | None = None) -> None:
        self.meter_id = meter_id
        self.key = key
        self.keys: set[MeterKey] = set()
        self._ledger: Ledger | None = None
        self._revision = 0

    @property
    def name(self) -> str:
        """What the address of its page ends with."""
        return str(self.meter_id) if self.key is None else meter_rows.name_of(self.key)

    def look(self, ledger: Ledger) -> Meter | None:
        """The one that is meant, else the one heard last; None if it was never heard."""
        if ledger is not self._ledger:
            self._ledger, self._revision, self.keys = ledger, 0, set()
        if ledger.revision != self._revision:
            self.keys |= {one.key for one in ledger.since(self._revision) if one.key.meter_id == self.meter_id}
            self._revision = ledger.revision
        if self.key is not None:
            return ledger.get(self.key)
        heard = [one for key in self.keys if (one := ledger.get(key)) is not None]
        return max(heard, key=lambda one: one.last_at, default=None)


@readers
async def view(request: web.Request) -> web.Response:
    """The page."""
    parts, sought = request.app[PARTS], _sought(request)
    meter = None if sought is None else sought.look(parts.store.ledger)
    if sought is None or (sought.key is not None and meter is None):
        return find.nowhere(request, request.match_info.get("protocol", ""), request.match_info["meter"])
    times, assigned = parts.times, parts.store.assigned
    waited = (of for of in assigned.meters if of.meter_id == sought.meter_id)
    of = assigned.of(meter.key) if meter else next(waited, None)
    page = LevelPage(
        name=sought.name,
        meter_id=sought.meter_id,
        place=(of.name, of.address) if of else ("", ""),
        level=_level(parts, sought, meter),
        full_db=FULL_GAUGE_DB,
        old_s=OLD_S,
        heard="" if meter is None else str(meter.last_at),
        edition=parts.edition,
        now_ms=times.moment.utc_ms,
        now_text=times.of_day,
    )
    return html(request, "find_level.html", page)


@readers
async def events(request: web.Request) -> web.StreamResponse:
    """Each message of the meter, until the page leaves or the site stops."""
    parts, language, sought = request.app[PARTS], language_of(request), _sought(request)
    if sought is None:
        raise web.HTTPNotFound
    told: tuple[object, ...] = ()
    beat_at_s = 0.0

    async def event(now_s: float) -> bytes:
        nonlocal told, beat_at_s
        meter = sought.look(parts.store.ledger)
        state = (meter and (meter.key, meter.revision), len(sought.keys), parts.edition)
        if state == told and now_s < beat_at_s:
            return b""
        said = {
            **parts.times.stand,
            "edition": parts.edition,
            # A stamp is more than a number of JavaScript holds.
            "heard": "" if meter is None else str(meter.last_at),
            "db": None if meter is None else meter.snr_db,
            "html": None
            if state == told and meter is not None
            else render(PACKAGE, language, "_level.html", _level(parts, sought, meter)),
        }
        told, beat_at_s = state, now_s + HEARTBEAT_S
        return f"event: update\ndata: {json.dumps(said)}\n\n".encode()

    return await stream(request, event, INTERVAL_S)


def _sought(request: web.Request) -> Sought | None:
    """Whom the address names; None if there is no such number."""
    if "protocol" in request.match_info:
        key = key_of(request)
        return Sought(key.meter_id, key) if find.is_number(key.meter_id) else None
    meter_id = int(request.match_info["meter"])
    return Sought(meter_id) if find.is_number(meter_id) else None


def _level(parts: Parts, sought: Sought, meter: Meter | None) -> Level:
    times = parts.times
    same = sorted(sought.keys) if len(sought.keys) > 1 else []
    named = [(f"/find/{meter_rows.name_of(key)}", key) for key in same]
    if meter is None:
        runs = any(receiver.state == "running" for receiver in parts.receivers())
        return Level(None, "", False, None, 0, times.ago(parts.uptime_s) if runs else None, named)
    row = meter_rows.meter_row(parts, meter, parts.store.assigned.of(meter.key), None, times)
    return Level(
        row=row,
        every=_every(parts, meter, row.per_hour),
        is_old=_ago_s(parts, meter.last_at) > OLD_S,
        frequency_mhz=None if meter.frequency_hz is None else meter.frequency_hz / 1e6,
        gauge_percent=round(100 * min(1.0, max(0.0, (meter.snr_db or 0.0) / FULL_GAUGE_DB))),
        listening=None,
        same=named,
    )


def _every(parts: Parts, meter: Meter, an_hour: int) -> str:
    """How much time there is between two messages; "" where too few came, or the program did not run all of it."""
    if an_hour < FEWEST:
        return ""
    if (known_s := _ago_s(parts, meter.first_at)) <= min(HOUR_S, parts.uptime_s):
        return span((known_s - _ago_s(parts, meter.last_at)) / (an_hour - 1))
    return span(HOUR_S / an_hour) if parts.uptime_s >= HOUR_S else ""


def _ago_s(parts: Parts, at: int) -> float:
    clock = parts.store.clock
    return (clock.utc_ms(clock.now()) - clock.utc_ms(at)) / 1000
