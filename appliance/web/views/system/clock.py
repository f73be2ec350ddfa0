"""`/system/clock`: what the clock shows, for the script that compares it with a phone's; and the time that is told.

It is never set by itself: a technician asks for it.
"""

from urllib.parse import quote

from aiohttp import web

from appliance.store.accounts import TECHNICIAN
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.forms import form
from appliance.web.frame.guard import only
from appliance.web.parts import PARTS, Parts
from appliance.web.views.system.facts import clock_facts
from appliance.web.views.system.page import page
from appliance.web.views.system.told_time import Brought, TimeRefused, of_phone, tell, typed
from appliance.zones import zone_of


@only(TECHNICIAN)
async def now(request: web.Request) -> web.Response:
    """What the clock shows, and which run of the program says so."""
    parts = request.app[PARTS]
    stamp = parts.store.clock.now()
    # A stamp is larger than the numbers of JavaScript.
    shown = {"stamp": str(stamp), "utc_ms": parts.store.clock.utc_ms(stamp), "run": run_of(parts)}
    return web.json_response(shown, headers={"Cache-Control": "no-store"})


@only(TECHNICIAN)
async def tell_time(request: web.Request) -> web.Response:
    """Take the time of a phone, or one that was typed."""
    parts, fields = request.app[PARTS], await form(request)
    try:
        told = tell(parts.store.clock, _brought(parts, fields))
    except TimeRefused as fault:
        given = {"typed": fields.get("time", "")[:30], "zone": fields.get("zone", "")[:60]}
        return await page(request, 422, clock_trouble=fault.trouble, **given)
    if told.outcome == "taken":
        off_ms = parts.times.moment.uncertainty_ms
        detail = {"what": "clock_told", "moved_ms": told.moved_ms, "uncertainty_ms": off_ms}
        parts.store.record("changed", {"who": request[SESSION].name, **detail})
    return web.Response(status=303, headers={"Location": f"/system?clock={quote(told.outcome)}#clock"})


def run_of(parts: Parts) -> str:
    """What tells one run of the program from the next."""
    return f"{parts.started_s:.6f}"


def _brought(parts: Parts, fields: dict[str, str]) -> Brought:
    """What a form brings. Raises TimeRefused."""
    if "time" not in fields:
        return of_phone(fields, parts.store.clock)
    named = fields.get("zone", "")
    if named not in clock_facts(parts, parts.times).zones:
        raise TimeRefused("unread")
    return typed(fields["time"], zone_of(named))
