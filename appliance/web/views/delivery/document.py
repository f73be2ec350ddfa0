"""`/api/v1/delivery` and its contacts: what the delivery's page shows, for programs.

The code by which an operator knows that somebody stands here is for who stands here, and not told.
"""

from typing import Any

from aiohttp import web

from appliance.web import table_file
from appliance.web.documents import document
from appliance.web.frame.guard import readers
from appliance.web.glances import GLANCES
from appliance.web.openapi.tables import CONTACT, columns
from appliance.web.parts import PARTS
from appliance.web.times import told

OF_OUTBOX = ("appliance", "fingerprint", "epoch", "waiting", "sent", "sealed", "confirmed")


@readers
async def view(request: web.Request) -> web.Response:
    """How it stands."""
    parts, glances = request.app[PARTS], request.app[GLANCES]
    await glances.refresh()
    standing, times = glances.standing, parts.times
    oldest = times.at(standing.oldest_at) if standing and standing.oldest_at is not None else None
    confirmed = glances.confirmed(times)
    return document(
        {
            "trouble": glances.trouble,
            **{name: getattr(standing, name, None) for name in OF_OUTBOX},
            "waiting_bytes": standing.size if standing else None,
            **told("oldest", oldest),
            "last_confirmed": confirmed.iso if confirmed else None,
            "has_key": parts.gate is not None,
            "assignments": parts.store.assigned.version,
            "assigned": len(parts.store.assigned.meters),
            "contacts": _contacts(request),
        }
    )


@readers
async def contacts(request: web.Request) -> web.Response:
    """The addresses of the aggregator."""
    return table_file.answer(request, "contacts", _contacts(request), columns(CONTACT))


def _contacts(request: web.Request) -> list[dict[str, Any]]:
    times = request.app[PARTS].times
    return [
        {"address": one.address, **told("answered", one.answered), "fault": one.fault, "hint": one.hint}
        for one in request.app[GLANCES].contacts(times)
    ]
