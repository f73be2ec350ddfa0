"""How it stands with the outbox, for the page: who this is, what waits, and what was confirmed."""

import contextlib
from dataclasses import dataclass

from appliance.sync.envelope import Refused, read
from appliance.sync.outbox import RECEIPTS, Name, Outbox
from appliance.sync.receipt import unpack_receipt
from appliance.sync.unpack import unpack
from appliance.timeline import stamp

# A receipt has a few hundred bytes.
LAST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Standing:
    """The outbox at a moment.

    `waiting` batches of `size` bytes wait, `sent` of them on their way; the first was sealed at stamp `oldest_at`, None
    if it cannot be read. Of the present key's `sealed` batches so many are `confirmed`; the last receipt is from
    `confirmed_utc_ms`.
    """

    appliance: str
    fingerprint: str
    claim_code: str
    epoch: int
    waiting: int
    sent: int
    size: int
    oldest_at: int | None
    sealed: int
    confirmed: int
    confirmed_utc_ms: int | None


class Standings:
    """Finds it out; what a batch measures is remembered, for it does not change. For one thread at a time."""

    def __init__(self) -> None:
        self._sizes: dict[Name, int] = {}
        self._oldest: tuple[Name, int | None] | None = None

    def now(self, outbox: Outbox) -> Standing:
        """Work for `Sealing.of`. Raises OSError."""
        waiting, identity = list(outbox.waiting), outbox.identity
        known = self._sizes
        self._sizes = {name: known.get(name) or outbox.size(name) for name in waiting}
        if waiting and (self._oldest is None or self._oldest[0] != waiting[0]):
            self._oldest = (waiting[0], _sealed_at(outbox, waiting[0]))
        newest = outbox.newest
        sealed = newest.sequence if newest and newest.epoch == identity.epoch else 0
        return Standing(
            appliance=identity.appliance,
            fingerprint=identity.fingerprint,
            claim_code=identity.claim_code,
            epoch=identity.epoch,
            waiting=len(waiting),
            sent=outbox.sent,
            size=sum(self._sizes.values()),
            oldest_at=self._oldest[1] if waiting and self._oldest else None,
            sealed=sealed,
            confirmed=sealed - sum(name.epoch == identity.epoch for name in waiting),
            confirmed_utc_ms=_confirmed(outbox),
        )


def _sealed_at(outbox: Outbox, name: Name) -> int | None:
    """The stamp at which a batch was sealed; None when it cannot be read."""
    try:
        batch = unpack(read(outbox.line(name)).payload)
    except (Refused, OSError, TypeError):
        return None
    return stamp(batch.sealed_boot, batch.sealed.ms)


def _confirmed(outbox: Outbox) -> int | None:
    """When the aggregator stored what it confirmed last, by its own clock."""
    with contextlib.suppress(OSError):
        with (outbox.folder / RECEIPTS).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - LAST_BYTES))
            lines = file.read(LAST_BYTES).splitlines()
        for line in reversed(lines):
            with contextlib.suppress(Refused):
                return unpack_receipt(read(line).payload).stored_utc_ms
    return None
