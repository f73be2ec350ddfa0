"""`/api/v1/meters/{protocol}/{id}` and `/chart`: one meter for programs, and what its charts are drawn from."""

from typing import Any

from aiohttp import web

from appliance.errors import StoreError
from appliance.store.asked import asked
from appliance.tamper import meaning
from appliance.web.documents import document
from appliance.web.frame.guard import readers
from appliance.web.parts import PARTS
from appliance.web.quantities import scale_of
from appliance.web.views.meter.consumption import chart, span_of
from appliance.web.views.meter.files import TABLES
from appliance.web.views.meter.one_meter import at_stamp, is_unsure, key_of, meter_of
from appliance.web.views.meter.unheard import heard_as
from appliance.web.views.meters.rows import told, told_unheard
from appliance.web.views.meters.sparks import SPARKS

MOST_ENTRIES = 50
LISTS = {
    "tamper_changes": "tamper", "breaks": "breaks", "comparisons": "comparisons", "notes": "notes",
    "siblings": "siblings",
}  # fmt: skip

UNKNOWN = {
    "multiplier_by": "assigned", "first_heard": None, "first_heard_is_estimate": False, "tamper_phy_meaning": "",
    "tamper_enc_meaning": "",
}  # fmt: skip


@readers
async def view(request: web.Request) -> web.Response:
    """All that is known of a meter, but for its readings."""
    parts, sparks, key = request.app[PARTS], request.app[SPARKS], key_of(request)
    of, meter = parts.store.assigned.of(key), parts.store.ledger.get(key)
    if meter is None and of is not None and not key.simulated:
        if (heard := heard_as(parts, of)) is None:
            return document(told_unheard(of) | UNKNOWN | dict.fromkeys(LISTS, ()))
        meter = parts.store.ledger.get(heard)
    if meter is None:
        raise web.HTTPNotFound
    key = meter.key
    await sparks.refresh()
    said = told(parts, meter, of, sparks.of.get(key), parts.times)
    try:
        lists = {name: (await TABLES[table].of(parts, meter, {}))[:MOST_ENTRIES] for name, table in LISTS.items()}
    except StoreError:
        raise web.HTTPServiceUnavailable from None
    whose = scale_of(parts.store, key, meter.commodity).whose
    first = at_stamp(parts, meter.first_at)
    besides = {
        "multiplier_by": whose,
        "first_heard": first.iso,
        "first_heard_is_estimate": first.is_unsure,
        "tamper_phy_meaning": meaning(key.protocol, meter.commodity, "phy").words,
        "tamper_enc_meaning": meaning(key.protocol, meter.commodity, "enc").words,
    }
    return document(said | besides | lists)


@readers
async def chart_data(request: web.Request) -> web.Response:
    """What the charts of a meter are drawn from."""
    meter, parts = meter_of(request), request.app[PARTS]
    span = span_of(request.query, parts.store.clock.utc_ms(parts.store.clock.now()))
    try:
        columns: dict[str, Any] = await asked(parts.store, chart, meter.key, span)
    except StoreError:
        raise web.HTTPServiceUnavailable from None
    unsure = [place for place, begin in enumerate(columns["begin"]) if is_unsure(parts, begin)]
    return document(columns | {"unsure": unsure})
