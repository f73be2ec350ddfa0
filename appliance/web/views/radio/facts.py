"""What the page of a radio shows of what is measured and counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.control.lines import Spectrum
from appliance.model import REFUSALS, ReceiverState, Tuning
from appliance.web.views.radio.frames import strongest

MOST_REASONS = 8
LONGEST_REASON = 40


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole: `percent` of it, and of the largest part, for its bar. `words` say what it is."""

    name: str
    words: str
    number: int
    percent: float
    bar: float


@dataclass(frozen=True, slots=True)
class Facts:
    """For _radio_facts.html. Numbers are None until the receiver told them.

    `a_minute` is how many messages came in the last minute that somebody looked, else (`is_mean`) since the start.
    `is_settling`: it was set just now, and what is told of how it is set is of before.
    """

    is_settling: bool
    center_mhz: float | None
    rate_msps: float | None
    gain_db: float | None
    ppm: int | None
    noise_floor_dbfs: float | None
    level_dbfs: float | None
    strongest: tuple[float, float] | None
    clipped_percent: float
    dropped: int
    dropped_s: float
    a_minute: float | None
    is_mean: bool
    messages: int
    restarts: int
    candidates: int
    skipped: int
    refused: int
    refused_by: Sequence[Share]
    protocols: Sequence[Share]
    garbage: Sequence[tuple[str, int]]


def facts_of(
    receiver: ReceiverState, frame: Spectrum | None, a_minute: float | None, is_mean: bool, tuned: Tuning | None = None
) -> Facts:
    """What a receiver measures and counts; it was `tuned` just now."""
    status, tuning = receiver.status, receiver.tuning
    rate_hz = status.sample_rate_hz if status else 0
    refused = dict(status.refused) if status else {}
    return Facts(
        is_settling=tuned is not None
        and status is not None
        and (tuned.center_hz, tuned.gain_db) != (status.center_hz, status.gain_db),
        center_mhz=status.center_hz / 1e6 if status else None,
        rate_msps=rate_hz / 1e6 if status else None,
        gain_db=status.gain_db if status else None,
        ppm=tuning.ppm if tuning else None,
        noise_floor_dbfs=status.noise_floor_dbfs if status else None,
        level_dbfs=status.level_dbfs if status else None,
        strongest=strongest(frame) if frame else None,
        clipped_percent=100 * status.clipped if status else 0.0,
        dropped=status.dropped_samples if status else 0,
        dropped_s=status.dropped_samples / rate_hz if status and rate_hz else 0.0,
        a_minute=a_minute,
        is_mean=is_mean,
        messages=receiver.messages,
        restarts=receiver.restarts,
        candidates=status.candidates if status else 0,
        skipped=status.skipped_candidates if status else 0,
        refused=sum(refused.values()),
        refused_by=shares(refused, REFUSALS)[:MOST_REASONS],
        protocols=shares({name.upper(): number for name, number in receiver.by_protocol.items()}),
        garbage=sorted(receiver.garbage.items(), key=lambda item: -item[1]),
    )


def shares(counts: Mapping[str, int], words: Mapping[str, str] | None = None) -> list[Share]:
    """Counts by name as parts of their sum, the largest first, without the empty ones.

    >>> [(one.name, one.percent, one.bar) for one in shares({"a": 1, "b": 3, "c": 0})]
    [('b', 75.0, 100.0), ('a', 25.0, 33.3)]
    """
    total, most = sum(counts.values()) or 1, max(counts.values(), default=0) or 1
    ranked = sorted(((name, number) for name, number in counts.items() if number), key=lambda item: -item[1])
    return [
        Share(
            name=name[:LONGEST_REASON],
            words=(words or {}).get(name, ""),
            number=number,
            percent=round(100 * number / total, 1),
            bar=round(100 * number / most, 1),
        )
        for name, number in ranked
    ]
