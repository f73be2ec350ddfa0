"""Keeps the middle of a page live: drawn again and again, and sent when it differs from what was sent last.

`static/middle.js` puts it in the place of what is there.
"""

import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from appliance.web.parts import PARTS
from appliance.web.streams import HEARTBEAT_S, stream


async def keep_up(request: web.Request, draw: Callable[[], Awaitable[str]], every_s: float = 1.0) -> web.StreamResponse:
    """Send what `draw` gives, HTML, at most so often. Raises as `stream` and what `draw` raises."""
    parts = request.app[PARTS]
    said, draw_at_s, beat_at_s = "", 0.0, 0.0

    async def event(now_s: float) -> bytes:
        nonlocal said, draw_at_s, beat_at_s
        middle = said
        if now_s >= draw_at_s:
            draw_at_s = now_s + every_s
            middle = await draw()
        if middle == said and now_s < beat_at_s:
            return b""
        told = {**parts.times.stand, "html": middle if middle != said else None}
        said, beat_at_s = middle, now_s + HEARTBEAT_S
        return f"event: update\ndata: {json.dumps(told)}\n\n".encode()

    return await stream(request, event)
