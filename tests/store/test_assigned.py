"""What is assigned is kept all at once, or not at all; whatever becomes of the card."""

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from appliance.assignment import MOST_ASSIGNED, MOST_NAME, Assignment, listed
from appliance.errors import StoreError
from appliance.store import queries
from appliance.store.assign import assign, keep
from appliance.store.assigned import Assigned
from appliance.store.rows import MeterKey
from appliance.store.schema import CATALOGUE, COPY
from tests.store.box import Box, ask, flip

DAY_MS = 86_400_000


def street(version: int, meters: int = 12) -> Assigned:
    """A list in which all that there is of a version tells its version."""
    return Assigned(version, version * 1000, tuple(meter(1000 + n, f"house {n}, {version}") for n in range(meters)))


def meter(meter_id: int, name: str = "house", protocol: str = "", multiplier: str = "1") -> Assignment:
    return Assignment.of(meter_id, protocol, name, f"Calle 5 nº {meter_id}, Ñuñoa", multiplier)


async def test_a_list_is_there_again_after_a_restart(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        assert store.assigned == Assigned()
        assert await assign(store, street(3))
        assert store.assigned == street(3)
    box.restart()
    async with box.store() as store:
        assert store.assigned == street(3)
        assert await assign(store, Assigned(4, 4))
        assert store.assigned.meters == ()
    async with box.store() as store:
        assert store.assigned == Assigned(4, 4)


async def test_an_older_list_changes_nothing(tmp_path: Path) -> None:
    async with Box(tmp_path).store() as store:
        await assign(store, street(3))
        for version in (1, 2, 3):
            assert not await assign(store, street(version, 5))
        assert store.assigned == street(3)
    assert ask(tmp_path / CATALOGUE, "SELECT count(*) FROM assignment") == [(12,)]


async def test_a_meter_is_looked_up_by_what_it_speaks(tmp_path: Path) -> None:
    known = Assigned(1, 1, listed([meter(5, "any"), meter(6, "of scm", "scm", "0.01"), meter(6, "of idm", "idm")]))
    async with Box(tmp_path).store() as store:
        await assign(store, known)
        names = {
            (protocol, number): found.name
            for protocol in ("scm", "idm", "r900")
            for number in (5, 6, 7)
            if (found := store.assigned.of(MeterKey(protocol, number, False)))
        }
        simulated = store.assigned.of(MeterKey("scm", 6, True))
    assert names == {
        ("scm", 5): "any",
        ("idm", 5): "any",
        ("r900", 5): "any",
        ("scm", 6): "of scm",
        ("idm", 6): "of idm",
    }
    assert simulated
    assert simulated.multiplier == Decimal("0.01")


async def test_where_nothing_runs_it_is_kept_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no data of an appliance"):
        keep(tmp_path, street(2))
    box = Box(tmp_path)
    async with box.store():
        pass
    assert keep(tmp_path, street(2))
    assert not keep(tmp_path, street(1))
    async with box.store() as store:
        assert store.assigned == street(2)
    (tmp_path / CATALOGUE).write_bytes(b"no database")
    with pytest.raises(StoreError, match="what is assigned cannot be kept: the database is damaged"):
        keep(tmp_path, street(3))


async def test_who_waits_no_longer_leaves_no_half_list(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        waiting = asyncio.create_task(assign(store, street(2, 5000)))
        for _ in range(20):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        kept = store.assigned
    async with box.store() as store:
        assert store.assigned == kept
        assert kept in (Assigned(), street(2, 5000))


async def test_a_lost_catalogue_brings_back_what_its_copy_has(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        await assign(store, street(1))
        await box.upkeep(store)._copy()
        await assign(store, street(2))
    flip(tmp_path / CATALOGUE, 18, 0xFF)
    async with box.store() as store:
        assert store.assigned == street(1)
        assert await assign(store, street(2))
    (tmp_path / COPY).unlink()
    flip(tmp_path / CATALOGUE, 18, 0xFF)
    async with box.store() as store:
        assert store.assigned == Assigned()


async def test_a_restore_brings_back_what_its_backup_has(tmp_path: Path) -> None:
    """And what came since comes again, though the program runs on."""
    box = Box(tmp_path)
    async with box.store() as store:
        await assign(store, street(1))
        upkeep = box.upkeep(store)
        await upkeep._copy()
        await assign(store, street(2))
        waiting = tmp_path / "handover" / "restore"
        (waiting / "history").mkdir(parents=True)
        (waiting / "backup.json").write_text('{"made": "2026", "name": "Calle 5"}')
        (tmp_path / COPY).rename(waiting / CATALOGUE)
        await upkeep._take_up_restore()
        assert store.assigned == street(1)
        assert await assign(store, street(2))
    async with box.store() as store:
        assert store.assigned == street(2)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE assignment SET multiplier = '1e9' WHERE meter_id = 1003",
        "UPDATE assignment SET name = 'a' || char(7)",
        "DELETE FROM assigned",
        "UPDATE assignment SET meter_id = 0 WHERE meter_id = 1003",
    ],
)
async def test_a_list_that_nobody_wrote_is_damage(tmp_path: Path, damage: str) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        await assign(store, street(1))
        await box.upkeep(store)._copy()
    with sqlite3.connect(tmp_path / CATALOGUE) as connection:
        connection.execute(damage)
    connection.close()
    async with box.store() as store:
        assert store.assigned == street(1)
        assert [event.kind for event in store.ledger._pending.events][-1:] == ["catalogue_restored"]


async def test_the_meters_that_are_expected_and_not_heard(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        box.hear(store, 30)
        await assign(store, street(1, 14))
        assert await store.commit() == ""
        now_ms = store.clock.utc_ms(store.clock.now())
        missing = await store.ask(queries.unheard, now_ms - DAY_MS)
        assert [one.meter_id for one in missing] == [1010, 1011, 1012, 1013]
        heard = store.assigned.among(meter.key for meter in store.ledger.meters)
        assert sorted(heard) == list(store.assigned.meters[:10])
        assert len(await store.ask(queries.unheard, now_ms + 1)) == 14


def test_what_is_out_of_bounds_is_named() -> None:
    good = (5, "scm", "house", "Calle 5", "1")
    for place, value, words in (
        (0, 0, "meter_id is 0"), (0, 1 << 53, "meter_id"), (0, True, "meter_id"), (0, "5", "meter_id"),
        (1, "SCM", "protocol is 'SCM'"), (1, None, "protocol"), (2, "x" * (MOST_NAME + 1), "name is 65 characters"),
        (2, "a\u202eb", "name is"), (3, "a\nb", "address is"), (3, " a", "address"), (4, "0", "multiplier is 0"),
        (4, "1.50", "multiplier is '1.50'"), (4, "1000000.1", "multiplier"), (4, "1e3", "multiplier"),
        (4, "٣", "multiplier"), (4, 1, "multiplier"), (4, "NaN", "multiplier"), (4, "0.0000001", "multiplier"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            Assignment.of(*good[:place], value, *good[place + 1 :])
    for text in ("1", "0.01", "40", "1000000", "0.000001", "1.125"):
        assert Assignment.of(*good[:4], text).row()[4] == text


def test_a_meter_stands_once() -> None:
    with pytest.raises(ValueError, match="meter 5 stands twice"):
        listed([meter(5, protocol="scm"), meter(4), meter(5, protocol="scm")])
    with pytest.raises(ValueError, match="meter 5 stands twice"):
        listed([meter(5, protocol="scm"), meter(5)])
    with pytest.raises(ValueError, match="at most 10000"):
        listed(meter(1 + n) for n in range(MOST_ASSIGNED + 1))
