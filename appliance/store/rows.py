"""The rows that the store keeps, as the rest of the program sees them.

Times are stamps (`appliance.clock`): they order what happened whatever any clock said, and become UTC when shown.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from appliance.model import Commodity

QUARTER_MS = 900_000

SUSPECT = 1
"""Flag of a reading: implausible and not confirmed; kept raw, not counted."""
CARRIED = 2
"""Flag of a reading: a copy of the meter's last one before the segment, so that a segment answers alone."""

EventKind = Literal[
    "boot", "clock_set", "clock_stepped", "tamper", "tamper_flood", "register_rolled_over", "meter_exchanged",
    "register_jumped", "radio_failed", "radio_recovered", "history_thinned", "history_dropped", "segment_damaged",
    "catalogue_restored", "live_restored", "storage_failed", "storage_recovered", "log_imported", "restored",
    "replaced_removed", "delivery_reduced", "logged_in", "log_in_refused", "changed",
]  # fmt: skip
BREAKS: tuple[EventKind, ...] = ("register_rolled_over", "meter_exchanged", "register_jumped")
"""Events across which a register cannot simply be subtracted."""


class MeterKey(NamedTuple):
    """What tells meters apart: a simulated one is never taken for a real one."""

    protocol: str
    meter_id: int
    simulated: bool


class Reading(NamedTuple):
    """A meter's register and tamper fields from this stamp on."""

    meter: MeterKey
    at: int
    consumption: int
    tamper_phy: int | None
    tamper_enc: int | None
    flags: int = 0


class Event(NamedTuple):
    """Something that happened; `number` is its place in the catalogue, 0 until it has one."""

    at: int
    kind: EventKind
    meter: MeterKey | None
    detail: dict[str, Any]
    number: int = 0


@dataclass(slots=True)
class Reception:
    """How a meter was heard in the quarter of an hour that begins at stamp `at`; `last` is when last.

    Levels are Eb/N0 in hundredths of a dB, `levels` of the `count` messages had one.
    """

    meter: MeterKey
    at: int
    count: int = 0
    corrected: int = 0
    levels: int = 0
    snr_sum_cdb: int = 0
    snr_best_cdb: int | None = None
    frequency_min_hz: int | None = None
    frequency_max_hz: int | None = None
    last: int = 0

    def add(self, at: int, corrected: bool, snr_db: float | None, frequency_hz: int | None) -> None:
        """Count one message."""
        self.count += 1
        self.corrected += corrected
        self.last = max(self.last, at)
        if snr_db is not None:
            level_cdb = round(snr_db * 100)
            self.levels += 1
            self.snr_sum_cdb += level_cdb
            self.snr_best_cdb = _most(self.snr_best_cdb, level_cdb)
        self.frequency_min_hz = _least(self.frequency_min_hz, frequency_hz)
        self.frequency_max_hz = _most(self.frequency_max_hz, frequency_hz)

    def join(self, other: "Reception") -> None:
        """Add what was counted elsewhere, for the same meter and quarter."""
        self.count += other.count
        self.corrected += other.corrected
        self.levels += other.levels
        self.snr_sum_cdb += other.snr_sum_cdb
        self.snr_best_cdb = _most(self.snr_best_cdb, other.snr_best_cdb)
        self.frequency_min_hz = _least(self.frequency_min_hz, other.frequency_min_hz)
        self.frequency_max_hz = _most(self.frequency_max_hz, other.frequency_max_hz)
        self.last = max(self.last, other.last)


@dataclass(frozen=True, slots=True)
class MeterRow:
    """A meter as the catalogue knows it: its number there, what it is, and how it was when last written."""

    number: int
    key: MeterKey
    commodity: Commodity
    endpoint_type: int
    first_at: int
    last_at: int
    consumption: int
    tamper_phy: int | None
    tamper_enc: int | None
    changed_at: int | None
    tamper_changed_at: int | None
    snr_cdb: int | None


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A sealed segment as the catalogue lists it; `rank` is how often it was joined, `DAYS` once it was thinned."""

    number: int
    rank: int
    from_at: int
    to_at: int
    readings: int
    receptions: int
    bytes: int
    sha256: str
    live_to: int


DAYS = 100
"""Rank of a segment that was thinned to one reading per meter and day."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How the store is. `trouble` is why readings wait in memory, empty if they do not."""

    bytes_used: int
    bytes_budget: int
    bytes_free: int
    segments: int
    damaged_segments: int
    readings_waiting: int
    readings_lost: int
    last_commit_age_s: float | None
    oldest_utc_ms: int | None
    trouble: str


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _most(*values: int | None) -> int | None:
    return max((value for value in values if value is not None), default=None)
