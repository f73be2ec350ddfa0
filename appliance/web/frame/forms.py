"""What a form sends: read within bounds, and only if it comes from a page of this very site.

Another site can have a visitor's browser send a form here, with the visitor's cookies. Browsers say where a request
comes from: in Sec-Fetch-Site where the connection is trustworthy, in Origin else. Neither can be set by a page. What
says neither is no browser's form, and is refused too. Beside this the session's cookie is SameSite=Strict.
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

MOST_BYTES, MOST_FIELDS = 8_192, 20
READ_S = 10.0
READS = ("GET", "HEAD")


@web.middleware
async def refuse_strangers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse whatever might change something and does not come from a page of this site.

    Where nothing is taken nothing changes, and the answer is the usual one.
    """
    if request.method not in READS and request.match_info.http_exception is None and not is_own(request):
        raise web.HTTPForbidden
    return await handler(request)


def is_own(request: web.Request) -> bool:
    """Whether a page of this site has sent a request, by what the browser says of it."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    origin = request.headers.get("Origin", "")
    try:
        return "://" in origin and urlsplit(origin).netloc.lower() == request.headers.get("Host", "").lower() != ""
    except ValueError:
        return False


async def form(request: web.Request) -> dict[str, str]:
    """The fields of a form; of one that comes twice the last. Raises HTTPException."""
    if request.content_type != "application/x-www-form-urlencoded" or "Content-Encoding" in request.headers:
        raise web.HTTPUnsupportedMediaType
    try:
        async with asyncio.timeout(READ_S):
            body = b""
            while piece := await request.content.read(MOST_BYTES):
                body += piece
                if len(body) > MOST_BYTES:
                    raise web.HTTPRequestEntityTooLarge(MOST_BYTES, len(body))
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise web.HTTPBadRequest from None
