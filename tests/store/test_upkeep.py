"""Upkeep: what goes when the budget is reached, what is told of it, and that its own faults do not end it."""

import asyncio
import contextlib
import json
import os
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.store import files, queries, retention, upkeep
from appliance.store.retention import local_day, measure
from appliance.store.rows import DAYS, MeterKey, SegmentRow
from appliance.store.schema import CAPTURES, CATALOGUE, COPY, DAMAGED, HANDOVER, HISTORY
from tests.store.box import START, Box, ask, is_whole

KEY = MeterKey("scm", 1001, False)


@pytest.fixture
async def days(box: Box, monkeypatch: pytest.MonkeyPatch) -> Box:
    """Four days, each sealed in two halves; none of these are joined."""
    monkeypatch.setattr(upkeep, "JOIN", 100)
    async with box.store() as store:
        keeper = box.upkeep(store)
        for _ in range(8):
            box.hear(store, 240, meters=4)
            box.now_s += 8 * 3600
            assert await store.commit() == ""
            await keeper._seal()
        await keeper._copy()
    return box


def with_full_logs(box: Box) -> int:
    """The bytes of the directory as the budget counts them."""
    logs = sum(path.stat().st_size for path in box.directory.rglob("*-wal"))
    return measure(box.directory, None).used - logs + retention.LOG_BYTES


def ends(box: Box) -> list[int]:
    """The end of each day, where the appliance stands."""
    first = local_day(round(START.timestamp() * 1000))
    return [queries._midnight(first + timedelta(days=n), None) - 1 for n in range(1, 4)]


def setting_aside(directory: Path, count: int) -> None:
    for n in range(count):
        (directory / HISTORY / "spoilt.db").write_bytes(bytes(50_000))
        (directory / HISTORY / "spoilt.sums").write_bytes(b"sums")
        files.set_aside(directory, directory / HISTORY / "spoilt.db")
        assert (directory / DAMAGED / f"{n + 1}-spoilt.db").exists()


async def test_what_was_set_aside_goes_first_then_history_is_thinned_then_it_goes(days: Box) -> None:
    setting_aside(days.directory, 3)
    (days.directory / DAMAGED / "a note").write_text("of a person")
    events = ask(days.directory / CATALOGUE, "SELECT count(*) FROM event WHERE kind = 'tamper'")
    async with days.store() as store:
        used = with_full_logs(days)
        before = await store.ask(queries.registers, KEY, ends(days))
        listed = store.segments
        # One file less is enough.
        await days.upkeep(store, used - 30_000).tend()
        assert store.history.usage.damaged_files == 2
        assert store.segments == listed
        await days.upkeep(store, used - 140_000).tend()
        assert store.history.usage.damaged_files == 0
        assert store.segments == listed
        # Then the oldest is thinned, as many as it takes.
        await days.upkeep(store, used - 240_000).tend()
        assert await store.commit() == ""
        thinned = [row for row in store.segments if row.rank == DAYS]
        assert 0 < len(thinned) < len(listed)
        assert [row.rank == DAYS for row in store.segments] == sorted(
            (row.rank == DAYS for row in store.segments), reverse=True
        )
        assert [row.from_at for row in store.segments] == [row.from_at for row in listed]
        assert await store.ask(queries.registers, KEY, ends(days)) == before
        told = [json.loads(detail) for detail in days.events("history_thinned")]
        assert [detail["segment"] for detail in told] == [row.number for row in listed[: len(thinned)]]
        utc_ms = store.clock.utc_ms
        assert [(d["from_utc_ms"], d["to_utc_ms"], d["readings"]) for d in told] == [
            (utc_ms(row.from_at), utc_ms(row.to_at), row.readings) for row in listed[: len(thinned)]
        ]
        # All is thinned before anything is dropped; the last but one is left for that.
        for row in [row for row in store.segments if row.rank != DAYS][:-1]:
            await retention._thin(store, row, days.upkeep(store)._enter)
        assert await store.ask(queries.registers, KEY, ends(days)) == before
        # And it ends, though what is left is more than the budget.
        assert await days.upkeep(store, 1000).tend() == retention.OVER
        assert await store.commit() == ""
        (newest,) = store.segments
        assert (newest.from_at, newest.rank) == (listed[-1].from_at, DAYS)
        assert len(days.events("history_dropped")) == 7
        told_of = "SELECT kind FROM event WHERE kind LIKE 'history%' ORDER BY number"
        assert [kind for (kind,) in ask(days.directory / CATALOGUE, told_of)] == [
            *["history_thinned"] * 8,
            *["history_dropped"] * 7,
        ]
        assert list((days.directory / HISTORY).glob("0*.db")) == [days.segment(newest)]
        # It still knows every meter, and so does what is sealed after it.
        assert (await store.ask(queries.registers, KEY, [store.clock.utc_ms(newest.from_at)]))[
            0
        ].consumption is not None
        days.hear(store, 30)
        await days.upkeep(store, 1000).tend()
        assert await store.commit() == ""
        assert store.ledger.get(KEY) is not None
    assert ask(days.directory / CATALOGUE, "SELECT count(*) FROM event WHERE kind = 'tamper'") >= events
    assert is_whole(days.directory)


async def test_the_oldest_is_dropped_first(days: Box) -> None:
    async with days.store() as store:
        for row in list(store.segments):
            await retention._thin(store, row, days.upkeep(store)._enter)
        listed = store.segments
        used = with_full_logs(days)
        await days.upkeep(store, used - listed[0].bytes // 2).tend()
        assert store.segments == listed[1:]


async def test_captures_count_against_a_budget_of_their_own(days: Box) -> None:
    folder = days.directory / CAPTURES / "radio"
    folder.mkdir(parents=True)
    used = measure(days.directory, None).used
    (folder / "a.sigmf-data").write_bytes(bytes(400_000))
    assert measure(days.directory, None).used == used


async def test_what_is_being_restored_costs_no_history(days: Box) -> None:
    used = measure(days.directory, None).used
    (days.directory / "handover" / "restore.part").mkdir(parents=True)
    (days.directory / "handover" / "restore.part" / "catalogue.db").write_bytes(bytes(400_000))
    assert measure(days.directory, None).used == used


async def test_what_a_restore_replaced_counts_against_no_budget(days: Box) -> None:
    old = days.directory / "replaced-20260301T000000Z"
    old.mkdir()
    async with days.store() as store:
        used, listed = with_full_logs(days), store.segments
        (old / "catalogue.db").write_bytes(bytes(400_000))
        await days.upkeep(store, used + 1000).tend()
        assert (store.segments, days.events("history_thinned")) == (listed, [])
        assert (old / "catalogue.db").stat().st_size == 400_000
        # Of a small budget it is the history that goes.
        await days.upkeep(store, used - 100_000).tend()
        assert store.segments != listed
    assert old.exists()


def test_others_that_fill_the_card_do_not_get_all(box: Box) -> None:
    box.directory.mkdir()
    usage = measure(box.directory, None)
    assert usage.budget >= usage.free - retention.RESERVE_BYTES
    assert measure(box.directory, 5000).budget == 5000


async def test_a_folder_and_a_pipe_that_were_set_aside_go_too(box: Box) -> None:
    for name in ("folder", "pipe"):
        (box.directory / HISTORY).mkdir(parents=True, exist_ok=True)
        path = box.directory / HISTORY / f"{name}.db"
        if name == "folder":
            path.mkdir()
            (path / "file").write_bytes(bytes(5000))
        else:
            os.mkfifo(path)
        files.set_aside(box.directory, path)
    async with box.store() as store:
        await box.upkeep(store, 1000).tend()
    assert list((box.directory / DAMAGED).iterdir()) == []


async def test_a_seal_is_due_by_time_and_by_amount(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    async with box.store() as store:
        keeper = box.upkeep(store)
        box.hear(store, 10)
        await store.commit()
        await keeper.tend()
        assert store.segments == []
        box.now_s += 86_400
        await keeper.tend()
        assert len(store.segments) == 1
        await keeper.tend()
        assert len(store.segments) == 1
        monkeypatch.setattr(upkeep, "SEAL_ROWS", 100)
        box.hear(store, 11)
        await store.commit()
        await keeper.tend()
        assert len(store.segments) == 2


async def test_its_faults_do_not_end_it(days: Box) -> None:
    """What cannot be done is told, tried again after longer and longer pauses, and holds nothing else up."""
    (days.directory / COPY).unlink()
    (days.directory / (COPY + ".part")).mkdir()
    reports: list[str] = []
    sleeps = 0

    async def sleep(seconds: float) -> None:
        nonlocal sleeps
        sleeps += 1
        days.now_s += round(seconds)
        if sleeps == 40:
            (days.directory / (COPY + ".part")).rmdir()
        await asyncio.sleep(0)

    async with days.store() as store:
        days.hear(store, 5)
        keeper = upkeep.Upkeep(store, None, monotonic=lambda: float(days.now_s), sleep=sleep)
        running = asyncio.create_task(keeper.run(reports.append))
        async with asyncio.timeout(30):
            while "" not in reports:
                await asyncio.sleep(0.01)
                assert not running.done()
                await store.commit()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await store.commit() == ""
        assert store.clock.moment(store.clock.now()).source == "ntp"
    # Nothing was sealed twice on the way, and it was not tried forty times.
    assert (days.directory / COPY).is_file()
    assert reports.index("") < 8
    assert len(days.everything()["reading"]) == len(set(days.everything()["reading"]))


async def test_a_segment_that_cannot_be_listed_is_not_there_twice(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    await box.sealed(1, minutes=30)
    before = box.everything()["reading"]
    async with box.store() as store:
        keeper = box.upkeep(store)
        monkeypatch.setattr(upkeep, "SEAL_ROWS", 1)
        with monkeypatch.context() as patched:
            patched.setattr("appliance.store.catalogue.SEGMENT", "INSERT INTO nowhere VALUES (?)")
            with pytest.raises(sqlite3.Error):
                await keeper.tend()
        assert await store.commit() == ""
        await keeper.tend()
        box.hear(store, 1)
        await store.commit()
        await keeper.tend()
    after = box.everything()["reading"]
    assert len(after) == len(set(after))
    assert set(before) <= set(after)


async def test_the_scrub_comes_round(days: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = upkeep.segments.intact

    def intact(directory: Path, row: SegmentRow) -> bool:
        seen.append(row.number)
        return real(directory, row)

    async with days.store() as store:
        keeper = days.upkeep(store)
        monkeypatch.setattr(upkeep.segments, "intact", intact)
        for _ in range(8):
            days.now_s += 3600
            await keeper.tend()
        assert sorted(set(seen)) == sorted(row.number for row in store.segments)


async def test_an_import_that_is_damaged_is_set_aside(box: Box) -> None:
    async with box.store() as store:
        (box.directory / HANDOVER).mkdir()
        (box.directory / HANDOVER / "import-1.db").write_bytes(b"This is no database. " * 500)
        with contextlib.suppress(OSError):
            await box.upkeep(store).tend()
        assert await store.commit() == ""
        assert [path.name for path in (box.directory / DAMAGED).iterdir()] == ["1-import-1.db"]
