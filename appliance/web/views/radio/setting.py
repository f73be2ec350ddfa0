"""What the page of a radio shows of how it is set, and within which limits that may be."""

from dataclasses import dataclass, fields

from appliance.config import Receiver
from appliance.model import ReceiverState, Tuning
from appliance.radio.controls import Controls
from appliance.web.condition import reached_by
from appliance.web.times import Shown

LIMITS = {f.name: (f.metadata["low"], f.metadata["high"]) for f in fields(Receiver) if "low" in f.metadata}


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
        return max(3, decimals_of(self.now.center_hz / 1e6))


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


def decimals_of(value: float) -> int:
    """With how many decimals a frequency in MHz or a time in s is told without a loss."""
    return next((digits for digits in range(6) if round(value, digits) == round(value, 6)), 6)
