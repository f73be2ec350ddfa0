"""Fetches what waits at appliances that cannot reach the aggregator, but can be reached.

What comes is taken in as if it had been delivered; the receipts go back with the next request. Whoever answers at an
address is a stranger until a signature says otherwise: answers are bounded in size and time, and a pull ends as soon as
it brings nothing new. What is assigned to an appliance names addresses, and goes only where the connection is secret.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.aggregator.appliances import APPROVED, MOST_STATEMENT_BYTES, REVOKED, Appliances
from appliance.aggregator.assignments import AssignmentLists
from appliance.aggregator.database import Database
from appliance.aggregator.fleet import standing
from appliance.aggregator.ingest import Ingest, Refusal, Stored
from appliance.aggregator.schema import NO_APPLIANCE
from appliance.aggregator.visiting import MOST_BYTES, Answer, NotPulled, Stale, Visitor
from appliance.sync.answer import Standing
from appliance.sync.envelope import PULL, ROTATION, Refused, read, seal
from appliance.sync.pull import Pull, pack_pull

PULL_S = 3_600.0
MOST_REFUSED = 10


@dataclass(slots=True)
class Fetched:
    """What came from an address: from which appliance, how it is regarded, how many batches were stored or refused.

    `words` say what is wrong, if anything is.
    """

    identity: str = ""
    standing: Standing = "unknown"
    stored: int = 0
    refused: int = 0
    words: str = ""


@dataclass(slots=True)
class _Round:
    """What goes to an appliance next: receipts, or what is assigned to it."""

    nonce: str
    lines: list[bytes] = field(default_factory=list)


class Puller:
    """Pulls for an aggregator, whose `key` signs, by a `visitor` that is entered."""

    def __init__(
        self, database: Database, key: Ed25519PrivateKey, visitor: Visitor, now_utc_ms: Callable[[], int]
    ) -> None:
        self.ingest = Ingest(database, key)
        self._database = database
        self._appliances = Appliances(database)
        self._lists = AssignmentLists(database, key)
        self._key = key
        self._visitor = visitor
        self._now_utc_ms = now_utc_ms

    async def pull(self, address: str, expected: str = "") -> Fetched:
        """Fetch all that waits at an address, where the appliance `expected` is, or any if that is not known.

        Raises SQLAlchemyError, OSError; what was stored until then stays.
        """
        fetched = Fetched()
        try:
            async with asyncio.timeout(PULL_S):
                await self._pull(address.rstrip("/"), expected, fetched)
        except NotPulled as fault:
            fetched.words = str(fault)
        except TimeoutError:
            fetched.words = f"more comes than can be fetched in {PULL_S / 60:g} min: pull again"
        return fetched

    async def _pull(self, address: str, expected: str, fetched: Fetched) -> None:
        fetched.identity, nonce = await self._visitor.offer(address)
        if expected not in ("", fetched.identity):
            raise NotPulled(f"another appliance is there than {expected}")
        answer = await self._post(address, fetched.identity, _Round(nonce), introduce=True)
        await self._meet(answer)
        fetched.standing = await standing(self._database, fetched.identity)
        if fetched.standing != APPROVED:
            if fetched.standing == "unknown":
                raise NotPulled("it does not say who it is, or what it says is not signed by its key")
            return
        following = _Round(answer.nonce)
        # Who answers may say to be any appliance: what is assigned goes only where that is known from elsewhere.
        if expected and address.startswith("https://") and (line := await self._lists.line(expected)):
            following.lines.append(line)
        known: set[bytes] = set()
        while True:
            if not following.nonce:
                _, following.nonce = await self._visitor.offer(address)
            try:
                answer = await self._post(address, fetched.identity, following, introduce=False)
            except Stale:
                # Storing what came last took longer than a nonce is good for.
                _, following.nonce = await self._visitor.offer(address)
                answer = await self._post(address, fetched.identity, following, introduce=False)
            receipts = await self._store(answer.lines, fetched)
            if not receipts:
                if not answer.nonce:
                    raise NotPulled("the answer breaks off")
                if answer.lines:
                    raise NotPulled(f"nothing of what it sends can be stored: {fetched.words}")
                fetched.words = ""
                return
            if known.issuperset(receipts):
                raise NotPulled("it sends the same again, though it was given the receipts")
            known.update(receipts)
            fetched.stored = len(known)
            following = _Round(answer.nonce, receipts)

    async def _post(self, address: str, identity: str, following: _Round, *, introduce: bool) -> Answer:
        pull = Pull(identity, following.nonce, 0 if introduce else MOST_BYTES, introduce)
        return await self._visitor.post(address, [seal(PULL, pack_pull(pull), self._key), *following.lines])

    async def _store(self, lines: list[bytes], fetched: Fetched) -> list[bytes]:
        """Take in batches; the receipts of those that are stored."""
        receipts, refused = [], 0
        for line in lines:
            told = await self.ingest.ingest(line, self._now_utc_ms())
            if isinstance(told, Stored):
                receipts.append(told.receipt)
            elif isinstance(told, Refusal):
                refused += 1
                fetched.words = fetched.words or f"{told.words} ({told.reason})"
                if refused >= MOST_REFUSED:
                    break
            else:
                fetched.words = fetched.words or f"batch {told.epoch}-{told.sequence} is missing"
        fetched.refused += refused
        return receipts

    async def _meet(self, answer: Answer) -> None:
        """Take in who an appliance says it is, as if it had enrolled. Raises NotPulled."""
        for line in answer.lines:
            kind = ""
            try:
                kind = read(line).kind if len(line) <= MOST_STATEMENT_BYTES else ""
                if kind == ROTATION:
                    await self._appliances.rotate(line, self._now_utc_ms())
                elif await self._appliances.enrol(line, self._now_utc_ms()) == REVOKED:
                    break
            except Refused as fault:
                await self.ingest.refusals.note(NO_APPLIANCE, fault.reason, str(fault), line, self._now_utc_ms())
                # A key that is revoked may have had others after it.
                if kind != ROTATION:
                    raise NotPulled(f"what it says of itself is refused: {fault} ({fault.reason})") from None
        await self.ingest.keys.refresh()
