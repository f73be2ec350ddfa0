"""The nouns that every part shares: what the receiver says and what the rest reads.

`Message` and `RadioStatus` are the two kinds of JSON line that `appliance listen` prints; the radio
task reads the same lines back. One schema, in both directions: `to_json` and `from_json`.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

Commodity = Literal["electric", "gas", "water", "unknown"]
COMMODITIES: tuple[Commodity, ...] = ("electric", "gas", "water", "unknown")
State = Literal["starting", "running", "retrying", "ended"]
STATES: tuple[State, ...] = ("starting", "running", "retrying", "ended")
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_PROTOCOL = re.compile(r"[a-z0-9+]{1,16}")
_TYPES_OF: dict[Commodity, tuple[int, ...]] = {
    "electric": (4, 5, 7, 8),
    "gas": (0, 1, 2, 9, 12),
    "water": (3, 11, 13),
}
_COMMODITY_BY_TYPE = {kind: commodity for commodity, kinds in _TYPES_OF.items() for kind in kinds}


def commodity_of(endpoint_type: int) -> Commodity:
    """What an ERT meter of this type usually measures (by the low nibble; there are exceptions).

    >>> commodity_of(8), commodity_of(12), commodity_of(11), commodity_of(6)
    ('electric', 'gas', 'water', 'unknown')
    """
    return _COMMODITY_BY_TYPE.get(endpoint_type & 0xF, "unknown")


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds.

    >>> format_time(datetime(2016, 4, 1, 15, 24, 59, 25050, tzinfo=UTC))
    '2016-04-01T15:24:59.025050Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Inverse of `format_time`; also takes an offset and digits below the microsecond, as Go prints them.

    Raises ValueError when the text is no RFC 3339 time, has no zone, or is beyond what can be reckoned with: a
    clock that was never set tells the year 1.

    >>> parse_time("2016-04-01T12:24:59.02505069-03:00")
    datetime.datetime(2016, 4, 1, 15, 24, 59, 25050, tzinfo=datetime.timezone.utc)
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time without a zone: {text!r}")
    if not EARLIEST <= moment <= LATEST:
        raise ValueError(f"time before 1970 or after 9000: {text!r:.40}")
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message a meter sent, as the receiver believes it.

    `sample` is the offset of the first bit from the start of the stream, `frequency_hz` the carrier,
    `snr_db` the energy of a bit over the noise density (Eb/N0) as measured on this message; a program
    standing in for the receiver that measures neither leaves them None. Tamper
    fields are counters that wrap, not flags; a protocol without them leaves None. `extra` holds what a
    protocol adds and appears flat in the JSON line.
    """

    time: datetime
    protocol: str
    meter_id: int
    endpoint_type: int
    commodity: Commodity
    tamper_phy: int | None
    tamper_enc: int | None
    consumption: int
    checksum: int
    frequency_hz: int | None
    snr_db: float | None
    corrected_bits: int
    sample: int
    extra: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raises ValueError naming the field that is of the wrong kind or out of range."""
        for name in ("meter_id", "endpoint_type", "consumption", "checksum", "corrected_bits", "sample"):
            if not _is_count(getattr(self, name), 2**53):
                raise ValueError(f"{name} is {getattr(self, name)!r:.40}, expected a whole number from 0")
        if self.frequency_hz is not None and not _is_count(self.frequency_hz, 2**53):
            raise ValueError(f"frequency_hz is {self.frequency_hz!r:.40}, expected a whole number from 0 or null")
        for name in ("tamper_phy", "tamper_enc"):
            value = getattr(self, name)
            if value is not None and not _is_count(value, 2**16):
                raise ValueError(f"{name} is {value!r:.40}, expected a counter or null")
        if self.commodity not in COMMODITIES:
            raise ValueError(f"commodity is {self.commodity!r:.40}, expected one of {', '.join(COMMODITIES)}")
        if not isinstance(self.protocol, str) or not _PROTOCOL.fullmatch(self.protocol):
            raise ValueError(f"protocol is {self.protocol!r:.40}, expected at most 16 of a-z, 0-9 and +")
        if self.snr_db is not None and not (_is_number(self.snr_db) and -200 <= self.snr_db <= 200):
            raise ValueError(f"snr_db is {self.snr_db!r:.40}, expected a number from -200 to 200 or null")

    def to_json(self) -> str:
        """The JSON line, without its newline."""
        record: dict[str, Any] = {"type": "message", "time": format_time(self.time)}
        for name in _MESSAGE_FIELDS:
            record[name] = getattr(self, name)
        return json.dumps(record | dict(self.extra), separators=(", ", ": "))


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioStatus:
    """What the radio does, printed every few seconds and whenever `state` changes.

    Counters (`samples`, `dropped_samples`, `messages`, `candidates`, `skipped_candidates`, `refused`)
    run from the start of the process. Levels are dB of full scale over the whole band; `clipped` is the
    share of samples at the converter's limits since the last status. `gain_db` is None while the tuner
    sets its gain itself or does not tell it. `detail` says in words why `state` is not "running".
    """

    time: datetime
    state: State
    source: str
    simulated: bool
    sample_rate_hz: int
    center_hz: int
    gain_db: float | None
    samples: int
    dropped_samples: int
    noise_floor_dbfs: float | None
    level_dbfs: float | None
    clipped: float
    messages: int
    candidates: int
    skipped_candidates: int
    refused: Mapping[str, int]
    detail: str = ""

    def to_json(self) -> str:
        """The JSON line, without its newline."""
        record: dict[str, Any] = {"type": "status", "time": format_time(self.time)}
        for name in _STATUS_FIELDS:
            record[name] = getattr(self, name)
        return json.dumps(record, separators=(", ", ": "))


REFUSALS: Mapping[str, str] = {
    "no preamble": "Nothing in the burst begins as a meter's message does: another system, or noise.",
    "checksum": "It begins as a message does, but the checksum is wrong: faint, or covered by another.",
    "unconfirmed": "A faint message of a meter not heard before: it counts once a second one says the same.",
    "contradicted": "It resembles a known meter's message, but says something that this meter cannot have sent.",
    "empty": "A message of meter number 0, which no meter has.",
    "duplicate": "A message already heard, seen again in its mirror image or beside its carrier.",
}
"""What each name in `RadioStatus.refused` means, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How a radio is set; `gain_db` None leaves the gain to the tuner."""

    center_hz: int
    gain_db: float | None
    ppm: int
    bias_tee: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverState:
    """One configured receiver as the rest of the program sees it: its process, and what that last said.

    `state` is the process's own word while it speaks, "retrying" while it is dead and about to be started
    again; `reason` says in words why it is not "running". `messages`, `by_protocol` (the same, by protocol) and
    `garbage` (lines that were neither message nor status, by reason) run since the program started, `status` is None
    until the process spoke. `configured` is how the configuration has it, `tuning` what the radio accepted last; both
    are None for a program that stands in for the receiver, and `tuning` until a radio was there.
    """

    name: str
    source: str
    simulated: bool
    state: State
    reason: str
    restarts: int
    messages: int
    garbage: Mapping[str, int]
    status: RadioStatus | None
    by_protocol: Mapping[str, int] = field(default_factory=dict)
    configured: Tuning | None = None
    tuning: Tuning | None = None


_MESSAGE_FIELDS = tuple(f.name for f in fields(Message) if f.name not in ("time", "extra"))
_STATUS_FIELDS = tuple(f.name for f in fields(RadioStatus) if f.name != "time")


def from_json(line: str | bytes) -> Message | RadioStatus:
    """Read back a line that `to_json` wrote.

    Raises ValueError naming what is wrong: no JSON object, an unknown `type`, a field that is missing,
    unknown (status), or of the wrong kind or range.
    """
    try:
        record = json.loads(line)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError(f"not a JSON object: {record!r:.80}")
    kind = record.pop("type", None)
    try:
        record["time"] = parse_time(record["time"])
        if kind == "message":
            known = {name: record.pop(name) for name in ("time", *_MESSAGE_FIELDS)}
            message = Message(**known, extra=record)
            message.check()
            return message
        if kind == "status":
            status = RadioStatus(**record)
            _check_status(status)
            return status
    except KeyError as missing:
        raise ValueError(f"{kind} line without {missing.args[0]!r}") from None
    except (TypeError, OverflowError) as wrong:
        raise ValueError(f"{kind} line: {wrong}") from None
    raise ValueError(f"unknown type of line: {kind!r}")


def _check_status(status: RadioStatus) -> None:
    counts = (
        "sample_rate_hz",
        "center_hz",
        "samples",
        "dropped_samples",
        "messages",
        "candidates",
        "skipped_candidates",
    )
    for name in counts:
        if not _is_count(getattr(status, name), 2**53):
            raise ValueError(f"{name} is {getattr(status, name)!r:.40}, expected a whole number from 0")
    for name in ("gain_db", "noise_floor_dbfs", "level_dbfs"):
        value = getattr(status, name)
        if value is not None and not (_is_number(value) and -1000 <= value <= 1000):
            raise ValueError(f"{name} is {value!r:.40}, expected a number from -1000 to 1000 or null")
    if not (_is_number(status.clipped) and 0 <= status.clipped <= 1):
        raise ValueError(f"clipped is {status.clipped!r:.40}, expected a share from 0 to 1")
    if status.state not in STATES or not isinstance(status.simulated, bool):
        raise ValueError(f"state is {status.state!r:.40}, simulated {status.simulated!r:.40}")
    if not isinstance(status.source, str) or not isinstance(status.detail, str):
        raise ValueError("source and detail are texts")
    if not isinstance(status.refused, dict) or not all(_is_count(n, 2**53) for n in status.refused.values()):
        raise ValueError(f"refused is {status.refused!r:.40}, expected a count by reason")


def _is_count(value: object, limit: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < limit


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
