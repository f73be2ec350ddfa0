"""`POST /sync/receipts`: takes in what an aggregator has signed, whoever brings it; `appliance receipts import` does.

The answer says how many lines were taken in, were known, and were refused, by reason.
"""

from contextlib import aclosing

from aiohttp import web

from appliance.errors import StoreError
from appliance.sync.assignments import MOST_LINE_BYTES
from appliance.sync.gate import told
from appliance.web.bodies import BODIES, NO_KEY, Refused
from appliance.web.frame.guard import everybody
from appliance.web.parts import PARTS


@everybody
async def view(request: web.Request) -> web.Response:
    """What became of the lines."""
    try:
        if (gate := request.app[PARTS].gate) is None:
            raise Refused(404, "no_key", NO_KEY)
        async with aclosing(request.app[BODIES].lines(request, MOST_LINE_BYTES)) as lines:
            tally = await gate.take_in(lines)
    except Refused as fault:
        return fault.response()
    except (StoreError, OSError) as fault:
        if isinstance(fault, ConnectionError):
            raise
        words = fault.strerror if isinstance(fault, OSError) else str(fault)
        return Refused(503, "store", f"the card does not take it now: {words}", retry_after_s=60).response()
    response = web.json_response(told(tally))
    if tally.refused["too_many"]:
        response.force_close()
    return response
