"""What the page of a radio shows of its recordings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance import zones
from appliance.control.commands import LONGEST_CAPTURE_S
from appliance.radio.captures import BUDGET_BYTES, Kept
from appliance.radio.controls import SAMPLE_BYTES, Controls


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
