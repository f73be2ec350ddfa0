"""The simulated neighbourhood as a source: it comes as time passes, like a dongle's samples."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from appliance.errors import UsageError
from appliance.radio.simulate import BLOCK_SAMPLES, Neighbourhood
from appliance.radio.sources import Block, SourceSettings
from appliance.radio.sources.gains import GAINS, nearest_db

# A reader that is farther behind than this gets the present, and is told what it missed: so would a dongle's.
BEHIND_S = 1.0
TUNER = "R820T"
# What its automatic gain comes to on this street.
AUTOMATIC_DB = 36.4


class SimulatedSource:
    """`settings.seed` chooses the street, the time of day what its registers show.

    Raises UsageError when the seed is none.
    """

    simulated = True

    def __init__(
        self,
        settings: SourceSettings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not 0 <= settings.seed < 2**32:
            raise UsageError(f"seed {settings.seed} is out of range", f"Choose one from 0 to {2**32 - 1}.")
        self.rate_hz = float(settings.sample_rate_hz)
        self.description = f"simulated neighbourhood (seed {settings.seed})"
        self._clock = clock
        self._sleep = sleep
        self._start = now()
        self._closed = False
        self.tune(settings)

    def tune(self, settings: SourceSettings) -> None:
        """From the next block on the same street is received so; a crystal to correct and a supply it has none."""
        self.center_hz = float(settings.center_hz)
        self.gain_db = nearest_db(settings.gain_db, GAINS[TUNER])
        more_db = 0.0 if self.gain_db is None else self.gain_db - AUTOMATIC_DB
        self._street = Neighbourhood(
            settings.seed, settings.sample_rate_hz, settings.center_hz, self._start, gain_db=more_db
        )

    def blocks(self) -> Iterator[Block]:
        """Blocks without end, each when its last sample would have arrived."""
        began_s = self._clock()
        number = lost = 0
        of, street = self._street, self._street.blocks()
        while not self._closed:
            skipped = 0
            ahead_s = (number + 1) * BLOCK_SAMPLES / self.rate_hz - (self._clock() - began_s)
            if ahead_s > 0:
                self._sleep(ahead_s)
            elif ahead_s < -BEHIND_S:
                skipped = int(-ahead_s * self.rate_hz) // BLOCK_SAMPLES
                number += skipped
                lost += skipped * BLOCK_SAMPLES
            if skipped or of is not self._street:
                of, street = self._street, self._street.blocks(number)
            yield Block(next(street), lost)
            number += 1
            lost = 0

    def close(self) -> None:
        """End `blocks`."""
        self._closed = True
