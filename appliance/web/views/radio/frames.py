"""Frames of the spectrum as the page takes them: small, and made once for all who look.

Levels are a byte a bin, in half decibels above `LOWEST_DBFS`: finer is nothing that can be seen, and coarser makes
bands in the waterfall. A frame of 256 bins has some 800 bytes, so that five a second go over a slow phone link.
"""

import base64
import json
from collections.abc import Sequence

from appliance.control.lines import Burst, Spectrum

LOWEST_DBFS = -120.0
STEPS_PER_DB = 2
# What can be told apart in a fifth of a second; the ones heard come first.
MOST_MARKS = 20
HEARD = "heard"


def packed(number: int, frame: Spectrum) -> str:
    """A frame as JSON: `n` its number, `center` and `span` in Hz, `s` how long, `floor`; bins by increasing frequency.

    `peak` and `mean` are levels, `marks` are bursts: frequency, start in s, whether heard, the meter's ID or null.
    """
    return json.dumps(
        {
            "n": number,
            "center": frame.center_hz,
            "span": frame.span_hz,
            "s": frame.seconds,
            "floor": frame.noise_floor_dbfs,
            "peak": levels(frame.peak_dbfs),
            "mean": levels(frame.mean_dbfs),
            "marks": [_mark(burst) for burst in _foremost(frame.bursts)],
        },
        separators=(",", ":"),
    )


def levels(decibels: Sequence[float]) -> str:
    """Levels in dB of full scale as bytes in base 64.

    >>> base64.b64decode(levels([-120.0, -119.4, -200.0, 30.0])).hex()
    '000100ff'
    """
    steps = (round((value - LOWEST_DBFS) * STEPS_PER_DB) for value in decibels)
    return base64.b64encode(bytes(min(255, max(0, step)) for step in steps)).decode()


def strongest(frame: Spectrum) -> tuple[float, float] | None:
    """Where most came in, MHz, and how much, dB of full scale; None for a frame without bins."""
    bins = frame.peak_dbfs
    if not bins:
        return None
    most = max(range(len(bins)), key=bins.__getitem__)
    return (frame.center_hz + ((most + 0.5) / len(bins) - 0.5) * frame.span_hz) / 1e6, bins[most]


def _foremost(bursts: Sequence[Burst]) -> list[Burst]:
    return sorted(bursts, key=lambda burst: (burst.outcome != HEARD, -burst.snr_db))[:MOST_MARKS]


def _mark(burst: Burst) -> tuple[int, float, int, int | None]:
    return burst.frequency_hz, burst.start_s, int(burst.outcome == HEARD), burst.meter_id
