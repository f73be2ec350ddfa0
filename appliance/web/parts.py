"""What the pages look at, handed in by the program that starts the site."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from appliance.model import ReceiverState
from appliance.store.writer import Store
from appliance.supervisor import Health


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The running appliance as the site sees it; `run_id` differs each time the program starts."""

    site_name: str
    names: tuple[str, ...]
    store: Store
    receivers: Callable[[], Sequence[ReceiverState]]
    health: Callable[[], Mapping[str, Health]]
    now: Callable[[], datetime] = _now
    started: datetime = field(default_factory=_now)
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def simulated(self) -> bool:
        """Whether any receiver hears what is made up."""
        return any(receiver.simulated for receiver in self.receivers())


PARTS = web.AppKey("PARTS", Parts)
