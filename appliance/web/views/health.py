"""`GET /healthz`: how the parts are, for programs. Status 503 when one has failed."""

from dataclasses import asdict

from aiohttp import web

from appliance import __version__
from appliance.web.parts import PARTS


async def view(request: web.Request) -> web.Response:
    """The overall state is that of the worst part."""
    parts = request.app[PARTS]
    health = parts.health()
    states = {part.state for part in health.values()}
    worst = next((state for state in ("failed", "degraded") if state in states), "healthy")
    body = {
        "state": worst,
        "version": __version__,
        "simulated": parts.simulated,
        "uptime_s": round((parts.now() - parts.started).total_seconds()),
        "meters": len(parts.store.ledger),
        "readings_waiting": parts.store.ledger.pending_readings,
        "readings_lost": parts.store.ledger.lost_readings,
        "parts": {name: asdict(part) for name, part in health.items()},
    }
    return web.json_response(body, status=503 if worst == "failed" else 200, headers={"Cache-Control": "no-store"})
