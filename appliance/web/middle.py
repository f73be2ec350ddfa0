"""Keeps the middle of a page live: drawn again and again, and sent when it differs from what was sent last.

It is drawn once for all who look at the same address in the same language; only who has logged in may see another.
`static/middle.js` puts it in the place of what is there.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from weakref import WeakValueDictionary

from aiohttp import web

from appliance.web.frame.accounts import SESSION
from appliance.web.frame.language import language_of
from appliance.web.parts import PARTS
from appliance.web.streams import HEARTBEAT_S, stream


class _Whose(NamedTuple):
    """What a middle depends on, beside what it shows."""

    address: str
    language: str
    is_logged_in: bool


class _Middle:
    """One, as it was drawn last."""

    def __init__(self) -> None:
        self._drawing = asyncio.Lock()
        self._draw_at_s = 0.0
        self._html = ""

    async def html(self, draw: Callable[[], Awaitable[str]], now_s: float, every_s: float) -> str:
        """No older than that; raises what `draw` raises."""
        async with self._drawing:
            if now_s >= self._draw_at_s:
                self._html = await draw()
                self._draw_at_s = now_s + every_s
            return self._html


Middles = WeakValueDictionary[_Whose, _Middle]
MIDDLES: web.AppKey[Middles] = web.AppKey("MIDDLES", WeakValueDictionary)


async def keep_up(request: web.Request, draw: Callable[[], Awaitable[str]], every_s: float = 1.0) -> web.StreamResponse:
    """Send what `draw` gives, HTML, at most so often. Raises as `stream` and what `draw` raises.

    It depends on nothing of the request but its address, its language and whether somebody has logged in.
    """
    parts = request.app[PARTS]
    whose = _Whose(request.rel_url.raw_path_qs, language_of(request), SESSION in request)
    # It is there as long as somebody looks.
    middle = request.app[MIDDLES].setdefault(whose, _Middle())
    said, beat_at_s = "", 0.0

    async def event(now_s: float) -> bytes:
        nonlocal said, beat_at_s
        html = await middle.html(draw, now_s, every_s)
        if html == said and now_s < beat_at_s:
            return b""
        told = {**parts.times.stand, "html": html if html != said else None}
        said, beat_at_s = html, now_s + HEARTBEAT_S
        return f"event: update\ndata: {json.dumps(told)}\n\n".encode()

    return await stream(request, event)
