"""What a running appliance does for an aggregator that comes to it, or for whoever carries something from there.

Only what the aggregator's key has signed has any effect: a pull gets batches, a line is taken in. Whoever else asks
is told why not, and given nothing of what was heard. One pull is served at a time, and lines are taken in for one after
the other; then a pause is made that is as long as the work was, so that nobody keeps more than half a processor busy
with what was signed long ago.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.sync.courier import About
from appliance.sync.envelope import PULL, Refused, opened, read
from appliance.sync.identity import Identity
from appliance.sync.outbox import Name
from appliance.sync.pull import MOST_PULLED_BYTES, MOST_REQUEST_BYTES, Nonces, Pull, unpack_pull
from appliance.sync.sealing import Sealing
from appliance.sync.taking import Outcome, Taking, Tally

log = logging.getLogger(__name__)

RECEIPTS_PATH = "/sync/receipts"
MOST_LINES = 1_000
MOST_REFUSED = 20
# So many are put on the card together.
PORTION_LINES = 20
MOST_BATCHES = 100


class Busy(Exception):
    """Another pull is being served."""


class Gate:
    """The appliance's side. `keys` are the aggregator's, by id; `about` is what it says of itself."""

    def __init__(
        self,
        sealing: Sealing,
        taking: Taking,
        keys: Mapping[str, Ed25519PublicKey],
        about: About,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sealing = sealing
        self._taking = taking
        self._keys = keys
        self._about = about
        self._monotonic = monotonic
        self._sleep = sleep
        self._nonces = Nonces(monotonic)
        self._pulling = False
        self._turn = asyncio.Lock()
        self._said: set[str] = set()

    async def offer(self) -> dict[str, str]:
        """What a pull has to name. Raises StoreError, OSError."""
        return {"appliance": (await self._identity()).appliance, "nonce": self._nonces.make()}

    async def admit(self, line: bytes) -> Pull:
        """The request that a line is, which is good once. Raises Refused, StoreError, OSError."""
        try:
            if len(line) > MOST_REQUEST_BYTES:
                raise Refused("too_large", f"a request of more than {MOST_REQUEST_BYTES} bytes")
            pull = unpack_pull(opened(read(line), PULL, self._keys))
            if pull.appliance != (await self._identity()).appliance:
                raise Refused("not_its_own", f"a request to the appliance {pull.appliance}")
            self._nonces.spend(pull.nonce)
        except Refused as fault:
            if fault.reason not in self._said:
                self._said.add(fault.reason)
                log.warning("pull refused reason=%s: %s; not said again until one is served", fault.reason, fault)
            raise
        return pull

    async def answer(self, pull: Pull, lines: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Take in what a pull has brought; then who this is, if asked, what waits, and how much is left to come.

        Raises Busy, StoreError, OSError, and what `lines` raises.
        """
        if self._pulling:
            raise Busy
        self._pulling = True
        try:
            tally = await self.take_in(lines)
            if pull.introduce:
                for line in statements(await self._identity(), self._about):
                    yield line
            names = await self._sealing.of(lambda outbox: list(outbox.waiting))
            found: dict[Name, bytes] = {}
            if pull.most_bytes:
                most = min(pull.most_bytes, MOST_PULLED_BYTES)
                found = await self._sealing.of(lambda outbox: outbox.sound_lines(names[:MOST_BATCHES], most))
            for line in found.values():
                yield line
            await self._sealing.of(lambda outbox: outbox.note_sent(found))
            waiting = await self._sealing.of(lambda outbox: len(outbox.waiting)) - len(found)
            end = {"nonce": self._nonces.make(), "waiting": waiting, "brought": told(tally)}
            yield json.dumps(end, separators=(",", ":")).encode()
            self._said.clear()
            log.info("pull batches=%d waiting=%d receipts=%d", len(found), waiting, tally.taken)
        finally:
            self._pulling = False

    async def take_in(self, lines: AsyncIterator[bytes]) -> Tally:
        """What becomes of lines, each signed by the aggregator; too many that are not end it.

        Raises StoreError, OSError, and what `lines` raises.
        """
        tally, count, portion = Tally(), 0, list[bytes]()
        try:
            async for line in lines:
                count += 1
                portion.append(line)
                if len(portion) == PORTION_LINES:
                    await self._take(portion, tally)
                if tally.refused.total() >= MOST_REFUSED or count > MOST_LINES:
                    tally.add(Outcome("refused", "too_many", "too many lines, or too many that are refused"))
                    break
        finally:
            # What came before a cut counts.
            await self._take(portion, tally)
        return tally

    async def _take(self, portion: list[bytes], tally: Tally) -> None:
        """Take in a portion, which is empty then."""
        lines = portion[:]
        portion.clear()
        if lines:
            async with self._turn:
                begun_s = self._monotonic()
                tally.add(*await self._taking.take(lines))
                await self._sleep(max(0.0, self._monotonic() - begun_s))

    async def _identity(self) -> Identity:
        return await self._sealing.of(lambda outbox: outbox.identity)


def statements(identity: Identity, about: About) -> list[bytes]:
    """Who an appliance is, and by which key now; without its token, which is for nobody on the way to read."""
    return [identity.introduction(about.name, about.version), *identity.rotations]


def told(tally: Tally) -> dict[str, object]:
    """What became of lines, as it is answered."""
    return {"taken": tally.taken, "known": tally.known, "refused": dict(tally.refused), "words": tally.words}
