"""What the site asks of a receiver: real child processes, our own on the simulated street and ones that misbehave."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.config import Receiver
from appliance.control.lines import Spectrum
from appliance.errors import SourceLost, SourceUnavailable, UsageError
from appliance.model import Message
from appliance.radio import controls as module
from appliance.radio import task
from appliance.radio.captures import Captures
from appliance.radio.controls import MOST_WAITING, Controls
from appliance.radio.task import Radio

SIMULATED = Receiver(name="roof", source="simulated")
SURVEY = (
    '{"type":"survey","state":"running","position":1,"of":9,"center_hz":1,"left_s":9,"messages":0,"meters":0,'
    '"detail":""}'
)
RECORDED = (
    '{"type":"recorded","state":"recording","name":"x","seconds":1,"of_s":9,"bytes":0,"lost_samples":0,"detail":""}'
)
FAKE = """
import json, os, sys, time
def say(**line):
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\\n")
def commands():
    for line in sys.stdin:
        open("told", "a").write(line)
        yield json.loads(line)
"""


class Site:
    """A radio that is run as the supervisor does, again and again."""

    def __init__(self, receiver: Receiver, captures: Path | None = None) -> None:
        self.heard: list[Message] = []
        self.radio = Radio(receiver, lambda message, _: self.heard.append(message), captures=captures)
        self.controls = self.radio.controls
        self.lives = 0

    async def _run(self) -> None:
        while True:
            self.lives += 1
            try:
                await self.radio.run(lambda reason: None)
            except SourceLost:
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Site"]:
        running = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(60):
                yield self
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def until(self, done: Callable[[], object]) -> None:
        while not done():
            await asyncio.sleep(0.02)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Site]:
    """Makes a site whose own receiver is a script."""

    def made(source: str) -> Site:
        script = tmp_path / "child.py"
        script.write_text(FAKE + textwrap.dedent(source), encoding="utf-8")
        words = (sys.executable, "-u", str(script))
        monkeypatch.setattr(task, "command_line", lambda receiver, captures: words)
        monkeypatch.chdir(tmp_path)
        return Site(SIMULATED)

    return made


def pids_of(site: Site) -> list[int]:
    """The processes that this one started."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


async def test_set_watch_record_and_survey_on_the_simulated_street(tmp_path: Path) -> None:
    async with Site(SIMULATED, tmp_path).running() as site:
        controls = site.controls
        await site.until(lambda: controls.tuning)
        assert controls.configured == controls.tuning
        accepted = await controls.set(center_hz=911_000_000, gain_db=39)
        assert (accepted.center_hz, accepted.gain_db) == (911_000_000, 38.6)
        assert site.radio.state.tuning == accepted
        with pytest.raises(UsageError, match=r"set\.ppm = 999 must be"):
            await controls.set(ppm=999)
        number, frame = await watched(controls)
        later, _ = await watched(controls, number)
        assert later > number
        assert frame.center_hz == 911_000_000
        before = controls.revision
        await controls.record(0.5)
        with pytest.raises(UsageError, match="capture is being recorded"):
            await controls.begin_survey((911_000_000,), 2)
        await site.until(lambda: controls.recorded and controls.recorded.state == "done")
        assert await controls.changed(before, 5) > before
        (kept,) = await controls.captures()
        assert kept.bytes == 2 * 1_179_648
        assert kept.data.parent == tmp_path / "roof"
        await controls.begin_survey((500_000_000, 911_000_000), 1)
        await site.until(lambda: controls.survey and controls.survey.state == "done")
        assert [one.center_hz for one in controls.surveyed] == [500_000_000, 911_000_000]
        assert controls.surveyed[0].messages == 0
        assert await controls.delete_capture(kept.name)
        assert not await controls.delete_capture(kept.name)
        assert not await controls.delete_capture("../../etc/passwd")
        assert list((tmp_path / "roof").iterdir()) == []
        assert await controls.reset() == controls.configured
        assert controls.by_hand is None


async def watched(controls: Controls, after: int = 0) -> tuple[int, Spectrum]:
    found = await controls.spectrum(after)
    assert found is not None
    return found


async def test_settings_by_hand_are_made_again_and_what_was_going_on_says_that_it_was_cut_short() -> None:
    async with Site(SIMULATED).running() as site:
        controls = site.controls
        await site.until(lambda: controls.tuning)
        await controls.set(ppm=7)
        await watched(controls)
        await controls.begin_survey((500_000_000,), 600)
        await site.until(lambda: controls.survey)
        for pid in pids_of(site):
            os.kill(pid, signal.SIGKILL)
        await site.until(lambda: controls.survey and controls.survey.state == "failed")
        assert controls.survey
        assert "cut short" in controls.survey.detail
        assert "SIGKILL" in controls.survey.detail
        assert site.radio.state.tuning is None
        with pytest.raises(SourceUnavailable, match=r"does not run|ended"):
            await controls.set(ppm=8)
        await site.until(lambda: controls.tuning)
        assert controls.tuning
        assert (controls.tuning.ppm, controls.tuning.center_hz) == (7, SIMULATED.center_hz)
        number, _ = await watched(controls)
        assert await controls.spectrum(number) is not None


async def test_who_waits_for_an_answer_hears_that_the_receiver_ended(fake: Callable[[str], Site]) -> None:
    site = fake("next(commands()); sys.stderr.write('usb broke\\n'); sys.exit(3)")
    async with site.running():
        await site.until(lambda: site.lives == 1)
        with pytest.raises(SourceUnavailable) as told:
            while True:
                with_luck = site.controls.set(ppm=1)
                try:
                    await with_luck
                except SourceUnavailable as fault:
                    if "does not run" not in str(fault):
                        raise
                await asyncio.sleep(0.02)
        assert "usb broke" in str(told.value)


async def test_a_receiver_that_does_not_answer_and_too_many_who_ask(
    fake: Callable[[str], Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.3)
    site = fake("say(type='set', id=None, center_hz=1, gain_db=None, ppm=0, bias_tee=False); list(commands())")
    async with site.running():
        await site.until(lambda: site.controls.tuning)
        asked = await asyncio.gather(
            *(site.controls.set(ppm=1) for _ in range(MOST_WAITING + 1)), return_exceptions=True
        )
        words = [str(one) for one in asked]
        assert sum("did not answer" in one for one in words) == MOST_WAITING
        assert "too many ask at once" in words[-1]
        assert site.controls.by_hand is None


async def test_the_spectrum_ends_when_nobody_asks_any_more(
    fake: Callable[[str], Site], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "LEASE_S", 0.3)
    site = fake(
        """
        import threading
        on = threading.Event()
        def frames():
            while on.wait():
                say(type="spectrum", time="2026-03-01T12:00:00Z", center_hz=1, span_hz=1, seconds=0.1,
                    noise_floor_dbfs=None, mean_dbfs=[1], peak_dbfs=[1], bursts=[], bursts_left_out=0)
                time.sleep(0.05)
        threading.Thread(target=frames, daemon=True).start()
        say(type="set", id=None, center_hz=1, gain_db=None, ppm=0, bias_tee=False)
        for command in commands():
            on.set() if command["spectrum"] else on.clear()
            say(type="accepted", id=command["id"], command="spectrum")
        """
    )
    async with site.running():
        await site.until(lambda: site.controls.tuning)
        frames = await asyncio.gather(*(watched(site.controls) for _ in range(20)))
        assert len({number for number, _ in frames}) == 1
        told = tmp_path / "told"
        await site.until(lambda: '"spectrum": null' in told.read_text())
        assert told.read_text().count('"rate_hz"') == 1
        number, _ = await watched(site.controls)
        assert (await watched(site.controls, number))[0] > number
        assert told.read_text().count('"rate_hz"') == 2
        site.controls._asked_at_s = 0
        await site.until(lambda: told.read_text().count("null") >= 2)


async def test_rubbish_on_the_control_channel_is_counted(fake: Callable[[str], Site]) -> None:
    site = fake("""print('{"type":"set","id":1}'); print('{"type":"spectrum","x":[]}'); time.sleep(60)""")
    async with site.running():
        await site.until(lambda: site.radio.state.garbage.get("not a message") == 2)
        assert site.controls.tuning is None


async def test_a_capture_that_the_receiver_did_not_finish_has_failed(fake: Callable[[str], Site]) -> None:
    site = fake(f"print({RECORDED!r}); print({SURVEY!r}); sys.stdout.flush(); time.sleep(0.2); sys.exit(3)")
    async with site.running():
        await site.until(lambda: site.controls.recorded and site.controls.recorded.state == "failed")
        assert site.controls.recorded
        assert site.controls.recorded.detail == "cut short: ended with exit code 3"


async def test_a_program_of_its_own_takes_nothing() -> None:
    controls = Controls(Receiver(name="old", command=("rtlamr",)), None)
    for ask in (
        lambda: controls.set(ppm=1),
        controls.reset,
        controls.spectrum,
        lambda: controls.record(1),
        lambda: controls.begin_survey((911_000_000,), 1),
        controls.stop_survey,
    ):
        with pytest.raises(UsageError, match="old is a program of its own"):
            await ask()
    assert (controls.configured, controls.tuning) == (None, None)
    assert await controls.captures() == []


async def test_what_cannot_be_is_refused_before_anything_is_deleted_for_it(tmp_path: Path) -> None:
    controls = Controls(SIMULATED, tmp_path)
    keep(tmp_path, "20260101T000000Z-912600155Hz.sigmf-data", 10)
    for seconds in (0, -1, 61, float("nan")):
        with pytest.raises(UsageError, match="seconds"):
            await controls.record(seconds)
    with pytest.raises(UsageError, match="centers_hz"):
        await controls.begin_survey((1,), 5)
    with pytest.raises(SourceUnavailable, match="does not run"):
        await controls.record(1)
    assert len(await controls.captures()) == 1


def keep(folder: Path, name: str, size: int) -> None:
    (folder / name).write_bytes(bytes(size))
    (folder / name).with_suffix(".sigmf-meta").write_text("{}")


def test_the_oldest_captures_make_room(tmp_path: Path) -> None:
    captures = Captures(tmp_path, budget_bytes=100)
    names = [f"2026010{day}T000000Z-912600155Hz.sigmf-data" for day in range(1, 5)]
    for name in names:
        keep(tmp_path, name, 30)
    (tmp_path / "mine.txt").write_text("not a capture")
    (tmp_path / "20260109T000000Z-1Hz.sigmf-data").write_text("without metadata")
    assert [kept.name for kept in captures.list()] == names[::-1]
    captures.make_room(40)
    assert [kept.name for kept in captures.list()] == names[:1:-1]
    captures.make_room(1000)
    assert captures.list() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["20260109T000000Z-1Hz.sigmf-data", "mine.txt"]


def test_the_pages_may_import_it_without_the_weight_of_numpy() -> None:
    words = "import sys, appliance.radio.controls; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0
