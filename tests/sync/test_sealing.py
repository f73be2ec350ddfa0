"""When batches are sealed: by the clock, soon after an event, and before rows become history."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from appliance.errors import StoreError
from appliance.store.backup import restore
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store
from appliance.sync import sealing as module
from appliance.sync.sealing import Sealing
from tests.store.box import Box
from tests.sync.test_outbox import batches, told


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """An appliance with an empty data directory."""
    return Box(tmp_path / "data")


async def soon(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not ready():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(store: Store, box: Box) -> AsyncIterator[tuple[Sealing, list[str]]]:
    """The outbox of a store, under way; and what it reports."""

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    sealing, reports = Sealing(store, monotonic=lambda: float(box.now_s), sleep=at_once), list[str]()
    store.on_events = sealing.wake
    task = asyncio.create_task(sealing.run(reports.append))
    try:
        await soon(lambda: bool(reports) or task.done())
        yield sealing, reports
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if task.done() and not task.cancelled() and task.exception():
        raise task.exception()  # type: ignore[misc]


async def test_an_event_is_told_soon(box: Box) -> None:
    async with box.store() as store, running(store, box):
        box.hear(store, 3)
        await soon(lambda: bool(batches(box)))
        before = len(batches(box))
        # In the first minute of an hour a counter moves.
        box.now_s += 3600
        box.hear(store, 1)
        await store.commit()
        await soon(lambda: len(batches(box)) > before)
    assert batches(box)[-1].parts[-1].events[-1].kind == "tamper"


async def test_the_clock_has_it_sealed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEAL_S", 0.01)
    async with box.store() as store, running(store, box) as (_, reports):
        await soon(lambda: len(batches(box)) == 1)
        store.on_events = lambda: None
        box.hear(store, 3)
        await soon(lambda: len(batches(box)) == 2)
    assert set(reports) == {""}


async def test_many_events_do_not_wear_out_the_card(box: Box) -> None:
    async with box.store() as store:
        sealing = Sealing(store, monotonic=lambda: 0.0)
        for _ in range(100):
            sealing._event.clear()
            sealing.wake()
        assert not sealing._event.is_set()


async def test_history_is_told_before_it_is_sealed(box: Box) -> None:
    async with box.store() as store:
        sealing = Sealing(store)
        keeper = Upkeep(store, monotonic=lambda: float(box.now_s), before_seal=sealing.catch_up)
        for _ in range(3):
            box.hear(store, 30)
            await store.commit()
            await keeper._seal()
        sealing.close()
    found, everything = batches(box), box.everything()
    assert [len(b.parts) for b in found] == [1, 1, 1]
    assert told(found, box) == (everything["reading"], everything["reception"])


async def test_a_full_card_is_said_and_history_goes_on(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    async with box.store() as store:
        with monkeypatch.context() as patched:
            patched.setattr(module.Outbox, "seal", full)
            async with running(store, box) as (sealing, reports):
                assert set(reports) == {"the card is full"}
                keeper = Upkeep(store, monotonic=lambda: float(box.now_s), before_seal=sealing.catch_up)
                box.hear(store, 30)
                await store.commit()
                await keeper._seal()
        async with running(store, box) as (_, reports):
            assert set(reports) == {""}
    found, everything = batches(box), box.everything()
    assert told(found, box) == (everything["reading"], everything["reception"])


async def test_a_damaged_key_is_said(box: Box) -> None:
    async with box.store() as store, running(store, box):
        pass
    for path in (box.directory / "identity").glob("000001.*"):
        path.write_bytes(b"")
    with pytest.raises(StoreError, match="damaged"):
        async with box.store() as store, running(store, box):
            pass


async def test_a_restore_begins_a_new_epoch(box: Box, tmp_path: Path) -> None:
    """The machine that the backup was made of may go on: what both tell is told apart."""
    async with box.store() as store, running(store, box):
        box.hear(store, 20)
    backup = tmp_path / "backup"
    shutil.copytree(box.directory, backup)
    async with box.store() as store, running(store, box) as (sealing, _):
        box.hear(store, 20)
        await sealing.seal_now()
        assert sealing._current().identity.epoch == 1
        shutil.copytree(backup, box.directory / "handover" / "restore")
        (box.directory / "handover" / "restore" / restore.ABOUT).write_text(json.dumps({"made": "once"}))
        await box.upkeep(store).tend()
        box.hear(store, 20)
        assert await sealing.seal_now() == ""
        # A number that no other machine has on which the same backup was restored.
        assert (epoch := sealing._current().identity.epoch) > 1
        assert not (box.directory / "identity" / restore.NEW_KEY).exists()
        assert await sealing.seal_now() == ""
        assert sealing._current().identity.epoch == epoch
    found = batches(box)
    assert {b.epoch for b in found} == {1, epoch}
    assert next(b.sequence for b in found if b.epoch == epoch) == 1
    assert set(told(found, box)[0]) == set(box.everything()["reading"])


async def test_an_outbox_that_is_younger_than_the_databases_of_its_backup(box: Box, tmp_path: Path) -> None:
    """Rows are numbered anew from where the databases end: what has the number of something told is told, too."""
    backup = box.directory / "handover" / "restore"
    async with box.store() as store, running(store, box) as (sealing, _):
        box.hear(store, 20)
        await sealing.seal_now()
        shutil.copytree(box.directory, tmp_path / "backup", ignore=shutil.ignore_patterns("outbox"))
        box.hear(store, 20)
        await sealing.seal_now()
        shutil.copytree(box.directory / "outbox", tmp_path / "backup" / "outbox")
    shutil.rmtree(box.directory)
    backup.parent.mkdir(parents=True)
    shutil.move(tmp_path / "backup", backup)
    (backup / restore.ABOUT).write_text(json.dumps({"made": "once"}))
    assert restore.take_up(box.directory)
    box.restart()
    async with box.store() as store:
        # More than was told beyond the databases, before anything is sealed.
        box.hear(store, 60)
        assert await store.commit() == ""
        async with running(store, box) as (sealing, _):
            assert await sealing.seal_now() == ""
    reading, reception = told(batches(box), box)
    assert set(reading) >= set(box.everything()["reading"])
    assert set(reception) >= set(box.everything()["reception"])
