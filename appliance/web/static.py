"""The few files that pages load: held in memory, addressed by content so that browsers may keep them for ever."""

import hashlib
from functools import cache
from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def files() -> dict[str, tuple[bytes, str, str]]:
    """Content, type and digest of each file, by name."""
    found = {}
    for path in sorted(STATIC.iterdir()):
        content = path.read_bytes()
        found[path.name] = (content, TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:12])
    return found


def address(name: str) -> str:
    """Where a page loads `name` from."""
    return f"/static/{name}?v={files()[name][2]}"


async def serve(request: web.Request) -> web.Response:
    """One of the files."""
    try:
        content, content_type, digest = files()[request.match_info["name"]]
    except KeyError:
        raise web.HTTPNotFound from None
    response = web.Response(body=content, content_type=content_type, charset="utf-8")
    current = request.query.get("v") == digest
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if current else "no-cache"
    response.enable_compression()
    return response
