"""A multiplier that a comparison told counts until another one is assigned; registers stay what they are."""

from decimal import Decimal
from pathlib import Path

import pytest

from appliance.assignment import Assignment
from appliance.errors import InputError
from appliance.store import dials, queries
from appliance.store.assign import assign
from appliance.store.assigned import Assigned
from appliance.store.dials import KEPT_OF_METER, alone, compare, comparisons, multiplier_of, remove
from appliance.store.rows import MeterKey
from appliance.store.schema import CATALOGUE
from tests.store.box import Box, ask, flip

METER = MeterKey("scm", 1000, False)


def assigned(version: int, multiplier: str) -> Assigned:
    return Assigned(version, version, (Assignment.of(1000, "scm", "Calle 5", "", multiplier),))


async def test_the_dial_counts_until_another_multiplier_is_assigned(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        store.hear(box.message(1000, 1_234_560), False)
        assert multiplier_of(store, METER) == (None, "")
        await assign(store, assigned(1, "1"))
        assert multiplier_of(store, METER) == (Decimal(1), "assigned")
        assert (await compare(store, METER, "ana", " 12345.6 ")).sure == "sure"
        assert multiplier_of(store, METER) == (Decimal("0.01"), "dial")
        await assign(store, assigned(2, "1"))
        assert multiplier_of(store, METER) == (Decimal("0.01"), "dial")
    async with box.store() as store:
        assert multiplier_of(store, METER) == (Decimal("0.01"), "dial")
        await assign(store, assigned(3, "0.1"))
        assert multiplier_of(store, METER) == (Decimal("0.1"), "assigned")
        (one,) = await store.ask(comparisons, METER)
        assert one[2:] == ("ana", "12345.6", 1_234_560, "sure", "0.01")
        (meter,) = await store.ask(queries.meters)
        assert meter.consumption == 1_234_560
        await remove(store, METER, one.number, "luis")
        assert await store.ask(comparisons, METER) == []
        await assign(store, Assigned(4, 4))
        assert multiplier_of(store, METER) == (None, "")
    assert box.events("changed") == [
        '{"who":"ana","what":"dial_compared","verdict":"sure","protocol":"scm","meter_id":1000,"simulated":false}',
        '{"who":"luis","what":"dial_removed","protocol":"scm","meter_id":1000,"simulated":false}',
    ]


async def test_a_second_comparison_tells_what_the_first_could_not(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        store.hear(box.message(1000, 77_777), False)
        assert (await compare(store, METER, "ana", "00500.0")).sure == "none_fits"
        assert multiplier_of(store, METER) == (None, "")
        box.now_s += 10 * 86_400
        store.hear(box.message(1000, 97_780), False)
        told = await compare(store, METER, "ana", "00700.0")
        assert (told.sure, told.multiplier, told.apart) == ("likely", Decimal("0.01"), True)
        # It hangs no more there: what was compared with the one before says nothing about this one.
        for minutes in (1, 2):
            box.now_s += 60 * minutes
            store.hear(box.message(1000, 31_160), False)
        told = await compare(store, METER, "ana", "31160")
        assert (told.sure, told.multiplier, told.apart) == ("sure", Decimal(1), False)


async def test_what_was_mistyped_spoils_nothing_for_good(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        store.hear(box.message(1000, 11_231_799), False)
        assert (await compare(store, METER, "ana", "1")).sure == "none_fits"
        for typed in ("112318", "112318.0"):
            box.now_s += 60
            assert (await compare(store, METER, "ana", typed)).sure == "disputed"
        assert multiplier_of(store, METER) == (None, "")
        found = await store.ask(comparisons, METER)
        assert [alone(one, METER) for one in found] == [Decimal("0.01"), Decimal("0.01"), None]
        await remove(store, METER, found[-1].number, "luis")
        assert [one.verdict for one in await store.ask(comparisons, METER)] == ["sure", "sure"]
        assert multiplier_of(store, METER) == (Decimal("0.01"), "dial")
        with pytest.raises(InputError, match="not there any more"):
            await remove(store, METER, found[-1].number, "luis")
        with pytest.raises(InputError, match="not there any more"):
            await remove(store, METER._replace(meter_id=1001), found[0].number, "luis")
    async with box.store() as store:
        assert multiplier_of(store, METER) == (Decimal("0.01"), "dial")
        for one in await store.ask(comparisons, METER):
            await remove(store, METER, one.number, "luis")
        assert multiplier_of(store, METER) == (None, "")


async def test_what_cannot_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        with pytest.raises(InputError, match="has not been heard yet"):
            await compare(store, METER, "ana", "123")
        store.hear(box.message(1000, 123), False)
        with pytest.raises(InputError, match="is no reading of a dial"):
            await compare(store, METER, "ana", "a lot")
        for _ in range(3 * KEPT_OF_METER):
            box.now_s += 60
            await compare(store, METER, "ana", "123")
        assert len(await store.ask(comparisons, METER)) == KEPT_OF_METER
        monkeypatch.setattr(dials, "MOST_A_DAY", KEPT_OF_METER)
        with pytest.raises(InputError, match="8 in a day already"):
            await compare(store, METER, "ana", "123")
    assert ask(tmp_path / CATALOGUE, "SELECT count(*) FROM dial") == [(KEPT_OF_METER,)]


@pytest.mark.parametrize("damage", ["UPDATE dial SET multiplier = 'a lot'", "UPDATE dial SET multiplier = '1e9'"])
async def test_a_multiplier_that_nobody_wrote_is_damage(tmp_path: Path, damage: str) -> None:
    box = Box(tmp_path)
    async with box.store() as store:
        store.hear(box.message(1000, 1_234_560), False)
        await compare(store, METER, "ana", "12345.6")
        await store.commit()
        await box.upkeep(store)._copy()
        assert store.catalogue is not None
        await store.catalogue.execute(damage)
    async with box.store() as store:
        assert multiplier_of(store, METER) == (Decimal("0.01"), "dial")
    flip(tmp_path / CATALOGUE, 18, 0xFF)
    (tmp_path / "catalogue.copy.db").unlink()
    async with box.store() as store:
        assert multiplier_of(store, METER) == (None, "")
