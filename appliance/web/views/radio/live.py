"""`/radio/{name}/events`: a radio as it hears now, as server-sent events.

Frames of the spectrum, and the parts of the page that changed. What cannot be written in time is left out: a slow link
shows fewer frames, and those of now, never a queue of old ones. The radio makes frames only while somebody looks, and
looking with the picture paused is not looking.
"""

import asyncio
import json
import socket
from contextlib import suppress

from aiohttp import web

from appliance.errors import SourceUnavailable, UsageError
from appliance.web.connections import break_off
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import readers
from appliance.web.frame.language import language_of
from appliance.web.parts import PARTS
from appliance.web.streams import HEARTBEAT_S, WRITE_TIMEOUT_S, stream
from appliance.web.views.radio.board import BOARD
from appliance.web.views.radio.one_radio import controls_of, receiver_of

# How long to wait for a frame before all else is looked after; and between two looks whether there is room.
FRAME_S, ROOM_S = 1.0, 0.05
# What the kernel may hold that is not yet under way: with more a slow link would show the past.
UNSENT_BYTES = 4096


@readers
async def view(request: web.Request) -> web.StreamResponse:
    """Events until the page leaves or the site stops; without frames where the query says `picture=0`."""
    page = _Page(request)
    response = await stream(request, page.event, ROOM_S)
    if page.stuck:
        break_off(request, response)
    return response


class _Page:
    """What one open page has been told."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._controls = controls_of(request)
        self._with_picture = request.query.get("picture") != "0"
        self._frame = 0
        self._told: dict[str, str] = {}
        self._beat_at_s = 0.0
        self._stuck_since_s: float | None = None
        self.stuck = False
        if request.transport is not None and (under := request.transport.get_extra_info("socket")) is not None:
            # One that has left meanwhile is found by the first write.
            with suppress(OSError):
                under.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    async def event(self, now_s: float) -> bytes:
        """The next event, empty if there is nothing to tell or no room for it.

        Raises TimeoutError when there was no room for long, ConnectionError when the page has left.
        """
        if not self._has_room(now_s):
            return b""
        frame = await self._next_frame()
        now_s = asyncio.get_running_loop().time()
        if not self._has_room(now_s):
            return b""
        request = self._request
        receiver = receiver_of(request)
        sections = await request.app[BOARD].sections(receiver, language_of(request), SESSION in request)
        fresh = {name: html for name, html in sections.items() if self._told.get(name) != html}
        if not frame and not fresh and now_s < self._beat_at_s:
            return b""
        self._told, self._beat_at_s = sections, now_s + HEARTBEAT_S
        told = {**request.app[PARTS].times.stand, "html": fresh}
        # The frame is JSON already, the same for all.
        text = f'{json.dumps(told)[:-1]}, "frame": {frame or "null"}}}'
        return f"event: update\ndata: {text}\n\n".encode()

    async def _next_frame(self) -> str:
        """The next frame, "" if none came in time; where none can come, once something changes.

        What opens a stream does not wait: the page is live then.
        """
        controls = self._controls
        if not self._told:
            return ""
        if controls is None:
            await asyncio.sleep(FRAME_S)
            return ""
        if self._with_picture:
            try:
                # A receiver that hangs takes longer to say so than the page would wait.
                async with asyncio.timeout(HEARTBEAT_S):
                    found = await controls.spectrum(self._frame, FRAME_S)
            except (SourceUnavailable, UsageError, TimeoutError):
                pass
            else:
                if found is None:
                    return ""
                self._frame, frame = found
                return self._request.app[BOARD].frame(receiver_of(self._request).name, self._frame, frame)
        await controls.changed(controls.revision, FRAME_S)
        return ""

    def _has_room(self, now_s: float) -> bool:
        """Whether what was sent before is under way. Raises TimeoutError and ConnectionError."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        if not transport.get_write_buffer_size():
            self._stuck_since_s = None
            return True
        if self._stuck_since_s is None:
            self._stuck_since_s = now_s
        if now_s - self._stuck_since_s > WRITE_TIMEOUT_S:
            self.stuck = True
            raise TimeoutError
        return False
