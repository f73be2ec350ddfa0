"""A backup is downloaded: made while it is sent, so that it takes no room here, one at a time."""

import asyncio
import errno
import logging
from contextlib import aclosing

from aiohttp import web

from appliance.archive.passphrase import LEAST_CHARACTERS
from appliance.errors import StoreError
from appliance.store.accounts import TECHNICIAN
from appliance.store.backup.snapshot import NoRoomForCopies
from appliance.store.backup.write import Backup, about_now
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.forms import form
from appliance.web.frame.guard import only
from appliance.web.frame.proof import Denied, prove_again
from appliance.web.parts import PARTS
from appliance.web.sending import as_file_name, in_a_thread, sent
from appliance.web.views.system.keeping import Trouble, page

log = logging.getLogger(__name__)

UNDER_WAY = web.AppKey("UNDER_WAY", asyncio.Lock)
KIND = "application/octet-stream"


@only(TECHNICIAN)
async def download(request: web.Request) -> web.StreamResponse:
    """All that is kept, as one encrypted file."""
    fields = await form(request)
    secret = fields.get("passphrase", "")
    if len(secret) < LEAST_CHARACTERS:
        return await page(request, Trouble("backup", "short"))
    if fields.get("again") != secret:
        return await page(request, Trouble("backup", "differ"))
    try:
        await prove_again(request, fields)
    except Denied as denied:
        return denied.told(await page(request, Trouble("backup", denied=denied)))
    under_way = request.app[UNDER_WAY]
    if under_way.locked():
        return await page(request, Trouble("backup", "busy"), 409)
    async with under_way:
        try:
            return await _sent(request, secret)
        except (StoreError, OSError) as fault:
            if isinstance(fault, ConnectionError):
                raise
            log.warning("no backup made: %s", fault)
            is_full = isinstance(fault, NoRoomForCopies) or getattr(fault, "errno", None) == errno.ENOSPC
            told = str(fault) if isinstance(fault, StoreError) else fault.strerror or ""
            return await page(request, Trouble("backup", "no room" if is_full else "not now", told), 503)


async def _sent(request: web.Request, secret: str) -> web.StreamResponse:
    parts, who = request.app[PARTS], request[SESSION].name
    making = Backup(parts.store.directory, secret, about_now(parts.site_name))

    def on_begin() -> None:
        parts.store.record("changed", {"who": who, "what": "backup_downloaded"})

    name = f"{as_file_name(parts.site_name)}-{parts.times.now:%Y-%m-%d-%H%MZ}.backup"
    async with aclosing(in_a_thread(making.pieces())) as pieces:
        response = await sent(request, pieces, name, KIND, on_begin)
    for segment in making.damaged:
        log.warning("file=%s is damaged on the card; the backup has it as it is", segment)
    return response
