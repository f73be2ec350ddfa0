"""`GET` and `POST /sync/pull`: an aggregator fetches what waits, with a request that it has signed.

`appliance/sync/pull.py` says what goes to and fro.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from aiohttp import web

from appliance.errors import StoreError
from appliance.sync import envelope
from appliance.sync.assignments import MOST_LINE_BYTES
from appliance.sync.gate import Busy, Gate
from appliance.sync.pull import Pull
from appliance.web.bodies import BODIES, NO_KEY, Refused
from appliance.web.connections import break_off
from appliance.web.frame.guard import everybody
from appliance.web.parts import PARTS

WRITE_S = 60.0
BUSY_S = 10


@everybody
async def offer(request: web.Request) -> web.Response:
    """Whose readings these are, and the nonce for a request."""
    try:
        return web.json_response(await _gate(request).offer(), headers={"Cache-Control": "no-store"})
    except Refused as fault:
        return fault.response()
    except (StoreError, OSError) as fault:
        return _not_now(fault).response()


@everybody
async def view(request: web.Request) -> web.StreamResponse:
    """What waits, to whom it may concern."""
    try:
        gate = _gate(request)
        async with aclosing(request.app[BODIES].lines(request, MOST_LINE_BYTES)) as lines:
            pull = await _admitted(gate, lines)
            async with aclosing(gate.answer(pull, lines)) as answer:
                return await _answered(request, answer)
    except Refused as fault:
        return fault.response()
    except (StoreError, OSError) as fault:
        if isinstance(fault, ConnectionError):
            raise
        return _not_now(fault).response()


def _gate(request: web.Request) -> Gate:
    gate = request.app[PARTS].gate
    if gate is None:
        raise Refused(404, "no_key", NO_KEY)
    return gate


async def _admitted(gate: Gate, lines: AsyncIterator[bytes]) -> Pull:
    async for line in lines:
        try:
            return await gate.admit(line)
        except envelope.Refused as fault:
            raise Refused(403, fault.reason, str(fault)) from None
    raise Refused(400, "malformed", "no request: the body is empty")


async def _answered(request: web.Request, lines: AsyncIterator[bytes]) -> web.StreamResponse:
    """Send lines; the answer begins with the first of them, so that what fails before has a status of its own."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
    try:
        async for line in lines:
            async with asyncio.timeout(WRITE_S):
                if not response.prepared:
                    await response.prepare(request)
                await response.write(line + b"\n")
    except Busy:
        raise Refused(429, "busy", "another pull is being served", retry_after_s=BUSY_S) from None
    except (Refused, StoreError, OSError):
        if not response.prepared:
            raise
        break_off(request, response)
    else:
        await response.write_eof()
    return response


def _not_now(fault: StoreError | OSError) -> Refused:
    words = fault.strerror if isinstance(fault, OSError) else str(fault)
    return Refused(503, "store", f"this appliance's card does not take it now: {words}", retry_after_s=60)
