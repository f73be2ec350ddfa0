"""`/audit`: who did what."""

from dataclasses import dataclass

from aiohttp import web

from appliance.aggregator.audit import Deed, deeds
from appliance.aggregator.operators import OPERATOR
from appliance.aggregator.pages.parts import CENTRE, When, when
from appliance.web.frame.guard import only
from appliance.web.frame.rendering import html

PER_PAGE = 100
_IDENTITY_DIGITS = 32


@dataclass(frozen=True, slots=True)
class DeedRow:
    """For _deeds.html: `is_appliance` says of what is in `about` that it is an appliance's identity."""

    at: When | None
    who: str
    what: str
    about: str
    is_appliance: bool
    detail: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """For audit.html."""

    deeds: list[DeedRow]
    older: str


@only(OPERATOR)
async def view(request: web.Request) -> web.Response:
    """The page, the newest first; `before` a number it goes on."""
    centre = request.app[CENTRE]
    number = request.query.get("before", "")
    before = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else None
    found = await deeds(centre.database, PER_PAGE + 1, before=before)
    older = f"/audit?before={found[PER_PAGE - 1].number}" if len(found) > PER_PAGE else ""
    now_utc_ms = centre.now_utc_ms()
    return html(request, "audit.html", AuditPage([deed_row(deed, now_utc_ms) for deed in found[:PER_PAGE]], older))


def deed_row(deed: Deed, now_utc_ms: int) -> DeedRow:
    """A row as the page shows it."""
    is_appliance = len(deed.about) == _IDENTITY_DIGITS and deed.what in ("approve", "revoke", "revoke key", "give up")
    return DeedRow(when(deed.at_utc_ms, now_utc_ms), deed.who, deed.what, deed.about, is_appliance, deed.detail)
