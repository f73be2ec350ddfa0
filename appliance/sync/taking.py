"""Takes in what an aggregator has signed, a line at a time, by the kind of its envelope; whichever way it came.

    RECEIPT    a batch is stored: its file goes

It is the same whether it came as the answer to a push, with a pull, by a stick or by hand: nobody who carries it is
believed, only the key that signed it.
"""

from collections import Counter
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.sync.envelope import RECEIPT, Refused, key_id, read
from appliance.sync.outbox import Outbox

T = TypeVar("T")

MOST_LINE_BYTES = 1 << 20
"""Longer lines are refused unread."""


class Keeper(Protocol):
    """Who has the outbox, such as `Sealing`."""

    async def of(self, work: Callable[[Outbox], T]) -> T:
        """Do `work` with the outbox. Raises StoreError, OSError, and what `work` raises."""
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

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
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

    async def take(self, line: bytes) -> Outcome:
        """What becomes of a line. Raises StoreError or OSError when it cannot be kept; it is to come again then."""
        try:
            if len(line) > MOST_LINE_BYTES:
                raise Refused("too_large", f"{len(line)} bytes, at most {MOST_LINE_BYTES}")
            kind = read(line).kind
            if kind == RECEIPT:
                is_new = await self._keeper.of(lambda outbox: _receipt(outbox, line, self._keys))
            else:
                raise Refused("wrong_type", f"a {kind[:100]!r}, which is not taken in")
        except Refused as fault:
            return Outcome("refused", fault.reason, str(fault)[:300])
        return Outcome("taken" if is_new else "known")

    async def take_all(self, lines: AsyncIterable[bytes]) -> Tally:
        """What becomes of many. Raises StoreError, OSError, and what `lines` raises."""
        tally = Tally()
        async for line in lines:
            tally.add(await self.take(line))
        return tally


def keys_of(aggregator_key: str) -> dict[str, Ed25519PublicKey]:
    """The keys that are believed: the aggregator's public one, in hexadecimal; none if it is empty."""
    if not aggregator_key:
        return {}
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(aggregator_key))
    return {key_id(public): public}


def _receipt(outbox: Outbox, line: bytes, keys: Mapping[str, Ed25519PublicKey]) -> bool:
    """Whether a batch waits no longer for it. Raises Refused, OSError."""
    before = len(outbox.waiting)
    outbox.accept(line, keys)
    return len(outbox.waiting) < before
