"""What the page of a radio shows: how it does, how it is set, what a survey found, what was recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from appliance import zones
from appliance.config import Receiver
from appliance.control.commands import LONGEST_CAPTURE_S
from appliance.control.lines import Spectrum, Surveyed
from appliance.model import REFUSALS, ReceiverState, Tuning
from appliance.radio.captures import BUDGET_BYTES, Kept
from appliance.radio.controls import SAMPLE_BYTES, Controls
from appliance.web.condition import LONGEST_SOURCE, reached_by
from appliance.web.frame.rendering import span
from appliance.web.times import Shown
from appliance.web.views.radio.frames import strongest
from appliance.web.views.radio.one_radio import Trouble, address_of, under_way

MOST_REASONS = 8
LONGEST_REASON = 40
DWELL_S = 30
# Beside the middle of the band the filter of a dongle falls off.
HEARD_OF_BAND = 0.85
# Where meters of the kinds that are understood send in the Americas, and how far to look around elsewhere.
BAND_HZ = (902_000_000, 928_000_000)
STEPS_ASIDE = 6
USUAL = Receiver()
LIMITS = {f.name: (f.metadata["low"], f.metadata["high"]) for f in fields(Receiver) if "low" in f.metadata}


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


@dataclass(frozen=True, slots=True)
class ByHand:
    """Who set a radio by hand, and when."""

    who: str
    since: Shown


@dataclass(frozen=True, slots=True)
class Setting:
    """For _radio_tuning.html: `now` is what the radio accepted, `lasting` what the configuration says."""

    now: Tuning
    lasting: Tuning
    by_hand: ByHand | None
    is_by_hand: bool
    has_bias_tee: bool

    @property
    def decimals(self) -> int:
        """With how many decimals the centre is told in MHz without a loss."""
        return max(3, _decimals(self.now.center_hz / 1e6))


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


@dataclass(frozen=True, slots=True)
class Capture:
    """For _radio_captures.html: one that is kept; `when` by the appliance's clock of then."""

    name: str
    meta: str
    when: datetime
    center_mhz: float
    bytes: int


@dataclass(frozen=True, slots=True)
class CapturePart:
    """For _radio_captures.html: how one is coming on, or how the last one ended, and those that are kept."""

    state: str
    seconds: float
    of_s: float
    bytes: int
    percent: int
    lost: int
    detail: str
    kept: Sequence[Capture]
    second_bytes: int
    budget_bytes: int
    longest_s: float


@dataclass(frozen=True, slots=True)
class RadioPage:
    """For radio.html and its parts.

    `setting` is None for a program of its own, which takes nothing from here. `busy` says in words what goes on that
    leaves no time for anything else.
    """

    name: str
    address: str
    radios: Sequence[tuple[str, str]]
    state: str
    reason: str
    source: str
    simulated: bool
    reached_by: str
    facts: Facts
    setting: Setting | None
    survey: SurveyPart
    captures: CapturePart
    busy: str
    may_act: bool
    trouble: Trouble | None = None
    now_ms: int = 0
    now_text: str = ""

    def typed(self, part: str, name: str, usual: object) -> object:
        """What stands in a field: what was typed and refused, else what is so."""
        return self.trouble.typed.get(name, usual) if self.trouble and self.trouble.part == part else usual

    def wrong(self, part: str, name: str = "") -> Trouble | None:
        """What is wrong with a field, or with the whole of a form."""
        is_it = self.trouble and (self.trouble.part, self.trouble.place) == (part, name)
        return self.trouble if is_it else None


def setting_of(receiver: ReceiverState, controls: Controls | None, by_hand: ByHand | None) -> Setting | None:
    """How a receiver is set."""
    if controls is None or controls.configured is None:
        return None
    is_by_hand = controls.by_hand is not None
    return Setting(
        now=controls.tuning or controls.by_hand or controls.configured,
        lasting=controls.configured,
        by_hand=by_hand if is_by_hand else None,
        is_by_hand=is_by_hand,
        has_bias_tee=reached_by(receiver.source) in ("usb", "network"),
    )


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
        usual={name: (value, _decimals(value)) for name, value in usual.items()},
    )


def _decimals(value: float) -> int:
    """With how many decimals a frequency in MHz or a time in s is told without a loss."""
    return next((digits for digits in range(6) if round(value, digits) == round(value, 6)), 6)


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


def captures_of(controls: Controls | None, kept: Sequence[Kept], rate_hz: int) -> CapturePart:
    """How a capture is coming on, and those that are there."""
    last = controls.recorded if controls else None
    return CapturePart(
        state=last.state if last else "",
        seconds=last.seconds if last else 0.0,
        of_s=last.of_s if last else 0.0,
        bytes=last.bytes if last else 0,
        percent=round(100 * last.seconds / last.of_s) if last and last.of_s else 0,
        lost=last.lost_samples if last else 0,
        detail=last.detail if last else "",
        kept=[_capture(one) for one in kept],
        second_bytes=rate_hz * SAMPLE_BYTES,
        budget_bytes=BUDGET_BYTES,
        longest_s=LONGEST_CAPTURE_S,
    )


def _capture(kept: Kept) -> Capture:
    began, _, center = kept.name.partition("-")
    when = datetime.strptime(began, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return Capture(
        name=kept.name,
        meta=kept.meta.name,
        when=when.astimezone(zones.here()),
        center_mhz=int(center.partition("Hz")[0]) / 1e6,
        bytes=kept.bytes,
    )


def page_of(
    receiver: ReceiverState,
    controls: Controls | None,
    radios: Sequence[str],
    facts: Facts,
    by_hand: ByHand | None,
    kept: Sequence[Kept],
    may_act: bool,
    asked: Mapping[str, float] | None = None,
    **more: Any,
) -> RadioPage:
    """The page of a receiver as of now; `asked` are the fields of the last survey."""
    status = receiver.status
    setting = setting_of(receiver, controls, by_hand)
    rate_hz = status.sample_rate_hz if status and status.sample_rate_hz else USUAL.sample_rate_hz
    center_hz = setting.now.center_hz if setting else USUAL.center_hz
    return RadioPage(
        name=receiver.name,
        address=address_of(receiver.name),
        radios=[(name, address_of(name)) for name in radios],
        state=receiver.state,
        reason=receiver.reason,
        source=(status.source if status and status.source else receiver.source)[:LONGEST_SOURCE],
        simulated=receiver.simulated,
        reached_by=reached_by(receiver.source),
        facts=facts,
        setting=setting,
        survey=survey_of(controls, asked or usual_survey(center_hz, rate_hz)),
        captures=captures_of(controls, kept, rate_hz),
        busy=under_way(controls) if controls else "",
        may_act=may_act,
        **more,
    )
