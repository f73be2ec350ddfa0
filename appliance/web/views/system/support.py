"""The bundle for support is downloaded."""

import asyncio

from aiohttp import web

from appliance.store.accounts import TECHNICIAN
from appliance.support.bundle import bundle
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import only
from appliance.web.glances import GLANCES
from appliance.web.parts import PARTS
from appliance.web.sending import as_file_name, attachment
from appliance.web.views.system.keeping import Trouble, page
from appliance.web.views.system.support_files import files, secrets

BUNDLING = web.AppKey("BUNDLING", asyncio.Lock)


@only(TECHNICIAN)
async def download(request: web.Request) -> web.Response:
    """What tells of the appliance's state, as one file without anything secret."""
    parts, bundling = request.app[PARTS], request.app[BUNDLING]
    if bundling.locked():
        return await page(request, Trouble("support", "bundling"), 409)
    async with bundling:
        known = await secrets(parts)
        found = await files(parts, request.app[GLANCES])
        made = f"{parts.times.now:%Y-%m-%d %H:%M} UTC"
        content = await asyncio.to_thread(bundle, found, known.proofs, known.words, made)
    parts.store.record("changed", {"who": request[SESSION].name, "what": "support_downloaded"})
    name = f"{as_file_name(parts.site_name)}-{parts.times.now:%Y-%m-%d-%H%MZ}-support.zip"
    headers = {"Content-Disposition": attachment(name), "Cache-Control": "no-store"}
    return web.Response(body=content, content_type="application/zip", headers=headers)
