"""What the pages look at, handed in by the program that starts the site."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from aiohttp import web

from appliance.config import Config, Draft, Wrong
from appliance.machine import Machine
from appliance.model import ReceiverState
from appliance.radio.controls import Controls
from appliance.recent_log import RecentLog
from appliance.store.accounts import Accounts
from appliance.store.rows import StoreStatus
from appliance.store.writer import Store
from appliance.supervisor import Health
from appliance.sync.courier import Courier
from appliance.sync.gate import Gate
from appliance.sync.sealing import Sealing
from appliance.web.first_account import FirstAccount
from appliance.web.times import Times


class Editions:
    """Names what all rows of the pages hang on, anew whenever a part of it was exchanged for another."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] = ()
        self._name = ""

    def name(self, *of: object) -> str:
        """The name of the edition that hangs on these very objects; the run of the program is part of it."""
        if len(of) != len(self._of) or any(one is not known for one, known in zip(of, self._of, strict=True)):
            self._of, self._name = of, secrets.token_hex(4)
        return self._name


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The running appliance as the site sees it.

    `wrong` is what is wrong in `config_file`; `halted` says that for it nothing is received or kept, so that there
    is nothing to show but that. `sealing` has the outbox, and `courier`, if any, carries it off; `gate` is where
    aggregators come to, None when no key of one is set. If it `is_open` whoever comes may read. By HTTPS the site is
    at `https_port`, 0 if it is not. `controls` is what a person may ask of each receiver, by its name, in the order of
    the receivers; `start_anew` stops all parts and starts them again, as the settings then are; `draft` is what they
    are, and where each comes from.
    """

    site_name: str
    names: tuple[str, ...]
    store: Store
    receivers: Callable[[], Sequence[ReceiverState]]
    health: Callable[[], Mapping[str, Health]]
    config_file: str = ""
    wrong: tuple[Wrong, ...] = ()
    halted: bool = False
    gate: Gate | None = None
    sealing: Sealing | None = None
    courier: Courier | None = None
    first_account: FirstAccount | None = None
    controls: Mapping[str, Controls] = field(default_factory=dict)
    start_anew: Callable[[], None] = lambda: None
    draft: Draft = field(default_factory=lambda: Draft(None, Config()))
    machine: Machine = field(default_factory=Machine)
    recent_log: RecentLog = field(default_factory=RecentLog)
    is_open: bool = False
    https_port: int = 0
    monotonic: Callable[[], float] = time.monotonic
    started_s: float = field(default_factory=time.monotonic)
    editions: Editions = field(default_factory=Editions)

    @cached_property
    def accounts(self) -> Accounts:
        """Who may log in."""
        return Accounts(self.store)

    @property
    def simulated(self) -> bool:
        """Whether any receiver hears what is made up."""
        return any(receiver.simulated for receiver in self.receivers())

    @property
    def uptime_s(self) -> float:
        """How long the program has run."""
        return self.monotonic() - self.started_s

    @property
    def times(self) -> Times:
        """Now, and what else is shown together with it."""
        return Times(self.store.clock)

    @property
    def storage(self) -> StoreStatus | None:
        """How the store is; None until its files were first measured."""
        status = self.store.status()
        return status if status.bytes_used else None

    @property
    def edition(self) -> str:
        """Differs when the rows of a page are to be replaced: other data, UTC known better, or other assignments."""
        return self.editions.name(self.store.ledger, self.store.clock.timeline, self.store.assigned)


PARTS = web.AppKey("PARTS", Parts)
# Which has the templates.
PACKAGE = "appliance.web"
