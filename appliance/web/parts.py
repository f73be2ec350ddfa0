"""What the pages look at, handed in by the program that starts the site."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from appliance.config import Wrong
from appliance.model import ReceiverState
from appliance.store.rows import StoreStatus
from appliance.store.writer import Store
from appliance.supervisor import Health


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ClockState:
    """What the time is taken from ("ntp", "rtc", ... or "estimate"), and how far off it may be; None: no bound."""

    source: str
    uncertainty_ms: int | None


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The running appliance as the site sees it; `run_id` differs each time the program starts.

    `wrong` is what is wrong in `config_file`; `halted` says that for it nothing is received or kept, so that there
    is nothing to show but that. `storage` and `clock` are None until they can be told.
    """

    site_name: str
    names: tuple[str, ...]
    store: Store
    receivers: Callable[[], Sequence[ReceiverState]]
    health: Callable[[], Mapping[str, Health]]
    storage: Callable[[], StoreStatus | None] = lambda: None
    clock: Callable[[], ClockState | None] = lambda: None
    config_file: str = ""
    wrong: tuple[Wrong, ...] = ()
    halted: bool = False
    now: Callable[[], datetime] = _now
    started: datetime = field(default_factory=_now)
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def simulated(self) -> bool:
        """Whether any receiver hears what is made up."""
        return any(receiver.simulated for receiver in self.receivers())

    @property
    def uptime_s(self) -> float:
        """How long the program has run."""
        return (self.now() - self.started).total_seconds()


PARTS = web.AppKey("PARTS", Parts)
