"""What an aggregator has assigned to this appliance: kept in the catalogue, and in memory for the pages.

It is a copy of what the aggregator keeps: when a restore, or a lost catalogue that was made anew, brings an older one
back, the newer one comes again with the aggregator's next answer.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from appliance.assignment import Assignment, listed
from appliance.store.rows import MeterKey

_SELECT = "SELECT meter_id, protocol, name, address, multiplier FROM assignment ORDER BY meter_id, protocol"


@dataclass(frozen=True)
class Assigned:
    """The meters of a version, 0 before any came; each is looked up in no time."""

    version: int = 0
    made_utc_ms: int = 0
    meters: tuple[Assignment, ...] = ()
    _by_key: Mapping[tuple[int, str], Assignment] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {(meter.meter_id, meter.protocol): meter for meter in self.meters}
        object.__setattr__(self, "_by_key", MappingProxyType(known))

    def among(self, keys: Iterable[MeterKey]) -> set[Assignment]:
        """Which of them are among meters that were heard."""
        return {found for key in keys if (found := self.of(key))}

    def of(self, key: MeterKey) -> Assignment | None:
        """What a meter is assigned as; a simulated one as the one that it plays."""
        return self._by_key.get((key.meter_id, key.protocol)) or self._by_key.get((key.meter_id, ""))


def read(known: sqlite3.Connection) -> Assigned:
    """What the catalogue holds. Raises sqlite3.DatabaseError for what was never written there."""
    head = known.execute("SELECT version, made_utc_ms FROM assigned").fetchone()
    try:
        meters = tuple(Assignment.of(*row) for row in known.execute(_SELECT))
        if head is None or listed(meters) != meters:
            if meters:
                raise ValueError("meters without a version, or out of order")
            return Assigned()
    except ValueError:
        raise sqlite3.DatabaseError("the database is damaged") from None
    return Assigned(head[0], head[1], meters)
