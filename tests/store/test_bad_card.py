"""Cards that are full, read-only or failing: nothing is corrupted, readings wait in memory, all resumes by itself."""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from appliance.assignment import Assignment
from appliance.errors import StoreError
from appliance.store import ledger, queries, retention, upkeep
from appliance.store.assign import assign
from appliance.store.assigned import Assigned
from appliance.store.rows import MeterKey
from appliance.store.schema import COPY, HISTORY, PHRASES
from appliance.store.writer import Store
from tests.store.box import START, Box, contents, is_whole
from tests.store.conftest import Remount

Bad = Callable[[Store], contextlib.AbstractAsyncContextManager[None]]
FAULTS = (OSError, sqlite3.Error)


@contextlib.contextmanager
def too_small(directory: Path) -> Iterator[None]:
    """Something else takes all that is free on the card."""
    with (directory / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    yield
    (directory / "ballast").unlink()


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """What is written fails beyond the first bytes of each file, which is an error of the card to SQLite."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(params=["full", "read-only", "failing"])
def bad(request: pytest.FixtureRequest, small_card: Remount, tmp_path: Path) -> Bad:
    """A card that does not take what is written, in one way or another."""

    @contextlib.asynccontextmanager
    async def be_bad(store: Store) -> AsyncIterator[None]:
        if request.param == "read-only":
            # Linux does not let a card become so on demand while a file on it is open for writing.
            await store.disconnect()
            small_card("ro")
            yield
            small_card("rw")
        else:
            with too_small(tmp_path) if request.param == "full" else failing():
                yield

    return be_bad


async def test_each_fault_has_its_words(box: Box, small_card: Remount, tmp_path: Path) -> None:
    async with box.store() as store:
        for words in ("the card is full", "the card is read-only", "the card reports errors"):
            box.hear(store, 100)
            with contextlib.ExitStack() as stack:
                if words == "the card is full":
                    stack.enter_context(too_small(tmp_path))
                elif words == "the card reports errors":
                    stack.enter_context(failing())
                else:
                    await store.disconnect()
                    small_card("ro")
                    stack.callback(small_card, "rw")
                assert await store.commit() == words
            assert await store.commit() == ""


async def test_the_list_before_stays_assigned(box: Box, bad: Bad) -> None:
    meters = tuple(Assignment.of(1 + n, "", "house", "Calle 5", "1") for n in range(5000))
    before, after = Assigned(1, 1, meters[:9]), Assigned(2, 2, meters)
    async with box.store() as store:
        assert await assign(store, before)
        async with bad(store):
            with pytest.raises(StoreError, match=r"what is assigned cannot be kept: the (card|database)"):
                await assign(store, after)
            assert store.assigned == before
        assert await assign(store, after)
        assert store.assigned == after
    assert is_whole(box.directory)


async def test_readings_wait_in_memory(box: Box, bad: Bad) -> None:
    async with box.store() as store:
        box.hear(store, 30)
        assert await store.commit() == ""
        async with bad(store):
            for _ in range(3):
                box.hear(store, 10, meters=60)
                assert await store.commit() in PHRASES
            assert store.status().trouble in PHRASES
            assert store.status().readings_waiting >= 1800
        box.hear(store, 1)
        assert await store.commit() == ""
        assert store.status().trouble == ""
        assert store.status().readings_waiting == 0
    assert len(box.everything()["reading"]) == 30 * 10 + 30 * 60 + 10
    assert (len(box.events("storage_failed")), len(box.events("storage_recovered"))) == (1, 1)
    assert is_whole(box.directory)


async def test_so_many_at_most(box: Box, bad: Bad, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_READINGS", 500)
    async with box.store() as store:
        async with bad(store):
            box.hear(store, 100)
            assert await store.commit() in PHRASES
            box.hear(store, 100)
            assert await store.commit() in PHRASES
            assert store.status().readings_waiting == 500
            assert store.status().readings_lost == 1500
        assert await store.commit() == ""
        # The last ones are those that count.
        expected = {meter.key.meter_id: meter.consumption for meter in store.ledger.meters}
    async with box.store() as store:
        assert {meter.key.meter_id: meter.consumption for meter in store.ledger.meters} == expected
    assert is_whole(box.directory)


async def test_from_the_start(box: Box, bad: Bad) -> None:
    """The card is bad when the program starts, and there is no directory yet."""
    store = Store(box.directory, 60, box.clock())
    async with bad(store):
        await store.open()
        assert store.trouble != ""
        box.hear(store, 10)
        with contextlib.suppress(*FAULTS):
            await box.upkeep(store).tend()
        assert await store.commit() != ""
    assert await store.commit() == ""
    await store.close()
    assert len(box.everything()["reading"]) == 100
    assert is_whole(box.directory)


@pytest.mark.parametrize("step", ["seal", "join", "thin", "copy", "mend"])
async def test_upkeep_on_a_bad_card(box: Box, bad: Bad, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    # Nothing is to be given up for others here.
    monkeypatch.setattr(retention, "RESERVE_BYTES", 0)
    await box.sealed(3, minutes=60)
    heard = box.everything()["reading"]
    budget: int | None = None
    if step == "seal":
        monkeypatch.setattr(upkeep, "SEAL_ROWS", 1)
    elif step == "join":
        monkeypatch.setattr(upkeep, "JOIN", 3)
    elif step == "thin":
        budget = retention.measure(box.directory, None).used + retention.LOG_BYTES - 20_000
    elif step == "copy":
        (box.directory / COPY).unlink()
    async with box.store() as store:
        keeper = box.upkeep(store, budget)
        if step == "mend":
            path = box.segment(store.segments[0])
            path.chmod(0o600)
            content = bytearray(path.read_bytes())
            content[5 * 4096 : 6 * 4096] = bytes(4096)
            path.write_bytes(content)
            store.doubted = True
        before = contents(box.directory / HISTORY)
        async with bad(store):
            for _ in range(3):
                with contextlib.suppress(*FAULTS):
                    await keeper.tend()
                await store.commit()
            if not (budget and retention.is_full(box.directory)):
                after = contents(box.directory / HISTORY)
                assert {name: after.get(name) for name in before if name[:4] != "live"} == {
                    name: sha256 for name, sha256 in before.items() if name[:4] != "live"
                }
        assert await store.commit() == ""
        for _ in range(3):
            await keeper.tend()
            assert await store.commit() == ""
        found = await store.ask(
            queries.registers, MeterKey("scm", 1000, False), [round(START.timestamp() * 1000) + box.now_s * 1000]
        )
        assert found[0].consumption == box.now_s // 60
        numbers = {row.number for row in store.segments}
    rows = box.everything()["reading"]
    assert len(rows) == len(set(rows))
    if step not in ("thin", "mend"):
        assert rows == heard
    assert {int(path.stem) for path in (box.directory / HISTORY).glob("0*.db")} == numbers
    assert list(box.directory.rglob("*.part")) == []
    assert (box.directory / COPY).exists()
    assert is_whole(box.directory)


async def test_a_card_that_others_filled_is_not_the_end(box: Box, tmp_path: Path, small_card: Remount) -> None:
    """History makes room for what is heard now, also when the program finds the card full at its start."""
    await box.sealed(6, minutes=240)
    assert shutil.disk_usage(tmp_path).free > 1_500_000
    with (tmp_path / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    store = Store(box.directory, 60, box.clock())
    try:
        await store.open()
        keeper = box.upkeep(store)
        for _ in range(10):
            box.hear(store, 1)
            with contextlib.suppress(*FAULTS):
                short = await keeper.tend()
            await store.commit()
        assert store.trouble == ""
        assert store.status().readings_waiting == 0
        assert store.segments != []
        # That is said as long as it lasts.
        assert short == retention.FULL
        (tmp_path / "ballast").unlink()
        assert await keeper.tend() == ""
    finally:
        await store.close()
    assert is_whole(box.directory)


@pytest.mark.parametrize("at_start", [False, True])
async def test_what_a_restore_replaced_goes_before_history(
    box: Box, tmp_path: Path, small_card: Remount, at_start: bool
) -> None:
    await box.sealed(3, minutes=60)
    listed = box.listed()
    older, newer = (box.directory / f"replaced-2026030{day}T000000Z" for day in (1, 2))
    for folder in (older, newer):
        folder.mkdir()
    (older / "catalogue.db").write_bytes(bytes(1_400_000))
    store = Store(box.directory, 60, box.clock())
    if not at_start:
        await store.open()
    with (newer / "catalogue.db").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    if at_start:
        await store.open()
    try:
        keeper = box.upkeep(store)
        for _ in range(3):
            box.hear(store, 1)
            with contextlib.suppress(*FAULTS):
                await keeper.tend()
            await store.commit()
        assert (store.trouble, store.segments) == ("", listed)
        assert list(box.directory.glob("replaced-*")) == [newer]
    finally:
        await store.close()
    assert is_whole(box.directory)


async def test_the_writer_goes_on_asking_but_not_without_a_pause(box: Box, tmp_path: Path, small_card: Remount) -> None:
    reports: list[str] = []
    tries = 0
    store = Store(box.directory, 0.02, box.clock())
    await store.open()
    real = store._commit

    async def counted() -> str:
        nonlocal tries
        tries += 1
        return await real()

    store._commit = counted  # type: ignore[method-assign]
    with too_small(tmp_path):
        running = asyncio.create_task(store.run(reports.append))
        async with asyncio.timeout(20):
            while not (reports and reports[-1] in PHRASES):
                box.hear(store, 1)
                store.record("radio_failed", {"token": 1})
                await asyncio.sleep(0.01)
        before = tries
        await asyncio.sleep(0.3)
        assert tries - before < 30
    async with asyncio.timeout(20):
        while store.trouble or store.ledger.pending_readings:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    assert (len(box.events("storage_failed")), len(box.events("storage_recovered"))) == (1, 1)
    assert os.listdir(box.directory / HISTORY) == ["live.db"]
