"""Asks the site itself for a page, as a browser would: the proof that it still answers.

A request through the listening socket takes all that a visitor needs: a file handle, the kernel's queue, the event
loop, the routes. The site's task under the supervisor is this, so that a site that answers nobody stops the watchdog
from being fed.
"""

import asyncio
from collections.abc import Awaitable, Callable

from appliance.errors import ApplianceError

EVERY_S = 20.0
ANSWER_S = 10.0
# Four questions without an answer.
VITAL_WITHIN_S = 90.0
HINT = "Nothing has to be done if it recovers; otherwise start the appliance again."
REQUEST = b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def watch(
    report: Callable[[str], None],
    host: str,
    port: int,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Ask again and again, for ever. Raises ApplianceError when there is no answer."""
    while True:
        report(await ask(host, port))
        await sleep(EVERY_S)


async def ask(host: str, port: int) -> str:
    """Ask once; returns what is wrong with the answer, empty if nothing is. Raises ApplianceError."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return await _ask(host, port)
    except TimeoutError:
        raise ApplianceError(f"the page does not answer within {ANSWER_S:g} s", HINT) from None
    except OSError as fault:
        raise ApplianceError(f"the page cannot be reached: {fault.strerror or fault}", HINT) from None


async def _ask(host: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(REQUEST)
        line = await reader.readline()
    except ConnectionError:
        line = b""
    finally:
        writer.transport.abort()
    if line.startswith(b"HTTP/1.1 "):
        return (
            ""
            if line.split()[1] in (b"200", b"503")
            else f"the page answers {line.split()[1].decode('ascii', 'replace')}"
        )
    # It accepted and hung up, as it does with one connection too many: alive, but of no use to visitors.
    return "too many connections: the page answers nobody else"
