"""The set-up of a site: what is set on the page, changed one at a time; and what takes longer than a request.

A Wi-Fi is joined whether or not the browser that asked for it is still there: it may well have come by the network that
is left. What became of it stands on the page then.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from appliance import lasting
from appliance.config import TABLES
from appliance.lasting import FILE, Lasting, Made
from appliance.store.files import set_aside
from appliance.web.parts import Parts
from appliance.wireless import Outcome, join

log = logging.getLogger(__name__)


class Busy(Exception):
    """Something that can be done only once at a time is being done."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of the network that was joined last; `outcome` is None as long as it is being joined."""

    network: str
    outcome: Outcome | None = None


class SettingUp:
    """Of a site. `close` it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._one = asyncio.Lock()
        self._joining: asyncio.Task[None] | None = None
        self.trying = asyncio.Lock()
        self.joined: Joined | None = None

    async def lasting(self) -> tuple[Lasting, list[str]]:
        """What is set on the page by now, and what is wrong in its file."""
        return await asyncio.to_thread(lasting.kept, self._parts.store.directory, TABLES)

    async def keep(self, part: str, entries: Mapping[str, Any], who: str) -> None:
        """Set these entries of "site", "sync" or "receiver NAME", and no others. Raises OSError."""
        made = Made(self._parts.store.clock.now(), who)
        await self._change(lambda known: known.having(part, entries, made))

    async def pass_over(self, step: str, stays: bool) -> None:
        """Have a step of the set-up count as done though it is not, or not any more. Raises OSError."""
        await self._change(lambda known: replace(known, stays=known.stays | {step} if stays else known.stays - {step}))

    async def leave_out_wrong(self) -> None:
        """Write what is set without what is wrong in it; a file that cannot be read is set aside. Raises OSError."""
        await self._change(lambda known: known)

    async def _change(self, change: Callable[[Lasting], Lasting]) -> None:
        async with self._one:
            known, wrong = await self.lasting()
            await asyncio.to_thread(self._write, change(known), is_damaged=bool(wrong) and known == Lasting())

    def _write(self, changed: Lasting, *, is_damaged: bool) -> None:
        directory = self._parts.store.directory
        if is_damaged:
            set_aside(directory, directory / FILE)
        lasting.keep(directory, changed)

    def join(self, network: str, password: str, is_hidden: bool, then: Callable[[], None]) -> None:
        """Begin to join a network; `then` is called once it is. Raises Busy."""
        if self._joining is not None and not self._joining.done():
            raise Busy
        self.joined = Joined(network)
        self._joining = asyncio.create_task(self._join(network, password, is_hidden, then))

    async def _join(self, network: str, password: str, is_hidden: bool, then: Callable[[], None]) -> None:
        outcome = await join(network, password, is_hidden=is_hidden)
        self.joined = Joined(network, outcome)
        if outcome == "joined":
            then()
        else:
            log.warning("wifi not joined reason=%s", outcome)

    async def close(self) -> None:
        """Wait for nothing more."""
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.gather(self._joining, return_exceptions=True)


SETTING_UP = web.AppKey("SETTING_UP", SettingUp)
