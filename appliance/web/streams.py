"""Streams of server-sent events: how many are open at once, and how one is kept up.

What a stream tells is in the views. It ends with the session by which it was opened, so that who is logged out sees
nothing more; watching counts as use.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import SESSIONS

INTERVAL_S = 1.0
# A page that hears nothing for more than twice as long says that it is not live.
HEARTBEAT_S = 5.0
WRITE_TIMEOUT_S = 20.0
SESSION_EVERY_S = 20.0
MAX_STREAMS = 64
# Of these, where the site is open to readers: so that strangers cannot take all.
KEPT_FOR_LOGGED_IN = 16


@dataclass
class Streams:
    """The open streams of the site."""

    closing: asyncio.Event = field(default_factory=asyncio.Event)
    open: int = 0


STREAMS = web.AppKey("STREAMS", Streams)


async def stream(
    request: web.Request, event: Callable[[float], Awaitable[bytes]], interval_s: float | None = None
) -> web.StreamResponse:
    """Send what `event` gives for the time of the loop, in s, until the page leaves, is logged out, or the site stops.

    It is asked every `interval_s`, by default a second, and gives nothing where there is nothing to tell. Raises
    HTTPException when there are too many streams.
    """
    streams = request.app[STREAMS]
    if streams.open >= (MAX_STREAMS if SESSION in request else MAX_STREAMS - KEPT_FOR_LOGGED_IN):
        raise web.HTTPServiceUnavailable
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    loop = asyncio.get_running_loop()
    looked_s = loop.time()
    streams.open += 1
    try:
        await response.prepare(request)
        while not streams.closing.is_set():
            if SESSION in request and loop.time() - looked_s >= SESSION_EVERY_S:
                looked_s = loop.time()
                if await request.app[SESSIONS].find(request) is None:
                    break
            if told := await event(loop.time()):
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await response.write(told)
            await _pause(streams.closing, INTERVAL_S if interval_s is None else interval_s)
    except (ConnectionError, TimeoutError):
        # The page left, or no longer reads.
        pass
    finally:
        streams.open -= 1
    return response


async def _pause(closing: asyncio.Event, interval_s: float) -> None:
    try:
        async with asyncio.timeout(interval_s):
            await closing.wait()
    except TimeoutError:
        pass
