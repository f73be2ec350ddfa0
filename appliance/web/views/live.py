"""The first page: the meters heard, and what the radio does. `events.py` keeps it live."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from aiohttp import web

from appliance.assignment import Assignment
from appliance.model import ReceiverState
from appliance.store.ledger import Meter
from appliance.store.retention import FULL, OVER
from appliance.store.writer import Store
from appliance.web.frame.guard import readers
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS, Parts
from appliance.web.times import Shown, Times

# Eb/N0 that fills the bar, and where a level is called weak or fair. Half of the messages of an unknown meter
# are lost near 9 dB, and 10 dB of fading is common.
FULL_BAR_DB = 40.0
WEAK_DB, FAIR_DB = 12.0, 20.0
MOST_REASONS = 6
# Anyone can transmit any number of IDs; a page of more rows than this is of no use to a phone.
MOST_ROWS = 1000
LONGEST_SOURCE = 80
MOST_MISSING = 8
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class MeterRow:
    """For _meters.html: one row. `per_hour` counts messages; `level` is "weak", "fair" or "good".

    `name` and `address` are those of an assigned meter, else empty.
    """

    dom_id: str
    protocol: str
    meter_id: int
    simulated: bool
    commodity: str
    endpoint_type: int
    consumption: int
    heard: Shown
    changed: Shown | None
    snr_db: float | None
    level: str
    bar_percent: int
    frequency_mhz: float | None
    per_hour: int
    tamper_phy: int | None
    tamper_enc: int | None
    tamper_changed: Shown | None
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Strip:
    """For _status.html: one receiver. Numbers are None until it told them.

    `reached_by` is "usb", "network" or "" for what is neither: a recording, a command, the simulation.
    """

    name: str
    source: str
    simulated: bool
    reached_by: str
    state: str
    reason: str
    restarts: int
    messages: int
    center_mhz: float | None
    rate_msps: float | None
    noise_floor_dbfs: float | None
    gain_db: float | None
    dropped: int
    dropped_s: float
    clipped_percent: float
    refused: int
    refused_by: list[tuple[str, int]]
    garbage: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class StatusArea:
    """For _status.html. `wrong` is what is wrong in `config_file`.

    `store_trouble` is why readings wait in memory, `history_trouble` why the history is not looked after,
    `room_trouble` why there is too little room though all history that may go has gone; empty if that is not so.
    `damaged` counts the files set aside. `doubt` is by how much times may be off, empty where nothing bounds it, None
    where they are well known; `unconfirmed`: no source has told the time since the machine was started. Of the
    `expected` meters that are assigned here `expected_heard` were heard in the last day; some of the `missing` ones.
    """

    wrong: tuple[str, ...]
    config_file: str
    simulated: bool
    only_simulated: bool
    store_trouble: str
    waiting: int
    lost: int
    history_trouble: str
    room_trouble: str
    damaged: int
    doubt: str | None
    unconfirmed: bool
    strips: list[Strip]
    expected: int
    expected_heard: int
    missing: Sequence[Assignment]
    more_missing: int


@dataclass(frozen=True, slots=True)
class LivePage:
    """For live.html. `heard` counts the meters; of very many, `rows` holds those heard last."""

    cursor: str
    now_ms: int
    now_text: str
    listening: Shown
    sort: str
    sorts: tuple[tuple[str, str], ...]
    status: StatusArea
    rows: list[MeterRow]
    heard: int


SORTS: dict[str, tuple[str, Callable[[Meter, float], float]]] = {
    "id": ("meter ID", lambda meter, _now_s: meter.key.meter_id),
    "heard": ("last heard", lambda meter, _now_s: -meter.last_at),
    "changed": ("last changed", lambda meter, _now_s: 1 if meter.changed_at is None else -meter.changed_at),
    "level": ("level", lambda meter, _now_s: 999.0 if meter.snr_db is None else meter.snr_db),
    "rate": ("messages an hour", lambda meter, now_s: -meter.messages_an_hour(now_s)),
}


@readers
async def view(request: web.Request) -> web.Response:
    """The page."""
    sort = request.query.get("sort", "")
    return html(request, "live.html", live_page(request.app[PARTS], sort if sort in SORTS else "id"))


def live_page(parts: Parts, sort: str) -> LivePage:
    """The page as of now."""
    times, ledger = parts.times, parts.store.ledger
    now_s = times.now.timestamp()
    key = SORTS[sort][1]
    latest = islice(ledger.since(0), MOST_ROWS)
    meters = sorted(latest, key=lambda meter: (key(meter, now_s), meter.key))
    return LivePage(
        cursor=f"{parts.edition}-{ledger.revision}",
        now_ms=times.moment.utc_ms,
        now_text=times.now.astimezone().strftime("%H:%M:%S" if times.doubt is None else "≈%H:%M:%S"),
        listening=times.ago(parts.uptime_s),
        sort=sort,
        sorts=tuple((name, label) for name, (label, _) in SORTS.items()),
        status=status_area(parts, times),
        rows=[meter_row(parts, meter, times) for meter in meters],
        heard=len(ledger),
    )


def meter_row(parts: Parts, meter: Meter, times: Times) -> MeterRow:
    """A meter as the table shows it."""
    snr_db = meter.snr_db
    level = "" if snr_db is None else "weak" if snr_db < WEAK_DB else "fair" if snr_db < FAIR_DB else "good"
    key = meter.key
    assigned = parts.store.assigned.of(key)
    return MeterRow(
        dom_id=f"m-{key.protocol}-{key.meter_id}{'-simulated' if key.simulated else ''}",
        protocol=key.protocol,
        meter_id=key.meter_id,
        simulated=key.simulated,
        commodity=meter.commodity,
        endpoint_type=meter.endpoint_type,
        consumption=meter.consumption,
        heard=times.at(meter.last_at),
        changed=None if meter.changed_at is None else times.at(meter.changed_at),
        snr_db=snr_db,
        level=level,
        bar_percent=round(100 * min(1.0, max(0.0, (snr_db or 0.0) / FULL_BAR_DB))),
        frequency_mhz=None if meter.frequency_hz is None else meter.frequency_hz / 1e6,
        per_hour=round(meter.messages_an_hour(times.now.timestamp())),
        tamper_phy=meter.tamper_phy,
        tamper_enc=meter.tamper_enc,
        tamper_changed=None if meter.tamper_changed_at is None else times.at(meter.tamper_changed_at),
        name=assigned.name if assigned else "",
        address=assigned.address if assigned else "",
    )


def status_area(parts: Parts, times: Times) -> StatusArea:
    """What stands above the table."""
    receivers = parts.receivers()
    health = parts.health()
    storage = parts.storage
    history = health["history"].reason if "history" in health else ""
    expected = parts.store.assigned.meters
    missing = missing_meters(parts.store, times)
    return StatusArea(
        wrong=tuple(map(str, parts.wrong)),
        config_file=parts.config_file,
        simulated=any(receiver.simulated for receiver in receivers),
        only_simulated=all(receiver.simulated for receiver in receivers),
        store_trouble=health["store"].reason if "store" in health else "",
        waiting=parts.store.ledger.pending_readings,
        lost=parts.store.ledger.lost_readings,
        history_trouble="" if history in (FULL, OVER) else history,
        room_trouble=history if history in (FULL, OVER) else "",
        damaged=storage.damaged_segments if storage else 0,
        doubt=times.doubt,
        unconfirmed=times.moment.source == "estimate",
        strips=[_strip(receiver) for receiver in receivers],
        expected=len(expected),
        expected_heard=len(expected) - len(missing),
        missing=missing[:MOST_MISSING],
        more_missing=max(0, len(missing) - MOST_MISSING),
    )


def missing_meters(store: Store, times: Times) -> list[Assignment]:
    """The assigned meters of which nothing was heard in the last day."""
    assigned = store.assigned
    if not assigned.meters:
        return []
    since_at = store.clock.timeline.stamp_at(times.moment.utc_ms - DAY_MS)
    heard = assigned.among(meter.key for meter in store.ledger.meters if meter.last_at >= since_at)
    return [meter for meter in assigned.meters if meter not in heard]


def _strip(receiver: ReceiverState) -> Strip:
    status = receiver.status
    rate_hz = status.sample_rate_hz if status else 0
    refused = sorted(status.refused.items(), key=lambda item: -item[1]) if status else []
    return Strip(
        name=receiver.name,
        source=(status.source if status and status.source else receiver.source)[:LONGEST_SOURCE],
        simulated=receiver.simulated,
        reached_by=_reached_by(receiver.source),
        state=receiver.state,
        reason=receiver.reason,
        restarts=receiver.restarts,
        messages=receiver.messages,
        center_mhz=status.center_hz / 1e6 if status else None,
        rate_msps=rate_hz / 1e6 if status else None,
        noise_floor_dbfs=status.noise_floor_dbfs if status else None,
        gain_db=status.gain_db if status else None,
        dropped=status.dropped_samples if status else 0,
        dropped_s=status.dropped_samples / rate_hz if status and rate_hz else 0.0,
        clipped_percent=100 * status.clipped if status else 0.0,
        refused=sum(n for _, n in refused),
        refused_by=[(reason[:40], n) for reason, n in refused if n][:MOST_REASONS],
        garbage=sorted(receiver.garbage.items(), key=lambda item: -item[1]),
    )


def _reached_by(source: str) -> str:
    if source.startswith("rtl_tcp://"):
        return "network"
    return "usb" if source == "rtlsdr" or source.startswith("rtlsdr:") else ""
