"""What a receiver answers and tells on the control channel. One schema in both directions: `to_json`, `from_json`."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal

from appliance.control.commands import MOST_BINS, CommandName
from appliance.model import Tuning, format_time, parse_time

MOST_BURSTS = 64
MOST_METERS = 1000
LONGEST_TEXT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A command that is being done."""

    id: int | None
    command: CommandName


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A command that is not done, and why."""

    id: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """How the radio is set now: the answer to `set`, and without `id` whenever a source was opened."""

    id: int | None
    center_hz: int
    gain_db: float | None
    ppm: int
    bias_tee: bool

    @property
    def tuning(self) -> Tuning:
        """The settings alone."""
        return Tuning(center_hz=self.center_hz, gain_db=self.gain_db, ppm=self.ppm, bias_tee=self.bias_tee)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """A candidate that was looked at: `start_s` from the beginning of its frame, which may be just before it.

    `outcome` is "heard" or the reason why it is no message; `meter_id` is None unless it was heard.
    """

    frequency_hz: int
    start_s: float
    length_s: float
    snr_db: float
    outcome: str
    meter_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Power by frequency over the `seconds` before `time`, from center − span / 2 up, and the bursts found meanwhile.

    A bin's value is that of noise which had its density all over the band, so that it compares with the noise floor:
    `mean_dbfs` over the frame, `peak_dbfs` the most in a millisecond of it. In dB of full scale.
    """

    time: datetime
    center_hz: int
    span_hz: int
    seconds: float
    noise_floor_dbfs: float | None
    mean_dbfs: tuple[float, ...]
    peak_dbfs: tuple[float, ...]
    bursts: tuple[Burst, ...]
    bursts_left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """How a capture is coming on: "recording", then "done" (there, whole) or "failed" (not there; `detail` says why).

    `seconds` and `bytes` so far, of `of_s`; `lost_samples` are missing in it, as its metadata says. One that ended
    early, and was kept, says why in `detail` too.
    """

    state: Literal["recording", "done", "failed"]
    name: str
    seconds: float
    of_s: float
    bytes: int
    lost_samples: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What was heard at one centre in so many seconds; `meters` are IDs by protocol, `meters_left_out` beyond that."""

    center_hz: int
    seconds: float
    messages: int
    meters: Mapping[str, tuple[int, ...]]
    meters_left_out: int
    noise_floor_dbfs: float | None

    @property
    def distinct_meters(self) -> int:
        """How many meters were heard."""
        return sum(len(ids) for ids in self.meters.values()) + self.meters_left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """How a survey is coming on: at centre number `position` of `of`, with `messages` and `meters` there so far.

    "done" and "stopped" came back to where the radio was; "failed" was cut short, as `detail` says. `left_s` is for
    all that is to come.
    """

    state: Literal["running", "done", "stopped", "failed"]
    position: int
    of: int
    center_hz: int
    left_s: float
    messages: int
    meters: int
    detail: str


Line = Accepted | Refused | Set | Spectrum | Recorded | Surveyed | Survey
_KINDS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Accepted, Refused, Set, Spectrum, Recorded, Surveyed, Survey)
}
_STARTS = tuple(f'{{"type":"{name}"'.encode() for name in _KINDS)
_STATES = {"recorded": ("recording", "done", "failed"), "survey": ("running", "done", "stopped", "failed")}
_PROTOCOL = re.compile(r"[a-z0-9+]{1,16}")


def is_line(line: bytes) -> bool:
    """Whether it begins as `to_json` begins a line."""
    return line.startswith(_STARTS)


def to_json(line: Line) -> str:
    """The line, without its newline."""
    record = {"type": type(line).__name__.lower(), **asdict(line)}
    if isinstance(line, Spectrum):
        record["time"] = format_time(line.time)
    return json.dumps(record, separators=(",", ":"))


def from_json(line: str | bytes) -> Line:
    """Read back what `to_json` wrote. Raises ValueError naming what is wrong."""
    try:
        record = json.loads(line)
        name = record.pop("type")
        kind = _KINDS[name]
        values = {f.name: _value(name, f.name, record.pop(f.name)) for f in fields(kind)}
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    except (KeyError, TypeError, AttributeError, OverflowError) as wrong:
        raise ValueError(f"no line of the control channel: {wrong!r:.80}") from None
    if record:
        raise ValueError(f"{name} line with {', '.join(record):.80}")
    if name == "spectrum" and len(values["mean_dbfs"]) != len(values["peak_dbfs"]):
        raise ValueError("spectrum line whose bins do not match")
    result: Line = kind(**values)
    return result


def _value(kind: str, name: str, value: Any) -> Any:
    """A field of a line, checked; raises ValueError, or what taking it apart raises."""
    if name == "time":
        return parse_time(value)
    if name in ("mean_dbfs", "peak_dbfs") and isinstance(value, list) and len(value) <= MOST_BINS:
        return tuple(_number(name, number) for number in value)
    if name == "bursts" and isinstance(value, list) and len(value) <= MOST_BURSTS:
        return tuple(Burst(**{f.name: _value("burst", f.name, one[f.name]) for f in fields(Burst)}) for one in value)
    if name == "meters" and kind == "surveyed":
        if sum(map(len, value.values())) > MOST_METERS or not all(map(_PROTOCOL.fullmatch, value)):
            raise ValueError("meters are at most a thousand IDs by protocol")
        return {protocol: tuple(_count("meter_id", one) for one in ids) for protocol, ids in value.items()}
    if name == "state" and value in _STATES[kind]:
        return value
    if name in ("command", "reason", "detail", "name", "outcome") and isinstance(value, str):
        return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:LONGEST_TEXT]
    if name == "bias_tee":
        if not isinstance(value, bool):
            raise ValueError(f"bias_tee is {value!r:.40}, expected true or false")
        return value
    if value is None and name in ("id", "gain_db", "noise_floor_dbfs", "meter_id"):
        return None
    if name in ("gain_db", "snr_db", "noise_floor_dbfs", "seconds", "of_s", "left_s", "start_s", "length_s"):
        return _number(name, value)
    if name == "ppm":
        return round(_number(name, value))
    return _count(name, value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r:.40}, expected a number")
    return float(value)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError(f"{name} is {value!r:.40}, expected a whole number from 0")
    return value
