"""What the page of a radio shows of a survey, and what its form holds before typing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.control.lines import Surveyed
from appliance.radio.controls import Controls
from appliance.web.frame.rendering import span
from appliance.web.views.radio.setting import LIMITS, decimals_of

DWELL_S = 30
# Beside the middle of the band the filter of a dongle falls off.
HEARD_OF_BAND = 0.85
# Where meters of the kinds that are understood send in the Americas, and how far to look around elsewhere.
BAND_HZ = (902_000_000, 928_000_000)
STEPS_ASIDE = 6


@dataclass(frozen=True, slots=True)
class Found:
    """For _radio_survey.html: what was heard at a centre. `bar` is its percentage of the most meters at any."""

    center_mhz: float
    meters: int
    messages: int
    seconds: float
    noise_floor_dbfs: float | None
    bar: float
    is_best: bool
    is_here: bool


@dataclass(frozen=True, slots=True)
class SurveyPart:
    """For _radio_survey.html: how a survey is coming on, and what the last one found.

    `state` is "" before the first; `usual` are the fields as they stand before typing, each with its decimals.
    """

    state: str
    position: int
    of: int
    center_mhz: float
    left: str
    percent: int
    meters: int
    messages: int
    detail: str
    found: Sequence[Found]
    usual: Mapping[str, tuple[float, int]]


def survey_of(controls: Controls | None, usual: Mapping[str, float]) -> SurveyPart:
    """How a survey is coming on, and what the last one found."""
    run = controls.survey if controls else None
    found = controls.surveyed if controls else ()
    here_hz = controls.tuning.center_hz if controls and controls.tuning else 0
    percent = round(100 * (run.position - 1) / run.of) if run and run.of else 0
    return SurveyPart(
        state=run.state if run else "",
        position=run.position if run else 0,
        of=run.of if run else 0,
        center_mhz=run.center_hz / 1e6 if run else 0.0,
        left=span(run.left_s, up=True) if run else "",
        percent=percent,
        meters=run.meters if run else 0,
        messages=run.messages if run else 0,
        detail=run.detail if run else "",
        found=_found(found, here_hz),
        usual={name: (value, decimals_of(value)) for name, value in usual.items()},
    )


def _found(found: Sequence[Surveyed], here_hz: int) -> list[Found]:
    most = max((one.distinct_meters for one in found), default=0)
    best = max(found, key=lambda one: (one.distinct_meters, one.messages), default=None)
    return [
        Found(
            center_mhz=one.center_hz / 1e6,
            meters=one.distinct_meters,
            messages=one.messages,
            seconds=one.seconds,
            noise_floor_dbfs=one.noise_floor_dbfs,
            bar=round(100 * one.distinct_meters / most, 1) if most else 0.0,
            is_best=one is best and most > 0 and len(found) > 1,
            # The radio's own steps are some hertz wide.
            is_here=abs(one.center_hz - here_hz) < 1000,
        )
        for one in found
    ]


def usual_survey(center_hz: int, rate_hz: int) -> dict[str, float]:
    """Where to look if nobody says: the whole band, in steps that leave no gap, past the centre that is set.

    >>> usual_survey(912_600_000, 2_359_296)
    {'from': 902.6, 'to': 926.6, 'step': 2.0, 'dwell': 30}
    """
    step_hz = max(100_000, int(HEARD_OF_BAND * rate_hz / 1e5) * 100_000)
    low_hz, high_hz = BAND_HZ
    if not low_hz <= center_hz <= high_hz:
        low_hz, high_hz = center_hz - STEPS_ASIDE * step_hz, center_hz + STEPS_ASIDE * step_hz
    lowest, highest = LIMITS["center_hz"]
    low_hz, high_hz = max(low_hz, lowest), min(high_hz, highest)
    first = center_hz - (center_hz - low_hz) // step_hz * step_hz
    last = center_hz + (high_hz - center_hz) // step_hz * step_hz
    return {"from": round(first / 1e6, 3), "to": round(last / 1e6, 3), "step": step_hz / 1e6, "dwell": DWELL_S}
