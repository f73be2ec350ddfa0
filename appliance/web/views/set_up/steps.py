"""The steps of the set-up: which are done, which somebody passed over, and which are open."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from appliance.config import Site
from appliance.lasting import Lasting
from appliance.machine.network import default_route
from appliance.web.first_account import NAME
from appliance.web.parts import PARTS, Parts
from appliance.web.views.set_up.setting_up import SETTING_UP

STEPS = ("password", "place", "link", "aggregator", "radio")
# A password that everybody may know is not passed over.
MAY_STAY = STEPS[1:]


@dataclass(frozen=True, slots=True)
class Step:
    """One of them."""

    name: str
    state: Literal["done", "stays", "open"]

    @property
    def sign(self) -> str:
        """The class of the sign that stands before it."""
        return {"done": "good", "stays": "passed", "open": "fair"}[self.state]


async def still_open(request: web.Request) -> int:
    """How many of them nobody has seen to yet."""
    lasting, _ = await request.app[SETTING_UP].lasting()
    return sum(step.state == "open" for step in await steps_of(request.app[PARTS], lasting))


async def steps_of(parts: Parts, lasting: Lasting) -> list[Step]:
    """All of them, as of now; `lasting` is what is set on the page."""
    config = parts.draft.config
    done = {
        "password": not await has_first_password(parts),
        "place": config.site.name != Site().name,
        "link": await asyncio.to_thread(default_route, parts.machine) is not None,
        "aggregator": bool(config.sync.aggregator_key),
        "radio": any(receiver.state == "running" and not receiver.simulated for receiver in parts.receivers()),
    }
    return [Step(name, "done" if done[name] else "stays" if name in lasting.stays else "open") for name in STEPS]


async def has_first_password(parts: Parts) -> bool:
    """Whether the first account has the password that it was made with: on the console, or in a file."""
    return any(
        one.name == NAME and one.disabled_at is None and one.changed_at == one.made_at
        for one in await parts.accounts.all()
    )
