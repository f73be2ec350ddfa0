"""`/appliances/IDENTITY`: one appliance, and what an operator does with it."""

from dataclasses import dataclass

from aiohttp import web

from appliance.aggregator import overview
from appliance.aggregator.appliances import Appliance, WrongClaim
from appliance.aggregator.audit import deeds
from appliance.aggregator.chains import Gap, gaps
from appliance.aggregator.operators import OPERATOR
from appliance.aggregator.overview import BatchRow
from appliance.aggregator.pages.deeds import DeedRow, deed_row
from appliance.aggregator.pages.fleet import Row, row
from appliance.aggregator.pages.parts import CENTRE, When, when
from appliance.aggregator.pages.refused import ReasonRow, RefusedRow, reason_row, refused_row
from appliance.errors import UsageError
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.forms import form
from appliance.web.frame.guard import only
from appliance.web.frame.proof import Denied, prove_again
from appliance.web.frame.rendering import html, span

MOST_BATCHES, MOST_REFUSALS, MOST_DEEDS = 20, 10, 10
LONGEST_CODE = 32


@dataclass(frozen=True, slots=True)
class KeyRow:
    """For appliance.html: a key, which follows another one, as `overview.Key` says."""

    epoch: int
    follows: int | None
    is_beside: bool
    key_id: str
    added: When | None
    revoked: When | None


@dataclass(frozen=True, slots=True)
class Stored:
    """For appliance.html: a batch that is stored, `late` after it was sealed."""

    batch: BatchRow
    sealed: When | None
    late: str


@dataclass(frozen=True, slots=True)
class AppliancePage:
    """For appliance.html. `trouble` is "", "claim" for a wrong code, or what a command would say."""

    row: Row
    version: str
    enrolled: When | None
    approved: When | None
    revoked: When | None
    trouble: str
    keys: list[KeyRow]
    batches: list[Stored]
    gaps: list[tuple[Gap, When | None]]
    reasons: list[ReasonRow]
    refusals: list[RefusedRow]
    deeds: list[DeedRow]


@dataclass(frozen=True, slots=True)
class SurePage:
    """For sure.html: what is asked once more: to "revoke", to "revoke key" or to "give up" a `gap`.

    `denied`: the operator's own password, which a revocation asks for, did not count.
    """

    what: str
    row: Row
    epoch: int = 0
    gap: Gap | None = None
    denied: Denied | None = None


@only(OPERATOR)
async def view(request: web.Request) -> web.Response:
    """The page."""
    return await _page(request)


@only(OPERATOR)
async def approve(request: web.Request) -> web.Response:
    """Believe it from now on; where a claim code is typed, only if it is that."""
    found, centre = await _known(request), request.app[CENTRE]
    code = (await form(request)).get("claim", "").strip()[:LONGEST_CODE]
    try:
        await centre.appliances.approve(found.identity, centre.now_utc_ms(), code or None, request[SESSION].name)
    except WrongClaim:
        return await _page(request, "claim")
    except UsageError as fault:
        return await _page(request, str(fault))
    return _back(found)


@only(OPERATOR)
async def ask(request: web.Request) -> web.Response:
    """Ask once more before something that cannot be undone."""
    found, centre = await _known(request), request.app[CENTRE]
    what = {"revoke": "revoke", "revoke-key": "revoke key", "give-up": "give up"}[request.match_info["what"]]
    epoch = _epoch(request.query.get("epoch", "0"))
    gap = next((gap for gap in await gaps(centre.database, found.identity) if gap.epoch == epoch), None)
    if what == "revoke key" and not any(
        key.epoch == epoch for key in await overview.keys(centre.database, found.identity)
    ):
        raise web.HTTPNotFound
    if what == "give up" and gap is None:
        return _back(found)
    return html(request, "sure.html", SurePage(what, await _row(request, found), epoch, gap))


@only(OPERATOR)
async def revoke(request: web.Request) -> web.Response:
    """Believe it no more."""
    found, centre = await _known(request), request.app[CENTRE]
    try:
        await prove_again(request, await form(request))
    except Denied as denied:
        return denied.told(html(request, "sure.html", SurePage("revoke", await _row(request, found), denied=denied)))
    await centre.appliances.revoke(found.identity, centre.now_utc_ms(), who=request[SESSION].name)
    return _back(found)


@only(OPERATOR)
async def revoke_key(request: web.Request) -> web.Response:
    """Believe one of its keys no more."""
    found, centre, fields = await _known(request), request.app[CENTRE], await form(request)
    epoch = _epoch(fields.get("epoch", ""))
    try:
        await prove_again(request, fields)
        await centre.appliances.revoke(found.identity, centre.now_utc_ms(), epoch, request[SESSION].name)
    except Denied as denied:
        page = SurePage("revoke key", await _row(request, found), epoch, denied=denied)
        return denied.told(html(request, "sure.html", page))
    except UsageError as fault:
        return await _page(request, str(fault))
    return _back(found)


@only(OPERATOR)
async def give_up(request: web.Request) -> web.Response:
    """Wait no more for what is missing in an epoch."""
    found, centre = await _known(request), request.app[CENTRE]
    epoch = _epoch((await form(request)).get("epoch", ""))
    try:
        await centre.ingest.give_up_gap(found.identity, epoch, centre.now_utc_ms(), request[SESSION].name)
    except UsageError as fault:
        return await _page(request, str(fault))
    return _back(found)


async def _known(request: web.Request) -> Appliance:
    """The appliance that the address names. Raises HTTPNotFound."""
    found = await request.app[CENTRE].appliances.one(request.match_info["identity"])
    if found is None:
        raise web.HTTPNotFound
    return found


def _epoch(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise web.HTTPBadRequest
    return int(text)


def _back(found: Appliance) -> web.Response:
    """To its page, by a request that can be repeated."""
    return web.Response(status=303, headers={"Location": f"/appliances/{found.identity}"})


async def _row(request: web.Request, found: Appliance) -> Row:
    centre = request.app[CENTRE]
    now_utc_ms = centre.now_utc_ms()
    members, _ = await overview.members(centre.database, now_utc_ms, "all", "need", found.identity, 1)
    return next(row(member, now_utc_ms) for member in members if member.identity == found.identity)


async def _page(request: web.Request, trouble: str = "") -> web.Response:
    found, centre = await _known(request), request.app[CENTRE]
    database, identity, now_utc_ms = centre.database, found.identity, centre.now_utc_ms()
    await centre.ingest.refusals.write()
    page = AppliancePage(
        row=await _row(request, found),
        version=found.version,
        enrolled=when(found.enrolled_utc_ms, now_utc_ms),
        approved=when(found.approved_utc_ms, now_utc_ms),
        revoked=when(found.revoked_utc_ms, now_utc_ms),
        trouble=trouble,
        keys=[
            KeyRow(*key[:4], when(key.added_utc_ms, now_utc_ms), when(key.revoked_utc_ms, now_utc_ms))
            for key in await overview.keys(database, identity)
        ],
        batches=[
            Stored(
                one, when(one.sealed_utc_ms, now_utc_ms), span(max(0, one.received_utc_ms - one.sealed_utc_ms) / 1000)
            )
            for one in await overview.last_batches(database, identity, MOST_BATCHES)
        ],
        gaps=[(gap, when(gap.since_utc_ms, now_utc_ms)) for gap in await gaps(database, identity)],
        reasons=[reason_row(one, now_utc_ms) for one in await overview.reasons(database, identity)],
        refusals=[
            refused_row(one, now_utc_ms) for one in await overview.last_refusals(database, MOST_REFUSALS, identity)
        ],
        deeds=[deed_row(deed, now_utc_ms) for deed in await deeds(database, MOST_DEEDS, about=identity)],
    )
    return html(request, "appliance.html", page, 409 if trouble else 200)
