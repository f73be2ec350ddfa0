"""A backup is brought back: unpacked and checked while it comes, and taken up when all parts start anew.

Until it is whole and checked nothing of what is here is touched. Who may log in afterwards is said by the backup. A
browser shows no answer before it has sent everything, so a script has the beginning tried first.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aiohttp import web

from appliance import zones
from appliance.archive.container import Opener
from appliance.archive.unusable import Unusable
from appliance.errors import AlreadyRunning, ApplianceError, InputError, StoreError, StoreTooNew
from appliance.store.accounts import TECHNICIAN
from appliance.store.backup import restore
from appliance.store.backup.bring import Brought, NoRoom, Source, bring, check_room
from appliance.store.lock import sole_bringer
from appliance.sync.identity import is_sound, seen_identity
from appliance.web.bodies import Refused
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import only
from appliance.web.frame.proof import Denied, prove_again
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS
from appliance.web.uploads import Stalled, Upload, received
from appliance.web.views.system.keeping import Trouble, page

log = logging.getLogger(__name__)

FIELD = "backup"
TICKS = {"aside", "other"}
# The browser has fetched all of the page that tells of it by then.
ANEW_AFTER_S = 1.0
_FAULTS = (ApplianceError, OSError, Stalled)


class AnotherAppliance(InputError):
    """A backup that is not of this appliance, and nobody said that it may be."""


@dataclass(frozen=True, slots=True)
class Restored:
    """For keeping_restored.html: when the backup was `made`, of which appliance; what was `amiss` then, in English."""

    made: datetime | None
    name: str
    amiss: list[str]


@only(TECHNICIAN)
async def begin(request: web.Request) -> web.StreamResponse:
    """The form with no more than the beginning of the file: whether it can be opened is told before all is sent."""
    brought = await _brought(request)
    if not isinstance(brought, Upload):
        return brought
    try:
        await asyncio.to_thread(_open, brought, request.app[PARTS].store.directory)
    except _FAULTS as fault:
        return await _refusal(request, brought, fault)
    await brought.drop()
    return web.Response(status=204)


@only(TECHNICIAN)
async def upload(request: web.Request) -> web.StreamResponse:
    """The form with the file."""
    brought = await _brought(request)
    if not isinstance(brought, Upload):
        return brought
    try:
        restored = await _restored(request, brought)
    except _FAULTS as fault:
        return await _refusal(request, brought, fault)
    parts = request.app[PARTS]
    parts.store.record("changed", {"who": request[SESSION].name, "what": "backup_restored"})
    log.info("a backup was brought: starting anew with it")
    asyncio.get_running_loop().call_later(ANEW_AFTER_S, parts.start_anew)
    return html(request, "keeping_restored.html", restored)


async def _brought(request: web.Request) -> Upload | web.StreamResponse:
    """The form as far as the file, or the answer to one that will not do."""
    try:
        brought = await received(request, FIELD)
    except Refused as fault:
        return await page(request, Trouble("restore", "not read", str(fault)), fault.status)
    if missing := _missing(brought):
        await brought.drop()
        return await page(request, Trouble("restore", missing, ticked=_ticked(brought)))
    try:
        await prove_again(request, brought.fields)
    except Denied as denied:
        await brought.drop()
        return denied.told(await page(request, Trouble("restore", denied=denied, ticked=_ticked(brought))))
    return brought


async def _refusal(
    request: web.Request, brought: Upload, fault: ApplianceError | OSError | Stalled
) -> web.StreamResponse:
    log.warning("no backup restored: %s", fault)
    if isinstance(fault, ConnectionError):
        raise fault
    await brought.drop()
    why, status = _why(fault)
    told = (fault.strerror or "") if isinstance(fault, OSError) else str(fault)
    if isinstance(fault, Unusable):
        # The words for it say all.
        told = ""
    return await page(request, Trouble("restore", why, told, ticked=_ticked(brought)), status)


def _ticked(brought: Upload) -> frozenset[str]:
    return frozenset(TICKS & brought.fields.keys())


def _missing(brought: Upload) -> str:
    """What the form lacks, a key of `TROUBLES`; "" if nothing."""
    if not brought.has_file:
        return "no file"
    if not brought.fields.get("passphrase"):
        return "no passphrase"
    return "" if brought.fields.get("aside") else "not confirmed"


async def _restored(request: web.Request, brought: Upload) -> Restored:
    """Have it unpacked by a thread while it comes; that has ended when this does."""
    directory, who = request.app[PARTS].store.directory, request[SESSION].name
    working = asyncio.create_task(asyncio.to_thread(_bring, brought, directory, who))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        brought.give_up()
        await asyncio.gather(working, return_exceptions=True)
        raise


def _open(brought: Upload, directory: Path) -> None:
    """Whether what has come is the beginning of a backup, and this its passphrase, one trial at a time."""
    with _alone(directory):
        Opener(brought, brought.fields["passphrase"], "the file")


def _bring(brought: Upload, directory: Path, who: str) -> Restored:
    said: list[Brought] = []

    def look(part: Path, about: Brought) -> None:
        said.append(about)
        if not is_sound(part):
            # Who has no shell could not put it right afterwards, and nothing would be delivered any more.
            raise InputError("the key in it is damaged")
        if not brought.fields.get("other") and (_identity(part) or "none") != _identity(directory):
            raise AnotherAppliance(f"it was made {about.made:.20} of {about.name!r:.80}")

    with _alone(directory):
        check_room(directory, brought.size)
        source = Source(brought, brought.size, "the file")
        amiss = bring(source, brought.fields["passphrase"], directory, look, who=who)
    return Restored(_moment(said[0].made), said[0].name[:80], amiss)


def _moment(told: str) -> datetime | None:
    """When that was, in the site's zone; None for what is no time."""
    try:
        return datetime.fromisoformat(told).astimezone(zones.here())
    except (ValueError, OverflowError):
        return None


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Nothing else is brought meanwhile. Raises AlreadyRunning."""
    with sole_bringer(directory):
        if restore.waiting(directory):
            raise AlreadyRunning("another restore waits")
        yield


def _identity(directory: Path) -> str | None:
    """The appliance whose data it is, None if that cannot be told."""
    try:
        return seen_identity(directory).appliance
    except (StoreError, OSError):
        return None


def _why(fault: ApplianceError | OSError | Stalled) -> tuple[str, int]:
    """A key of `TROUBLES`, and the status of the answer."""
    if isinstance(fault, Unusable):
        return fault.why, 422
    for kind, why, status in (
        (AnotherAppliance, "other appliance", 422),
        (StoreTooNew, "later version", 422),
        (InputError, "unsound", 422),
        (NoRoom, "large", 413),
        (AlreadyRunning, "waits", 409),
        (Stalled, "stalled", 408),
    ):
        if isinstance(fault, kind):
            return why, status
    return "not now", 503
