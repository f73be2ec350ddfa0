"""The first page: the meters heard, and what the radio does. `events.py` keeps it live."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from aiohttp import web

from appliance.model import ReceiverState
from appliance.store.ledger import Meter
from appliance.web.language import COOKIE, LANGUAGES, language_of
from appliance.web.parts import PARTS, Parts
from appliance.web.rendering import age, html, render

# Eb/N0 that fills the bar, and where a level is called weak or fair. Half of the messages of an unknown meter
# are lost near 9 dB, and 10 dB of fading is common.
FULL_BAR_DB = 40.0
WEAK_DB, FAIR_DB = 12.0, 20.0
MOST_REASONS = 6
# Anyone can transmit any number of IDs; a page of more rows than this is of no use to a phone.
MOST_ROWS = 1000
LONGEST_SOURCE = 80
ONE_YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as machines read it, and how long ago it was."""

    iso: str
    age: str


@dataclass(frozen=True, slots=True)
class MeterRow:
    """For _meters.html: one row. `per_hour` counts messages; `level` is "weak", "fair" or "good"."""

    dom_id: str
    protocol: str
    meter_id: int
    simulated: bool
    commodity: str
    endpoint_type: int
    consumption: int
    heard: Moment
    changed: Moment | None
    snr_db: float | None
    level: str
    bar_percent: int
    frequency_mhz: float | None
    per_hour: int
    tamper_phy: int | None
    tamper_enc: int | None
    tamper_changed: Moment | None


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
    """For _status.html. `store_trouble` is why readings wait in memory, empty if they do not.

    `wrong` is what is wrong in `config_file`.
    """

    wrong: tuple[str, ...]
    config_file: str
    simulated: bool
    only_simulated: bool
    store_trouble: str
    waiting: int
    lost: int
    strips: list[Strip]


@dataclass(frozen=True, slots=True)
class LivePage:
    """For live.html. `heard` counts the meters; of very many, `rows` holds those heard last."""

    site_name: str
    cursor: str
    now_ms: int
    now_text: str
    listening: Moment
    sort: str
    sorts: tuple[tuple[str, str], ...]
    status: StatusArea
    rows: list[MeterRow]
    heard: int


def _never(moment: datetime | None) -> float:
    return -moment.timestamp() if moment else 0.0


SORTS: dict[str, tuple[str, Callable[[Meter, datetime], float]]] = {
    "id": ("meter ID", lambda meter, _now: meter.key.meter_id),
    "heard": ("last heard", lambda meter, _now: -meter.last_heard.timestamp()),
    "changed": ("last changed", lambda meter, _now: _never(meter.changed)),
    "level": ("level", lambda meter, _now: 999.0 if meter.snr_db is None else meter.snr_db),
    "rate": ("messages an hour", lambda meter, now: -meter.messages_an_hour(now)),
}


async def view(request: web.Request) -> web.Response:
    """The page; choosing a language is remembered."""
    parts = request.app[PARTS]
    language = language_of(request)
    sort = request.query.get("sort", "")
    response = html(render(language, "live.html", live_page(parts, sort if sort in SORTS else "id")))
    if request.query.get("lang") in LANGUAGES:
        response.set_cookie(COOKIE, language, max_age=ONE_YEAR_S, httponly=True, samesite="Lax")
    return response


def live_page(parts: Parts, sort: str) -> LivePage:
    """The page as of now."""
    now, ledger = parts.now(), parts.store.ledger
    key = SORTS[sort][1]
    latest = islice(ledger.since(0), MOST_ROWS)
    meters = sorted(latest, key=lambda meter: (key(meter, now), meter.key))
    return LivePage(
        site_name=parts.site_name,
        cursor=f"{parts.run_id}-{ledger.revision}",
        now_ms=int(now.timestamp() * 1000),
        now_text=now.astimezone().strftime("%H:%M:%S"),
        listening=_moment(parts.started, now),
        sort=sort,
        sorts=tuple((name, label) for name, (label, _) in SORTS.items()),
        status=status_area(parts, now),
        rows=[meter_row(meter, now) for meter in meters],
        heard=len(ledger),
    )


def meter_row(meter: Meter, now: datetime) -> MeterRow:
    """A meter as the table shows it."""
    snr_db = meter.snr_db
    level = "" if snr_db is None else "weak" if snr_db < WEAK_DB else "fair" if snr_db < FAIR_DB else "good"
    key = meter.key
    return MeterRow(
        dom_id=f"m-{key.protocol}-{key.meter_id}{'-simulated' if key.simulated else ''}",
        protocol=key.protocol,
        meter_id=key.meter_id,
        simulated=key.simulated,
        commodity=meter.commodity,
        endpoint_type=meter.endpoint_type,
        consumption=meter.consumption,
        heard=_moment(meter.last_heard, now),
        changed=_moment(meter.changed, now) if meter.changed else None,
        snr_db=snr_db,
        level=level,
        bar_percent=round(100 * min(1.0, max(0.0, (snr_db or 0.0) / FULL_BAR_DB))),
        frequency_mhz=None if meter.frequency_hz is None else meter.frequency_hz / 1e6,
        per_hour=round(meter.messages_an_hour(now)),
        tamper_phy=meter.tamper_phy,
        tamper_enc=meter.tamper_enc,
        tamper_changed=_moment(meter.tamper_changed, now) if meter.tamper_changed else None,
    )


def status_area(parts: Parts, now: datetime) -> StatusArea:
    """What stands above the table."""
    receivers = parts.receivers()
    store = parts.health().get("store")
    return StatusArea(
        wrong=tuple(map(str, parts.wrong)),
        config_file=parts.config_file,
        simulated=any(receiver.simulated for receiver in receivers),
        only_simulated=all(receiver.simulated for receiver in receivers),
        store_trouble=store.reason if store else "",
        waiting=parts.store.ledger.pending_readings,
        lost=parts.store.ledger.lost_readings,
        strips=[_strip(receiver) for receiver in receivers],
    )


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


def _moment(moment: datetime, now: datetime) -> Moment:
    return Moment(moment.isoformat(timespec="milliseconds"), age(moment, now))
