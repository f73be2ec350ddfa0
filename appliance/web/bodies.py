"""What programs send to the site: bodies of lines, read a line at a time within bounds, and answered in JSON.

Anybody can send. A line that is too long ends the request, and so does one that does not come; long lines that are
on their way together hold so much memory and no more, beside which short ones are always read.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

READ_S, BODY_S = 20.0, 300.0
PIECE_BYTES = 1 << 16
MOST_BODY_BYTES = 8 << 20
MOST_HELD_BYTES = 8 << 20

# Gives at most so many bytes, none at the end.
Source = Callable[[int], Awaitable[bytes]]

# How aiohttp says that a form is none: of its parts' bounds, of their headers, of their encodings.
UNSOUND = (ValueError, AssertionError, LookupError, HttpProcessingError, RuntimeWarning)

NO_KEY = "no aggregator's key is set here, so nothing can be verified: set [sync] aggregator_key"


class Refused(Exception):
    """The request goes no further: the HTTP `status`, a name for the `reason`, and words; when to come again."""

    def __init__(self, status: int, reason: str, words: str, retry_after_s: int | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s

    def response(self) -> web.Response:
        """What is answered. What is left of the body is not looked at."""
        response = web.json_response({"refused": self.reason, "words": str(self)}, status=self.status)
        if self.retry_after_s is not None:
            response.headers["Retry-After"] = str(self.retry_after_s)
        response.force_close()
        return response


class Bodies:
    """The bodies that are read at one time."""

    def __init__(self) -> None:
        self._held_bytes = 0

    async def lines(
        self, request: web.Request, most_bytes: int, source: Source | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The lines that are not empty, as they come: of the body, or of a part of it. Raises Refused."""
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused(415, "unsupported_media_type", "the body is compressed: send it as it is")
        line, counted, left = bytearray(), 0, MOST_BODY_BYTES
        until_s = asyncio.get_running_loop().time() + BODY_S
        try:
            while piece := await _read(source or request.content.read, until_s):
                left -= len(piece)
                if left < 0:
                    raise Refused(413, "too_large", f"a body of more than {MOST_BODY_BYTES} bytes")
                *ended, rest = piece.split(b"\n")
                for end in ended:
                    line += end
                    if len(line) > most_bytes:
                        break
                    if found := bytes(line).rstrip(b"\r"):
                        yield found
                    line.clear()
                else:
                    line += rest
                if len(line) > most_bytes:
                    raise Refused(413, "too_large", f"a line of more than {most_bytes} bytes")
                self._held_bytes += len(line) - counted
                counted = len(line)
                if counted > PIECE_BYTES and self._held_bytes > MOST_HELD_BYTES:
                    raise Refused(503, "busy", "too many long lines are on their way", retry_after_s=5)
            if line:
                yield bytes(line)
        finally:
            self._held_bytes -= counted


BODIES = web.AppKey("BODIES", Bodies)


async def _read(source: Source, until_s: float) -> bytes:
    try:
        async with asyncio.timeout_at(min(until_s, asyncio.get_running_loop().time() + READ_S)):
            return await source(PIECE_BYTES)
    except TimeoutError:
        raise Refused(408, "too_slow", "the body does not come") from None
