"""How the appliance is, in words and numbers: its receivers, its card, its clock, the meters that it should hear.

What follows from that is in `verdict.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.assignment import Assignment
from appliance.config import PAGE
from appliance.model import ReceiverState
from appliance.store.retention import FULL, OVER
from appliance.timeline import DAY_MS
from appliance.web.parts import Parts
from appliance.web.times import Times

MOST_REASONS = 6
LONGEST_SOURCE = 80
MOST_MISSING = 8
# Most meters send every half minute: a street that says nothing for so long is worth a look.
QUIET_MS = 1_800_000


@dataclass(frozen=True, slots=True)
class Strip:
    """For _overview.html and _strips.html: a receiver. Numbers are None until it told them."""

    name: str
    source: str
    simulated: bool
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
class Condition:
    """For _overview.html. `wrong` is what is wrong in `config_file`.

    `store_trouble` is why readings wait in memory, `history_trouble` why the history is not looked after,
    `room_trouble` why there is too little room though all history that may go has gone; empty if that is not so.
    `damaged` counts the files set aside. `doubt` is by how much times may be off, empty where nothing bounds it, None
    where they are well known; `unconfirmed`: no source has told the time since the machine was started.

    `meters` were heard in the last day; any at all last at stamp `latest_at`, None if never; of `tampered` ones a
    tamper counter has changed. `silent`: nothing was heard for a while though a radio runs. Of the `expected` meters
    that are assigned here `expected_heard` were heard in the last day; some of the `missing` ones.
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
    meters: int
    latest_at: int | None
    silent: bool
    tampered: int
    expected: int
    expected_heard: int
    missing: Sequence[Assignment]
    more_missing: int


def condition(parts: Parts, times: Times) -> Condition:
    """As of now."""
    receivers, known, assigned = parts.receivers(), parts.store.ledger.meters, parts.store.assigned
    health = parts.health()
    storage = parts.storage
    history = health["history"].reason if "history" in health else ""
    since_at = parts.store.clock.timeline.stamp_at(times.moment.utc_ms - DAY_MS)
    recent = [meter.key for meter in known if meter.last_at >= since_at]
    heard = assigned.among(recent)
    missing = [meter for meter in assigned.meters if meter not in heard]
    latest_at = max((meter.last_at for meter in known), default=None)
    return Condition(
        wrong=tuple(str(one) for one in parts.wrong if one.part != PAGE),
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
        meters=len(recent),
        latest_at=latest_at,
        silent=_is_silent(parts, times, latest_at),
        tampered=sum(meter.tamper_changed_at is not None for meter in known),
        expected=len(assigned.meters),
        expected_heard=len(assigned.meters) - len(missing),
        missing=missing[:MOST_MISSING],
        more_missing=max(0, len(missing) - MOST_MISSING),
    )


def _is_silent(parts: Parts, times: Times, latest_at: int | None) -> bool:
    """Whether a radio runs, and nothing was heard for a while, nor since the program was started."""
    if not any(receiver.state == "running" for receiver in parts.receivers()):
        return False
    latest_ms = 0 if latest_at is None else parts.store.clock.utc_ms(latest_at)
    now_ms = times.moment.utc_ms
    return now_ms - max(latest_ms, now_ms - round(parts.uptime_s * 1000)) > QUIET_MS


def _strip(receiver: ReceiverState) -> Strip:
    status = receiver.status
    rate_hz = status.sample_rate_hz if status else 0
    refused = sorted(status.refused.items(), key=lambda item: -item[1]) if status else []
    return Strip(
        name=receiver.name,
        source=source_of(receiver),
        simulated=receiver.simulated,
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


def source_of(receiver: ReceiverState) -> str:
    """Where its samples come from, as the receiver tells it if it does."""
    status = receiver.status
    return (status.source if status and status.source else receiver.source)[:LONGEST_SOURCE]


def reached_by(source: str) -> str:
    """Whether a source is a radio on USB ("usb"), one in the network, or neither ("receiver")."""
    if source.startswith("rtl_tcp://"):
        return "network"
    return "usb" if source == "rtlsdr" or source.startswith("rtlsdr:") else "receiver"
