"""`/meters/{protocol}/{id}/events`: a meter as it is now, as server-sent events."""

import json

from aiohttp import web

from appliance.store.ledger import Meter
from appliance.web.frame.guard import readers
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import render
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.streams import HEARTBEAT_S, stream
from appliance.web.views.meter.one_meter import meter_of
from appliance.web.views.meter.shown import facts
from appliance.web.views.meters.sparks import SPARKS, Sparks


@readers
async def view(request: web.Request) -> web.StreamResponse:
    """Events until the page leaves or the site stops."""
    page = _Page(request.app[PARTS], request.app[SPARKS], language_of(request), meter_of(request))
    return await stream(request, page.event)


class _Page:
    """What one open page has been told."""

    def __init__(self, parts: Parts, sparks: Sparks, language: str, meter: Meter) -> None:
        self._parts = parts
        self._sparks = sparks
        self._language = language
        self._meter = meter
        self._told: tuple[object, ...] = ()
        self._beat_at_s = 0.0

    async def event(self, now_s: float) -> bytes:
        """The next event, empty if there is nothing to tell yet."""
        parts, key = self._parts, self._meter.key
        # The ledger has other meters after its data were exchanged.
        meter = parts.store.ledger.get(key) or self._meter
        state = (meter.revision, parts.edition)
        if state == self._told and now_s < self._beat_at_s:
            return b""
        here = facts(parts, meter, self._sparks.of.get(key))
        told = {
            **parts.times.stand,
            "facts": None if state == self._told else render(PACKAGE, self._language, "_facts.html", here),
        }
        self._beat_at_s, self._told = now_s + HEARTBEAT_S, state
        return f"id: {parts.edition}-{meter.revision}\nevent: update\ndata: {json.dumps(told)}\n\n".encode()
