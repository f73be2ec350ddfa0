"""The table of URLs. Everything is read-only: there is no log-in, so there is nothing to be done here."""

from aiohttp import web

from appliance.web import static
from appliance.web.views import events, health, live

ROUTES = (
    web.get("/", live.view),
    web.get("/events", events.view, allow_head=False),
    web.get("/healthz", health.view),
    web.get("/static/{name}", static.serve),
)
