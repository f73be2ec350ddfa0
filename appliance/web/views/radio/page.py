"""`/radio` and `/radio/{name}`: a radio as it hears now, and what a technician asks of it.

What is asked goes to the receiver while it hears, and is answered by its page: by one that says what was wrong, or by
a request of the page that can be repeated.
"""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from appliance.errors import SourceUnavailable, StoreError, UsageError
from appliance.radio.controls import Controls
from appliance.web.frame.accounts import SESSION
from appliance.web.frame.guard import readers
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS
from appliance.web.views.radio.board import BOARD
from appliance.web.views.radio.one_radio import FOREIGN, Trouble, back, controls_of, receiver_of, refusal, under_way

Deed = Callable[[Controls], Awaitable[None]]


@readers
async def view(request: web.Request) -> web.Response:
    """The page."""
    return await answer(request)


async def answer(request: web.Request, trouble: Trouble | None = None) -> web.Response:
    """The page, with what was wrong with a form if anything was. Raises HTTPNotFound."""
    parts = request.app[PARTS]
    if not parts.receivers():
        return html(request, "radio_none.html", None)
    moment = parts.times.moment
    page = await request.app[BOARD].page(
        receiver_of(request),
        SESSION in request,
        trouble,
        moment.utc_ms,
        parts.times.of_day,
    )
    return html(request, "radio.html", page, 422 if trouble else 200)


async def ask(
    request: web.Request, part: str, deed: Deed, typed: Mapping[str, str] | None = None, *, ends: bool = False
) -> web.Response:
    """Do something with the radio that the address names, and answer. `ends`: what goes on there is to end."""
    controls = controls_of(request)
    if controls is None:
        return await answer(request, Trouble(part, FOREIGN))
    if not ends and (words := under_way(controls)):
        return await answer(request, Trouble(part, words, typed=typed or {}))
    try:
        await deed(controls)
    except (UsageError, SourceUnavailable, StoreError) as fault:
        return await answer(request, refusal(part, fault, typed or {}))
    return back(request, part)
