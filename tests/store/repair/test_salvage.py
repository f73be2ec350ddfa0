"""Each page of a segment and of a live database damaged in turn: what lay elsewhere is kept, nothing is made up."""

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.store import files, queries, segments, upkeep
from appliance.store.history import opened
from appliance.store.repair import recovery
from appliance.store.rows import MeterKey
from appliance.store.schema import (
    CATALOGUE,
    DAMAGED,
    LIVE,
    LIVE_PAGE_BYTES,
    SEGMENT_PAGE_BYTES,
    read_only,
    segment_path,
    sums_path,
)
from tests.store.box import START, Box, ask, contents, flip, is_whole, spoil

TABLES = ("reading", "reception", "coverage", "event", "meter", "boot", "fix")


def dump(path: Path) -> dict[str, set[tuple[Any, ...]]]:
    return {table: set(ask(path, f"SELECT * FROM {table}")) for table in TABLES}


@pytest.fixture
async def sealed(box: Box) -> Box:
    """Two segments, the second of some forty pages."""
    await box.sealed(1, minutes=60)
    await box.sealed(1, minutes=420)
    return box


def pages_of(path: Path) -> int:
    return path.stat().st_size // SEGMENT_PAGE_BYTES


async def test_each_page_of_a_segment_in_turn(sealed: Box, tmp_path: Path) -> None:
    row = sealed.listed()[-1]
    whole, sums = sealed.segment(row).read_bytes(), sums_path(sealed.segment(row)).read_bytes()
    content, before = dump(sealed.segment(row)), sealed.everything()
    assert 30 <= pages_of(sealed.segment(row)) <= 60
    chance = random.Random(1)
    saved_most = 0
    for page in range(pages_of(sealed.segment(row))):
        data = shutil.copytree(sealed.directory, tmp_path / "copy")
        damaged = segment_path(data, row.number)
        places = {0, 1, 7, SEGMENT_PAGE_BYTES - 1, *(chance.randrange(SEGMENT_PAGE_BYTES) for _ in range(3))}
        for place in places:
            flip(damaged, page * SEGMENT_PAGE_BYTES + place, 1 << chance.randrange(8))
            assert not segments.intact(data, row)
        with contextlib.closing(files.create(data / CATALOGUE, "catalogue")) as catalogue:
            kind, detail = recovery.mend(data, row, catalogue)
        assert (kind, detail["pages"], detail["lost_pages"]) == ("segment_damaged", len(whole) // SEGMENT_PAGE_BYTES, 1)
        copy = Box(data)
        made = copy.listed()[-1]
        left = dump(copy.segment(made))
        for table in TABLES:
            if table != "boot":
                assert left[table] <= content[table], (page, table)
        lost = len(content["reading"]) - len(left["reading"]) + len(content["reception"]) - len(left["reception"])
        assert lost <= 240, page
        assert left["meter"] == content["meter"]
        saved_most = max(saved_most, len(left["reading"]))
        after = copy.everything()
        for table in after:
            assert set(after[table]) <= set(before[table])
            assert len(after[table]) == len(set(after[table]))
        assert (data / DAMAGED / f"1-{damaged.name}").exists()
        assert is_whole(data)
        assert (made.from_at, made.to_at, made.rank, made.live_to) == (row.from_at, row.to_at, row.rank, row.live_to)
        shutil.rmtree(data)
    assert saved_most == len(content["reading"])
    assert (sealed.segment(row).read_bytes(), sums_path(sealed.segment(row)).read_bytes()) == (whole, sums)


def rows_on(path: Path, spared: int) -> int:
    return len(path.read_bytes()) // SEGMENT_PAGE_BYTES - spared


def garbage(path: Path) -> None:
    spoil(path, 3 * SEGMENT_PAGE_BYTES, random.Random(2).randbytes(SEGMENT_PAGE_BYTES))


def zeroes(path: Path) -> None:
    spoil(path, 5 * SEGMENT_PAGE_BYTES, bytes(2 * SEGMENT_PAGE_BYTES))


def cut(path: Path) -> None:
    path.chmod(0o600)
    os.truncate(path, 20 * SEGMENT_PAGE_BYTES + 100)


def longer(path: Path) -> None:
    path.chmod(0o600)
    with path.open("ab") as file:
        file.write(b"more")


def empty(path: Path) -> None:
    path.chmod(0o600)
    os.truncate(path, 0)


def gone(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").write_text("in it")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def without_sums(path: Path) -> None:
    sums_path(path).unlink()
    flip(path, 4 * SEGMENT_PAGE_BYTES + 9, 1)


def with_other_sums(path: Path) -> None:
    spoil(sums_path(path), 8, bytes(16))
    flip(path, 6 * SEGMENT_PAGE_BYTES + 9, 1)


WAYS = [garbage, zeroes, cut, longer, empty, gone, directory, pipe, without_sums, with_other_sums]


@pytest.mark.parametrize("running", [True, False], ids=["running", "at start"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_segment_damaged_in_some_way(
    sealed: Box, monkeypatch: pytest.MonkeyPatch, way: Callable[[Path], None], running: bool
) -> None:
    monkeypatch.setattr(upkeep, "SCRUB_S", 0.0)
    row, before, meters = sealed.listed()[-1], sealed.everything(), sealed.meters()
    if not running:
        way(sealed.segment(row))
    async with sealed.store() as store:
        if running:
            way(sealed.segment(row))
        keeper = sealed.upkeep(store)
        for _ in range(3):
            await keeper.tend()
            assert await store.commit() == ""
        assert not store.doubted
        sealed.hear(store, 2)
        found = await store.ask(
            queries.registers, MeterKey("scm", 1000, False), [sealed.now_s * 1000 + round(START.timestamp() * 1000)]
        )
        assert found[0].consumption is not None
    assert len(sealed.events("segment_damaged")) == 1
    assert f'"segment":{row.number}' in sealed.events("segment_damaged")[0]
    assert row.number not in {listed.number for listed in sealed.listed()}
    after = sealed.everything()
    assert all(len(rows) == len(set(rows)) for rows in after.values())
    kept = len(set(after["reading"]) & set(before["reading"])) / len(before["reading"])
    assert kept > {zeroes: 0.8, garbage: 0.9, longer: 0.99, cut: 0.4, with_other_sums: 0.8}.get(way, 0.1)
    assert sealed.meters() == meters
    assert is_whole(sealed.directory)


async def test_checksums_that_are_lost_are_made_anew(sealed: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (sums_path(sealed.segment(row)) for row in sealed.listed())
    content = first.read_bytes(), second.read_bytes()
    before, listed = sealed.everything(), sealed.listed()
    first.unlink()
    spoil(second, 3, b"other")
    monkeypatch.setattr(upkeep, "SCRUB_S", 0.0)
    async with sealed.store() as store:
        keeper = sealed.upkeep(store)
        for _ in range(2):
            await keeper.tend()
    assert (first.read_bytes(), second.read_bytes()) == content
    assert sealed.listed() == listed
    assert sealed.everything() == before


async def test_what_a_question_meets_is_seen_to_soon(sealed: Box) -> None:
    row = sealed.listed()[-1]
    for page in range(pages_of(sealed.segment(row))):
        if page % 7:
            spoil(sealed.segment(row), page * SEGMENT_PAGE_BYTES, bytes(SEGMENT_PAGE_BYTES))
    instants = [round(START.timestamp() * 1000) + n * 600_000 for n in range(48)]
    async with sealed.store() as store:
        assert store.trouble in ("", "the database is damaged")
        keeper = sealed.upkeep(store)
        for _ in range(3):
            with contextlib.suppress(Exception):
                await store.ask(queries.registers, MeterKey("scm", 1001, False), instants)
            with contextlib.suppress(OSError):
                await keeper.tend()
            await store.commit()
        assert store.trouble == ""
        await store.ask(queries.registers, MeterKey("scm", 1001, False), instants)
    assert len(sealed.events("segment_damaged")) == 1


async def test_damage_is_not_carried_on(sealed: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is joined, sealed after or thinned is compared with its checksum first."""
    monkeypatch.setattr(upkeep, "JOIN", 2)
    row = sealed.listed()[0]
    content = dump(sealed.segment(row))["reading"] | dump(sealed.segment(sealed.listed()[1]))["reading"]
    path = sealed.segment(row)
    place = path.read_bytes().rindex(b"\x03")
    flip(path, place, 4)
    async with sealed.store() as store:
        keeper = sealed.upkeep(store)
        for _ in range(3):
            await keeper.tend()
    assert len(sealed.events("segment_damaged")) == 1
    (joined,) = sealed.listed()
    assert dump(sealed.segment(joined))["reading"] <= content


@pytest.mark.parametrize("damaged", ["segment", "live"])
async def test_what_was_last_known_outlives_damage_and_older_history(sealed: Box, damaged: str) -> None:
    """A meter that fell silent: what is salvaged, and sealed after it, knows of it though older history goes."""
    meter, instant = MeterKey("scm", 1009, False), sealed.now_s * 1000 + round(START.timestamp() * 1000)
    async with sealed.store() as store:
        keeper = sealed.upkeep(store)
        await keeper._seal()
        known = await store.ask(queries.registers, meter, [instant])
        assert known[0].consumption is not None
        sealed.hear(store, 90, meters=9)
        await store.commit()
        if damaged == "segment":
            await keeper._seal()
    newest = sealed.listed()[-1]
    if damaged == "segment":
        # The last page of the table holds what is known of the last meter; the root leads to it in bytes 8 to 11.
        path = sealed.segment(newest)
        root = ask(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'reading'")[0][0] - 1
        last = int.from_bytes(path.read_bytes()[root * SEGMENT_PAGE_BYTES + 8 :][:4], "big")
        flip(path, last * SEGMENT_PAGE_BYTES - 1, 1)
    else:
        spoil(sealed.directory / LIVE, 0, bytes(100))
    async with sealed.store() as store:
        keeper = sealed.upkeep(store)
        await keeper.tend()
        sealed.hear(store, 90, meters=9)
        await store.commit()
        await keeper._seal()
        old = sealed.listed()[:-1]
        await keeper._enter(None, old)
        assert await store.ask(queries.registers, meter, [instant + 200 * 60_000]) == [
            replace(known[0], utc_ms=instant + 200 * 60_000)
        ]
    assert len(sealed.events("segment_damaged" if damaged == "segment" else "live_restored")) == 1


@pytest.fixture
async def lively(box: Box) -> Box:
    """A segment, and a live database of some hundred pages, none of it in its log."""
    await box.sealed(1, minutes=30)
    async with box.store() as store:
        box.hear(store, 60)
        store.record("radio_failed", {"token": 1})
    return box


async def test_each_page_of_the_live_database_in_turn(lively: Box, tmp_path: Path) -> None:
    before, meters = lively.everything(), lively.meters()
    whole = (lively.directory / LIVE).read_bytes()
    chance = random.Random(3)
    for page in range(len(whole) // LIVE_PAGE_BYTES):
        content = (bytes(LIVE_PAGE_BYTES), chance.randbytes(LIVE_PAGE_BYTES), b"")[page % 3]
        data = shutil.copytree(lively.directory, tmp_path / "copy")
        spoil(data / LIVE, page * LIVE_PAGE_BYTES, content)
        if not content:
            os.truncate(data / LIVE, page * LIVE_PAGE_BYTES)
        findings = recovery.prepare(data)
        copy = Box(data)
        after = copy.everything()
        for table, rows in after.items():
            assert set(rows) <= set(before[table]), (page, table)
            assert len(rows) == len(set(rows))
        if content:
            lost = len(before["reading"]) - len(after["reading"]) + len(before["reception"]) - len(after["reception"])
            assert lost <= 80, page
        assert {kind for kind, _ in findings} <= {"live_restored"}
        assert findings or all(after[table] == before[table] for table in after)
        assert copy.meters() == meters
        assert is_whole(data)
        assert recovery.prepare(data) == []
        assert copy.everything() == after
        shutil.rmtree(data)


async def test_the_log_of_the_live_database(box: Box, tmp_path: Path) -> None:
    await box.sealed(1, minutes=30)
    async with box.store() as store:
        box.hear(store, 30)
        assert await store.commit() == ""
        box.hear(store, 30)
        assert await store.commit() == ""
        data = shutil.copytree(box.directory, tmp_path / "copy")
    before = Box(data).everything()
    log = data / f"{LIVE}-wal"
    size = log.stat().st_size
    assert size > 20_000
    copy = tmp_path / "again"
    for way in ("shm", "header of the database", "frame", "cut", "header of the log", "gone"):
        shutil.copytree(data, copy)
        log, database = copy / f"{LIVE}-wal", copy / LIVE
        if way == "shm":
            (copy / f"{LIVE}-shm").write_bytes(random.Random(4).randbytes(40_000))
        elif way == "header of the database":
            spoil(database, 0, bytes(LIVE_PAGE_BYTES))
            # SQLite takes the first page from the log, if it is there.
        elif way == "frame":
            flip(log, size // 2, 1)
        elif way == "cut":
            os.truncate(log, size // 2)
        elif way == "header of the log":
            spoil(log, 0, bytes(32))
        else:
            log.unlink()
        async with box.at(copy).store() as store:
            assert store.trouble == ""
        after = Box(copy).everything()
        # Of a quarter of an hour that was running then, what an earlier commit says of it may be what is left.
        assert set(after["reading"]) <= set(before["reading"])
        assert len(after["reading"]) == len(set(after["reading"]))
        if way in ("shm", "header of the database"):
            assert after == before
        assert is_whole(copy)
        shutil.rmtree(copy)


async def test_a_log_whose_database_is_lost_is_read(box: Box, tmp_path: Path) -> None:
    await box.sealed(1, minutes=30)
    async with box.store() as store:
        box.hear(store, 30)
        assert await store.commit() == ""
        data = shutil.copytree(box.directory, tmp_path / "copy")
    before = Box(data).everything()
    (data / LIVE).write_bytes(b"This is no database. " * 500)
    ((kind, _),) = recovery.prepare(data)
    assert kind == "live_restored"
    after = Box(data).everything()
    assert set(after["reading"]) <= set(before["reading"])
    assert {row for row in before["reading"] if row[1] > box.listed()[-1].to_at + 20 * 60_000} <= set(after["reading"])


@pytest.mark.parametrize("way", [empty, directory, pipe, gone])
async def test_a_live_database_that_is_none(lively: Box, way: Callable[[Path], None]) -> None:
    before = lively.everything()
    way(lively.directory / LIVE)
    async with lively.store() as store:
        assert store.trouble == ""
        lively.hear(store, 1)
        assert await store.commit() == ""
    assert len(lively.events("live_restored")) == (way is not gone)
    assert set(lively.everything()["reading"]) >= {
        r for row in lively.listed() for r in before["reading"] if r[1] <= row.to_at
    }
    assert is_whole(lively.directory)


async def test_a_reading_of_nobody_is_left_out(sealed: Box) -> None:
    """Its meter's number might be given to another one."""
    first, second = sealed.listed()
    with contextlib.closing(read_only(sealed.segment(second), immutable=True)) as segment:
        (root,) = segment.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'meter'").fetchone()
    spoil(sealed.segment(second), (root - 1) * SEGMENT_PAGE_BYTES, bytes(SEGMENT_PAGE_BYTES))
    for path in (
        sealed.segment(first),
        sealed.directory / CATALOGUE,
        sealed.directory / "catalogue.copy.db",
        sealed.directory / LIVE,
    ):
        path.unlink()
    assert "segment_damaged" in {kind for kind, _ in recovery.prepare(sealed.directory)}
    assert sealed.everything()["reading"] == []
    assert contents(sealed.directory / DAMAGED)
    with opened(sealed.directory) as history:
        assert queries.meters(history) == []
