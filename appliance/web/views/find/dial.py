"""`/find/dial`: the meters whose register fits what somebody reads off a dial, the ones that fit best first.

What a fit is worth is told as it is for a comparison (`store/multiplier.py`): by how little of what is shown is
uncertain. A meter that fits by the multiplier that it is known by comes first, one that does not comes last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from aiohttp import web

from appliance.errors import InputError, StoreError
from appliance.model import COMMODITIES, Commodity
from appliance.store.asked import asked
from appliance.store.dials import register_modulus
from appliance.store.finding import Fits, by_dial
from appliance.store.multiplier import ONE, SURES, Compared, Sure, dial, work_out
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import readers
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS, Parts
from appliance.web.quantities import Scale
from appliance.web.times import Times
from appliance.web.typed import LONGEST_READING, Either, reading
from appliance.web.views.meters.rows import MeterRow, meter_row, name_of

MOST_SHOWN = 12
_MEASURED: dict[str, tuple[Commodity, ...]] = {"kwh": ("electric", "unknown"), "m": ("gas", "water", "unknown")}


@dataclass(frozen=True, slots=True)
class Candidate:
    """For find_dial.html: a meter, and how its register is what the dial shows.

    `ways` are the multipliers that it fits by, the likeliest first; `quantity` is the register times that, off by
    `counts`. `fits` as `Sure` has it; `known`: whether it fits by the meter's known multiplier, None if that has none.
    """

    row: MeterRow
    name: str
    ways: Sequence[Scale]
    quantity: Decimal
    counts: Decimal
    fits: Sure
    known: bool | None


@dataclass(frozen=True, slots=True)
class DialPage:
    """For find_dial.html. `digits` are what was `typed` as it is understood, with so many `decimals`, "" for nothing.

    `trouble` is "dial" for what is no reading of one, "either" for what may be two, "store" when the history gives no
    answer, for the reason `told`. `more` fit, too. `alike`: several fit equally well.
    """

    trouble: str
    told: str
    either: Either | None
    typed: str
    commodity: str
    commodities: Sequence[str]
    digits: str
    decimals: int
    candidates: Sequence[Candidate]
    more: int
    alike: bool
    may_act: bool


@readers
async def view(request: web.Request) -> web.Response:
    """The page, with an answer if something was typed."""
    typed = request.query.get("shown", "")[: LONGEST_READING + 1]
    commodity = request.query.get("commodity", "")
    commodity = commodity if commodity in COMMODITIES else ""
    parts = request.app[PARTS]
    trouble, told, digits, either = "", "", "", None
    found: list[Candidate] = []
    if "shown" in request.query:
        try:
            digits, unit = reading(typed, language_of(request))
            measured = _MEASURED.get(unit, COMMODITIES)
            wanted = [one for one in measured if commodity in ("", one)]
            registers = {meter.key: meter.consumption for meter in parts.store.ledger.meters}
            fits = await asked(parts.store, by_dial, digits, registers, wanted)
            found = _candidates(parts, digits, fits)
        except Either as fault:
            trouble, either = "either", fault
        except InputError:
            trouble = "dial"
        except StoreError as fault:
            trouble, told = "store", str(fault)
    page = DialPage(
        trouble=trouble,
        told=told,
        either=either,
        typed=typed,
        commodity=commodity,
        commodities=COMMODITIES[:3],
        digits=digits,
        decimals=len(digits.partition(".")[2]),
        candidates=found[:MOST_SHOWN],
        more=max(0, len(found) - MOST_SHOWN),
        alike=len(found) > 1 and _order(found[0])[:2] == _order(found[1])[:2],
        may_act=SESSION in request,
    )
    return html(request, "find_dial.html", page, {"": 200, "dial": 422, "either": 422}.get(trouble, 503))


def _candidates(parts: Parts, digits: str, found: Sequence[Fits]) -> list[Candidate]:
    """The likeliest first: by its known multiplier, then by what the fit is worth."""
    times = parts.times
    candidates = [made for fits in found if (made := _candidate(parts, digits, fits, times)) is not None]
    return sorted(candidates, key=_order)


def _candidate(parts: Parts, digits: str, found: Fits, times: Times) -> Candidate | None:
    """None for a meter that was heard so long ago that the ledger has no room for it."""
    key, shown = found.meter.key, dial(digits)
    if (meter := parts.store.ledger.get(key)) is None:
        return None
    row = meter_row(parts, meter, parts.store.assigned.of(key), None, times)
    known = row.scale.multiplier
    ways = (known,) if known is not None and known in found.multipliers else found.multipliers
    quantity = meter.consumption * ways[0]
    return Candidate(
        row=row,
        name=name_of(key),
        ways=[Scale(one, "", "") for one in ways],
        quantity=quantity,
        counts=abs(Decimal(shown.shown) / ONE - quantity) / ways[0],
        fits=work_out([Compared(shown, meter.consumption)], register_modulus(key.protocol)).sure,
        known=None if known is None else known == ways[0],
    )


def _order(one: Candidate) -> tuple[int, int, Decimal]:
    return (True, None, False).index(one.known), SURES.index(one.fits), one.counts
