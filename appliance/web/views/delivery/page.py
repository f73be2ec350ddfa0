"""`/delivery`: what waits, what was confirmed, how it goes with the aggregator; and what is carried to and fro by hand.

A technician takes all that waits along as one file, and brings back the receipts that the aggregator made of it. Whose
browser it is does not matter to either: batches and receipts are signed.
"""

import logging
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from aiohttp import BodyPartReader, web

from appliance import __version__
from appliance.errors import StoreError
from appliance.store.accounts import TECHNICIAN
from appliance.sync.assignments import MOST_LINE_BYTES
from appliance.sync.courier import About
from appliance.sync.parcel import parcel
from appliance.sync.standing import Standing
from appliance.sync.taking import Tally
from appliance.web.bodies import BODIES, UNSOUND, Refused
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import only, readers
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import html, render
from appliance.web.glances import GLANCES, Contacted
from appliance.web.middle import keep_up
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.sending import sent
from appliance.web.times import Shown

log = logging.getLogger(__name__)

FIELD = "receipts"
NOT_NOW, NOTHING, NOT_READ = "not now", "nothing", "not read"
# Nobody can have signed what is none of the aggregator's files.
UNREADABLE = {"malformed", "too_large"}


@dataclass(frozen=True, slots=True)
class Brought:
    """For delivery.html: what became of a file that was brought back. `trouble` is why it was not read, else ""."""

    trouble: str
    told: str = ""
    taken: int = 0
    known: int = 0
    refused: int = 0

    @property
    def is_good(self) -> bool:
        """Whether anything in it was believed."""
        return not self.trouble and self.taken + self.known > 0


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """For delivery.html and, in it, _delivery.html, which is kept live.

    `standing` is None while the outbox cannot be looked at, for the reason `trouble`. `may_act`: somebody has logged
    in. `assigned` meters are in force by version `assignments`, 0 for none.
    """

    now_ms: int
    now_text: str
    standing: Standing | None
    trouble: str
    oldest: Shown | None
    confirmed: Shown | None
    contacts: list[Contacted]
    has_gate: bool
    may_act: bool
    assignments: int
    assigned: int
    brought: Brought | None
    is_trying: bool

    @property
    def may_try(self) -> bool:
        """Whether there is anything for a try to do."""
        return bool(self.contacts and self.may_act and (self._waits or all(contact.fault for contact in self.contacts)))

    @property
    def _waits(self) -> bool:
        return self.standing is not None and self.standing.waiting > 0


@readers
async def view(request: web.Request) -> web.Response:
    """The page."""
    return await _answer(request)


@readers
async def events(request: web.Request) -> web.StreamResponse:
    """What waits and how delivery goes, as server-sent events: the page's middle, drawn anew."""
    language = language_of(request)

    async def draw() -> str:
        await request.app[GLANCES].refresh()
        return render(PACKAGE, language, "_delivery.html", _page(request, None))

    return await keep_up(request, draw)


@only(TECHNICIAN)
async def download(request: web.Request) -> web.StreamResponse:
    """All that waits, as one file."""
    parts = request.app[PARTS]
    if parts.sealing is None:
        raise web.HTTPNotFound
    about = About(parts.site_name, __version__)
    try:
        identity = await parts.sealing.of(lambda outbox: outbox.identity.appliance)
        name = f"meter-appliance-{identity[:8]}-{parts.times.now:%Y%m%d-%H%MZ}.tar"
        async with aclosing(parcel(parts.sealing, about)) as pieces:
            on_begin = partial(_note, request, "batches_downloaded")
            return await sent(request, pieces, name, "application/x-tar", on_begin)
    except (StoreError, OSError) as fault:
        if isinstance(fault, ConnectionError):
            raise
        log.warning("batches not handed out: %s", fault)
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "60"}) from None


@only(TECHNICIAN)
async def try_now(request: web.Request) -> web.Response:
    """Somebody has mended the link, or was approved, and does not wait for the next try."""
    courier = request.app[PARTS].courier
    if courier is None:
        raise web.HTTPNotFound
    courier.try_now()
    return web.Response(status=303, headers={"Location": "/delivery#ways-title"})


@only(TECHNICIAN)
async def bring(request: web.Request) -> web.Response:
    """A file with receipts was brought back."""
    parts = request.app[PARTS]
    if parts.gate is None:
        raise web.HTTPNotFound
    try:
        tally = await _taken(request, parts)
    except Refused as fault:
        return await _answer(request, Brought(NOT_READ, str(fault)), fault.status)
    except (StoreError, OSError) as fault:
        if isinstance(fault, ConnectionError):
            raise
        words = fault.strerror if isinstance(fault, OSError) else None
        return await _answer(request, Brought(NOT_NOW, words or str(fault)), 503)
    if tally is None:
        return await _answer(request, Brought(NOTHING), 422)
    if tally.refused and not tally.is_good and tally.refused.keys() <= UNREADABLE:
        return await _answer(request, Brought(NOT_READ, tally.words), 422)
    brought = Brought("", tally.words, tally.taken, tally.known, tally.refused.total())
    if brought.taken:
        _note(request, "receipts_brought", taken=brought.taken)
    return await _answer(request, brought, 200 if brought.is_good else 422)


async def _taken(request: web.Request, parts: Parts) -> Tally | None:
    """What became of the file's lines; None when there was none. Raises Refused, StoreError, OSError."""
    assert parts.gate is not None
    if request.content_type != "multipart/form-data":
        raise Refused(415, "unsupported_media_type", "not sent by the form of this page")
    try:
        part = await (await request.multipart()).next()
        if not isinstance(part, BodyPartReader) or part.name != FIELD:
            return None
        async with aclosing(request.app[BODIES].lines(request, MOST_LINE_BYTES, part.read_chunk)) as lines:
            tally = await parts.gate.take_in(lines)
    except UNSOUND as fault:
        raise Refused(400, "malformed", f"no sound form: {fault}"[:200]) from None
    return tally if tally.is_good or tally.refused else None


def _note(request: web.Request, what: str, **detail: int) -> None:
    request.app[PARTS].store.record("changed", {"who": request[SESSION].name, "what": what, **detail})


async def _answer(request: web.Request, brought: Brought | None = None, status: int = 200) -> web.Response:
    await request.app[GLANCES].refresh(at_once=brought is not None)
    return html(request, "delivery.html", _page(request, brought), status)


def _page(request: web.Request, brought: Brought | None) -> DeliveryPage:
    parts, glances = request.app[PARTS], request.app[GLANCES]
    times, standing = parts.times, glances.standing
    return DeliveryPage(
        now_ms=times.moment.utc_ms,
        now_text=times.of_day,
        standing=standing,
        trouble=glances.trouble,
        oldest=times.at(standing.oldest_at) if standing and standing.oldest_at is not None else None,
        confirmed=glances.confirmed(times),
        contacts=glances.contacts(times),
        has_gate=parts.gate is not None,
        may_act=SESSION in request,
        assignments=parts.store.assigned.version,
        assigned=len(parts.store.assigned.meters),
        brought=brought,
        is_trying=parts.courier is not None and parts.courier.is_trying,
    )
