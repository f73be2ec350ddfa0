"""`GET /healthz`: how everything is, for programs. Status 503 when a part has failed.

`appliance status` says the same in words.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from appliance import __version__
from appliance.model import ReceiverState
from appliance.supervisor import Health
from appliance.web.condition import LONGEST_SOURCE
from appliance.web.frame.guard import everybody
from appliance.web.parts import PARTS, Parts


@everybody
async def view(request: web.Request) -> web.Response:
    """The overall state is that of the worst part."""
    body = describe(request.app[PARTS])
    status = 503 if body["state"] == "failed" else 200
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})


def describe(parts: Parts) -> dict[str, Any]:
    """What the answer says; docs/operate.md explains it."""
    health = parts.health()
    storage, moment = parts.storage, parts.times.moment
    return {
        "state": worst(health),
        "version": __version__,
        "simulated": parts.simulated,
        "uptime_s": round(parts.uptime_s),
        "meters": len(parts.store.ledger),
        "readings_waiting": parts.store.ledger.pending_readings,
        "readings_lost": parts.store.ledger.lost_readings,
        "parts": {name: asdict(part) for name, part in health.items()},
        "receivers": [_receiver(receiver) for receiver in parts.receivers()],
        "storage": asdict(storage) if storage else None,
        # With nothing received nobody asks what time it is.
        "clock": None if parts.halted else {"source": moment.source, "uncertainty_ms": moment.uncertainty_ms},
    }


def worst(health: Mapping[str, Health]) -> str:
    """The state of the part that is worst off."""
    states = {part.state for part in health.values()}
    return next((state for state in ("failed", "degraded") if state in states), "healthy")


def _receiver(receiver: ReceiverState) -> dict[str, Any]:
    status = receiver.status
    return {
        "name": receiver.name,
        "source": receiver.source[:LONGEST_SOURCE],
        "simulated": receiver.simulated,
        "state": receiver.state,
        "reason": receiver.reason,
        "restarts": receiver.restarts,
        "messages": receiver.messages,
        "noise_floor_dbfs": status.noise_floor_dbfs if status else None,
        "dropped_samples": status.dropped_samples if status else 0,
        "clipped": status.clipped if status else 0.0,
    }
