"""The few files that pages load: held in memory, addressed by content so that browsers may keep them for ever.

A folder `vendor` holds what was made elsewhere, with its licence and a list of sums, which are not served.
"""

import hashlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import web

from appliance.web.frame.frame import FRAME, OWN

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def files(package: str) -> dict[str, tuple[bytes, str, str]]:
    """Content, type and digest of each file of the frame and of a site, by name."""
    found = {}
    for owner in (OWN, package):
        folder = resources.files(owner) / "static"
        for path in (*_in(folder), *_in(folder / "vendor")):
            if (ending := path.name[path.name.rindex(".") :]) in TYPES:
                content = path.read_bytes()
                found[path.name] = (content, TYPES[ending], hashlib.sha256(content).hexdigest()[:12])
    return found


def _in(folder: Traversable) -> list[Traversable]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def address(package: str, name: str) -> str:
    """Where a page loads `name` from."""
    return f"/static/{name}?v={files(package)[name][2]}"


async def serve(request: web.Request) -> web.Response:
    """One of the files."""
    try:
        content, content_type, digest = files(request.app[FRAME].package)[request.match_info["name"]]
    except KeyError:
        raise web.HTTPNotFound from None
    response = web.Response(body=content, content_type=content_type, charset="utf-8")
    current = request.query.get("v") == digest
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if current else "no-cache"
    response.enable_compression()
    return response
