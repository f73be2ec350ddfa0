"""`/meters`: everything heard, narrowed and ordered as its address says, and what is assigned but was never heard.

`live.py` keeps it live. The same as a file: `/api/v1/meters.csv` and `.json`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from appliance.assignment import Assignment
from appliance.model import COMMODITIES
from appliance.store.ledger import Meter
from appliance.timeline import DAY_MS
from appliance.web import table_file
from appliance.web.frame.guard import readers
from appliance.web.frame.rendering import html
from appliance.web.openapi.tables import METER, columns
from appliance.web.parts import PARTS, Parts
from appliance.web.times import Shown, Times
from appliance.web.views.meter.unheard import path_of
from appliance.web.views.meters.rows import MeterRow, meter_row, told, told_unheard
from appliance.web.views.meters.sparks import SPARKS, Sparks
from appliance.web.views.meters.wanted import ASSIGNED, SORTS, Wanted

# Anyone can transmit any number of IDs; a page of more rows than this is of no use to a phone.
MOST_ROWS, MOST_UNHEARD = 1000, 200
COLUMNS = columns(METER)

Found = tuple[Meter, Assignment | None]


@dataclass(frozen=True, slots=True)
class MetersPage:
    """For meters.html. `heard` counts all meters, `found` those that are wanted; of very many, the ones heard last.

    `tampered` and `silent` count among all. Choices are value and words.
    """

    cursor: str
    now_ms: int
    now_text: str
    listening: Shown
    is_listening: bool
    simulated: bool
    only_simulated: bool
    doubt: str | None
    wanted: Wanted
    commodities: Sequence[str]
    assigned: Sequence[tuple[str, str]]
    sorts: Sequence[tuple[str, str]]
    rows: list[MeterRow]
    heard: int
    found: int
    unheard: Sequence[tuple[str, Assignment]]
    more_unheard: int
    has_assigned: bool


@readers
async def view(request: web.Request) -> web.Response:
    """The page."""
    sparks = request.app[SPARKS]
    await sparks.refresh()
    return html(request, "meters.html", meters_page(request.app[PARTS], sparks, Wanted.of(request.query)))


@readers
async def export(request: web.Request) -> web.Response:
    """The table as a file: all that the address asks for, those never heard last."""
    parts, sparks, wanted = request.app[PARTS], request.app[SPARKS], Wanted.of(request.query)
    await sparks.refresh()
    times = parts.times
    rows = [told(parts, meter, of, sparks.of.get(meter.key), times) for meter, of in found(parts, wanted, times)]
    rows += [told_unheard(of) for of in unheard(parts, wanted)]
    return table_file.answer(request, "meters", rows, COLUMNS)


def meters_page(parts: Parts, sparks: Sparks, wanted: Wanted) -> MetersPage:
    """The page as of now."""
    times, ledger, receivers = parts.times, parts.store.ledger, parts.receivers()
    meters, never = found(parts, wanted, times), unheard(parts, wanted)
    shown = meters
    if len(meters) > MOST_ROWS:
        latest = sorted(meters, key=lambda one: one[0].last_at, reverse=True)[:MOST_ROWS]
        kept = {meter.key for meter, _ in latest}
        shown = [one for one in meters if one[0].key in kept]
    return MetersPage(
        # Where nothing was drawn yet, all rows come again with the first event.
        cursor=f"{parts.edition}-{ledger.revision if sparks.of else 0}",
        now_ms=times.moment.utc_ms,
        now_text=times.of_day,
        listening=times.ago(parts.uptime_s),
        is_listening=any(receiver.state == "running" for receiver in receivers),
        simulated=any(receiver.simulated for receiver in receivers),
        only_simulated=all(receiver.simulated for receiver in receivers),
        doubt=times.doubt,
        wanted=wanted,
        commodities=COMMODITIES,
        assigned=tuple(ASSIGNED.items()),
        sorts=tuple((name, label) for name, (label, _) in SORTS.items()),
        rows=[meter_row(parts, meter, of, sparks.of.get(meter.key), times) for meter, of in shown],
        heard=len(ledger),
        found=len(meters),
        unheard=[(path_of(of), of) for of in never[:MOST_UNHEARD]],
        more_unheard=max(0, len(never) - MOST_UNHEARD),
        has_assigned=bool(parts.store.assigned.meters),
    )


def found(parts: Parts, wanted: Wanted, times: Times) -> list[Found]:
    """The meters that are wanted, in order."""
    assigned, now_s, ago = parts.store.assigned, times.now.timestamp(), day_ago(parts, times)
    all_of_them = ((meter, assigned.of(meter.key)) for meter in parts.store.ledger.meters)
    taken = [(meter, of) for meter, of in all_of_them if wanted.takes(meter, of, ago)]
    return sorted(taken, key=lambda one: wanted.key(one[0], one[1], now_s))


def unheard(parts: Parts, wanted: Wanted) -> list[Assignment]:
    """The assigned meters that are wanted and were never heard."""
    assigned = parts.store.assigned
    if not assigned.meters:
        return []
    heard = assigned.among(meter.key for meter in parts.store.ledger.meters)
    return [of for of in assigned.meters if of not in heard and wanted.takes_unheard(of)]


def day_ago(parts: Parts, times: Times) -> int:
    """The stamp of a day before now: what was heard last before it is silent."""
    return parts.store.clock.timeline.stamp_at(times.moment.utc_ms - DAY_MS)
