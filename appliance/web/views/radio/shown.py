"""What the page of a radio shows, put together of its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.config import Receiver
from appliance.model import ReceiverState
from appliance.radio.captures import Kept
from appliance.radio.controls import Controls
from appliance.web.condition import source_of
from appliance.web.verdict import Deed, of_receiver
from appliance.web.views.radio.captured import CapturePart, captures_of
from appliance.web.views.radio.facts import Facts
from appliance.web.views.radio.one_radio import Trouble, address_of, under_way
from appliance.web.views.radio.setting import ByHand, Setting, setting_of
from appliance.web.views.radio.surveyed import SurveyPart, survey_of, usual_survey

USUAL = Receiver()


@dataclass(frozen=True, slots=True)
class RadioPage:
    """For radio.html and its parts.

    `setting` is None for a program of its own, which takes nothing from here. `busy` says in words what goes on that
    leaves no time for anything else. `deed` is what somebody must do about it.
    """

    name: str
    address: str
    radios: Sequence[tuple[str, str]]
    state: str
    reason: str
    source: str
    simulated: bool
    deed: Deed | None
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
        source=source_of(receiver),
        simulated=receiver.simulated,
        deed=of_receiver(receiver),
        facts=facts,
        setting=setting,
        survey=survey_of(controls, asked or usual_survey(center_hz, rate_hz)),
        captures=captures_of(controls, kept, rate_hz),
        busy=under_way(controls) if controls else "",
        may_act=may_act,
        **more,
    )
