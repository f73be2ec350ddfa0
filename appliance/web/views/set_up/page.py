"""`/set-up`: what a technician sets at the appliance, at first and later; what lasts takes effect by starting anew.

What the page shows is gathered in `shown.py`, what is typed is read by `forms.py`.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from appliance.errors import StoreError
from appliance.lasting import Entry
from appliance.store.accounts import TECHNICIAN
from appliance.sync.transport import links_of
from appliance.sync.trial import Trial, trial
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.forms import form
from appliance.web.frame.guard import only
from appliance.web.frame.proof import OWN_PASSWORD, Denied, prove_again
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS
from appliance.web.views.set_up.forms import Typed, of_receiver, of_site, of_sync
from appliance.web.views.set_up.setting_up import SETTING_UP
from appliance.web.views.set_up.shown import Trouble, settable, show
from appliance.web.views.set_up.steps import MAY_STAY
from appliance.web.views.system.clock import run_of

log = logging.getLogger(__name__)

PATH = "/set-up"
# So that the answer is on its way before the site goes.
AFTER_S = 0.5
NOT_KEPT, NO_KEY, BUSY = "not kept", "no key", "busy"
SECRETS = ("token", OWN_PASSWORD)


@dataclass(frozen=True, slots=True)
class AnewPage:
    """For set_up_anew.html. `run` names the run of the program that ends, `place` is where on the page to go on."""

    run: str
    place: str


@only(TECHNICIAN)
async def view(request: web.Request) -> web.Response:
    """The page."""
    return await show(request)


@only(TECHNICIAN)
async def set_site(request: web.Request) -> web.Response:
    """Name and place."""
    fields = await form(request)
    return await _keep(request, "place", "site", of_site(fields, request.app[PARTS].draft), fields)


@only(TECHNICIAN)
async def set_sync(request: web.Request) -> web.Response:
    """The aggregator: try it; or keep it, with one's own password, for what it has got does not come back."""
    fields = await form(request)
    typed = of_sync(fields, request.app[PARTS].draft, (await request.app[SETTING_UP].lasting())[0].sync)
    if fields.get("do") != "try" or typed.wrong:
        return await _keep(request, "aggregator", "sync", typed, fields, asks_again=True)
    return await _try(request, typed, fields)


@only(TECHNICIAN)
async def set_radio(request: web.Request) -> web.Response:
    """A receiver, or one more."""
    fields, parts = await form(request), request.app[PARTS]
    name = fields.get("name", "")
    if name not in settable(parts):
        raise web.HTTPBadRequest
    known = (await request.app[SETTING_UP].lasting())[0].of(f"receiver {name}")
    return await _keep(request, "radio", f"receiver {name}", of_receiver(fields, parts.draft, name, known), fields)


@only(TECHNICIAN)
async def put_back(request: web.Request) -> web.Response:
    """What was set here of a part is to be as the file says again."""
    part = (await form(request)).get("part", "")
    known, _ = await request.app[SETTING_UP].lasting()
    if part not in ("site", "sync", *(f"receiver {name}" for name in known.receivers)):
        raise web.HTTPBadRequest
    step = {"site": "place", "sync": "aggregator"}.get(part, "radio")
    return await _keep(request, step, part, Typed({}), {}, "settings_put_back")


@only(TECHNICIAN)
async def leave_out_wrong(request: web.Request) -> web.Response:
    """What is wrong in the file of the page's settings is to go."""
    await form(request)
    try:
        await request.app[SETTING_UP].leave_out_wrong()
    except OSError as fault:
        return await show(request, Trouble("settings", NOT_KEPT, fault.strerror or str(fault)), 503)
    return _anew(request, "settings_mended", "main")


@only(TECHNICIAN)
async def pass_over(request: web.Request) -> web.Response:
    """A step is to count as done though it is not, or not any more."""
    fields = await form(request)
    step, stays = fields.get("step", ""), fields.get("stays") == "yes"
    if step not in MAY_STAY:
        raise web.HTTPBadRequest
    try:
        await request.app[SETTING_UP].pass_over(step, stays)
    except OSError as fault:
        return await show(request, Trouble(step, NOT_KEPT, fault.strerror or str(fault)), 503)
    _note(request, "set_up_passed" if stays else "set_up_taken_up", step=step)
    return back(step)


async def _keep(
    request: web.Request,
    step: str,
    part: str,
    typed: Typed,
    fields: Mapping[str, str],
    what: str = "settings_changed",
    *,
    asks_again: bool = False,
) -> web.Response:
    """Keep the entries of a part, and start anew with them; or show the form again with what is wrong.

    `asks_again`: with the person's own password alone.
    """
    shown = {key: value for key, value in fields.items() if key not in SECRETS}
    if typed.wrong:
        return await show(request, Trouble(step, wrong=typed.wrong, typed=shown), 422)
    setting_up = request.app[SETTING_UP]
    known, wrong = await setting_up.lasting()
    before = known.of(part)
    if before == typed.entries and not wrong:
        return back(step)
    try:
        if asks_again:
            await prove_again(request, fields)
        await setting_up.keep(part, typed.entries, request[SESSION].name)
    except Denied as denied:
        return denied.told(await show(request, Trouble(step, typed=shown, denied=denied)))
    except OSError as fault:
        return await show(request, Trouble(step, NOT_KEPT, fault.strerror or str(fault), typed=shown), 503)
    return _anew(request, what, step, part=part, keys=", ".join(_changed(before, typed.entries)))


def _anew(request: web.Request, what: str, place: str, **detail: str) -> web.Response:
    """Write down what was done, and have it take effect."""
    parts = request.app[PARTS]
    _note(request, what, **detail)
    log.info("what=%s on the page part=%s", what, detail.get("part", "all"))
    asyncio.get_running_loop().call_later(AFTER_S, parts.start_anew)
    return html(request, "set_up_anew.html", AnewPage(run_of(parts), place))


async def _try(request: web.Request, typed: Typed, fields: Mapping[str, str]) -> web.Response:
    """Contact each address as it was typed; nothing is kept of it on either side."""
    parts, setting_up = request.app[PARTS], request.app[SETTING_UP]
    shown = {key: value for key, value in fields.items() if key not in SECRETS}
    now = parts.draft.told.sync
    addresses = typed.entries.get("aggregators", now.aggregators)
    key = typed.entries.get("aggregator_key", now.aggregator_key)
    if not addresses or not key:
        return await show(request, Trouble("aggregator", NO_KEY, typed=shown), 422)
    if setting_up.trying.locked() or parts.sealing is None:
        return await show(request, Trouble("aggregator", BUSY, typed=shown), 503)
    async with setting_up.trying:
        links = links_of(addresses, key, typed.entries.get("certificate", now.certificate))
        try:
            appliance = await parts.sealing.of(lambda outbox: outbox.identity.appliance)
        except (StoreError, OSError):
            return await show(request, Trouble("aggregator", BUSY, typed=shown), 503)
        trials: list[Trial] = await asyncio.gather(*(trial(link, appliance) for link in links))
    if parts.courier is not None and any(one.verdict == "approved" for one in trials):
        parts.courier.try_now()
    return await show(request, Trouble("aggregator", "tried", typed=shown), trials=trials)


def back(place: str) -> web.Response:
    """To that step of the page, by a request that can be repeated."""
    return web.Response(status=303, headers={"Location": f"{PATH}#{place}"})


def _changed(before: Entry, after: Entry) -> list[str]:
    missing = object()
    return [key for key in {**before, **after} if before.get(key, missing) != after.get(key, missing)]


def _note(request: web.Request, what: str, **detail: Any) -> None:
    request.app[PARTS].store.record("changed", {"who": request[SESSION].name, "what": what, **detail})
