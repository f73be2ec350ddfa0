"""Files that are sent while they are made."""

import asyncio
import logging
import re
import unicodedata
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from aiohttp import web

from appliance.errors import StoreError
from appliance.web.connections import break_off

log = logging.getLogger(__name__)

# Within which the other side takes a piece.
WRITE_S = 60.0


async def sent(
    request: web.Request, pieces: AsyncGenerator[bytes, None], name: str, kind: str, on_begin: Callable[[], None]
) -> web.StreamResponse:
    """Send a file of a media type as it is made, under a name for the browser to keep it by.

    What breaks off breaks the connection, so that half a file is not taken for a whole one. Raises what the making of
    the first piece raises; `on_begin` is called once that is there.
    """
    response = web.StreamResponse(headers={"Content-Disposition": attachment(name), "Cache-Control": "no-store"})
    response.content_type = kind
    try:
        async for piece in pieces:
            if not response.prepared:
                on_begin()
                await response.prepare(request)
            async with asyncio.timeout(WRITE_S):
                await response.write(piece)
    except (StoreError, OSError, TimeoutError) as fault:
        if not response.prepared:
            raise
        if not isinstance(fault, ConnectionError):
            log.warning("file=%s broke off while it was handed out: %s", kind, fault)
        break_off(request, response)
    else:
        await response.write_eof()
    return response


def attachment(name: str) -> str:
    """The Content-Disposition of a file to be kept (RFC 6266).

    >>> attachment("x.tar")
    'attachment; filename="x.tar"'
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    more = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{more}'


def as_file_name(words: str) -> str:
    """Words as the beginning of a file's name, on any system.

    >>> as_file_name("Calle Álvarez <12>"), as_file_name("../..")
    ('calle-alvarez-12', 'meter-appliance')
    """
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "meter-appliance"


async def in_a_thread(pieces: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    """What is made by blocking, made beside the event loop as it is taken: all by one thread, its end too."""
    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1, "file")
    try:
        while (piece := await loop.run_in_executor(thread, next, pieces, None)) is not None:
            yield piece
    finally:
        # Behind the piece that may be in the making.
        ending = loop.run_in_executor(thread, pieces.close)
        thread.shutdown(wait=False)
        await asyncio.shield(ending)
