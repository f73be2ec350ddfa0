"""`/audit`: who did what."""

import re
from dataclasses import dataclass

from aiohttp import web

from appliance.aggregator.audit import APPROVED, ASSIGNED, GAVE_UP, KEY_REVOKED, REVOKED, Deed, deeds
from appliance.aggregator.operators import OPERATOR
from appliance.aggregator.pages.parts import CENTRE, When, when
from appliance.web.frame.guard import only
from appliance.web.frame.rendering import html

PER_PAGE = 100
_IDENTITY_DIGITS = 32
_OF_APPLIANCES = (APPROVED, REVOKED, KEY_REVOKED, GAVE_UP, ASSIGNED)
_ASSIGNED = re.compile("([0-9]{1,9}) meters, version ([0-9]{1,16})")


@dataclass(frozen=True, slots=True)
class DeedRow:
    """For _deeds.html: `is_appliance` says of what is in `about` that it is an appliance's identity.

    `assigned` is the number of meters and the version where the detail says that, which the reader's language does.
    """

    at: When | None
    who: str
    what: str
    about: str
    is_appliance: bool
    detail: str
    assigned: tuple[int, int] | None


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
    is_appliance = len(deed.about) == _IDENTITY_DIGITS and deed.what in _OF_APPLIANCES
    found = _ASSIGNED.fullmatch(deed.detail) if deed.what == ASSIGNED else None
    assigned = (int(found[1]), int(found[2])) if found else None
    at = when(deed.at_utc_ms, now_utc_ms)
    return DeedRow(at, deed.who, deed.what, deed.about, is_appliance, "" if found else deed.detail, assigned)
