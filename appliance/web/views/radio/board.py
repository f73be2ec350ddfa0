"""What all who look at a radio are told, made once for all of them: frames, parts of the page, messages a minute.

A survey, a capture or a setting shows at once, all else every other second.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiohttp import web

from appliance.control.lines import Spectrum
from appliance.errors import StoreError
from appliance.model import ReceiverState
from appliance.radio.captures import Kept
from appliance.radio.controls import Controls
from appliance.web.frame.rendering import render
from appliance.web.parts import PACKAGE, Parts
from appliance.web.times import Times
from appliance.web.views.radio.facts import facts_of
from appliance.web.views.radio.frames import packed
from appliance.web.views.radio.one_radio import Trouble, controls_by
from appliance.web.views.radio.setting import ByHand
from appliance.web.views.radio.shown import RadioPage, page_of

FRESH_S, MINUTE_S, LEAST_S = 2.0, 60.0, 10.0
# How long a frame counts as what comes in now.
FRAME_S = 5.0
# The receiver tells what it measures every few seconds: so long after a setting, what it told may be of before.
SETTLED_S = 15.0
SECTIONS = ("state", "facts", "tuning", "survey", "captures")


class Sections(NamedTuple):
    """Parts of a page in one language, by name; made at `made_s` of revision `revision`."""

    made_s: float
    revision: int
    html: dict[str, str]


class Latest(NamedTuple):
    """The latest frame of a radio, as it came and as it is sent."""

    number: int
    frame: Spectrum
    text: str
    came_s: float


class Board:
    """Of a site."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._frames: dict[str, Latest] = {}
        self._sections: dict[tuple[str, str, bool], Sections] = {}
        self._counts: dict[str, deque[tuple[float, int]]] = {}
        self._kept: dict[str, tuple[int, Sequence[Kept]]] = {}
        self._asked: dict[str, Mapping[str, float]] = {}
        self._by_hand: dict[str, tuple[str, int]] = {}
        self._set_s: dict[str, float] = {}
        self._making = asyncio.Lock()

    def set_by(self, name: str, who: str) -> None:
        """Somebody has set a radio by hand just now."""
        self._by_hand[name] = (who, self._parts.store.clock.now())
        self.was_set(name)

    def was_set(self, name: str) -> None:
        """A radio was set just now."""
        self._set_s[name] = self._parts.monotonic()

    def survey_asked(self, name: str, fields: Mapping[str, float]) -> None:
        """Somebody began a survey by these fields, which the form shows from now on: it is often made again."""
        self._asked[name] = fields

    def frame(self, name: str, number: int, frame: Spectrum) -> str:
        """A frame as it is sent."""
        latest = self._frames.get(name)
        if latest is None or latest.number != number:
            latest = self._frames[name] = Latest(number, frame, packed(number, frame), self._parts.monotonic())
        return latest.text

    async def sections(self, receiver: ReceiverState, language: str, may_act: bool) -> dict[str, str]:
        """The parts of its page, no older than they need be."""
        controls, key = controls_by(self._parts, receiver.name), (receiver.name, language, may_act)
        async with self._making:
            now_s, revision = self._parts.monotonic(), controls.revision if controls else 0
            made = self._sections.get(key)
            if made is None or made.revision != revision or now_s - made.made_s >= FRESH_S:
                page = await self.page(receiver, may_act)
                html = {name: render(PACKAGE, language, f"_radio_{name}.html", page) for name in SECTIONS}
                made = self._sections[key] = Sections(now_s, revision, html)
        return made.html

    async def page(
        self,
        receiver: ReceiverState,
        may_act: bool,
        trouble: Trouble | None = None,
        now_ms: int = 0,
        now_text: str = "",
    ) -> RadioPage:
        """Everything that the page of a receiver shows."""
        name, now_s = receiver.name, self._parts.monotonic()
        controls, latest = controls_by(self._parts, name), self._frames.get(name)
        frame = latest.frame if latest and now_s - latest.came_s < FRAME_S else None
        by_hand = self._by_hand.get(name)
        set_s = self._set_s.get(name)
        tuned = controls.tuning if controls and set_s is not None and now_s - set_s < SETTLED_S else None
        return page_of(
            receiver,
            controls,
            [one.name for one in self._parts.receivers()],
            facts_of(receiver, frame, *self._a_minute(receiver, now_s), tuned=tuned),
            ByHand(by_hand[0], Times(self._parts.store.clock).at(by_hand[1])) if by_hand else None,
            await self._captures(name, controls) if may_act else (),
            may_act,
            self._asked.get(name),
            trouble=trouble,
            now_ms=now_ms,
            now_text=now_text,
        )

    def _a_minute(self, receiver: ReceiverState, now_s: float) -> tuple[float | None, bool]:
        """Messages in a minute, and whether that is the mean since the start for want of a closer look."""
        counts = self._counts.setdefault(receiver.name, deque())
        # Where nobody looked for a while, what came meanwhile says little of now.
        if counts and now_s - counts[-1][0] > MINUTE_S:
            counts.clear()
        counts.append((now_s, receiver.messages))
        while now_s - counts[0][0] > MINUTE_S:
            counts.popleft()
        (since_s, before) = counts[0]
        if now_s - since_s >= LEAST_S:
            return 60 * (receiver.messages - before) / (now_s - since_s), False
        uptime_s = self._parts.uptime_s
        return (60 * receiver.messages / uptime_s, True) if uptime_s >= LEAST_S else (None, True)

    async def _captures(self, name: str, controls: Controls | None) -> Sequence[Kept]:
        """The captures of a radio, looked up when something about it has changed."""
        if controls is None:
            return ()
        looked = self._kept.get(name)
        if looked is None or looked[0] != controls.revision:
            revision = controls.revision
            try:
                looked = self._kept[name] = revision, await controls.captures()
            except StoreError:
                return looked[1] if looked else ()
        return looked[1]


BOARD = web.AppKey("RADIO_BOARD", Board)
