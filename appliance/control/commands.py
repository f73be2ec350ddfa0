"""What may be asked of a receiver, checked against the limits of the configuration."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from appliance.config import Receiver
from appliance.errors import UsageError
from appliance.model import Tuning
from appliance.settings import settings_of

LONGEST_COMMAND_BYTES = 4096
LARGEST_ID = 2**31
MOST_BINS, LEAST_BINS = 1024, 64
LEAST_FRAMES_PER_S, MOST_FRAMES_PER_S = 1, 10
# A minute at the usual rate is 283 MB.
SHORTEST_CAPTURE_S, LONGEST_CAPTURE_S = 0.1, 60.0
MOST_CENTERS = 64
SHORTEST_DWELL_S, LONGEST_DWELL_S = 1.0, 600.0
LONGEST_SURVEY_S = 7200.0
LIMITS = "See 'The control channel' in docs/commands.md for what can be asked."

CommandName = Literal["set", "spectrum", "record", "survey"]
COMMANDS: tuple[CommandName, ...] = ("set", "spectrum", "record", "survey")
TUNABLE = ("center_hz", "gain_db", "ppm", "bias_tee")
_OF_SURVEY = ("centers_hz", "from_hz", "to_hz", "step_hz", "dwell_s")
_OF_CENTER = next(f.metadata for f in fields(Receiver) if f.name == "center_hz")


class BadCommand(UsageError):
    """A command that cannot be; `id` is the one it had."""

    def __init__(self, message: str, hint: str, id_: int | None) -> None:
        super().__init__(message, hint)
        self.id = id_


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Asks for frames of the spectrum: so many a second, each of so many bins."""

    rate_hz: float = 5.0
    bins: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Asks for a capture of so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveying:
    """Asks to listen at each of these centres for so long."""

    centers_hz: tuple[int, ...]
    dwell_s: float = 60.0


Details = Mapping[str, Any] | Watching | Recording | Surveying | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that can be done; `details` of `set` are the settings to change, None ends what is going on."""

    name: CommandName
    details: Details
    id: int | None = None

    def to_json(self) -> str:
        """The line, without its newline."""
        details: Any = self.details
        if details is not None and not isinstance(details, Mapping):
            details = asdict(details)
        elif details is not None and details.get("gain_db", 0) is None:
            details = {**details, "gain_db": "auto"}
        return json.dumps({"id": self.id, self.name: details})


def from_json(line: str | bytes) -> Command:
    """Read a command. Raises UsageError saying what is wrong, with the `id` it had, if any, as attribute `id`."""
    known_id: int | None = None
    try:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageError("a command must be a JSON object on one line", LIMITS) from None
        if not isinstance(record, dict):
            raise UsageError("a command must be a JSON object on one line", LIMITS)
        given_id = record.pop("id", None)
        if given_id is not None:
            known_id = _whole("id", given_id, 0, LARGEST_ID)
        names = [name for name in COMMANDS if name in record]
        if len(names) != 1 or len(record) != 1:
            raise UsageError(f"a command has one of {', '.join(COMMANDS)}, and nothing else but an id", LIMITS)
        return Command(name=names[0], details=_details(names[0], record[names[0]]), id=known_id)
    except UsageError as wrong:
        raise BadCommand(str(wrong), wrong.hint, known_id) from None


def tuned(now: Tuning, changes: Mapping[str, Any]) -> Tuning:
    """`now` with these settings changed, each checked as in the configuration. Raises UsageError naming those wrong."""
    if unknown := [name for name in changes if name not in TUNABLE]:
        raise UsageError(f"set.{unknown[0]:.40} cannot be set; there are {', '.join(TUNABLE)}", LIMITS)
    values = {name: "auto" if name == "gain_db" and value is None else value for name, value in changes.items()}
    checked, wrong = settings_of(Receiver, values, "set")
    if wrong:
        raise UsageError("; ".join(wrong), LIMITS)
    return Tuning(**{name: getattr(checked if name in changes else now, name) for name in TUNABLE})


def _details(name: CommandName, details: Any) -> Details:
    if name == "set":
        if not isinstance(details, dict) or not details:
            raise UsageError(f"set needs an object with any of {', '.join(TUNABLE)}", LIMITS)
        tuned(Tuning(center_hz=0, gain_db=None, ppm=0, bias_tee=False), details)
        return details
    if details is None:
        return None
    if not isinstance(details, dict):
        raise UsageError(f"{name} needs an object with its details, or null to end it", LIMITS)
    allowed = {"spectrum": ("rate_hz", "bins"), "record": ("seconds",)}.get(name, _OF_SURVEY)
    if unknown := [key for key in details if key not in allowed]:
        raise UsageError(f"{name}.{unknown[0]:.40} is not known; there are {', '.join(allowed)}", LIMITS)
    if name == "spectrum":
        usual = Watching()
        return Watching(
            rate_hz=_between("rate_hz", details.get("rate_hz", usual.rate_hz), LEAST_FRAMES_PER_S, MOST_FRAMES_PER_S),
            bins=_whole("bins", details.get("bins", usual.bins), LEAST_BINS, MOST_BINS),
        )
    if name == "record":
        return Recording(seconds=_between("seconds", details.get("seconds"), SHORTEST_CAPTURE_S, LONGEST_CAPTURE_S))
    return _surveying(details)


def _surveying(details: Mapping[str, Any]) -> Surveying:
    low, high = (_OF_CENTER[end] for end in ("low", "high"))
    dwell_s = _between("dwell_s", details.get("dwell_s", 60.0), SHORTEST_DWELL_S, LONGEST_DWELL_S)
    if "centers_hz" in details:
        if any(key in details for key in _OF_SURVEY[1:4]):
            raise UsageError("a survey has either centers_hz, or from_hz, to_hz and step_hz", LIMITS)
        given = details["centers_hz"]
        if not isinstance(given, list) or not 1 <= len(given) <= MOST_CENTERS:
            raise UsageError(f"centers_hz must be a list of 1 to {MOST_CENTERS} frequencies", LIMITS)
        centers = tuple(_whole("centers_hz", one, low, high) for one in given)
    else:
        first, last = (_whole(key, details.get(key), low, high) for key in ("from_hz", "to_hz"))
        step = _whole("step_hz", details.get("step_hz"), 1, high)
        if not first <= last or (last - first) // step >= MOST_CENTERS:
            raise UsageError(f"from_hz, to_hz and step_hz must make 1 to {MOST_CENTERS} centres", LIMITS)
        centers = tuple(range(first, last + 1, step))
    if len(centers) * dwell_s > LONGEST_SURVEY_S:
        raise UsageError(f"a survey may take {LONGEST_SURVEY_S:g} s, this one {len(centers) * dwell_s:g} s", LIMITS)
    return Surveying(centers_hz=centers, dwell_s=dwell_s)


def _between(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"{name} = {value!r:.40} must be a number from {low:g} to {high:g}", LIMITS)
    return float(value)


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{name} = {value!r:.40} must be a whole number from {low:_} to {high:_}", LIMITS)
    return value
