"""What a technician does on a meter's page: notes, and comparisons with its dial."""

from aiohttp import web

from appliance.errors import ApplianceError, InputError, StoreError
from appliance.store import dials, notes
from appliance.store.ledger import Meter
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.forms import form
from appliance.web.frame.guard import only
from appliance.web.frame.language import language_of
from appliance.web.parts import PARTS
from appliance.web.typed import Either, reading
from appliance.web.views.meter.one_meter import meter_of
from appliance.web.views.meter.page import page
from appliance.web.views.meter.shown import Trouble
from appliance.web.views.meters.rows import name_of

TECHNICIAN = "technician"


@only(TECHNICIAN)
async def add_note(request: web.Request) -> web.Response:
    """Keep a note."""
    meter, typed = meter_of(request), (await form(request)).get("text", "")
    try:
        await notes.add_note(request.app[PARTS].store, meter.key, request[SESSION].name, typed)
    except (InputError, StoreError) as fault:
        return await page(request, meter, _trouble("note", fault, typed))
    return _back(meter, "notes")


@only(TECHNICIAN)
async def remove_note(request: web.Request) -> web.Response:
    """Remove a note of one's own."""
    meter, number = meter_of(request), await _number(request)
    try:
        await notes.remove_note(request.app[PARTS].store, number, request[SESSION].name)
    except (InputError, StoreError) as fault:
        return await page(request, meter, _trouble("note", fault))
    return _back(meter, "notes")


@only(TECHNICIAN)
async def compare(request: web.Request) -> web.Response:
    """Compare the register with what its dial shows."""
    meter, typed = meter_of(request), (await form(request)).get("shown", "")
    try:
        shown, _ = reading(typed, language_of(request))
    except Either as fault:
        return await page(request, meter, Trouble("dial", typed=typed, either=fault))
    except InputError:
        return await page(request, meter, Trouble("dial", typed=typed))
    try:
        await dials.compare(request.app[PARTS].store, meter.key, request[SESSION].name, shown)
    except (InputError, StoreError) as fault:
        return await page(request, meter, _trouble("dial", fault, typed))
    return _back(meter, "dial")


@only(TECHNICIAN)
async def remove_comparison(request: web.Request) -> web.Response:
    """Remove a comparison with the dial, and with it the multiplier that it told."""
    meter, number = meter_of(request), await _number(request)
    try:
        await dials.remove(request.app[PARTS].store, meter.key, number, request[SESSION].name)
    except (InputError, StoreError) as fault:
        return await page(request, meter, _trouble("dial", fault))
    return _back(meter, "dial")


async def _number(request: web.Request) -> int:
    number = (await form(request)).get("number", "")
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise web.HTTPBadRequest
    return int(number)


def _trouble(part: str, fault: ApplianceError, typed: str = "") -> Trouble:
    return Trouble(part, str(fault), fault.hint, typed, isinstance(fault, StoreError))


def _back(meter: Meter, place: str) -> web.Response:
    """To its page, by a request that can be repeated."""
    return web.Response(status=303, headers={"Location": f"/meters/{name_of(meter.key)}#{place}"})
