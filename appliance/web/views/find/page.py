"""`/find`: which meter somebody looks for: by its number, by what its dial shows, by a load, or by how loud it is here.

`level.py` is where the first leads to, `dial.py` and `load.py` have the next two.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from appliance.assignment import Assignment
from appliance.model import COMMODITIES
from appliance.web.frame.guard import readers
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import html, render
from appliance.web.middle import keep_up
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.streams import HEARTBEAT_S
from appliance.web.views.meters.page import day_ago
from appliance.web.views.meters.rows import MeterRow, meter_row

# Beyond this numbers are not the same to every reader of JSON; what transmitters have is 32 bits at most.
_LIMIT, MOST_ID = 1 << 53, (1 << 32) - 1
LONGEST_TYPED = 40
LATELY_MS = 15 * 60_000
SHOWN_LOUDEST, SHOWN_MISSING, MOST_OFFERED = 8, 8, 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """What was wrong: "number", "zero", "large" with what was `typed`; "stranger": no meter `typed` was ever heard.

    Of a stranger, `meter_id` can be waited for, whatever it speaks; None where nothing can have that number.
    """

    what: str = ""
    typed: str = ""
    meter_id: int | None = None


@dataclass(frozen=True, slots=True)
class FindPage:
    """For find.html. `loudest` of the last minutes; `missing` are assigned and were not heard for a day.

    `offered` are the IDs that are offered while somebody types.
    """

    trouble: Trouble
    loudest: Sequence[MeterRow]
    missing: Sequence[Assignment]
    more_missing: int
    offered: Sequence[int]
    commodities: Sequence[str]
    now_ms: int
    now_text: str


@dataclass(frozen=True, slots=True)
class Loudest:
    """For _loudest.html: the meters of the last minutes, the loudest first."""

    loudest: Sequence[MeterRow]


@readers
async def view(request: web.Request) -> web.Response:
    """The page; on to the level of a meter if one is named."""
    if (typed := request.query.get("id")) is None:
        return _page(request, Trouble())
    digits = re.sub(r"\s", "", typed)
    if not re.fullmatch("[0-9]{1,40}", digits):
        return _page(request, Trouble("number", typed[:LONGEST_TYPED]), 422)
    meter_id = int(digits)
    if meter_id == 0:
        return _page(request, Trouble("zero", typed[:LONGEST_TYPED]), 422)
    if meter_id > MOST_ID and meter_id not in _known(request.app[PARTS]):
        return _page(request, Trouble("large", typed[:LONGEST_TYPED]), 422)
    return web.Response(status=303, headers={"Location": f"/find/{meter_id}"})


@readers
async def events(request: web.Request) -> web.StreamResponse:
    """The loudest, again and again; not so often that they change under a finger."""
    parts, language = request.app[PARTS], language_of(request)

    async def draw() -> str:
        return render(PACKAGE, language, "_loudest.html", Loudest(_loudest(parts)))

    return await keep_up(request, draw, HEARTBEAT_S)


def is_number(meter_id: int) -> bool:
    """Whether a meter can have this number."""
    return 0 < meter_id < _LIMIT


def nowhere(request: web.Request, protocol: str, meter: str) -> web.Response:
    """The page, in place of that of a meter that cannot be found."""
    meter_id = int(meter.removesuffix("-simulated"))
    found = meter_id if is_number(meter_id) else None
    return _page(request, Trouble("stranger", f"{protocol} {meter}".strip(), found), 404)


def _known(parts: Parts) -> set[int]:
    store = parts.store
    return {meter.key.meter_id for meter in store.ledger.meters} | {of.meter_id for of in store.assigned.meters}


def _page(request: web.Request, trouble: Trouble, status: int = 200) -> web.Response:
    parts = request.app[PARTS]
    times, assigned, ledger = parts.times, parts.store.assigned, parts.store.ledger
    today = day_ago(parts, times)
    among = assigned.among(meter.key for meter in ledger.meters if meter.last_at >= today) if assigned.meters else set()
    missing = [of for of in assigned.meters if of not in among]
    recent = [meter.key.meter_id for meter, _ in zip(ledger.since(0), range(MOST_OFFERED), strict=False)]
    offered = dict.fromkeys([*(of.meter_id for of in assigned.meters[:MOST_OFFERED]), *recent])
    page = FindPage(
        trouble=trouble,
        loudest=_loudest(parts),
        missing=missing[:SHOWN_MISSING],
        more_missing=max(0, len(missing) - SHOWN_MISSING),
        offered=list(offered)[:MOST_OFFERED],
        commodities=COMMODITIES[:3],
        now_ms=times.moment.utc_ms,
        now_text=times.of_day,
    )
    return html(request, "find.html", page, status)


def _loudest(parts: Parts) -> list[MeterRow]:
    times, store = parts.times, parts.store
    lately = store.clock.timeline.stamp_at(times.moment.utc_ms - LATELY_MS)
    heard = [meter for meter in store.ledger.meters if meter.last_at >= lately and meter.snr_db is not None]
    loudest = sorted(heard, key=lambda meter: meter.snr_db or 0.0, reverse=True)[:SHOWN_LOUDEST]
    return [meter_row(parts, meter, store.assigned.of(meter.key), None, times) for meter in loudest]
