"""What every answer forbids the browser, and which host names are answered at all.

Pages load nothing but their own files, run no inline script or style, and are framed by nobody. A request for
a name that is not ours is refused, so that a foreign page cannot read this one by pointing its own name here
(DNS rebinding).
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from appliance.web.frame.frame import FRAME

POLICY = "Content-Security-Policy"
HEADERS = {
    "Server": "appliance",
    POLICY: "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Without a referrer browsers do not say either where a form comes from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """A signal handler: for every answer, errors and streams included."""
    response.headers.update(HEADERS)
    if request.app[FRAME].has_forms:
        response.headers[POLICY] = HEADERS[POLICY].replace("form-action 'none'", "form-action 'self'")


@web.middleware
async def check_host(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse a name that is not this machine's."""
    if not is_ours(request.headers.get("Host", ""), request.app[FRAME].names):
        raise web.HTTPMisdirectedRequest
    return await handler(request)


def is_ours(host_header: str, names: tuple[str, ...]) -> bool:
    """Whether a Host header names this machine.

    >>> [is_ours(host, ("meters.example",)) for host in ("[::1]:8080", "pi.local", "meters.example:80", "evil.test")]
    [True, True, True, False]
    """
    host = host_header.rsplit(":", 1)[0] if host_header.rpartition(":")[2].isdigit() else host_header
    host = host.strip("[]").rstrip(".").lower()
    own = {"localhost", socket.gethostname().lower(), *(name.lower() for name in names)}
    return host in own or host.endswith(".local") or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
