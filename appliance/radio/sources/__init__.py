"""Where samples come from: a dongle, an rtl_tcp server, a recording, standard input, a simulated neighbourhood.

One file per source; `open_source` picks it by the spec and imports nothing else. A source is an iterator of
blocks. A live one also yields empty blocks while nothing comes, several times a second, so that its reader gets
its turn: to say how it is going, or to stop.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.errors import UsageError

MIN_RATE_HZ = 1_000_000
MAX_RATE_HZ = 3_200_000
BLOCK_SAMPLES = 131_072
NO_SAMPLES: NDArray[np.complex64] = np.empty(0, np.complex64)


class Block(NamedTuple):
    """Samples in a row: `iq` complex64 (n,), full scale ±1, good until the next block is asked for.

    `lost` samples are known to be missing just before the first of `iq`.
    """

    iq: NDArray[np.complex64]
    lost: int = 0


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What to open and how; `gain_db` None leaves the gain to the tuner.

    `source`: "rtlsdr", "rtlsdr:SERIAL", "rtl_tcp://host:port", "simulated", "-" or the path of a recording.
    `told` names the settings that somebody gave on purpose: they outrank a recording's metadata.
    """

    source: str
    sample_rate_hz: int = 2_359_296
    center_hz: int = 912_600_155
    gain_db: float | None = None
    ppm: int = 0
    bias_tee: bool = False
    sample_format: str | None = None
    seed: int = 1
    told: frozenset[str] = frozenset()

    @property
    def live(self) -> bool:
        """Whether samples come as time passes; a recording has its own time."""
        return self.source in ("-", "simulated") or self.tunable

    @property
    def settable(self) -> bool:
        """Whether centre and gain can be set while it runs."""
        return self.tunable or self.source == "simulated"

    @property
    def tunable(self) -> bool:
        """Whether the source is a receiver that takes the settings, and may come back when it is gone."""
        return self.source.split(":")[0] in ("rtlsdr", "rtl_tcp")


class Source(Protocol):
    """An open source. `rate_hz` and `center_hz` are what it really does, which may differ from what was asked."""

    @property
    def rate_hz(self) -> float: ...
    @property
    def center_hz(self) -> float: ...
    @property
    def gain_db(self) -> float | None: ...
    @property
    def description(self) -> str: ...
    @property
    def simulated(self) -> bool: ...

    def blocks(self) -> Iterator[Block]:
        """Blocks in order until the source ends; raises SourceLost or SourceHung when it fails."""
        ...

    def tune(self, settings: SourceSettings) -> None:
        """Take over centre, gain, correction and supply of `settings` while samples come; the others stay.

        What had come before and was not yet handed out is dropped and counted as lost. `center_hz` and `gain_db` say
        afterwards what the radio made of it. Raises UsageError where there is nothing to set, and the SourceError
        family as `blocks` does.
        """
        ...

    def close(self) -> None:
        """Give back what is open; may be called twice, and while `blocks` is suspended."""
        ...


def check_rate(rate_hz: float) -> None:
    """Raise UsageError unless the receiver can work at this sample rate."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise UsageError(
            f"a sample rate of {rate_hz:g} Hz is not usable",
            f"Choose one from {MIN_RATE_HZ} to {MAX_RATE_HZ} samples a second, such as 2359296.",
        )


def open_source(settings: SourceSettings) -> Source:
    """Open what the settings name.

    Raises SourceUnavailable (not there now), SourceHung (the driver does not answer), InputError (a recording
    that is not usable), UsageError (a setting that cannot be).
    """
    kind, _, rest = settings.source.partition(":")
    check_rate(settings.sample_rate_hz)
    if settings.source == "simulated":
        from appliance.radio.sources.simulated import SimulatedSource

        return SimulatedSource(settings)
    if kind == "rtl_tcp":
        from appliance.radio.sources.rtl_tcp import RtlTcpSource

        return RtlTcpSource(settings)
    if kind == "rtlsdr":
        from appliance.radio.sources.rtlsdr import RtlSdrSource

        return RtlSdrSource(settings, serial=rest or None)
    from appliance.radio.sources.recording import RecordingSource

    return RecordingSource(settings)
