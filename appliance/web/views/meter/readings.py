"""`/meters/{protocol}/{id}/readings`: a meter's readings as they are stored, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from appliance.errors import StoreError
from appliance.store.asked import asked
from appliance.store.readings import readings
from appliance.web.frame.guard import readers
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS
from appliance.web.quantities import Scale, scale_of
from appliance.web.views.meter.files import before_of
from appliance.web.views.meter.one_meter import meter_of
from appliance.web.views.meter.shown import ReadingRow, reading_row
from appliance.web.views.meters.rows import name_of

PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class ReadingsPage:
    """For readings.html. `older` is the stamp with which the next page begins, "" on the last."""

    name: str
    meter_id: int
    scale: Scale
    readings: Sequence[ReadingRow]
    before: str
    older: str


@readers
async def view(request: web.Request) -> web.Response:
    """The page, the newest first; `before` a stamp it goes on."""
    meter, parts, before = meter_of(request), request.app[PARTS], before_of(request.query)
    scale = scale_of(parts.store, meter.key, meter.commodity)
    try:
        found = await asked(parts.store, readings, meter.key, before=before, limit=PER_PAGE + 1)
    except StoreError:
        raise web.HTTPServiceUnavailable from None
    shown = [reading_row(kept, scale) for kept in found[:PER_PAGE]]
    older = str(found[PER_PAGE - 1].at) if len(found) > PER_PAGE else ""
    named = "" if before is None else str(before)
    return html(
        request, "readings.html", ReadingsPage(name_of(meter.key), meter.key.meter_id, scale, shown, named, older)
    )
