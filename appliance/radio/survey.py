"""A walk through centre frequencies: which of them hears most meters? The radio ends where it was."""

from collections.abc import Callable

from appliance.control.commands import Surveying
from appliance.control.lines import MOST_METERS, Survey, Surveyed
from appliance.model import Message, Tuning

# Anyone can transmit any number of IDs.
MOST_COUNTED = 10_000
TELL_S = 1.0


class SurveyRun:
    """One survey; `home` is how the radio was set before.

    Whoever drives it tunes to `center_hz` and calls `arrived`, counts by `heard`, and goes on when `due`.
    """

    def __init__(self, asked: Surveying, home: Tuning, monotonic: Callable[[], float]) -> None:
        self.home = home
        self._asked = asked
        self._monotonic = monotonic
        self._position = 0
        self.arrived()

    @property
    def center_hz(self) -> int | None:
        """Where to listen next or now; None when all are done."""
        left = self._asked.centers_hz[self._position :]
        return left[0] if left else None

    @property
    def due(self) -> bool:
        """Whether this centre has had its time."""
        return self._monotonic() - self._since_s >= self._asked.dwell_s

    def arrived(self) -> None:
        """Count from now on, for the centre of this position."""
        self._since_s = self._monotonic()
        self._told_s = float("-inf")
        self._messages = 0
        self._meters: dict[str, set[int]] = {}

    def heard(self, message: Message) -> None:
        """Count a message."""
        self._messages += 1
        ids = self._meters.setdefault(message.protocol, set())
        if len(ids) < MOST_COUNTED:
            ids.add(message.meter_id)

    def leave(self) -> None:
        """The next centre is now the one to tune to; what is counted is still for the one before."""
        self._position += 1

    def result(self, noise_floor_dbfs: float | None) -> Surveyed:
        """What was heard at the centre just left."""
        shown: dict[str, tuple[int, ...]] = {}
        left_out = 0
        for protocol, ids in sorted(self._meters.items()):
            room = MOST_METERS - sum(len(one) for one in shown.values())
            shown[protocol] = tuple(sorted(ids)[:room])
            left_out += len(ids) - len(shown[protocol])
        return Surveyed(
            center_hz=self._asked.centers_hz[self._position - 1],
            seconds=round(self._monotonic() - self._since_s, 1),
            messages=self._messages,
            meters=shown,
            meters_left_out=left_out,
            noise_floor_dbfs=noise_floor_dbfs,
        )

    def progress(self) -> Survey | None:
        """How it is coming on, once a second."""
        if self._monotonic() - self._told_s < TELL_S:
            return None
        self._told_s = self._monotonic()
        return self.state("running")

    def state(self, state: str, detail: str = "") -> Survey:
        """How it is."""
        of = len(self._asked.centers_hz)
        here = min(self._position, of - 1)
        here_s = max(0.0, self._asked.dwell_s - (self._monotonic() - self._since_s))
        return Survey(
            state=next(known for known in ("running", "done", "stopped", "failed") if known == state),
            position=here + 1,
            of=of,
            center_hz=self._asked.centers_hz[here],
            left_s=round(here_s + (of - 1 - here) * self._asked.dwell_s if state == "running" else 0.0, 1),
            messages=self._messages,
            meters=sum(map(len, self._meters.values())),
            detail=detail,
        )
