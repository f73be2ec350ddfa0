"""The tables of URLs. Each handler says who may use it; one that says nothing is shut.

Open to everybody are the log-in, the style sheet, and what is for programs: `/healthz`, `/metrics` and the description
of the API, which tell of no meter, and what an aggregator sends below `/sync/`, which is believed because its key has
signed it.
"""

from aiohttp import web

from appliance.sync import gate, pull
from appliance.web.frame import login, password_page, static
from appliance.web.frame.guard import LOG_IN, everybody
from appliance.web.views import health, metrics, overview, status_document, wrong
from appliance.web.views.delivery import document as delivery_document
from appliance.web.views.delivery import page as delivery
from appliance.web.views.find import dial as find_dial
from appliance.web.views.find import level as find_level
from appliance.web.views.find import load as find_load
from appliance.web.views.find import page as find
from appliance.web.views.meter import deeds as meter_deeds
from appliance.web.views.meter import document as meter_document
from appliance.web.views.meter import files as meter_files
from appliance.web.views.meter import live as meter_live
from appliance.web.views.meter import page as meter
from appliance.web.views.meter import readings as meter_readings
from appliance.web.views.meter.one_meter import PATH
from appliance.web.views.meters import live as meters_live
from appliance.web.views.meters import page as meters
from appliance.web.views.radio import captures as radio_captures
from appliance.web.views.radio import live as radio_live
from appliance.web.views.radio import page as radio
from appliance.web.views.radio import picture as radio_picture
from appliance.web.views.radio import survey as radio_survey
from appliance.web.views.radio import tuning as radio_tuning
from appliance.web.views.radio.one_radio import PATH as RADIO
from appliance.web.views.set_up import access as set_up_access
from appliance.web.views.set_up import page as set_up
from appliance.web.views.sync import pull as pulled
from appliance.web.views.sync import receipts
from appliance.web.views.system import backup as keeping_backup
from appliance.web.views.system import clock as system_clock
from appliance.web.views.system import keeping, log, restart, support
from appliance.web.views.system import page as system
from appliance.web.views.system import restore as keeping_restore

ALWAYS = (
    web.get("/healthz", health.view),
    web.get("/metrics", metrics.view),
    web.get("/static/{name}", everybody(static.serve)),
)
_KIND = "{kind:csv|json}"
# For programs: each is described in `openapi/description.py`.
API = (
    web.get("/api/v1/openapi.json", status_document.description),
    web.get("/api/v1/status", status_document.view),
    web.get(f"/api/v1/quarters.{_KIND}", status_document.heard),
    web.get(f"/api/v1/events.{_KIND}", log.export),
    web.get("/api/v1/delivery", delivery_document.view),
    web.get(f"/api/v1/delivery/contacts.{_KIND}", delivery_document.contacts),
    web.get(f"/api/v1/meters.{_KIND}", meters.export),
    web.get(f"/api/v1/meters{PATH}", meter_document.view),
    web.get(f"/api/v1/meters{PATH}/chart", meter_document.chart_data),
    *(web.get(f"/api/v1/meters{PATH}/{name}.{_KIND}", meter_files.file_of(name)) for name in meter_files.TABLES),
)
ROUTES = (
    web.get("/", overview.view),
    web.get("/delivery", delivery.view),
    web.get("/delivery/events", delivery.events, allow_head=False),
    web.post("/delivery/batches", delivery.download),
    web.post("/delivery/try", delivery.try_now),
    web.post("/delivery/receipts", delivery.bring),
    web.get("/events/overview", overview.events, allow_head=False),
    web.get("/find", find.view),
    web.get("/find/events", find.events, allow_head=False),
    web.get("/find/dial", find_dial.view),
    web.get("/find/load", find_load.view),
    web.get("/find/load/events", find_load.events, allow_head=False),
    web.get(f"/find{find_level.PATH}", find_level.view),
    web.get(f"/find{find_level.PATH}/events", find_level.events, allow_head=False),
    web.get(f"/find{PATH}", find_level.view),
    web.get(f"/find{PATH}/events", find_level.events, allow_head=False),
    web.get("/meters", meters.view),
    web.get("/meters/events", meters_live.view, allow_head=False),
    web.get(f"/meters{PATH}", meter.view),
    web.get(f"/meters{PATH}/events", meter_live.view, allow_head=False),
    web.get(f"/meters{PATH}/readings", meter_readings.view),
    web.post(f"/meters{PATH}/notes", meter_deeds.add_note),
    web.post(f"/meters{PATH}/notes/remove", meter_deeds.remove_note),
    web.post(f"/meters{PATH}/dial", meter_deeds.compare),
    web.post(f"/meters{PATH}/dial/remove", meter_deeds.remove_comparison),
    web.get("/system", system.view),
    web.get("/system/log", log.view),
    web.get("/system/clock", system_clock.now),
    web.post("/system/clock", system_clock.tell_time),
    web.get(keeping.PATH, keeping.view),
    web.post(f"{keeping.PATH}/backup", keeping_backup.download),
    web.post(f"{keeping.PATH}/restore", keeping_restore.upload),
    web.post(f"{keeping.PATH}/restore/begin", keeping_restore.begin),
    web.post(f"{keeping.PATH}/support", support.download),
    web.get(restart.PATH, restart.ask),
    web.post(restart.PATH, restart.go),
    web.get("/radio", radio.view),
    web.get(RADIO, radio.view),
    web.get(f"{RADIO}/events", radio_live.view, allow_head=False),
    web.get(f"{RADIO}/spectrum.svg", radio_picture.view),
    web.post(f"{RADIO}/tune", radio_tuning.tune),
    web.post(f"{RADIO}/reset", radio_tuning.reset),
    web.post(f"{RADIO}/survey", radio_survey.begin),
    web.post(f"{RADIO}/survey/stop", radio_survey.stop),
    web.post(f"{RADIO}/captures", radio_captures.record),
    web.post(f"{RADIO}/captures/stop", radio_captures.stop),
    web.get(f"{RADIO}/captures/{{file}}.sigmf-data", radio_captures.download),
    web.get(f"{RADIO}/captures/{{file}}.sigmf-meta", radio_captures.download_meta),
    web.get(f"{RADIO}/captures/{{file}}.sigmf-data/delete", radio_captures.ask_delete),
    web.post(f"{RADIO}/captures/{{file}}.sigmf-data/delete", radio_captures.delete),
    web.get(f"/api/v1{RADIO}/survey.{{kind:csv|json}}", radio_survey.export),
    web.get(set_up.PATH, set_up.view),
    web.post(f"{set_up.PATH}/place", set_up.set_site),
    web.post(f"{set_up.PATH}/aggregator", set_up.set_sync),
    web.post(f"{set_up.PATH}/radio", set_up.set_radio),
    web.post(f"{set_up.PATH}/back", set_up.put_back),
    web.post(f"{set_up.PATH}/mend", set_up.leave_out_wrong),
    web.post(f"{set_up.PATH}/stays", set_up.pass_over),
    web.post(f"{set_up.PATH}/accounts", set_up_access.add),
    web.post(f"{set_up.PATH}/accounts/remove", set_up_access.remove),
    web.post(f"{set_up.PATH}/wifi", set_up_access.join_wifi),
    web.get(LOG_IN, login.view),
    web.get("/session", login.is_in),
    web.post(LOG_IN, login.log_in),
    web.post("/logout", login.log_out),
    web.get("/password", password_page.view),
    web.post("/password", password_page.change),
    web.get(pull.PATH, pulled.offer, allow_head=False),
    web.post(pull.PATH, pulled.view),
    web.post(gate.RECEIPTS_PATH, receipts.view),
    *API,
    *ALWAYS,
)
# With a configuration by which nothing is received or kept; there are no accounts then, either.
HALTED_ROUTES = (web.get("/", wrong.view), *ALWAYS)

_OF_PROGRAMS = (pull.PATH, gate.RECEIPTS_PATH)


def is_of_programs(request: web.Request) -> bool:
    """Whether a request is one that only programs send, by the handler that was found for it."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical in _OF_PROGRAMS
