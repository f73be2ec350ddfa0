"""The tables of URLs. For people everything is read-only: there is no log-in, so there is nothing to be done here.

What an aggregator sends below `/sync/` is believed because its key has signed it.
"""

from aiohttp import web

from appliance.sync import gate, pull
from appliance.web.frame import static
from appliance.web.views import events, health, live, metrics, receipts, wrong
from appliance.web.views import pull as pulled

ALWAYS = (
    web.get("/healthz", health.view),
    web.get("/metrics", metrics.view),
    web.get("/static/{name}", static.serve),
)
ROUTES = (
    web.get("/", live.view),
    web.get("/meters", live.view),
    web.get("/events", events.view, allow_head=False),
    web.get(pull.PATH, pulled.offer, allow_head=False),
    web.post(pull.PATH, pulled.view),
    web.post(gate.RECEIPTS_PATH, receipts.view),
    *ALWAYS,
)
# With a configuration by which nothing is received or kept.
HALTED_ROUTES = (web.get("/", wrong.view), *ALWAYS)
