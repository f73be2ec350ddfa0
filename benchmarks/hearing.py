"""What share of a scene's messages the receiver hears, and whether it makes any up."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from appliance.model import Message
from appliance.radio.receiver import Receiver
from appliance.radio.sources.samples import CU8, Converter
from benchmarks.scenes import CENTER_HZ, RATE_HZ, Sent, render

SAME_PLACE_S = 1e-3


@dataclass
class Heard:
    """The outcome of a scene: for each message sent whether it was heard, and with how many bits corrected."""

    sent: list[Sent]
    corrected: dict[int, int] = field(default_factory=dict)
    false: list[Message] = field(default_factory=list)
    repeated: int = 0

    @property
    def share(self) -> float:
        return len(self.corrected) / max(1, len(self.sent))

    def by_level(self, uncorrected: bool) -> list[tuple[float, float]]:
        """Share heard at each Eb/N0 in dB; `uncorrected` leaves out messages with corrected bits."""
        levels: dict[float, list[bool]] = {}
        for i, sent in enumerate(self.sent):
            heard = i in self.corrected and not (uncorrected and self.corrected[i])
            levels.setdefault(sent.level_db, []).append(heard)
        return [(level, float(np.mean(heard))) for level, heard in sorted(levels.items())]

    def half(self, uncorrected: bool) -> float:
        """The Eb/N0 in dB at which half of the messages are heard: a logistic curve fitted to all levels."""
        points = self.by_level(uncorrected)
        levels = np.array([level for level, _ in points])
        shares = np.array([share for _, share in points])
        halves = np.arange(levels.min() - 2, levels.max() + 2, 0.02)
        slopes = np.arange(0.5, 6, 0.25)
        model = 1 / (1 + np.exp(-slopes[:, None, None] * (levels - halves[None, :, None])))
        likelihood = (shares * np.log(model + 1e-9) + (1 - shares) * np.log(1 - model + 1e-9)).sum(axis=2)
        return float(halves[np.unravel_index(likelihood.argmax(), likelihood.shape)[1]])


def listen(blocks: Iterable[NDArray[np.uint8]], rate_hz: float = RATE_HZ) -> list[Message]:
    """Every message that the receiver finds in cu8 blocks."""
    receiver = Receiver(rate_hz, CENTER_HZ, datetime(2026, 1, 1, tzinfo=UTC))
    converter = Converter(CU8)
    messages: list[Message] = []
    for block in blocks:
        for start in range(0, len(block), 2**18):
            messages += receiver.feed(converter.to_complex(block[start : start + 2**18]))
    return messages + receiver.flush()


def hear(
    what: str, scene: tuple[list[Sent], int], noise_codes: float, seed: int, rate_hz: float = RATE_HZ, skip: int = 0
) -> Heard:
    """Render the scene, listen to it, and compare; the first `skip` messages are an introduction and not counted."""
    sent, n_samples = scene
    print(f"  {what}: {len(sent)} messages in {n_samples / rate_hz:.0f} s …", file=sys.stderr, flush=True)
    result = Heard(sent)
    places = np.array([s.sample for s in sent])
    for message in listen(render(sent, n_samples, noise_codes, seed, rate_hz), rate_hz):
        near = np.flatnonzero(np.abs(places - message.sample) < SAME_PLACE_S * rate_hz)
        match = [i for i in near if _same(sent[i], message)]
        if not match:
            result.false.append(message)
        elif match[0] in result.corrected:
            result.repeated += 1
        else:
            result.corrected[int(match[0])] = message.corrected_bits
    result.sent = sent[skip:]
    result.corrected = {i - skip: bits for i, bits in result.corrected.items() if i >= skip}
    return result


def _same(sent: Sent, message: Message) -> bool:
    fields = message.meter_id, message.endpoint_type, message.tamper_phy, message.tamper_enc, message.consumption
    return tuple(sent.message[:5]) == fields
