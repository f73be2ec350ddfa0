"""Takes in what an aggregator has signed, line by line, by the kind of its envelope; whichever way it came.

    RECEIPT        a batch is stored: its file goes
    ASSIGNMENTS    which meters matter here: kept if the version is above the one that is kept

It is the same whether it came as the answer to a push, with a pull, by a stick or by hand: nobody who carries it is
believed, only the key that signed it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Literal, NamedTuple, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.store.assigned import Assigned
from appliance.sync.assignments import MOST_LINE_BYTES as MOST_LINE_BYTES
from appliance.sync.assignments import Assignments, unpack_assignments
from appliance.sync.envelope import ASSIGNMENTS, RECEIPT, Envelope, Refused, key_id, opened, read
from appliance.sync.outbox import Outbox

T = TypeVar("T")


class Keeper(Protocol):
    """Who has the outbox and the store, such as `Sealing`."""

    async def of(self, work: Callable[[Outbox], T]) -> T:
        """Do `work` with the outbox. Raises StoreError, OSError, and what `work` raises."""
        ...

    async def assign(self, assigned: Assigned) -> bool:
        """Keep a list unless the one that is kept has as high a version; whether it was kept. Raises StoreError."""
        ...


class Outcome(NamedTuple):
    """What became of a line: taken in, known already, or refused, by which `reason` and why in `words`."""

    what: Literal["taken", "known", "refused"]
    reason: str = ""
    words: str = ""


@dataclass(slots=True)
class Tally:
    """What became of many lines: how many were taken in, known, and refused by reason; and why the first was."""

    taken: int = 0
    known: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    words: str = ""

    def add(self, *outcomes: Outcome) -> None:
        """Count some more."""
        for outcome in outcomes:
            if outcome.what == "taken":
                self.taken += 1
            elif outcome.what == "known":
                self.known += 1
            else:
                self.refused[outcome.reason] += 1
                self.words = self.words or outcome.words

    @property
    def is_good(self) -> bool:
        """Whether any of them was believed."""
        return self.taken + self.known > 0


class Taking:
    """Takes in lines that one of `keys` has signed, by their ids."""

    def __init__(self, keeper: Keeper, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self._keeper = keeper
        self._keys = keys

    async def take(self, lines: Sequence[bytes]) -> list[Outcome]:
        """What becomes of lines, of each; receipts that follow each other are put on the card together.

        Raises StoreError or OSError when they cannot be kept; they are to come again then.
        """
        outcomes: list[Outcome] = []
        for is_receipt, group in groupby(lines, _is_receipt):
            together = list(group)
            if is_receipt:
                told = await self._keeper.of(partial(Outbox.accept, lines=together, keys=self._keys))
                outcomes += [_refused(one) if isinstance(one, Refused) else _taken(one) for one in told]
            else:
                outcomes += [await self._take_one(line) for line in together]
        return outcomes

    async def _take_one(self, line: bytes) -> Outcome:
        try:
            if len(line) > MOST_LINE_BYTES:
                raise Refused("too_large", f"{len(line)} bytes, at most {MOST_LINE_BYTES}")
            envelope = read(line)
            if envelope.kind != ASSIGNMENTS:
                raise Refused("wrong_type", f"a {envelope.kind[:100]!r}, which is not taken in")
            return _taken(await self._assignments(envelope))
        except Refused as fault:
            return _refused(fault)

    async def _assignments(self, envelope: Envelope) -> bool:
        """Whether they are newer than what is kept. Raises Refused, StoreError, OSError."""
        # Ten thousand meters take a while to check.
        found = await asyncio.to_thread(_believed, envelope, self._keys)
        if found.appliance != await self._keeper.of(lambda outbox: outbox.identity.appliance):
            raise Refused("not_its_own", f"assignments for the appliance {found.appliance}")
        return await self._keeper.assign(Assigned(found.version, found.made_utc_ms, found.meters))


def keys_of(aggregator_key: str) -> dict[str, Ed25519PublicKey]:
    """The keys that are believed: the aggregator's public one, in hexadecimal; none if it is empty."""
    if not aggregator_key:
        return {}
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(aggregator_key))
    return {key_id(public): public}


def _is_receipt(line: bytes) -> bool:
    try:
        return len(line) <= MOST_LINE_BYTES and read(line).kind == RECEIPT
    except Refused:
        return False


def _taken(is_new: bool) -> Outcome:
    return Outcome("taken" if is_new else "known")


def _refused(fault: Refused) -> Outcome:
    return Outcome("refused", fault.reason, str(fault)[:300])


def _believed(envelope: Envelope, keys: Mapping[str, Ed25519PublicKey]) -> Assignments:
    return unpack_assignments(opened(envelope, ASSIGNMENTS, keys))
