"""Delivers what waits in the outbox, whenever a link is there, and takes in what the aggregator has signed.

The oldest batch goes first. A request carries as many batches as the link has lately borne: twice as much after each
that arrived, half as much after one that broke off, so that a bad link delivers a little rather than nothing. What
was stored before a break is asked for before anything is sent again. Addresses are tried in their order; when none
takes anything the pause grows, up to a quarter of an hour, with full jitter, so that a thousand appliances do not come
back at once; an aggregator that asks to be left alone for some time is.

Each answer says which version of the assignments this appliance should have. They are asked for once when that is above
the one that is kept; whatever becomes of that, nothing of what waits is held up by it.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from appliance.errors import NotDelivered, StoreError
from appliance.store.schema import in_words
from appliance.sync import assignments
from appliance.sync.assignments import question
from appliance.sync.outbox import Name
from appliance.sync.sealing import Sealing
from appliance.sync.taking import Outcome, Taking
from appliance.sync.transport import HINT_KEY, MOST_LINE_BYTES, Link, Told

log = logging.getLogger(__name__)

BATCHES, RECEIPTS, ENROLMENTS, ROTATIONS, ASSIGNMENTS = (
    f"/api/v1/{what}" for what in ("batches", "receipts", "enrolments", "rotations", "assignments")
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

HINT_WAITING = (
    "Tell the operator the number and the code, which the page has under Delivery, and 'appliance outbox list'. What"
    " waits is kept, and goes once they have approved it."
)
HINT_IN_VAIN = (
    "The token is not known there, has expired or was used already: ask for another, or tell the operator the number"
    " and the code, which the page has under Delivery. What waits is kept, and goes once they have approved it."
)
# Which of these say that the aggregator has not decided yet.
HINTS_WAITING = (HINT_WAITING, HINT_IN_VAIN)
HINT_REVOKED = "Ask the operator why. What waits is kept; a USB stick carries no more than this link does."
HINT_REFUSED = "Ask the operator, who sees the refusal and its reason. What waits is kept, and is tried again."
HINT_AGAIN = (
    "Another machine has begun a new key with this one's identity, as when a card was copied. Stop the appliance and"
    " delete its identity folder: the operator approves it as a new one, and all that is kept is told again."
)
HINT_GAP = "Ask the operator to give the gap up; what waits behind it is kept on both sides until then."
HINT_ASSIGNED = "Tell the operator. The assignments of before stay in force; newer ones are asked for again."


@dataclass(frozen=True)
class About:
    """What the appliance says of itself when it enrols."""

    name: str
    version: str
    token: str = ""


@dataclass
class Contact:
    """How it went with an address: when it last answered with its key, in s of the clock; what is wrong, or "".

    `cause` is one of `transport.CAUSES`, or "". One that was never needed is not `tried`.
    """

    tried: bool = False
    answered_s: float | None = None
    fault: str = ""
    hint: str = ""
    cause: str = ""


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
        monotonic: Callable[[], float] = time.monotonic,
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
        self._announced = 0
        self._not_assigned = ""
        self._monotonic = monotonic
        self._asked = asyncio.Event()
        self.is_trying = False
        self.contacts = {link.address: Contact() for link in links}

    def now_s(self) -> float:
        """The clock of `contacts`, in s."""
        return self._monotonic()

    def try_now(self) -> None:
        """Try at once, as somebody asks who has mended the link or was approved, whatever pause is being made."""
        self.is_trying = True
        self._asked.set()

    async def run(self, report: Callable[[str, str], None]) -> None:
        """Deliver for ever. `report` is told what is wrong and what to do about it; two empty texts if nothing is."""
        try:
            while True:
                self._asked.clear()
                self.is_trying = True
                fault = await self._try()
                self.is_trying = False
                if fault is None:
                    report(self._not_assigned, HINT_ASSIGNED if self._not_assigned else "")
                    self._reset_pauses()
                    await self._wait(self._sealing.made.wait())
                else:
                    report(str(fault), fault.hint)
                    await self._wait(self._sleep(max(self._pauses(), fault.retry_after_s or 0.0)))
                self._sealing.made.clear()
        finally:
            for link in self._links:
                await link.close()

    async def _wait(self, until: Awaitable[object]) -> None:
        """Wait, unless somebody asks for a try."""
        waiting = [asyncio.ensure_future(one) for one in (until, self._asked.wait())]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        for one in done:
            one.result()

    async def _try(self) -> NotDelivered | None:
        """Deliver; what kept it from that. The card may be why: what it cannot keep counts as not delivered."""
        try:
            await self.deliver()
        except NotDelivered as fault:
            return fault
        except StoreError as fault:
            return NotDelivered(str(fault), fault.hint)
        except OSError as fault:
            return NotDelivered(f"the outbox cannot be used: {in_words(fault)}", StoreError.hint)
        return None

    async def deliver(self) -> None:
        """Deliver all that waits, by the first link that takes it. Raises NotDelivered, StoreError, OSError."""
        faults = []
        for link in self._links:
            contact = self.contacts[link.address]
            try:
                await self._deliver(link)
                contact.fault = contact.hint = contact.cause = ""
                return
            except NotDelivered as fault:
                contact.fault, contact.hint, contact.cause = str(fault), fault.hint, fault.cause
                faults.append(fault)
        if faults:
            asked_s = [fault.retry_after_s for fault in faults if fault.retry_after_s is not None]
            # What a person can do is worth more than that it is tried again.
            hint = next((fault.hint for fault in faults if fault.hint != NotDelivered.hint), None)
            raise NotDelivered("; ".join(map(str, faults)), hint, min(asked_s) if asked_s else None)

    async def _deliver(self, link: Link) -> None:
        is_introduced = False
        while names := await self._sealing.of(lambda outbox: list(outbox.waiting)[:MOST_ASKED]):
            if not is_introduced and await self._is_to_be_introduced(link):
                await self._introduce(link)
                is_introduced = True
            await self._fetch(link)
            if self._broke_off:
                await self._ask(link, names)
                self._broke_off = False
            elif not await self._send(link, names[:MOST_BATCHES]):
                if is_introduced:
                    raise NotDelivered(f"{link.address} does not know this appliance yet", retry_after_s=KNOWN_S)
                await self._introduce(link)
                is_introduced = True
        await self._fetch(link)

    async def _is_to_be_introduced(self, link: Link) -> bool:
        """Whoever was never receipted is not known there yet, most likely; and a token may be one that was just set."""
        has_token = self._about.token and self.contacts[link.address].answered_s is None
        return bool(has_token) or not await self._sealing.of(lambda outbox: outbox.was_receipted)

    async def _ask(self, link: Link, names: Sequence[Name]) -> None:
        """Take in the receipts of what was stored already."""
        appliance = await self._sealing.of(lambda outbox: outbox.identity.appliance)
        asked = json.dumps({"appliance": appliance, "batches": names}).encode()
        await self._post(link, RECEIPTS, [asked], Told())

    async def _send(self, link: Link, names: Sequence[Name]) -> int:
        """Send as many batches as the link bears; returns how many of them wait no longer."""
        if not (found := await self._sealing.of(lambda outbox: outbox.sound_lines(names, self._bytes))):
            return len(names)
        # Nor is it sent again what is stored there, but whose receipts the card does not take.
        self._broke_off = True
        told = Told()
        try:
            await self._post(link, BATCHES, list(found.values()), told)
        except NotDelivered:
            self._bytes = max(LEAST_BYTES, self._bytes // 2)
            raise
        finally:
            if told.status == 200:
                await self._sealing.of(lambda outbox: outbox.note_sent(found))
        self._broke_off = False
        # A receipt may also have come another way meanwhile.
        taken = len(names) - await self._sealing.of(lambda outbox: sum(name in outbox.waiting for name in names))
        if not taken and told.refusals:
            reason, words = told.refusals[0]
            if reason == "unknown_key":
                return 0
            # What nobody takes is tried again with as little as may be.
            self._bytes = LEAST_BYTES
            raise NotDelivered(f"{link.address} refuses what is sent: {words} ({reason})", HINT_REFUSED)
        if not taken and told.gap:
            self._bytes = LEAST_BYTES
            words = f"{link.address} lacks batch {told.gap[0]}-{told.gap[1]}, which is not here any more"
            raise NotDelivered(words, HINT_GAP)
        if not taken:
            raise NotDelivered(f"{link.address} says nothing to be believed of what was sent", HINT_REFUSED)
        self._bytes = min(MOST_BYTES, self._bytes * 2)
        return taken

    async def _introduce(self, link: Link) -> None:
        """Tell who we are, and by which key now. Raises NotDelivered as long as the operator has not approved."""
        about = self._about
        identity = await self._sealing.of(lambda outbox: outbox.identity)
        statements = [(ENROLMENTS, identity.introduction(about.name, about.version, about.token))]
        statements += [(ROTATIONS, rotation) for rotation in identity.rotations]
        for number, (path, statement) in enumerate(statements, 1):
            told = Told()
            await self._post(link, path, [statement], told)
            # Of the keys between the first and the last some may be revoked, or known already.
            if told.refusals and (path == ENROLMENTS or number == len(statements)):
                reason, words = told.refusals[0]
                hint = HINT_AGAIN if path == ROTATIONS and reason in ("fork", "unknown_key") else HINT_REFUSED
                raise NotDelivered(f"{link.address} does not take this appliance in: {words} ({reason})", hint)

    async def _fetch(self, link: Link) -> None:
        """Ask for the assignments, if an answer told of newer ones than are kept."""
        version = self._sealing.assignments
        if self._announced <= version:
            return
        announced, self._announced = self._announced, 0
        identity = await self._sealing.of(lambda outbox: outbox.identity)
        asked = question(identity.appliance, version, identity.key)
        told = Told()
        outcomes = await self._post(link, ASSIGNMENTS, [asked], told, assignments.MOST_LINE_BYTES + 100)
        # That there are newer ones was said again; once for each answer to something else is enough.
        self._announced = 0
        self._not_assigned = ""
        if self._sealing.assignments < announced:
            why = next((one.words for one in outcomes if one.what == "refused"), None)
            why = why or next((words for _, words in told.refusals), "they did not come")
            self._not_assigned = f"what {link.address} assigns is not taken in: {why}"
            log.warning("aggregator=%s assignments version=%d not taken in: %s", link.address, announced, why)

    async def _post(
        self, link: Link, path: str, lines: Sequence[bytes], told: Told, most_bytes: int = MOST_LINE_BYTES
    ) -> list[Outcome]:
        """One request; fills in what is `told`. What is signed is taken in though it breaks off.

        Raises NotDelivered, StoreError, OSError.
        """
        identity = await self._sealing.of(lambda outbox: outbox.identity)
        contact = self.contacts[link.address]
        contact.tried = True
        try:
            await link.post(path, lines, identity.appliance, told, most_bytes)
        finally:
            outcomes = await self._take(link, [*told.receipts, *told.assignments])
        if told.answer is None:
            raise NotDelivered(f"{link.address} does not answer with its key", HINT_KEY)
        contact.answered_s = self._monotonic()
        elapsed_ms = round(1000 * (told.heard_s - told.sent_s))
        self._offer_time(told.answer.utc_ms + elapsed_ms // 2, elapsed_ms // 2 + SERVER_MS)
        if told.answer.standing == "waiting":
            # Without the code: what is wrong is told to strangers, too.
            words = f"waits for the operator's approval at {link.address}: appliance {identity.fingerprint}"
            # What a former key signed before it went has no token.
            is_in_vain = self._about.token and not identity.kept_introduction
            hint = HINT_IN_VAIN if is_in_vain else HINT_WAITING
            raise NotDelivered(words, hint, WAITING_S)
        if told.answer.standing == "revoked":
            raise NotDelivered(f"the operator of {link.address} has revoked this appliance", HINT_REVOKED, REVOKED_S)
        self._announced = told.answer.assignments
        return outcomes

    async def _take(self, link: Link, signed: Sequence[bytes]) -> list[Outcome]:
        outcomes = await Taking(self._sealing, link.keys).take(signed)
        for one in outcomes:
            if one.what == "refused":
                log.warning("aggregator=%s not believed reason=%s: %s", link.address, one.reason, one.words)
        return outcomes
