"""The nouns that every part shares: what the receiver says and what the rest reads.

`Message` and `RadioStatus` are the two kinds of JSON line that `appliance listen` prints; the radio
task reads the same lines back. One schema, in both directions: `to_json` and `from_json`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

Commodity = Literal["electric", "gas", "water", "unknown"]
COMMODITIES: tuple[Commodity, ...] = ("electric", "gas", "water", "unknown")


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds.

    >>> format_time(datetime(2016, 4, 1, 15, 24, 59, 25050, tzinfo=UTC))
    '2016-04-01T15:24:59.025050Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Inverse of `format_time`; also takes an offset and digits below the microsecond, as Go prints them.

    Raises ValueError when the text is no RFC 3339 time or has no zone.

    >>> parse_time("2016-04-01T12:24:59.02505069-03:00")
    datetime.datetime(2016, 4, 1, 15, 24, 59, 25050, tzinfo=datetime.timezone.utc)
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time without a zone: {text!r}")
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message a meter sent, as the receiver believes it.

    `sample` is the offset of the first bit from the start of the stream, `frequency_hz` the carrier,
    `snr_db` the energy of a bit over the noise density (Eb/N0) as measured on this message. Tamper
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
    frequency_hz: int
    snr_db: float
    corrected_bits: int
    sample: int
    extra: Mapping[str, Any] = field(default_factory=dict)

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
    state: Literal["starting", "running", "retrying", "ended"]
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


_MESSAGE_FIELDS = tuple(f.name for f in fields(Message) if f.name not in ("time", "extra"))
_STATUS_FIELDS = tuple(f.name for f in fields(RadioStatus) if f.name != "time")


def from_json(line: str | bytes) -> Message | RadioStatus:
    """Read back a line that `to_json` wrote.

    Raises ValueError naming what is wrong: no JSON object, an unknown `type`, a field that is missing,
    unknown (status), or of the wrong kind or range (message).
    """
    record = json.loads(line)
    if not isinstance(record, dict):
        raise ValueError(f"not a JSON object: {record!r:.80}")
    kind = record.pop("type", None)
    try:
        record["time"] = parse_time(record["time"])
        if kind == "message":
            known = {name: record.pop(name) for name in ("time", *_MESSAGE_FIELDS)}
            message = Message(**known, extra=record)
            _check(message)
            return message
        if kind == "status":
            return RadioStatus(**record)
    except KeyError as missing:
        raise ValueError(f"{kind} line without {missing.args[0]!r}") from None
    except TypeError as wrong:
        raise ValueError(f"{kind} line: {wrong}") from None
    raise ValueError(f"unknown type of line: {kind!r}")


def _check(message: Message) -> None:
    for name in ("meter_id", "endpoint_type", "consumption", "checksum", "frequency_hz", "corrected_bits", "sample"):
        value = getattr(message, name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
            raise ValueError(f"{name} is {value!r:.40}, expected a whole number from 0")
    for name in ("tamper_phy", "tamper_enc"):
        value = getattr(message, name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**16):
            raise ValueError(f"{name} is {value!r:.40}, expected a counter or null")
    if message.commodity not in COMMODITIES:
        raise ValueError(f"commodity is {message.commodity!r:.40}, expected one of {', '.join(COMMODITIES)}")
    if not isinstance(message.protocol, str) or not isinstance(message.snr_db, int | float):
        raise ValueError("protocol or snr_db of the wrong kind")
