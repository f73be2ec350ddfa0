"""The store of the first version is taken over: `fixtures/readings-1.db` was written by it, from 2025-11-01 on."""

import contextlib
import os
import random
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.store import queries
from appliance.store.rows import MeterKey
from appliance.store.schema import DAMAGED, FIRST, HANDOVER
from appliance.store.transfer import format1
from appliance.store.writer import Store
from tests.store.box import Box, ask, spoil

FIXTURE = Path(__file__).parents[1] / "fixtures" / "readings-1.db"
START_MS = round(datetime(2025, 11, 1, 12, tzinfo=UTC).timestamp() * 1000)
ELECTRIC, RADIO, GAS = MeterKey("scm", 60_243_827, False), MeterKey("scm+", 7, True), MeterKey("scm", 8, False)
PAGE_BYTES = 4096


@pytest.fixture
def upgraded(box: Box) -> Box:
    """A box with the data of the first version."""
    box.directory.mkdir()
    shutil.copyfile(FIXTURE, box.directory / FIRST)
    return box


async def taken_over(box: Box, store: Store) -> None:
    await box.upkeep(store).tend()
    assert await store.commit() == ""
    assert not (box.directory / FIRST).exists()
    assert list((box.directory / HANDOVER).iterdir()) == []


async def test_all_of_it_is_in_the_calendar(upgraded: Box) -> None:
    async with upgraded.store() as store:
        # Heard before the old data is there: it is the same meter, whatever its number was.
        store.hear(upgraded.message(8, 500, endpoint_type=12, commodity="gas"), False)
        assert await store.commit() == ""
        await taken_over(upgraded, store)
        (row,) = store.segments
        assert (row.readings, row.receptions) == (300, 24)
        assert (row.from_at, row.to_at) == (START_MS, START_MS + 119 * 60_000 + 7_000)
        instants = [START_MS - 1, START_MS + 59 * 60_000, START_MS + 200 * 60_000]
        found = {key: await store.ask(queries.registers, key, instants) for key in (ELECTRIC, RADIO, GAS)}
        assert [register.consumption for register in found[ELECTRIC]] == [None, 31_189, 31_219]
        assert [register.consumption for register in found[RADIO]] == [None, 58, 119]
        assert [register.consumption for register in found[GAS]] == [None, 116, 238]
        (tamper,) = await store.ask(queries.tamper_changes)
        assert (tamper.at, tamper.meter, tamper.detail) == (
            START_MS + 3_600_000,
            ELECTRIC,
            {"phy": [0, 0], "enc": [3, 4]},
        )
        assert {row.key: row.commodity for row in await store.ask(queries.meters)}[GAS] == "gas"
    assert upgraded.events("log_imported") == ['{"file":"import-format1","readings":300,"meters":2,"events":1}']
    assert ask(upgraded.segment(row), "SELECT sum(count) FROM reception") == [(360,)]


async def test_twice_is_once(upgraded: Box) -> None:
    """Cut short before the old file was gone."""
    async with upgraded.store() as store:
        await taken_over(upgraded, store)
        before = upgraded.everything()
        shutil.copyfile(FIXTURE, upgraded.directory / FIRST)
        await taken_over(upgraded, store)
        assert upgraded.everything() == before
    assert len(upgraded.events("tamper")) == 1


async def test_nothing_in_it(upgraded: Box) -> None:
    old = upgraded.directory / FIRST

    with contextlib.closing(sqlite3.connect(old)) as connection:
        for table in ("reading", "reception", "meter"):
            connection.execute(f"DELETE FROM {table}")
        connection.commit()
    async with upgraded.store() as store:
        await taken_over(upgraded, store)
        assert store.segments == []


@pytest.mark.parametrize("page", range(FIXTURE.stat().st_size // PAGE_BYTES))
def test_of_a_damaged_one_what_can_be_read(upgraded: Box, page: int) -> None:
    old = upgraded.directory / FIRST
    spoil(old, page * PAGE_BYTES, random.Random(page).randbytes(PAGE_BYTES) if page % 2 else bytes(PAGE_BYTES))
    assert format1.convert(upgraded.directory)
    assert not old.exists()
    made = upgraded.directory / HANDOVER / format1.IMPORT
    rows = set(ask(FIXTURE, "SELECT meter, time_ms, consumption, tamper_phy, tamper_enc, 0 FROM reading"))
    kept = set(ask(made, "SELECT * FROM reading")) if made.exists() else set()
    assert kept <= rows
    meters_lost = page == ask(FIXTURE, "SELECT rootpage FROM sqlite_schema WHERE name = 'meter'")[0][0] - 1
    assert len(kept) > 90 or meters_lost
    if kept != rows:
        assert (upgraded.directory / DAMAGED / f"1-{FIRST}").exists()


@pytest.mark.parametrize("way", ["pipe", "folder", "empty", "other"])
def test_what_is_no_database_is_set_aside(upgraded: Box, way: str) -> None:
    old = upgraded.directory / FIRST
    old.unlink()
    if way == "pipe":
        os.mkfifo(old)
    elif way == "folder":
        old.mkdir()
    else:
        old.write_bytes(b"" if way == "empty" else b"something else" * 1000)
    assert format1.convert(upgraded.directory)
    assert not old.exists()
    assert not list((upgraded.directory / HANDOVER).iterdir())
    assert not format1.convert(upgraded.directory)
