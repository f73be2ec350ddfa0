"""`/api/v1/status` and `/api/v1/quarters`: what the overview shows, for programs; and the description of all of it."""

from dataclasses import asdict
from typing import Any

from aiohttp import web

from appliance import __version__, zones
from appliance.errors import StoreError
from appliance.model import ReceiverState
from appliance.store.asked import asked
from appliance.store.reception import quarters
from appliance.store.rows import QUARTER_MS, StoreStatus
from appliance.timeline import DAY_MS
from appliance.web import table_file
from appliance.web.condition import condition, source_of
from appliance.web.documents import document
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import everybody, readers
from appliance.web.glances import GLANCES
from appliance.web.openapi.description import DESCRIPTION
from appliance.web.openapi.tables import QUARTER, columns
from appliance.web.parts import PARTS, Parts
from appliance.web.times import told
from appliance.web.verdict import Deed, verdict
from appliance.web.views.meter.one_meter import is_unsure, local


@everybody
async def description(request: web.Request) -> web.Response:
    """What may be asked, and what is answered: it tells of no meter."""
    return document(DESCRIPTION)


@readers
async def view(request: web.Request) -> web.Response:
    """How the appliance is; what there is to do only to who has logged in, as on the overview."""
    parts, glances, may_act = request.app[PARTS], request.app[GLANCES], SESSION in request
    await glances.refresh()
    times, standing = parts.times, glances.standing
    how = condition(parts, times)
    found = verdict(parts, how, glances.contacts(times))
    return document(
        {
            "site": parts.site_name,
            "version": __version__,
            "uptime_s": round(parts.uptime_s),
            "simulated": how.simulated,
            "condition": found.state,
            "to_do": [_deed(deed) for deed in found.deeds] if may_act else [],
            "wrong_settings": list(how.wrong) if may_act else [],
            "history_trouble": how.history_trouble or how.room_trouble,
            "is_silent": how.silent,
            "clock": {
                "time": times.now.astimezone(zones.here()).isoformat(timespec="milliseconds"),
                "is_estimate": times.doubt is not None,
                "source": times.moment.source,
                "uncertainty_ms": times.moment.uncertainty_ms,
                "zone": zones.name(),
            },
            "receivers": [_receiver(receiver) for receiver in parts.receivers()],
            "parts": {name: asdict(part) for name, part in parts.health().items()},
            "storage": _storage(parts, parts.storage),
            "meters": len(parts.store.ledger),
            "meters_last_day": how.meters,
            "assigned": how.expected,
            "assigned_last_day": how.expected_heard,
            **told("last_heard", None if how.latest_at is None else times.at(how.latest_at)),
            "batches_waiting": standing.waiting if standing else None,
        }
    )


@readers
async def heard(request: web.Request) -> web.Response:
    """What was heard in each quarter of an hour of the last day."""
    parts = request.app[PARTS]
    now_ms = parts.times.moment.utc_ms
    try:
        found = await asked(parts.store, quarters, now_ms - DAY_MS, now_ms)
    except StoreError:
        raise web.HTTPServiceUnavailable from None
    rows = [
        {
            "from": local(one.utc_ms).isoformat(),
            "to": local(one.utc_ms + QUARTER_MS).isoformat(),
            "is_estimate": is_unsure(parts, one.utc_ms),
            "meters": one.meters,
            "messages": one.messages,
        }
        for one in found
    ]
    return table_file.answer(request, "quarters", rows, columns(QUARTER))


def _deed(deed: Deed) -> dict[str, Any]:
    return {"what": deed.what, "of": deed.subject, "words": "; ".join(deed.told), "hint": deed.advice}


def _receiver(receiver: ReceiverState) -> dict[str, Any]:
    status = receiver.status
    return {
        "name": receiver.name,
        "source": source_of(receiver),
        "simulated": receiver.simulated,
        "state": receiver.state,
        "reason": receiver.reason,
        "restarts": receiver.restarts,
        "messages": receiver.messages,
        "messages_by_protocol": dict(receiver.by_protocol),
        "center_hz": status.center_hz if status else None,
        "sample_rate_hz": status.sample_rate_hz if status else None,
        "gain_db": status.gain_db if status else None,
        "noise_floor_dbfs": status.noise_floor_dbfs if status else None,
        "level_dbfs": status.level_dbfs if status else None,
        "clipped_share": status.clipped if status else None,
        "dropped_samples": status.dropped_samples if status else None,
        "refused": dict(status.refused) if status else {},
        "garbage_lines": dict(receiver.garbage),
    }


def _storage(parts: Parts, storage: StoreStatus | None) -> dict[str, Any] | None:
    if storage is None:
        return None
    measured = asdict(storage)
    oldest_ms = measured.pop("oldest_utc_ms")
    return measured | {"oldest": None if oldest_ms is None else parts.times.at_utc(oldest_ms).isoformat()}
