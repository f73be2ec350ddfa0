"""What is known of each meter now, and what of it still has to be written.

Messages go in one by one; out come the state that the page shows, a `Reading` whenever a meter's register or
tamper fields change, and a `Reception` per meter and quarter of an hour. Everything is bounded: anyone can
transmit, and the card may stay full for weeks.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from appliance.model import Commodity, Message

QUARTER_S = 900
# Two receivers, or two tries at one transmission, time it differently by the latency of their buffers; meters
# themselves pause for 15 s or more.
SAME_TRANSMISSION = timedelta(seconds=2)
# Receivers lag behind each other by less; a message older than that means that the clock was set back.
LATEST = timedelta(seconds=60)
MAX_METERS = 10_000
MAX_READINGS = 50_000
MAX_RECEPTIONS = 50_000


class MeterKey(NamedTuple):
    """What tells meters apart: a simulated one is never taken for a real one."""

    protocol: str
    meter_id: int
    simulated: bool


class Reading(NamedTuple):
    """A meter's register and tamper fields from this moment on."""

    meter: MeterKey
    time_ms: int
    consumption: int
    tamper_phy: int | None
    tamper_enc: int | None


@dataclass(slots=True)
class Reception:
    """How a meter was heard since the last write, within one quarter of an hour that begins at `start_s` (Unix).

    Levels are Eb/N0 in hundredths of a dB, `levels` of the `count` messages had one.
    """

    meter: MeterKey
    start_s: int
    count: int = 0
    corrected: int = 0
    levels: int = 0
    snr_sum_cdb: int = 0
    snr_best_cdb: int | None = None
    frequency_min_hz: int | None = None
    frequency_max_hz: int | None = None
    last_ms: int = 0

    def add(self, message: Message) -> None:
        """Count one message."""
        self.count += 1
        self.corrected += message.corrected_bits > 0
        self.last_ms = max(self.last_ms, unix_ms(message.time))
        if message.snr_db is not None:
            level_cdb = round(message.snr_db * 100)
            self.levels += 1
            self.snr_sum_cdb += level_cdb
            self.snr_best_cdb = _most(self.snr_best_cdb, level_cdb)
        self.frequency_min_hz = _least(self.frequency_min_hz, message.frequency_hz)
        self.frequency_max_hz = _most(self.frequency_max_hz, message.frequency_hz)

    def join(self, later: "Reception") -> None:
        """Add what was counted later, for the same meter and quarter."""
        self.count += later.count
        self.corrected += later.corrected
        self.levels += later.levels
        self.snr_sum_cdb += later.snr_sum_cdb
        self.snr_best_cdb = _most(self.snr_best_cdb, later.snr_best_cdb)
        self.frequency_min_hz = _least(self.frequency_min_hz, later.frequency_min_hz)
        self.frequency_max_hz = _most(self.frequency_max_hz, later.frequency_max_hz)
        self.last_ms = max(self.last_ms, later.last_ms)


@dataclass(slots=True)
class Meter:
    """A meter as last heard. `changed` and `tamper_changed` are None until a change was seen.

    `revision` grows with each change to any meter, so that a page can ask for what is new.
    """

    key: MeterKey
    commodity: Commodity
    endpoint_type: int
    first_heard: datetime
    last_heard: datetime
    consumption: int
    tamper_phy: int | None
    tamper_enc: int | None
    changed: datetime | None = None
    tamper_changed: datetime | None = None
    snr_db: float | None = None
    frequency_hz: int | None = None
    revision: int = 0
    quarters: dict[int, int] = field(default_factory=dict)
    recent: deque[tuple[datetime, tuple[int | None, ...]]] = field(default_factory=lambda: deque(maxlen=4))

    def messages_an_hour(self, now: datetime) -> float:
        """Messages in the hour before `now`, the part of the oldest quarter that still counts taken as even."""
        now_s = now.timestamp()
        oldest_s = int(now_s) // QUARTER_S * QUARTER_S - 4 * QUARTER_S
        share_left = 1 - (now_s - oldest_s - 4 * QUARTER_S) / QUARTER_S
        # A quarter that begins after `now` was heard before the clock was set back.
        counts = {start_s: n for start_s, n in self.quarters.items() if oldest_s <= start_s <= now_s}
        return sum(n * (share_left if start_s == oldest_s else 1.0) for start_s, n in counts.items())


@dataclass(slots=True)
class Batch:
    """What one transaction writes."""

    meters: dict[MeterKey, Meter] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    receptions: dict[tuple[MeterKey, int], Reception] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.readings) + len(self.receptions)


class Ledger:
    """All meters heard, the latest last, and what is pending for the card."""

    def __init__(self) -> None:
        self._meters: OrderedDict[MeterKey, Meter] = OrderedDict()
        self._pending = Batch()
        self.revision = 0
        self.urgent = False
        self.lost_readings = 0

    def __len__(self) -> int:
        return len(self._meters)

    @property
    def meters(self) -> Iterable[Meter]:
        """Every meter, the one heard longest ago first."""
        return self._meters.values()

    @property
    def pending_readings(self) -> int:
        """Readings not yet on the card."""
        return len(self._pending.readings)

    @property
    def pending(self) -> int:
        """Rows not yet on the card."""
        return len(self._pending)

    def since(self, revision: int) -> Iterator[Meter]:
        """The meters that changed after `revision`, the latest first."""
        for meter in reversed(self._meters.values()):
            if meter.revision <= revision:
                return
            yield meter

    def restore(self, meters: Iterable[Meter]) -> None:
        """Take up meters known from the card, the one heard longest ago first; those heard since stay as they are."""
        fresh = list(self._meters.items())
        self._meters.clear()
        for meter in meters:
            self._meters[meter.key] = meter
        for key, meter in fresh:
            self._meters.pop(key, None)
            self._meters[key] = meter
        while len(self._meters) > MAX_METERS:
            self._meters.popitem(last=False)
        for meter in self._meters.values():
            self.revision += 1
            meter.revision = self.revision

    def hear(self, message: Message, simulated: bool) -> None:
        """Take one message into account."""
        key = MeterKey(message.protocol, message.meter_id, simulated)
        fields = (message.consumption, message.tamper_phy, message.tamper_enc)
        meter = self._meters.get(key)
        if meter is None:
            meter = self._first(key, message)
        elif any(abs(message.time - time) <= SAME_TRANSMISSION and fields == seen for time, seen in meter.recent):
            return
        meter.recent.append((message.time, fields))
        self._receive(meter, message)
        if not meter.last_heard - LATEST <= message.time < meter.last_heard:
            self._update(meter, message)
        self.revision += 1
        meter.revision = self.revision
        self._meters.move_to_end(key)

    def _first(self, key: MeterKey, message: Message) -> Meter:
        meter = Meter(
            key=key,
            commodity=message.commodity,
            endpoint_type=message.endpoint_type,
            first_heard=message.time,
            last_heard=message.time,
            consumption=message.consumption,
            tamper_phy=message.tamper_phy,
            tamper_enc=message.tamper_enc,
        )
        self._meters[key] = meter
        self._keep(meter)
        if len(self._meters) > MAX_METERS:
            self._meters.popitem(last=False)
        return meter

    def _update(self, meter: Meter, message: Message) -> None:
        """Bring the meter up to a message that is its latest."""
        meter.last_heard = message.time
        meter.endpoint_type, meter.commodity = message.endpoint_type, message.commodity
        meter.snr_db, meter.frequency_hz = message.snr_db, message.frequency_hz
        tamper = (message.tamper_phy, message.tamper_enc)
        tampered = tamper != (meter.tamper_phy, meter.tamper_enc)
        if not tampered and message.consumption == meter.consumption:
            return
        meter.changed = message.time
        meter.consumption = message.consumption
        if tampered:
            meter.tamper_changed = message.time
            meter.tamper_phy, meter.tamper_enc = tamper
            self._pending.meters[meter.key] = meter
            self.urgent = True
        self._keep(meter)

    def _keep(self, meter: Meter) -> None:
        time_ms = unix_ms(meter.last_heard)
        self._pending.readings.append(
            Reading(meter.key, time_ms, meter.consumption, meter.tamper_phy, meter.tamper_enc)
        )
        self._bound()

    def _receive(self, meter: Meter, message: Message) -> None:
        start_s = int(message.time.timestamp()) // QUARTER_S * QUARTER_S
        if start_s not in meter.quarters:
            meter.quarters[start_s] = 0
            while len(meter.quarters) > 5:
                del meter.quarters[min(meter.quarters)]
            # The row of a meter names the quarter in which it was last heard: due once a quarter, not every time.
            self._pending.meters[meter.key] = meter
        meter.quarters[start_s] = meter.quarters.get(start_s, 0) + 1
        reception = self._pending.receptions.setdefault((meter.key, start_s), Reception(meter.key, start_s))
        reception.add(message)
        self._bound()

    def write_again(self) -> None:
        """Take all that is known for not yet written, because the card holds another file than before."""
        for key, meter in self._meters.items():
            self._pending.meters[key] = meter
            self._keep(meter)

    def take(self) -> Batch:
        """What is pending; it is this caller's to write, or to `put_back`."""
        batch, self._pending = self._pending, Batch()
        self.urgent = False
        return batch

    def put_back(self, batch: Batch) -> None:
        """Return a batch that could not be written: it goes before what came since."""
        newer, self._pending = self._pending, batch
        batch.meters.update(newer.meters)
        batch.readings.extend(newer.readings)
        for key, later in newer.receptions.items():
            if earlier := batch.receptions.get(key):
                earlier.join(later)
            else:
                batch.receptions[key] = later
        self._bound()

    def _bound(self) -> None:
        """Registers are cumulative: of too many readings the oldest are missed least, and their number is told."""
        if (excess := len(self._pending.readings) - MAX_READINGS) > 0:
            del self._pending.readings[:excess]
            self.lost_readings += excess
        while len(self._pending.receptions) > MAX_RECEPTIONS:
            del self._pending.receptions[next(iter(self._pending.receptions))]
        while len(self._pending.meters) > MAX_METERS:
            del self._pending.meters[next(iter(self._pending.meters))]


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _most(*values: int | None) -> int | None:
    return max((value for value in values if value is not None), default=None)


def unix_ms(moment: datetime) -> int:
    """Milliseconds since 1970 in UTC."""
    return round(moment.timestamp() * 1000)
