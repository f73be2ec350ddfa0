"""What a batch holds: what one appliance learnt from one moment to another.

Readings, receptions and events of one or more boots, with what is known of their time. `pack.py` writes it, `unpack.py`
reads and checks it, `docs/batch-format.md` specifies what lies between.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from appliance.model import Commodity

FORMAT = 1
MOST_PAYLOAD_BYTES = 1 << 20
MOST_BYTES = 8 << 20
MOST_ROWS = 50_000
MOST_METERS = 20_000
MOST_PARTS = 1_000
MOST_KNOTS = 128
MOST_DETAIL_BYTES = 4_096
MOST_POSITION = 8
# Numbers beyond this are not the same to every reader of JSON.
LIMIT = 1 << 53
MS_LIMIT = 1 << 42
NO_BATCH = ""
"""In place of the SHA-256 of the batch before the first of an epoch."""

Column = list[int]
Sparse = list[int | None]


class Meter(NamedTuple):
    """A meter that rows of the batch are of."""

    protocol: str
    meter_id: int
    endpoint_type: int
    commodity: Commodity
    simulated: bool


class Knot(NamedTuple):
    """What UTC was at a millisecond of a boot; `uncertainty_ms` is None where nothing bounds it.

    Between two knots time runs evenly; before the first and after the last a millisecond is one.
    """

    ms: int
    utc_ms: int
    uncertainty_ms: int | None
    source: str


@dataclass(frozen=True, slots=True)
class Readings:
    """Registers and tamper fields from `ms` on, sorted by meter (an index into the batch's) and `ms`."""

    meter: Column
    ms: Column
    consumption: Column
    tamper_phy: Sparse
    tamper_enc: Sparse
    flags: Column


@dataclass(frozen=True, slots=True)
class Receptions:
    """How meters were heard in the quarters of an hour that begin at `ms`; as `store.rows.Reception`."""

    meter: Column
    ms: Column
    count: Column
    corrected: Column
    levels: Column
    snr_sum_cdb: Column
    snr_best_cdb: Sparse
    frequency_min_hz: Sparse
    frequency_max_hz: Sparse
    last: Column


class Happened(NamedTuple):
    """An event; `meter` is an index into the batch's meters."""

    number: int
    ms: int
    kind: str
    meter: int | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """What happened in one boot; boot 0 is the calendar, where `ms` is UTC since 1970."""

    boot: int
    boot_id: str
    clock: tuple[Knot, ...]
    readings: Readings
    receptions: Receptions
    events: tuple[Happened, ...] = ()


class Restated(NamedTuple):
    """What is known better now of the time of a boot that earlier batches told of."""

    boot: int
    clock: tuple[Knot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A sealed batch. `previous` is the SHA-256 of the payload before it, `NO_BATCH` for the first of an epoch.

    `position` is the appliance's own note of how far it has come, and means nothing to others. `simulated` says that
    some of it was made up. `assignments` is the version of those in force when it was sealed.
    """

    appliance: str
    epoch: int
    sequence: int
    previous: str
    simulated: bool
    assignments: int
    sealed: Knot
    sealed_boot: int
    position: tuple[int, ...]
    meters: tuple[Meter, ...]
    parts: tuple[Part, ...]
    restated: tuple[Restated, ...] = ()


NO_READINGS = Readings([], [], [], [], [], [])
NO_RECEPTIONS = Receptions([], [], [], [], [], [], [], [], [], [])


def utc_ms(clock: Sequence[Knot], moments: Iterable[int]) -> list[int]:
    """The UTC of milliseconds of a boot, as its knots say; rounded down.

    >>> utc_ms([Knot(0, 1000, 5, "ntp"), Knot(100, 1110, 5, "ntp")], [0, 50, 100, 200])
    [1000, 1055, 1110, 1210]
    """
    if len(clock) == 1 or (clock[-1].utc_ms - clock[0].utc_ms == clock[-1].ms - clock[0].ms and len(clock) == 2):
        offset = clock[0].utc_ms - clock[0].ms
        return [ms + offset for ms in moments]
    return [_utc_ms(clock, ms) for ms in moments]


def _utc_ms(clock: Sequence[Knot], ms: int) -> int:
    if ms <= clock[0].ms:
        return clock[0].utc_ms + ms - clock[0].ms
    for low, high in pairwise(clock):
        if ms < high.ms:
            return low.utc_ms + (ms - low.ms) * (high.utc_ms - low.utc_ms) // (high.ms - low.ms)
    return clock[-1].utc_ms + ms - clock[-1].ms
