"""What batches tell on a card that is full: less and less, and never that a meter was used by less than it was."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.store import retention
from appliance.store.retention import DIRE, PLENTY, SCARCE
from appliance.store.writer import Store
from appliance.sync.batch import Batch
from appliance.sync.sealing import Sealing
from appliance.sync.sparing import IN_WORDS, LASTS_MS, Sparing
from tests.store.box import Box
from tests.sync.test_outbox import batches

DAY_MINUTES = 24 * 60


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """An appliance with an empty data directory."""
    return Box(tmp_path / "data")


def fill(store: Store, scarcity: int) -> None:
    store.history.usage = replace(store.history.usage, scarcity=scarcity)


async def next_batches(box: Box, store: Store, sealing: Sealing, minutes: int) -> list[Batch]:
    known = len(batches(box))
    box.hear(store, minutes)
    await sealing.seal_now()
    return batches(box)[known:]


def registers(found: list[Batch]) -> list[tuple[int, int]]:
    return [
        (batch.meters[place].meter_id, consumption)
        for batch in found
        for part in batch.parts
        for place, consumption in zip(part.readings.meter, part.readings.consumption, strict=True)
    ]


def receptions(found: list[Batch]) -> int:
    return sum(len(part.receptions.meter) for batch in found for part in batch.parts)


def test_a_shortage_counts_once_it_has_lasted() -> None:
    sparing = Sparing()
    assert [sparing.note(SCARCE, ms) for ms in (0, LASTS_MS - 1, LASTS_MS, LASTS_MS + 1)] == [False, False, True, False]
    assert sparing.note(DIRE, LASTS_MS + 2)
    assert sparing.note(PLENTY, LASTS_MS + 3)
    assert not sparing.note(DIRE, LASTS_MS + 4)
    assert sparing.scarcity == PLENTY


async def test_receptions_are_left_out_first_and_then_all_but_a_reading_a_day(box: Box) -> None:
    async with box.store() as store:
        sealing = Sealing(store)
        usual = await next_batches(box, store, sealing, 30)
        assert receptions(usual) == 20
        fill(store, SCARCE)
        assert receptions(await next_batches(box, store, sealing, 30)) == 20
        box.hear(store, 60)
        assert await sealing.seal_now() == IN_WORDS[SCARCE]
        scarce = await next_batches(box, store, sealing, 30)
        assert (receptions(scarce), len(registers(scarce))) == (0, 300)
        fill(store, DIRE)
        assert await sealing.seal_now() == IN_WORDS[DIRE]
        dire = await next_batches(box, store, sealing, 2 * DAY_MINUTES)
        # Two days later all ten meters were heard on two or three different days of where this runs.
        assert receptions(dire) == 0
        assert len(registers(dire)) in (20, 30)
        assert {meter for meter, _ in registers(dire)} == set(range(1000, 1010))
        assert any(part.events for batch in dire for part in batch.parts)
        fill(store, PLENTY)
        assert await sealing.seal_now() == ""
        after = await next_batches(box, store, sealing, 30)
        assert (receptions(after), len(registers(after))) == (20, 300)
        sealing.close()
    told = [json.loads(detail)["left_out"] for detail in box.events("delivery_reduced")]
    assert told == ["receptions", "readings", "nothing"]


async def test_what_was_left_out_is_not_looked_at_again(box: Box) -> None:
    async with box.store() as store:
        sealing = Sealing(store)
        await next_batches(box, store, sealing, 30)
        fill(store, DIRE)
        await sealing.seal_now()
        box.hear(store, 90)
        await sealing.seal_now()
        assert await next_batches(box, store, sealing, 15) == []
        assert await next_batches(box, store, sealing, 15) == []
        fill(store, PLENTY)
        after = await next_batches(box, store, sealing, 15)
        assert len(registers(after)) == 150
        sealing.close()


async def test_the_card_says_how_short_it_is(box: Box) -> None:
    await box.sealed(segments=2)
    async with box.store() as store:
        assert await box.upkeep(store, 1000).tend() == retention.OVER
        assert store.history.usage.scarcity == DIRE
        used = store.history.usage.used
        assert await box.upkeep(store, used).tend() == retention.OVER
        assert store.history.usage.scarcity == SCARCE
        assert await box.upkeep(store).tend() == ""
        assert store.history.usage.scarcity == PLENTY
