"""`/refusals`: what was refused, why, and what to do about it."""

from dataclasses import dataclass

from aiohttp import web

from appliance.aggregator import overview
from appliance.aggregator.operators import OPERATOR
from appliance.aggregator.overview import Reason, Refused
from appliance.aggregator.pages.parts import CENTRE, When, grouped, when
from appliance.aggregator.pages.words import REASONS, UNEXPLAINED
from appliance.web.frame.guard import only
from appliance.web.frame.rendering import html

MOST = 50


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """For _reasons.html: a reason, what it means, and what to do."""

    reason: str
    means: str
    advice: str
    times: int
    appliances: int
    last: When | None


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """For _refusals.html: something refused."""

    number: int
    identity: str
    grouped: str
    name: str
    received: When | None
    reason: str
    words: str
    line_bytes: int


@dataclass(frozen=True, slots=True)
class RefusalsPage:
    """For refusals.html."""

    reasons: list[ReasonRow]
    refusals: list[RefusedRow]


@only(OPERATOR)
async def view(request: web.Request) -> web.Response:
    """The page."""
    centre = request.app[CENTRE]
    # What this worker has counted and not written yet is told, too.
    await centre.ingest.refusals.write()
    now_utc_ms = centre.now_utc_ms()
    page = RefusalsPage(
        [reason_row(one, now_utc_ms) for one in await overview.reasons(centre.database)],
        [refused_row(one, now_utc_ms) for one in await overview.last_refusals(centre.database, MOST)],
    )
    return html(request, "refusals.html", page)


@only(OPERATOR)
async def evidence(request: web.Request) -> web.Response:
    """What was refused, as a file: it may be anything, so that no browser is to show it."""
    number = request.match_info["number"]
    found = await overview.evidence(request.app[CENTRE].database, int(number))
    if found is None:
        raise web.HTTPNotFound
    headers = {"Content-Disposition": f'attachment; filename="refusal-{int(number)}.txt"', "Cache-Control": "no-store"}
    return web.Response(body=found, content_type="text/plain", headers=headers)


def reason_row(one: Reason, now_utc_ms: int) -> ReasonRow:
    """A reason as the page shows it."""
    means, advice = REASONS.get(one.reason, UNEXPLAINED)
    return ReasonRow(one.reason, means, advice, one.times, one.appliances, when(one.last_utc_ms, now_utc_ms))


def refused_row(one: Refused, now_utc_ms: int) -> RefusedRow:
    """Something refused as the page shows it."""
    received = when(one.received_utc_ms, now_utc_ms)
    return RefusedRow(
        one.number, one.identity, grouped(one.identity), one.name, received, one.reason, one.words, one.line_bytes
    )
