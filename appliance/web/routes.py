"""The tables of URLs. Everything is read-only: there is no log-in, so there is nothing to be done here."""

from aiohttp import web

from appliance.web.frame import static
from appliance.web.views import events, health, live, metrics, wrong

ALWAYS = (
    web.get("/healthz", health.view),
    web.get("/metrics", metrics.view),
    web.get("/static/{name}", static.serve),
)
ROUTES = (
    web.get("/", live.view),
    web.get("/events", events.view, allow_head=False),
    *ALWAYS,
)
# With a configuration by which nothing is received or kept.
HALTED_ROUTES = (web.get("/", wrong.view), *ALWAYS)
