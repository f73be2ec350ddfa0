"""A large file that a form brings: read by a thread that blocks for it, while it comes.

It may come as slowly as a phone sends it, but each piece of it within its time, so that a stalled one ends. What is
refused half-way is read to its end and dropped all the same: browsers show no answer before they have sent everything.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from aiohttp import BodyPartReader, MultipartReader, web

from appliance.web.bodies import UNSOUND, Refused

PIECE_BYTES = 1 << 16
# At least so much in so many seconds; 2 kB a second is slower than any phone's link is for long.
PIECE_S = 30.0
# For what is only dropped.
DROP_S = 900.0
LONGEST_FIELD_BYTES = 4096
MOST_FIELDS = 10


T = TypeVar("T")


class Stalled(Exception):
    """The rest of a file does not come, or is no sound form."""


class Upload:
    """The fields that came before a file, by name, and the file, `read` by a thread. `size` bounds its bytes."""

    def __init__(self, request: web.Request, fields: dict[str, str], part: BodyPartReader | None, size: int) -> None:
        self.fields = fields
        self.size = size
        self.has_file = part is not None
        self._request = request
        self._part = part
        self._loop = asyncio.get_running_loop()
        self._held = bytearray()
        self._ended = part is None
        self._coming: Future[None] | None = None

    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer at the end. For a thread other than the event loop's. Raises Stalled."""
        while len(self._held) < size and not self._ended:
            assert self._part is not None
            fetching = _in_time(self._fetch(self._part, max(size - len(self._held), PIECE_BYTES)))
            self._coming = asyncio.run_coroutine_threadsafe(fetching, self._loop)
            try:
                self._coming.result()
            except CancelledError:
                raise Stalled("given up") from None
        content = bytes(self._held[:size])
        del self._held[:size]
        return content

    def give_up(self) -> None:
        """Have the thread that reads end soon."""
        self._ended = True
        if self._coming is not None:
            self._coming.cancel()

    async def drop(self) -> None:
        """Read what is left, so that the answer is seen; not for ever."""
        with contextlib.suppress(Stalled, TimeoutError):
            async with asyncio.timeout(DROP_S):
                while not self._request.content.at_eof():
                    await _in_time(self._request.content.readany())

    async def _fetch(self, part: BodyPartReader, size: int) -> None:
        while size > 0 and not self._ended:
            piece = await part.read_chunk(PIECE_BYTES)
            self._held += piece
            size -= len(piece)
            self._ended = not piece


async def received(request: web.Request, file: str) -> Upload:
    """The form with a file in a field of that name, after which nothing is looked at. Raises Refused."""
    if request.content_type != "multipart/form-data" or "Content-Encoding" in request.headers:
        raise Refused(415, "unsupported_media_type", "not sent by the form of this page")
    if request.content_length is None:
        raise Refused(411, "length_required", "its size is not said")
    fields: dict[str, str] = {}
    try:
        form = await request.multipart()
        for _ in range(MOST_FIELDS):
            part = await _in_time(_next(form))
            if part is None or part.name == file:
                # Browsers send an empty file without a name where none was chosen.
                chosen = part if part is not None and part.filename else None
                return Upload(request, fields, chosen, request.content_length)
            content = b""
            while piece := await _in_time(part.read_chunk(LONGEST_FIELD_BYTES)):
                content += piece
                if len(content) > LONGEST_FIELD_BYTES:
                    raise Refused(413, "too_large", f"a field of more than {LONGEST_FIELD_BYTES} bytes")
            fields[part.name or ""] = content.decode()
    except (Stalled, *UNSOUND) as fault:
        raise Refused(400, "malformed", f"no sound form: {fault}"[:200]) from None
    raise Refused(400, "malformed", "more fields than the form of this page has")


async def _next(form: MultipartReader) -> BodyPartReader | None:
    part = await form.next()
    if part is not None and not isinstance(part, BodyPartReader):
        raise Stalled("a form within the form")
    return part


async def _in_time(reading: Coroutine[Any, Any, T]) -> T:
    try:
        async with asyncio.timeout(PIECE_S):
            return await reading
    except TimeoutError:
        raise Stalled("the rest of it does not come") from None
    except UNSOUND as fault:
        raise Stalled(f"no sound form: {fault}"[:200]) from None
