"""Delivers what waits in the outbox, whenever a link is there, and takes in the receipts.

The oldest batch goes first. A request carries as many batches as the link has lately borne: twice as much after each
that arrived, half as much after one that broke off, so that a bad link delivers a little rather than nothing. What
was stored before a break is asked for before anything is sent again. Addresses are tried in their order; when none
takes anything the pause grows, up to a quarter of an hour, with full jitter, so that a thousand appliances do not come
back at once; an aggregator that asks to be left alone for some time is.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from appliance.errors import NotDelivered
from appliance.sync.envelope import Refused
from appliance.sync.outbox import Name, Outbox
from appliance.sync.sealing import Sealing
from appliance.sync.transport import Link, Told

log = logging.getLogger(__name__)

BATCHES, RECEIPTS, ENROLMENTS, ROTATIONS = (
    f"/api/v1/{what}" for what in ("batches", "receipts", "enrolments", "rotations")
)
LEAST_BYTES, FIRST_BYTES, MOST_BYTES = 16_384, 131_072, 4 << 20
MOST_BATCHES = 200
MOST_ASKED = 1_000
# An operator looks at who waits now and then.
WAITING_S = 300.0
REVOKED_S = 3_600.0
# Until all workers of an aggregator know whom one of them met.
KNOWN_S = 2.0
# Clocks of servers are right to less than this.
SERVER_MS = 500


@dataclass(frozen=True)
class About:
    """What the appliance says of itself when it enrols."""

    name: str
    version: str
    token: str = ""


class Courier:
    """Delivers through `links`, in their order. `offer_time` is told UTC in ms and its uncertainty. `run` it."""

    def __init__(
        self,
        sealing: Sealing,
        links: Sequence[Link],
        about: About,
        offer_time: Callable[[int, int], object],
        pauses: Callable[[], float],
        reset_pauses: Callable[[], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sealing = sealing
        self._links = links
        self._about = about
        self._offer_time = offer_time
        self._pauses = pauses
        self._reset_pauses = reset_pauses
        self._sleep = sleep
        self._bytes = FIRST_BYTES
        self._broke_off = True

    async def run(self, report: Callable[[str], None]) -> None:
        """Deliver for ever."""
        try:
            while True:
                try:
                    await self.deliver()
                except NotDelivered as fault:
                    report(str(fault))
                    pause_s = self._pauses()
                    await self._sleep(max(pause_s, fault.retry_after_s or 0.0))
                else:
                    report("")
                    self._reset_pauses()
                    await self._sealing.made.wait()
                self._sealing.made.clear()
        finally:
            for link in self._links:
                await link.close()

    async def deliver(self) -> None:
        """Deliver all that waits, by the first link that takes it. Raises NotDelivered."""
        faults = []
        for link in self._links:
            try:
                await self._deliver(link)
                return
            except NotDelivered as fault:
                faults.append(fault)
        if faults:
            asked_s = [fault.retry_after_s for fault in faults if fault.retry_after_s is not None]
            raise NotDelivered("; ".join(map(str, faults)), retry_after_s=min(asked_s) if asked_s else None)

    async def _deliver(self, link: Link) -> None:
        is_introduced = False
        while names := await self._sealing.of(lambda outbox: list(outbox.waiting)[:MOST_ASKED]):
            if self._broke_off:
                await self._ask(link, names)
                self._broke_off = False
            elif not await self._send(link, names[:MOST_BATCHES]):
                if is_introduced:
                    raise NotDelivered(f"{link.address} does not know this appliance yet", retry_after_s=KNOWN_S)
                await self._introduce(link)
                is_introduced = True

    async def _ask(self, link: Link, names: Sequence[Name]) -> None:
        """Take in the receipts of what was stored already."""
        appliance = await self._sealing.of(lambda outbox: outbox.identity.appliance)
        question = json.dumps({"appliance": appliance, "batches": names}).encode()
        await self._post(link, RECEIPTS, [question])

    async def _send(self, link: Link, names: Sequence[Name]) -> int:
        """Send as many batches as the link bears; returns how many were receipted."""
        if not (lines := await self._sealing.of(lambda outbox: _lines(outbox, names, self._bytes))):
            return len(names)
        try:
            told, taken = await self._post(link, BATCHES, lines)
        except NotDelivered:
            self._bytes = max(LEAST_BYTES, self._bytes // 2)
            self._broke_off = True
            raise
        self._bytes = min(MOST_BYTES, self._bytes * 2)
        if not taken and told.refusals:
            reason, words = told.refusals[0]
            if reason == "unknown_key":
                return 0
            raise NotDelivered(f"{link.address} refuses what is sent: {words} ({reason})")
        if not taken and told.gap:
            raise NotDelivered(f"{link.address} lacks batch {told.gap[0]}-{told.gap[1]}, which is not here any more")
        return taken

    async def _introduce(self, link: Link) -> None:
        """Tell who we are, and by which key now. Raises NotDelivered as long as the operator has not approved."""
        about = self._about
        identity = await self._sealing.of(lambda outbox: outbox.identity)
        await self._post(link, ENROLMENTS, [identity.introduction(about.name, about.version, about.token)])
        for rotation in identity.rotations:
            await self._post(link, ROTATIONS, [rotation])

    async def _post(self, link: Link, path: str, lines: Sequence[bytes]) -> tuple[Told, int]:
        """One request; receipts are taken in though it breaks off. Raises NotDelivered."""
        identity = await self._sealing.of(lambda outbox: outbox.identity)
        told = Told()
        try:
            await link.post(path, lines, identity.appliance, told)
        finally:
            taken = await self._take(link, told.receipts)
        if told.answer is None:
            raise NotDelivered(f"{link.address} does not answer with its key")
        elapsed_ms = round(1000 * (told.heard_s - told.sent_s))
        self._offer_time(told.answer.utc_ms + elapsed_ms // 2, elapsed_ms // 2 + SERVER_MS)
        if told.answer.standing == "waiting":
            words = f"waits for the operator's approval at {link.address}: appliance {identity.fingerprint}"
            raise NotDelivered(f"{words}, code {identity.claim_code}", retry_after_s=WAITING_S)
        if told.answer.standing == "revoked":
            words = f"the operator of {link.address} has revoked this appliance"
            raise NotDelivered(words, "Ask the operator why. What waits is kept.", retry_after_s=REVOKED_S)
        return told, taken

    async def _take(self, link: Link, receipts: Sequence[bytes]) -> int:
        before = await self._sealing.of(lambda outbox: len(outbox.waiting))
        for line in receipts:
            try:
                await self._sealing.of(lambda outbox, line=line: outbox.accept(line, link.keys))  # type: ignore[misc]
            except Refused as fault:
                log.warning("aggregator=%s receipt refused reason=%s: %s", link.address, fault.reason, fault)
        return before - await self._sealing.of(lambda outbox: len(outbox.waiting))


def _lines(outbox: Outbox, names: Sequence[Name], most_bytes: int) -> list[bytes]:
    """The envelopes of batches, together of so many bytes at most, but at least one if any is whole."""
    found: list[bytes] = []
    size = 0
    for name in names:
        if (line := outbox.sound_line(name)) is None:
            continue
        size += len(line)
        if found and size > most_bytes:
            break
        found.append(line)
    return found
