"""A site whose settings lie in files, on a machine that a test builds, to be set up."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.config import Draft, read
from appliance.lasting import FILE
from appliance.model import ReceiverState
from appliance.sync.sealing import Sealing
from appliance.web.parts import Parts
from tests.doctor.machines import Pi
from tests.web.conftest import RECEIVER, Site, served


@dataclass
class SetUp(Site):
    """`told` is what the deployer's file says; `started_anew` counts how often that was asked for."""

    told: str = ""
    started_anew: int = 0
    pi: Pi = field(init=False)
    sealing: Sealing = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.pi = Pi(self.directory.parent / "machine")
        self.pi.write("sys/class/net/eth0/operstate", "up")
        self.pi.write("sys/class/net/eth0/type", "1")
        self.pi.write("sys/class/net/eth0/device", "")
        self.file = self.directory.parent / "appliance.toml"
        self.file.write_text(f"{self.told}\n[store]\ndirectory = '{self.directory}'\n")
        self.receivers = [simulated()]
        self.sealing = Sealing(self.store)

    @property
    def draft(self) -> Draft:
        """What the settings are now."""
        return read(self.file)

    @property
    def kept(self) -> str:
        """What stands in the file of the page's settings."""
        path = self.directory / FILE
        return path.read_text() if path.exists() else ""

    def parts(self) -> Parts:
        draft = self.draft
        return replace(
            super().parts(),
            site_name=draft.config.site.name,
            draft=draft,
            wrong=draft.wrong,
            config_file=str(self.file),
            machine=self.pi.machine,
            sealing=self.sealing,
            start_anew=self._start_anew,
        )

    def _start_anew(self) -> None:
        self.started_anew += 1


def simulated() -> ReceiverState:
    """The receiver of a demonstration."""
    return dataclasses.replace(RECEIVER, name="simulated", source="simulated", simulated=True)


@asynccontextmanager
async def set_up(directory: Path, told: str = "", **fields: Any) -> AsyncIterator[SetUp]:
    """Serve one."""
    made = SetUp(directory / "data", told=told, is_open=False, **fields)
    async with served(made):
        yield made
    made.sealing.close()
