"""What is known of each meter now, and what of it still has to be written.

Messages go in one by one; out come the state that the page shows, a `Reading` whenever a meter's register or tamper
fields change, a `Reception` per meter and quarter of an hour, and an `Event` when a tamper counter or the course of a
register is out of the ordinary. Everything is bounded: anyone can transmit, and the card may stay full for weeks.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from appliance.model import Commodity, Message
from appliance.store.limits import Bucket
from appliance.store.plausibility import judge, modulus
from appliance.store.rows import QUARTER_MS, SUSPECT, Event, MeterKey, Reading, Reception
from appliance.timeline import BOOT_SHIFT, boot_of

# Two receivers, or two tries at one transmission, time it differently by the latency of their buffers; meters
# themselves pause for 15 s or more.
SAME_TRANSMISSION_MS = 2_000
MAX_METERS = 10_000
MAX_READINGS = 50_000
MAX_RECEPTIONS = 50_000
MAX_EVENTS = 5_000
# Events that anyone can cause by transmitting: so many at once, then so many a second. Beyond, the reading alone tells.
EVENTS_AT_ONCE, EVENTS_PER_S = 300, 1 / 60
# And so many implausible readings.
SUSPECTS_AT_ONCE, SUSPECTS_PER_S = 1000, 1 / 30
# And so many readings, of one meter and of all: meters send every 30 s at most, and some hundreds of them are near.
# Registers are cumulative, so what is left out is caught up with by the next reading that is kept.
METER_AT_ONCE, METER_PER_S = 240, 1 / 25
ALL_AT_ONCE, ALL_PER_S = 50_000, 20.0


@dataclass(slots=True)
class Meter:
    """A meter as last heard, in stamps. `changed_at` and `tamper_changed_at` are None until a change was seen.

    `revision` grows with each change to any meter, so that a page can ask for what is new. `quarters` counts the
    messages of the last hour by the quarter's begin in Unix seconds. `suspect` is an implausible register that waits
    for a second transmission to agree with it, and its stamp.
    """

    key: MeterKey
    commodity: Commodity
    endpoint_type: int
    first_at: int
    last_at: int
    consumption: int
    tamper_phy: int | None
    tamper_enc: int | None
    changed_at: int | None = None
    tamper_changed_at: int | None = None
    snr_db: float | None = None
    frequency_hz: int | None = None
    revision: int = 0
    kept_at: int = -1
    allowance: Bucket = field(default_factory=lambda: Bucket(METER_AT_ONCE, METER_PER_S))
    suspect: tuple[int, int] | None = None
    quarters: dict[int, int] = field(default_factory=dict)
    recent: deque[tuple[int, tuple[int | None, ...]]] = field(default_factory=lambda: deque(maxlen=4))

    def messages_an_hour(self, now_s: float) -> float:
        """Messages in the hour before `now_s` (Unix), the part of the oldest quarter that still counts as even."""
        quarter_s = QUARTER_MS // 1000
        oldest_s = int(now_s) // quarter_s * quarter_s - 4 * quarter_s
        share_left = 1 - (now_s - oldest_s - 4 * quarter_s) / quarter_s
        # A quarter that begins after `now_s` was heard before the clock was set back.
        counts = {start_s: n for start_s, n in self.quarters.items() if oldest_s <= start_s <= now_s}
        return sum(n * (share_left if start_s == oldest_s else 1.0) for start_s, n in counts.items())


@dataclass(slots=True)
class Batch:
    """What one commit writes. `receptions` are of quarters that are over, `running` of those that are not."""

    meters: dict[MeterKey, Meter] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    receptions: dict[tuple[MeterKey, int], Reception] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


class Ledger:
    """All meters heard, the latest last, and what is pending for the card.

    `utc_ms` tells the time of a stamp, as well as it is known now.
    """

    def __init__(self, utc_ms: Callable[[int], int]) -> None:
        self._utc_ms = utc_ms
        self._meters: OrderedDict[MeterKey, Meter] = OrderedDict()
        self._pending = Batch()
        self._quarter = (1, 0, 0)
        self._events = Bucket(EVENTS_AT_ONCE, EVENTS_PER_S)
        self._suspects = Bucket(SUSPECTS_AT_ONCE, SUSPECTS_PER_S)
        self._allowance = Bucket(ALL_AT_ONCE, ALL_PER_S)
        self.revision = 0
        self.urgent = False
        self.lost_readings = 0
        self.untold_events = 0
        self.thinned_readings = 0

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
    def receptions(self) -> Iterable[Reception]:
        """How each meter was heard in the quarters not yet written."""
        return self._pending.receptions.values()

    def get(self, key: MeterKey) -> Meter | None:
        """What is known of one meter."""
        return self._meters.get(key)

    def since(self, revision: int) -> Iterator[Meter]:
        """The meters that changed after `revision`, the latest first."""
        for meter in reversed(self._meters.values()):
            if meter.revision <= revision:
                return
            yield meter

    def restore(self, meters: Iterable[Meter], receptions: Iterable[Reception] = ()) -> None:
        """Take up what the card knows: meters, the one heard longest ago first, and the quarter that was running.

        Meters heard since stay as they are.
        """
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
        for reception in receptions:
            if now := self._pending.receptions.get((reception.meter, reception.at)):
                now.join(reception)
            else:
                self._pending.receptions[reception.meter, reception.at] = reception

    def hear(self, message: Message, simulated: bool, at: int) -> None:
        """Take one message into account, sent at stamp `at`."""
        key = MeterKey(message.protocol, message.meter_id, simulated)
        fields = (message.consumption, message.tamper_phy, message.tamper_enc)
        meter = self._meters.get(key)
        if meter is None:
            meter = self._first(key, message, at)
        elif any(abs(at - then) <= SAME_TRANSMISSION_MS and fields == seen for then, seen in meter.recent):
            return
        meter.recent.append((at, fields))
        self._receive(meter, message, at)
        # Receivers lag behind each other: an older message must not turn the register back.
        if at >= meter.last_at:
            self._update(meter, message, at)
        self.revision += 1
        meter.revision = self.revision
        self._meters.move_to_end(key)

    def record(self, event: Event) -> None:
        """Have an event written at once."""
        self._pending.events.append(event)
        self.urgent = True
        self._bound()

    def _first(self, key: MeterKey, message: Message, at: int) -> Meter:
        meter = Meter(
            key=key,
            commodity=message.commodity,
            endpoint_type=message.endpoint_type,
            first_at=at,
            last_at=at,
            consumption=message.consumption,
            tamper_phy=message.tamper_phy,
            tamper_enc=message.tamper_enc,
        )
        self._meters[key] = meter
        self._pending.meters[key] = meter
        self._keep(meter, meter.consumption)
        if len(self._meters) > MAX_METERS:
            self._meters.popitem(last=False)
        return meter

    def _update(self, meter: Meter, message: Message, at: int) -> None:
        """Bring the meter up to a message that is its latest."""
        before_at, meter.last_at = meter.last_at, at
        meter.endpoint_type, meter.commodity = message.endpoint_type, message.commodity
        meter.snr_db, meter.frequency_hz = message.snr_db, message.frequency_hz
        tamper = (message.tamper_phy, message.tamper_enc)
        tampered = tamper != (meter.tamper_phy, meter.tamper_enc)
        believed = self._believes(meter, message.consumption, before_at)
        changed = believed and message.consumption != meter.consumption
        if tampered:
            self._tell_tamper(meter, tamper)
        if changed or (tampered and believed):
            meter.changed_at = at
            meter.consumption = message.consumption
            self._keep(meter, message.consumption)
        elif not believed and self._suspects.take(at):
            self._keep(meter, message.consumption, SUSPECT)

    def _believes(self, meter: Meter, consumption: int, before_at: int) -> bool:
        """Whether the register can have moved so; what cannot be waits until a second message agrees with it."""
        elapsed_ms = self._elapsed_ms(before_at, meter.last_at)
        unusual = judge(meter.consumption, consumption, elapsed_ms)
        suspect, meter.suspect = meter.suspect, None
        if unusual is None:
            return True
        if suspect and judge(suspect[0], consumption, self._elapsed_ms(suspect[1], meter.last_at)) is None:
            detail = {"before": meter.consumption, "after": suspect[0]}
            if unusual == "register_rolled_over":
                detail["modulus"] = modulus(meter.consumption, suspect[0], elapsed_ms)
            self.record(Event(suspect[1], unusual, meter.key, detail))
            return True
        meter.suspect = (consumption, meter.last_at)
        return False

    def _tell_tamper(self, meter: Meter, tamper: tuple[int | None, int | None]) -> None:
        detail = {"phy": [meter.tamper_phy, tamper[0]], "enc": [meter.tamper_enc, tamper[1]]}
        meter.tamper_changed_at = meter.last_at
        meter.tamper_phy, meter.tamper_enc = tamper
        self._pending.meters[meter.key] = meter
        if self._events.take(meter.last_at):
            self.record(Event(meter.last_at, "tamper", meter.key, detail))
        else:
            self.untold_events += 1

    def _keep(self, meter: Meter, consumption: int, flags: int = 0) -> None:
        if not (meter.allowance.take(meter.last_at) and self._allowance.take(meter.last_at)):
            self.thinned_readings += 1
            return
        # What is the same moment to the clock is still one after the other.
        meter.kept_at = max(meter.last_at, meter.kept_at + 1)
        self._pending.readings.append(
            Reading(meter.key, meter.kept_at, consumption, meter.tamper_phy, meter.tamper_enc, flags)
        )
        self._bound()

    def _receive(self, meter: Meter, message: Message, at: int) -> None:
        quarter_at, start_s = self._quarter_of(at)
        if start_s not in meter.quarters:
            meter.quarters[start_s] = 0
            while len(meter.quarters) > 5:
                del meter.quarters[min(meter.quarters)]
        meter.quarters[start_s] += 1
        key = (meter.key, quarter_at)
        reception = self._pending.receptions.get(key)
        if reception is None:
            reception = self._pending.receptions[key] = Reception(meter.key, quarter_at)
            self._bound()
        reception.add(at, message.corrected_bits > 0, message.snr_db, message.frequency_hz)

    def _quarter_of(self, at: int) -> tuple[int, int]:
        """Where the quarter of an hour of `at` begins: its stamp, or that of the boot if later, and in Unix seconds."""
        begin_at, end_at, start_s = self._quarter
        if not begin_at <= at < end_at:
            utc_ms = self._utc_ms(at)
            start_ms = utc_ms // QUARTER_MS * QUARTER_MS
            begin_at = max(at - (utc_ms - start_ms), boot_begin(at))
            end_at, start_s = at - (utc_ms - start_ms) + QUARTER_MS, start_ms // 1000
            self._quarter = (begin_at, end_at, start_s)
        return begin_at, start_s

    def _elapsed_ms(self, before_at: int, at: int) -> int:
        if boot_of(before_at) == boot_of(at):
            return at - before_at
        return self._utc_ms(at) - self._utc_ms(before_at)

    def renumber(self, boot: int, number: int) -> None:
        """What was heard in `boot` was heard in boot `number`: the catalogue could not be asked before."""
        shift = (number - boot) << BOOT_SHIFT

        def moved(at: int) -> int:
            return at + shift if boot_of(at) == boot else at

        for meter in self._meters.values():
            meter.first_at, meter.last_at = moved(meter.first_at), moved(meter.last_at)
            meter.changed_at = None if meter.changed_at is None else moved(meter.changed_at)
            meter.tamper_changed_at = None if meter.tamper_changed_at is None else moved(meter.tamper_changed_at)
            meter.suspect = meter.suspect and (meter.suspect[0], moved(meter.suspect[1]))
            meter.kept_at = moved(meter.kept_at)
            meter.recent = deque(((moved(at), fields) for at, fields in meter.recent), maxlen=meter.recent.maxlen)
        pending = self._pending
        pending.readings = [reading._replace(at=moved(reading.at)) for reading in pending.readings]
        pending.events = [event._replace(at=moved(event.at)) for event in pending.events]
        receptions = list(pending.receptions.values())
        for reception in receptions:
            reception.at, reception.last = moved(reception.at), moved(reception.last)
        pending.receptions = {(reception.meter, reception.at): reception for reception in receptions}
        self._quarter = (1, 0, 0)

    def write_again(self) -> None:
        """Take all that is known for not yet written, because the card holds other files than before."""
        pending = {(reading.meter, reading.at) for reading in self._pending.readings}
        for key, meter in self._meters.items():
            self._pending.meters[key] = meter
            if (key, meter.last_at) not in pending:
                self._pending.readings.append(
                    Reading(key, meter.last_at, meter.consumption, meter.tamper_phy, meter.tamper_enc)
                )
        self._bound()

    def take(self, now_at: int) -> Batch:
        """What is due at `now_at`; it is this caller's to write, or to `put_back`.

        Receptions are due once their quarter is over, and with them the rows of their meters, which tell when these
        were last heard: all at once. The others are shown by `receptions`.
        """
        current_at = self._quarter_of(now_at)[0]
        over = {key: r for key, r in self._pending.receptions.items() if r.at < current_at}
        running = {key: r for key, r in self._pending.receptions.items() if r.at >= current_at}
        batch, self._pending = self._pending, Batch(receptions=running)
        batch.receptions = over
        batch.meters.update((key, self._meters[key]) for key, _ in over if key in self._meters)
        self.urgent = False
        return batch

    def put_back(self, batch: Batch) -> None:
        """Return a batch that could not be written: it goes before what came since."""
        newer, self._pending = self._pending, batch
        batch.meters.update(newer.meters)
        batch.readings.extend(newer.readings)
        batch.events.extend(newer.events)
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
        if (excess := len(self._pending.events) - MAX_EVENTS) > 0:
            del self._pending.events[:excess]
            self.untold_events += excess
        while len(self._pending.receptions) > MAX_RECEPTIONS:
            del self._pending.receptions[next(iter(self._pending.receptions))]
        while len(self._pending.meters) > MAX_METERS:
            del self._pending.meters[next(iter(self._pending.meters))]


def boot_begin(at: int) -> int:
    """The first stamp of the boot that `at` is in."""
    return boot_of(at) << BOOT_SHIFT
