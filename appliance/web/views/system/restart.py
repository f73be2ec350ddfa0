"""`/system/restart/program` and `/system/restart/machine`: asked once more, then done; then the page waits for it."""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from appliance.machine.restart import can_restart, restart
from appliance.store.accounts import TECHNICIAN
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.forms import form
from appliance.web.frame.guard import only
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS
from appliance.web.views.system.clock import run_of

PATH = "/system/restart/{what:program|machine}"
# So that the answer is on its way before the site goes.
AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class RestartPage:
    """For restart.html. `step` is "sure", "going" or "refused" with why; `run` names the run of the program."""

    what: str
    step: str
    run: str
    trouble: str = ""


@only(TECHNICIAN)
async def ask(request: web.Request) -> web.Response:
    """Whether it is meant."""
    _check(request)
    return _page(request, "sure")


@only(TECHNICIAN)
async def go(request: web.Request) -> web.Response:
    """Do it."""
    _check(request)
    await form(request)
    parts, what = request.app[PARTS], request.match_info["what"]
    if what == "machine" and (trouble := await restart(parts.machine)):
        return _page(request, "refused", trouble, 503)
    parts.store.record("changed", {"who": request[SESSION].name, "what": f"{what}_restarted"})
    if what == "program":
        asyncio.get_running_loop().call_later(AFTER_S, parts.start_anew)
    return _page(request, "going")


def _check(request: web.Request) -> None:
    """Raises HTTPNotFound where there is nobody who could start the machine."""
    if request.match_info["what"] == "machine" and not can_restart(request.app[PARTS].machine):
        raise web.HTTPNotFound


def _page(request: web.Request, step: str, trouble: str = "", status: int = 200) -> web.Response:
    page = RestartPage(request.match_info["what"], step, run_of(request.app[PARTS]), trouble)
    return html(request, "restart.html", page, status)
