"""Recordings of what a radio hears: made, ended, taken along and deleted.

A file goes out whole or in the ranges that the browser asks for. Its name is one that the captures know, or none.
"""

from dataclasses import dataclass

from aiohttp import web

from appliance.control.commands import LONGEST_CAPTURE_S, SHORTEST_CAPTURE_S
from appliance.errors import StoreError
from appliance.radio.captures import Kept
from appliance.radio.controls import Controls
from appliance.store.accounts import TECHNICIAN
from appliance.web.frame.forms import form
from appliance.web.frame.guard import only
from appliance.web.frame.rendering import html
from appliance.web.typed import number
from appliance.web.views.radio.one_radio import (
    Trouble,
    address_of,
    back,
    controls_of,
    note,
    receiver_of,
    refusal,
)
from appliance.web.views.radio.page import answer, ask

SECONDS = "A number of seconds from %(low)s to %(high)s."
PHRASES = (SECONDS,)
PART = "captures"
DATA, META = "application/octet-stream", "application/json"


@dataclass(frozen=True, slots=True)
class DeletePage:
    """For radio_delete.html: a recording of which is asked once more whether it is to go."""

    radio: str
    address: str
    name: str
    bytes: int


@only(TECHNICIAN)
async def record(request: web.Request) -> web.Response:
    """Begin one."""
    typed = await form(request)
    seconds = number(typed.get("seconds", ""))
    if seconds is None or not SHORTEST_CAPTURE_S <= float(seconds) <= LONGEST_CAPTURE_S:
        limits = {"low": f"{SHORTEST_CAPTURE_S:g}", "high": f"{LONGEST_CAPTURE_S:g}"}
        return await answer(request, Trouble(PART, SECONDS, "seconds", limits, typed=typed))

    async def record_it(controls: Controls) -> None:
        await controls.record(float(seconds))
        note(request, "recording_begun", seconds=float(seconds))

    return await ask(request, PART, record_it, typed)


@only(TECHNICIAN)
async def stop(request: web.Request) -> web.Response:
    """End the one that is being made; what there is until now is kept."""
    await form(request)

    async def stop_it(controls: Controls) -> None:
        await controls.stop_recording()
        note(request, "recording_stopped")

    return await ask(request, PART, stop_it, ends=True)


@only(TECHNICIAN)
async def download(request: web.Request) -> web.StreamResponse:
    """Its samples."""
    kept = _kept(request)
    return _file(kept.data.name, web.FileResponse(kept.data), DATA)


@only(TECHNICIAN)
async def download_meta(request: web.Request) -> web.StreamResponse:
    """What SigMF says of them."""
    kept = _kept(request)
    return _file(kept.meta.name, web.FileResponse(kept.meta), META)


@only(TECHNICIAN)
async def ask_delete(request: web.Request) -> web.Response:
    """Ask once more."""
    kept, name = _kept(request), receiver_of(request).name
    return html(request, "radio_delete.html", DeletePage(name, address_of(name), kept.name, kept.bytes))


@only(TECHNICIAN)
async def delete(request: web.Request) -> web.Response:
    """Delete it."""
    await form(request)
    kept, controls = _kept(request), controls_of(request)
    assert controls is not None
    try:
        gone = await controls.delete_capture(kept.name)
    except StoreError as fault:
        return await answer(request, refusal(PART, fault, {}))
    if gone:
        note(request, "recording_deleted", name=kept.name)
    return back(request, PART)


def _kept(request: web.Request) -> Kept:
    """The capture that the address names. Raises HTTPNotFound."""
    controls = controls_of(request)
    if controls is None or (kept := controls.capture(f"{request.match_info['file']}.sigmf-data")) is None:
        raise web.HTTPNotFound
    return kept


def _file(name: str, response: web.FileResponse, content_type: str) -> web.FileResponse:
    response.content_type = content_type
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response
