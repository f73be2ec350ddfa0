"""Delivers the batches of appliances that are made up, each when it is due, by the appliance's own client.

Each batch comes over a connection of its own, as from an appliance that has said nothing for a quarter of an hour. What
fails is tried again after some seconds. The next batch of an appliance is sealed when the one before it is delivered,
long before it is due.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.aggregator.loadtest.centre import Centre
from appliance.aggregator.loadtest.street import Sealed, Street, Tally
from appliance.errors import NotDelivered
from appliance.sync.batch import NO_BATCH
from appliance.sync.envelope import RECEIPT, Refused, opened, read
from appliance.sync.receipt import unpack_receipt
from appliance.sync.transport import Link, Told

BATCHES = "/api/v1/batches"
# As long as an appliance's client keeps a connection that it has no use for.
KEEPS_S = 15.0
AGAIN_S = 5.0
LATE_S = 5.0


class Sent(NamedTuple):
    """A batch that was sent, without its content."""

    sha256: str
    tally: Tally


@dataclass(slots=True)
class Sender:
    """An appliance: what it sent, how much of it was receipted, and the batch that is sealed."""

    number: int
    identity: str
    sent: dict[int, Sent] = field(default_factory=dict)
    receipted: int = 0
    sealed: Sealed | None = None


class Delivery:
    """Delivers to a centre; `due`, `latencies_s` and `failures` are of what `keep_rhythm` delivers."""

    def __init__(self, street: Street, centre: Centre, senders: Sequence[Sender]) -> None:
        self.due = 0
        self.latencies_s: list[float] = []
        self.failures: dict[str, int] = {}
        self.senders = senders
        self._street = street
        self._centre = centre
        self._clock = asyncio.get_running_loop()
        self._idle: dict[asyncio.Task[None], Link] = {}

    async def introduce(self, at_once: int) -> float:
        """Deliver the first batch of each, as fast as they are taken; returns the seconds that took."""
        waiting = list(self.senders)

        async def some() -> None:
            while waiting:
                await self._deliver(waiting.pop())

        begin_s = self._clock.time()
        await asyncio.gather(*(some() for _ in range(at_once)))
        return self._clock.time() - begin_s

    async def seal(self, sender: Sender) -> None:
        """Make the next batch."""
        last = sender.sent.get(sender.receipted)
        sender.sealed = self._street.batch(sender.number, sender.receipted + 1, last.sha256 if last else NO_BATCH)
        await asyncio.sleep(0)

    async def keep_rhythm(self, sender: Sender, phase: float, interval_s: float, begin_s: float, end_s: float) -> None:
        """Deliver a batch each interval until the end, at a phase from 0 to 1 of it."""
        due_s = begin_s + phase * interval_s
        while due_s < end_s:
            await asyncio.sleep(due_s - self._clock.time())
            self.due += 1
            await self._deliver(sender)
            self.latencies_s.append(self._clock.time() - due_s)
            due_s += interval_s
            if due_s < end_s:
                await self.seal(sender)

    async def _deliver(self, sender: Sender) -> None:
        """Deliver the batch that is sealed, however often that takes."""
        assert sender.sealed is not None
        sequence, sealed = sender.receipted + 1, sender.sealed
        sender.sent[sequence] = Sent(sealed.sha256, sealed.tally)
        worker = self._centre.workers[sender.number % len(self._centre.workers)]
        while True:
            try:
                await self._once(worker.address, sender.identity, sealed.line, sealed.sha256)
                break
            except NotDelivered as fault:
                why = str(fault).removeprefix(worker.address).strip(": ")
                self.failures[why] = self.failures.get(why, 0) + 1
                await asyncio.sleep(max(fault.retry_after_s or 0.0, AGAIN_S * random.random()))  # noqa: S311
        sender.receipted, sender.sealed = sequence, None

    async def _once(self, address: str, identity: str, line: bytes, sha256: str) -> None:
        """Raises NotDelivered."""
        link = Link(address, self._centre.keys, str(self._centre.certificate))
        told = Told()
        try:
            await link.post(BATCHES, [line], identity, told)
            for receipt in told.receipts:
                if unpack_receipt(opened(read(receipt), RECEIPT, self._centre.keys)).batch == sha256:
                    return
            raise NotDelivered(", ".join(reason for reason, _ in told.refusals) or "no receipt")
        except Refused as fault:
            raise NotDelivered(f"a receipt that is none: {fault}") from None
        finally:
            idle = asyncio.create_task(_keep(link))
            self._idle[idle] = link
            idle.add_done_callback(self._idle.pop)

    async def close(self) -> None:
        """Let go of all connections."""
        links = list(self._idle.values())
        for idle in self._idle:
            idle.cancel()
        await asyncio.gather(*self._idle, return_exceptions=True)
        for link in links:
            await link.close()


async def _keep(link: Link) -> None:
    """As long as an appliance would."""
    await asyncio.sleep(KEEPS_S)
    await link.close()


def amiss(senders: Sequence[Sender], batches: dict[int, dict[int, str]], tallies: dict[int, Tally]) -> list[str]:
    """What is not stored exactly once: of each appliance what was receipted is there, and nothing that was not sent.

    `batches` and `tallies` are what the database has, by appliance.
    """
    found = []
    for sender in senders:
        stored = batches.get(sender.number, {})
        if missing := [n for n in range(1, sender.receipted + 1) if n not in stored]:
            found.append(f"{sender.identity}: {len(missing)} receipted batches are not stored")
        if any(n not in sender.sent or sender.sent[n].sha256 != sha256 for n, sha256 in stored.items()):
            found.append(f"{sender.identity}: a batch is stored that was not sent")
            continue
        told = Tally()
        for number in stored:
            told = told.with_(sender.sent[number].tally)
        if told != tallies.get(sender.number, Tally()):
            found.append(f"{sender.identity}: stored are {tallies.get(sender.number)}, told were {told}")
    if strangers := set(batches) - {sender.number for sender in senders}:
        found.append(f"batches of {len(strangers)} appliances are stored that sent none")
    return found
