"""The page of a meter that is assigned to this appliance and was never heard: what is known of it, and what to do."""

from dataclasses import dataclass
from decimal import Decimal

from aiohttp import web

from appliance.assignment import Assignment
from appliance.store.rows import MeterKey
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS, Parts
from appliance.web.quantities import decimals_of
from appliance.web.times import Shown
from appliance.web.views.meters.rows import name_of

# In the address of a meter that may speak any protocol.
ANY = "any"


@dataclass(frozen=True, slots=True)
class UnheardPage:
    """For unheard.html."""

    meter_id: int
    protocol: str
    name: str
    address: str
    multiplier: Decimal
    decimals: int
    listening: Shown
    is_listening: bool


def path_of(of: Assignment) -> str:
    """The address of its page.

    >>> path_of(Assignment(90, "", "Pozo", "", Decimal(1))), path_of(Assignment(90, "scm", "Pozo", "", Decimal(1)))
    ('/meters/any/90', '/meters/scm/90')
    """
    return f"/meters/{of.protocol or ANY}/{of.meter_id}"


def unheard(request: web.Request, key: MeterKey) -> web.Response | None:
    """The page, or the way to that of the meter once it was heard; None where none is assigned."""
    parts = request.app[PARTS]
    of = None if key.simulated else parts.store.assigned.of(key)
    if of is None:
        return None
    if (heard := heard_as(parts, of)) is not None:
        return web.Response(status=303, headers={"Location": f"/meters/{name_of(heard)}"})
    page = UnheardPage(
        meter_id=of.meter_id,
        protocol=of.protocol,
        name=of.name,
        address=of.address,
        multiplier=of.multiplier,
        decimals=decimals_of(of.multiplier),
        listening=parts.times.ago(parts.uptime_s),
        is_listening=any(receiver.state == "running" for receiver in parts.receivers()),
    )
    return html(request, "unheard.html", page)


def heard_as(parts: Parts, of: Assignment) -> MeterKey | None:
    """Under which protocol it was heard by now."""
    keys = (meter.key for meter in parts.store.ledger.meters if meter.key.meter_id == of.meter_id)
    return next((key for key in keys if not key.simulated and parts.store.assigned.of(key) == of), None)
