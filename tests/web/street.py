"""Radios for the tests of their page: one that hears the simulated street, and one whose every line the test gives."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from appliance.config import Receiver
from appliance.control.commands import from_json
from appliance.control.lines import Accepted, Burst, Line, Recorded, Refused, Set, Spectrum, Survey, Surveyed
from appliance.model import ReceiverState
from appliance.radio.controls import Controls
from tests.radio.test_controls import Site as Running
from tests.web.conftest import NOW, RECEIVER, STATUS, Site, served

BINS = 256


def frame(number: int = 0, **fields: Any) -> Spectrum:
    """A frame with a carrier that moves from one to the next, and two bursts."""
    levels = [-50.0 + (n * 7 + number) % 5 for n in range(BINS)]
    levels[number % BINS] = -10.0
    heard = Burst(
        frequency_hz=912_345_678, start_s=0.1, length_s=0.006, snr_db=21.0, outcome="heard", meter_id=60243827
    )
    other = replace(heard, frequency_hz=911_700_000, start_s=0.15, outcome="checksum", meter_id=None)
    given: dict[str, Any] = {
        "time": NOW + timedelta(seconds=number / 5), "center_hz": 912_600_155, "span_hz": 2_359_296, "seconds": 0.2,
        "noise_floor_dbfs": -52.3, "mean_dbfs": tuple(level - 6 for level in levels), "peak_dbfs": tuple(levels),
        "bursts": (other, heard), "bursts_left_out": 0,
    }  # fmt: skip
    return Spectrum(**given | fields)


class Process:
    """Stands at the other end of the control channel: answers as a receiver does, and keeps what it was told."""

    def __init__(self, controls: Controls) -> None:
        self.controls = controls
        self.told: list[dict[str, Any]] = []
        self.refuses = ""

    def write(self, line: bytes) -> None:
        """A command has come."""
        command = from_json(line)
        self.told.append(json.loads(line))
        answer: Line = Accepted(id=command.id, command=command.name)
        if self.refuses:
            answer = Refused(id=command.id, reason=self.refuses)
        elif command.name == "set":
            assert isinstance(command.details, dict)
            asked = {key: None if value == "auto" else value for key, value in command.details.items()}
            answer = Set(id=command.id, **asked)
        asyncio.get_running_loop().call_soon(self.controls.take, answer)

    async def drain(self) -> None:
        """There is always room."""


def by_hand(site: Site, captures: Path, **fields: Any) -> Process:
    """Give the site's receiver controls, and them a process that the test speaks for."""
    controls = Controls(Receiver(name="street", **fields), captures)
    process = Process(controls)
    controls.started(process)  # type: ignore[arg-type]
    controls.take(Set(id=None, center_hz=912_600_155, gain_db=None, ppm=0, bias_tee=False))
    site.controls["street"] = controls
    return process


def busy(process: Process, state: ReceiverState = RECEIVER) -> ReceiverState:
    """Let it have something of all that a page can show; its state then."""
    controls = process.controls
    for n, meters in enumerate((3, 12, 0)):
        found = Surveyed(
            center_hz=910_600_000 + 2_000_000 * n, seconds=30.0, messages=4 * meters, meters_left_out=0,
            meters={"scm": tuple(range(1, meters + 1))}, noise_floor_dbfs=-52.3 if meters else None,
        )  # fmt: skip
        controls.take(found)
    controls.take(
        Survey(
            state="running", position=4, of=13, center_hz=916_600_000, left_s=272.5, messages=31, meters=9, detail=""
        )
    )
    controls.take(
        Recorded(
            state="failed", name="x", seconds=3.5, of_s=60.0, bytes=16_515_072, lost_samples=9, detail="no room at all"
        )
    )
    refused = {"no preamble": 123_456, "checksum": 1234, "unconfirmed": 56, "<b>odd": 7, "duplicate": 0}
    status = replace(
        STATUS, gain_db=38.6, clipped=0.052, dropped_samples=1_179_648, refused=refused, candidates=125_000,
        skipped_candidates=77, messages=999,
    )  # fmt: skip
    return replace(
        state, status=status, messages=123_456, by_protocol={"scm": 100_000, "r900bcd": 23_456}, restarts=3,
        garbage={"not JSON": 2}, tuning=controls.tuning, configured=controls.configured,
    )  # fmt: skip


@asynccontextmanager
async def heard(directory: Path) -> AsyncIterator[tuple[Site, Running]]:
    """A site whose radio is the real receiver on the simulated street."""
    street = Running(Receiver(name="street", source="simulated"), directory / "captures")
    site = Site(directory / "data", controls={"street": street.controls})
    # Looked at anew by each request, as the program hands it in.
    site.receivers = States(street)  # type: ignore[assignment]
    async with street.running(), served(site):
        await street.until(lambda: street.controls.tuning)
        yield site, street


class States:
    """The state of a radio as it is whenever somebody looks."""

    def __init__(self, street: Running) -> None:
        self._street = street

    def __iter__(self) -> Any:
        return iter([self._street.radio.state])

    def __len__(self) -> int:
        return 1
