"""One request of an appliance while it is answered: lines come in, lines go out, both within bounds.

    in     newline-delimited JSON, as it is or as one gzip member, unpacked a piece at a time
    out    newline-delimited JSON, each line on its way before the next one is looked at, so that whoever is cut off
           knows what was done; the last is {"answer": …} if all went well, {"failed": …, "words": …} if not

A line that is too long is cut, which whoever reads it refuses by its size, and skipped to its end.
"""

import asyncio
import contextlib
import json
import zlib
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
from aiohttp import web

from appliance.aggregator.admission import Load

MOST_BODY_BYTES = 32 << 20
PIECE_BYTES = 1 << 16


class Failed(Exception):
    """The request as a whole goes no further: `reason` is a name for it. What was not answered is to be sent again."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


class Gone(Exception):
    """Nobody listens any more."""


class Exchange:
    """A request and its answer, which `begin` begins."""

    def __init__(self, request: web.Request, load: Load) -> None:
        self._request = request
        self._load = load
        self._clock = asyncio.get_running_loop()
        self._until_s = self._clock.time() + load.limits.request_s
        self._response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})

    async def begin(self) -> None:
        """Send what stands before the first line."""
        await self._response.prepare(self._request)

    async def tell(self, **line: Any) -> None:
        """Send a line. Raises Gone."""
        try:
            async with asyncio.timeout_at(self._soon()):
                await self._response.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        except (ConnectionError, TimeoutError) as fault:
            raise Gone from fault

    async def fail(self, reason: str, words: str) -> None:
        """Say that the request failed."""
        with contextlib.suppress(Gone):
            await self.tell(failed=reason, words=words)

    async def end(self) -> web.StreamResponse:
        """What the server is to have once all is said."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout_at(self._soon()):
                await self._response.write_eof()
        return self._response

    def drop(self) -> None:
        """End the connection without a word more."""
        self._response.force_close()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def line(self, most_bytes: int) -> bytes:
        """The body as one line. Raises Failed."""
        found = None
        async with contextlib.aclosing(self.lines(most_bytes)) as lines:
            async for line in lines:
                if found is not None:
                    raise Failed("malformed", "more than one line, expected one")
                found = line
        if found is None:
            raise Failed("malformed", "no line, expected one")
        return found

    async def lines(self, most_bytes: int) -> AsyncGenerator[bytes, None]:
        """The lines of the body, as they come; those above `most_bytes` cut to one byte more. Raises Failed."""
        line = bytearray()
        counted = 0
        try:
            async with contextlib.aclosing(self._unpacked()) as pieces:
                async for piece in pieces:
                    *ended, rest = piece.split(b"\n")
                    for end in ended:
                        line += end[: most_bytes + 1 - len(line)]
                        yield bytes(line)
                        line.clear()
                    line += rest[: most_bytes + 1 - len(line)]
                    self._load.held_bytes += len(line) - counted
                    counted = len(line)
                    if counted > PIECE_BYTES and self._load.held_bytes > self._load.limits.held_bytes:
                        raise Failed("overloaded", "too many long lines are on their way: try again later")
            if line:
                yield bytes(line)
        finally:
            self._load.held_bytes -= counted

    async def _unpacked(self) -> AsyncGenerator[bytes, None]:
        """The body a piece at a time. Others have their turn between two of them. Raises Failed."""
        unzip = zlib.decompressobj(wbits=31) if self._request.headers.get("Content-Encoding") == "gzip" else None
        left = MOST_BODY_BYTES
        while packed := await self._read():
            piece = b""
            # What fills a piece may not be all that zlib has ready.
            while packed or len(piece) == PIECE_BYTES:
                piece, packed = (packed, b"") if unzip is None else _unzip(unzip, packed)
                left -= len(piece)
                if left < 0:
                    raise Failed("too_large", f"a body of more than {MOST_BODY_BYTES} bytes")
                yield piece
                await asyncio.sleep(0)
        if unzip is not None and not unzip.eof:
            raise Failed("bad_encoding", "the body is no whole gzip")

    async def _read(self) -> bytes:
        try:
            async with self._load.reading(self._soon()):
                return await self._request.content.read(PIECE_BYTES)
        except TimeoutError:
            if self._load.is_stopping:
                raise Failed("stopping", "this aggregator is being stopped: try again") from None
            raise Failed("too_slow", "the body does not come") from None
        except (ConnectionError, aiohttp.ClientError, web.RequestPayloadError) as fault:
            raise Failed("cut_off", "the body breaks off") from fault

    def _soon(self) -> float:
        return min(self._clock.time() + self._load.limits.read_s, self._until_s)


def _unzip(unzip: Any, packed: bytes) -> tuple[bytes, bytes]:
    """A piece of what is packed, and what is still to be unpacked. Raises Failed."""
    try:
        piece = unzip.decompress(packed, PIECE_BYTES)
    except zlib.error as fault:
        raise Failed("bad_encoding", f"the body is not gzip: {fault}") from None
    if unzip.unused_data:
        raise Failed("bad_encoding", "something follows the body's gzip")
    return piece, unzip.unconsumed_tail
