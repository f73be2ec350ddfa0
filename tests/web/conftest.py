"""A site on a free port, fed by hand: its ledger, receivers, health and the machine's clocks are the test's."""

import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.clock import Boot, stamp
from appliance.model import Message, RadioStatus, ReceiverState
from appliance.radio.controls import Controls
from appliance.store.accounts import TECHNICIAN
from appliance.store.ledger import Meter
from appliance.store.people import AccountRow, SessionRow
from appliance.store.rows import EventKind, MeterKey
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store
from appliance.supervisor import Health
from appliance.web.frame.passwords import kept
from appliance.web.parts import Parts
from appliance.web.site import serving
from tests.machine import FREE, START, Machine

NOW = START
STATUS = RadioStatus(
    time=NOW, state="running", source="RTL-SDR 00000001", simulated=False, sample_rate_hz=2_359_296,
    center_hz=912_600_155, gain_db=None, samples=0, dropped_samples=0, noise_floor_dbfs=-52.34, level_dbfs=-40.0,
    clipped=0.0, messages=0, candidates=0, skipped_candidates=0, refused={},
)  # fmt: skip
RECEIVER = ReceiverState(
    name="street", source="rtlsdr", simulated=False, state="running", reason="", restarts=0, messages=0, garbage={},
    status=STATUS,
)  # fmt: skip


PASSWORD = "four words do not rhyme"
KEPT = kept(PASSWORD)
STARTED_S = Machine.ms / 1000
TEN_YEARS_MS = 315_360_000_000


@dataclass
class Site:
    """What a test turns, and where it looks at the result; unless the machine says otherwise, NTP holds its clock.

    Where it `is_open` pages are read without log-in; to do something there one `logs_in`.
    """

    directory: Path
    machine: Machine = field(default_factory=Machine)
    url: str = ""
    port: int = 0
    receivers: list[ReceiverState] = field(default_factory=lambda: [RECEIVER])
    controls: dict[str, Controls] = field(default_factory=dict)
    is_open: bool = True
    health: dict[str, Health] = field(default_factory=lambda: {"store": Health(), "receiver street": Health()})

    def __post_init__(self) -> None:
        self.store = Store(self.directory, 60, self.machine.clock())
        self.store.clock.poll()

    def parts(self) -> Parts:
        return Parts(
            site_name="Calle Álvarez <12>",
            names=("meters.example",),
            store=self.store,
            receivers=lambda: self.receivers,
            controls=self.controls,
            health=lambda: self.health,
            is_open=self.is_open,
            monotonic=lambda: self.machine.ms / 1000,
            started_s=STARTED_S,
        )

    def hear(self, meter_id: int, simulated: bool = False, **fields: Any) -> None:
        now = datetime.fromtimestamp(self.machine.utc_ms / 1000, UTC)
        given: dict[str, Any] = {
            "time": now, "protocol": "scm", "meter_id": meter_id, "endpoint_type": 4, "commodity": "electric",
            "tamper_phy": 0, "tamper_enc": 3, "consumption": 31160, "checksum": 40837, "frequency_hz": 912_345_678,
            "snr_db": 23.5, "corrected_bits": 0, "sample": 0,
        }  # fmt: skip
        self.store.hear(Message(**given | fields), simulated)

    def heard_before(self, meter_id: int) -> None:
        """Let the machine have been started once before, and have heard a meter then but nobody who told the time."""
        self.store.clock.begin([Boot(1, "before", 7_200_000, 0)], [])
        at = stamp(1, 7_100_000)
        key = MeterKey("scm", meter_id, False)
        self.store.ledger.restore([Meter(key, "electric", 4, at, at, 31160, 0, 3, changed_at=at)])

    def pass_time(self, seconds: float) -> None:
        self.machine.pass_time(seconds)

    def receiver(self, **fields: Any) -> None:
        self.receivers = [replace(RECEIVER, **fields)]

    def logs_in(self, name: str = "ana") -> dict[str, str]:
        """The cookies of a browser in which somebody has just logged in."""
        return logged_in(self.store, name)

    async def keep(self, budget_bytes: int = 10**12) -> None:
        """Put what was heard onto the card, and have the history looked after."""
        await self.store.open()
        assert await self.store.commit() == ""
        await Upkeep(self.store, budget_bytes, lambda: self.machine.ms / 1000).tend()


def logged_in(store: Store, name: str = "ana") -> dict[str, str]:
    """The cookies of a browser in which somebody has just logged in."""
    people, now, token = store.people, store.clock.now(), secrets.token_hex(16)
    people.is_known = True
    people.accounts.setdefault(name, AccountRow(name, KEPT, TECHNICIAN, now - 1, now))
    people.begin(SessionRow(hashlib.sha256(token.encode()).hexdigest(), name, now, now, now), 0)
    return {"session": token}


def recorded(store: Store) -> list[tuple[str, dict[str, object]]]:
    """The events that a store is given from now on, kind and detail."""
    noted: list[tuple[str, dict[str, object]]] = []
    record = store.record

    def noting(kind: EventKind, detail: Mapping[str, object], meter: MeterKey | None = None) -> None:
        noted.append((kind, dict(detail)))
        record(kind, detail, meter)

    store.record = noting  # type: ignore[method-assign]
    return noted


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(Site(tmp_path)) as one:
        yield one


@pytest.fixture
async def lost(tmp_path: Path) -> AsyncIterator[Site]:
    """A site on a machine that nobody told the time: its clock is ten years late."""
    async with served(Site(tmp_path, Machine(system_off_ms=-TEN_YEARS_MS, kernel=FREE))) as one:
        yield one


@asynccontextmanager
async def served(one: Site) -> AsyncIterator[Site]:
    async with serving(one.parts(), "127.0.0.1", 0) as one.port:
        one.url = f"http://127.0.0.1:{one.port}"
        yield one
    if one.store.catalogue is not None:
        await one.store.close()
