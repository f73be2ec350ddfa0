"""A stick that is served by itself: plugged in, pulled out, full, and plugged in again."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.stick import Stick as Ingested
from appliance.store.writer import Store
from appliance.sync.courier import About
from appliance.sync.plugged import AGAIN_S, LOOK_S, RESULT, Plugged, mounted
from appliance.sync.sealing import Sealing
from appliance.sync.stick import folder_of
from appliance.sync.taking import Taking
from tests.store.box import Box
from tests.sync.centre import NOW_MS, Centre
from tests.sync.sticks import KINDS, Stick
from tests.sync.test_courier import stored

Appliance = tuple[Box, Store, Sealing]


class Looking:
    """What serves the stick, look by look; time passes only between two of them."""

    def __init__(self, here: Appliance, there: Centre, place: Path) -> None:
        _, store, sealing = here
        self.now_s = 0.0
        self.reports: list[str] = []
        self._go_on, self._looked = asyncio.Event(), asyncio.Event()
        taking, about = Taking(sealing, there.keys), About("Calle 5", "0.1.0", "TOKEN234")
        self.plugged = Plugged(place, store, sealing, taking, about, self._sleep, lambda: self.now_s)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Looking"]:
        task = asyncio.create_task(self.plugged.run(lambda words, hint: self.reports.append(words)))
        try:
            await self._until_looked()
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def look(self, after_s: float = LOOK_S) -> list[str]:
        """Let it look once more; what it reported since."""
        self.now_s += after_s
        self.reports.clear()
        self._looked.clear()
        self._go_on.set()
        await self._until_looked()
        return list(self.reports)

    async def _until_looked(self) -> None:
        async with asyncio.timeout(30):
            await self._looked.wait()

    async def _sleep(self, _seconds: float) -> None:
        self._looked.set()
        await self._go_on.wait()
        self._go_on.clear()


async def ingested(there: Centre, root: Path) -> None:
    taken = Ingested(root, there.worker, Appliances(there.database))
    async for _ in taken.take_in(NOW_MS):
        for known in await there.appliances.all("waiting"):
            await there.appliances.approve(known.identity, NOW_MS)
    taken.write_receipts()


@pytest.mark.parametrize("kind", KINDS)
async def test_to_the_centre_and_back_by_itself(here: Appliance, there: Centre, tmp_path: Path, kind: str) -> None:
    box, store, sealing = here
    made = Stick(tmp_path / "stick", kind)
    identity = await sealing.of(lambda outbox: outbox.identity)
    async with Looking(here, there, made.root).running() as looking:
        assert await looking.look() == []
        box.hear(store, 15)
        with made.plugged() as root:
            assert await looking.look() == [""]
            folder = folder_of(root, identity.appliance)
            text = (folder / RESULT).read_text("utf-8-sig")
            assert "this stick may be pulled out" in text
            assert "se puede retirar" in text
            assert f"{identity.fingerprint}, 2026-03-01 13:" in text
            assert "Waiting batches on it: 4" in text
            # The newest was sealed for it.
            assert len(list(folder.rglob("*.batch"))) == 4
            assert b"TOKEN234" not in (folder / "introduction.enrolment").read_bytes()
            # It stays: once is enough, for an hour.
            assert await looking.look() == []
            assert await looking.look(AGAIN_S) == [""]
        assert await looking.look() == []
        with made.plugged() as root:
            await ingested(there, root)
        with made.plugged() as root:
            assert await looking.look() == [""]
            assert "Receipts taken in: 4; known already: 0; refused: 0" in (folder / RESULT).read_text("utf-8-sig")
            assert sorted(path.name for path in folder.rglob("*.*")) == [RESULT, "introduction.enrolment"]
    assert await sealing.of(lambda outbox: list(outbox.waiting)) == []
    assert await stored(there, box) == box.everything()["reading"]
    assert list(made.root.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_full_stick_is_said_and_served_when_it_comes_back(
    here: Appliance, there: Centre, tmp_path: Path, kind: str
) -> None:
    made = Stick(tmp_path / "stick", kind)
    async with Looking(here, there, made.root).running() as looking:
        with made.plugged() as root:
            about = os.statvfs(root)
            (root / "filler").write_bytes(bytes(about.f_bavail * about.f_frsize - 2 * about.f_frsize))
            (said,) = await looking.look()
            assert said.startswith(f"the stick at {made.root} was not served: the stick is full; ")
            assert not list(root.rglob(RESULT))
            assert await looking.look() == []
            (root / "filler").unlink()
        assert await looking.look() == []
        with made.plugged():
            assert await looking.look() == [""]


@pytest.mark.parametrize("kind", KINDS)
async def test_pulled_out_halfway_the_next_time_counts(
    here: Appliance, there: Centre, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Stick(tmp_path / "stick", kind)
    seal_now = Sealing.seal_now

    async def pull(self: Sealing) -> str:
        # Between what is taken in and what is put there.
        made.pull()
        return await seal_now(self)

    async with Looking(here, there, made.root).running() as looking:
        with made.plugged():
            monkeypatch.setattr(Sealing, "seal_now", pull)
            await looking.look()
            monkeypatch.setattr(Sealing, "seal_now", seal_now)
            # Nothing landed on the card in its place.
            assert list(made.root.iterdir()) == []
        assert await looking.look() == []
        # Nobody came back within the hour.
        assert await looking.look(AGAIN_S) == [""]
        with made.plugged() as root:
            assert await looking.look() == [""]
            assert len(list(root.rglob("*.batch"))) == 3


async def test_a_trap_is_said(here: Appliance, there: Centre, tmp_path: Path) -> None:
    made = Stick(tmp_path / "stick", "ext4")
    async with Looking(here, there, made.root).running() as looking:
        with made.plugged() as root:
            (root / "meter-appliance").symlink_to(tmp_path)
            (said,) = await looking.look()
            assert "is no folder, but a link or a file" in said
    assert not (tmp_path / (await here[2].of(lambda outbox: outbox.identity.appliance))).exists()


@pytest.mark.parametrize("made", [Path.mkdir, Path.touch, lambda path: None])
def test_what_is_no_mount_is_none(tmp_path: Path, made: Callable[[Path], None]) -> None:
    made(tmp_path / "METERS")
    assert mounted(tmp_path / "METERS") is None


async def test_it_stops_in_the_midst(here: Appliance, there: Centre, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    looking = Looking(here, there, tmp_path / "folder")
    task = asyncio.create_task(looking.plugged.serve(tmp_path / "folder"))
    await asyncio.sleep(0)
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
