"""From the outbox to an aggregator and back, over a network that does what networks do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from appliance.aggregator.schema import appliance, boot, event, meter, reading, reception
from appliance.errors import NotDelivered
from appliance.store.writer import Store
from appliance.sync.courier import About, Courier
from appliance.sync.identity import rotate
from appliance.sync.sealing import Sealing
from appliance.sync.transport import Link
from tests.store.box import Box, ask
from tests.sync.centre import NOW_MS, Centre, centre


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[tuple[Box, Store, Sealing]]:
    """An appliance that has heard ten meters for an hour and a half, and sealed it in six batches."""
    box = Box(tmp_path / "data")
    async with box.store() as opened:
        sealing = Sealing(opened)
        for _ in range(6):
            await heard(box, opened, sealing)
        yield box, opened, sealing
        sealing.close()


Appliance = tuple[Box, Store, Sealing]


async def heard(box: Box, store: Store, sealing: Sealing) -> None:
    box.hear(store, 15)
    assert await sealing.seal_now() == ""


class Clock:
    """What the courier says of the time."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def offer(self, utc_ms: int, uncertainty_ms: int) -> None:
        self.told.append((utc_ms, uncertainty_ms))


def courier(sealing: Sealing, *links: Link, clock: Clock | None = None) -> Courier:
    about = About("Calle 5", "0.1.0")
    return Courier(sealing, links, about, (clock or Clock()).offer, lambda: 0.0, lambda: None)


async def stored(there: Centre, box: Box) -> list[tuple[Any, ...]]:
    """The readings of the aggregator, in the store's words."""
    known = {(p, i, bool(s)): number for number, p, i, s in box.meters()}
    question = (
        select(
            meter.c.protocol, meter.c.endpoint_id, meter.c.simulated, boot.c.number, reading.c.ms,
            reading.c.consumption, reading.c.tamper_phy, reading.c.tamper_enc, reading.c.flags,
        )
        .join(meter, meter.c.meter_id == reading.c.meter_id)
        .join(boot, (boot.c.boot_id == reading.c.boot_id) & (boot.c.appliance_id == reading.c.appliance_id))
    )  # fmt: skip
    async with there.database.reading() as connection:
        rows = (await connection.execute(question)).all()
    return sorted((known[p, i, bool(s)], number << 42 | ms, *more) for p, i, s, number, ms, *more in rows)


async def count(there: Centre, table: Any) -> int:
    async with there.database.reading() as connection:
        return len((await connection.execute(select(table))).all())


async def test_all_that_was_heard_arrives_once(there: Centre, store: Appliance) -> None:
    box, _, sealing = store
    clock = Clock()
    link = there.link()
    await courier(sealing, link, clock=clock).deliver()
    await link.close()
    everything = box.everything()
    assert await stored(there, box) == everything["reading"]
    assert await count(there, reception) == len(everything["reception"])
    # That somebody is new there is nobody's fault.
    await there.worker.refusals.write()
    assert await there.worker.refusals.counts() == []
    assert await count(there, event) == len(ask(box.directory / "catalogue.db", "SELECT 1 FROM event"))
    assert await sealing.of(lambda outbox: list(outbox.waiting)) == []
    assert len(list((box.directory / "outbox").glob("*.batch"))) == 1
    assert clock.told
    assert all(NOW_MS <= utc_ms <= NOW_MS + 20_000 and doubt_ms >= 500 for utc_ms, doubt_ms in clock.told)
    async with there.database.reading() as connection:
        assert (await connection.execute(select(appliance.c.name))).scalars().all() == ["Calle 5"]


FAULTS = ("busy", "dropped", "cut", "reordered", "duplicated", "lying receipts", "no answer", "wrong key", "old answer")


@pytest.mark.parametrize("seed", range(3))
async def test_over_a_hostile_network(store: Appliance, tmp_path: Path, seed: int) -> None:
    box, opened, sealing = store
    async with centre(tmp_path / f"aggregator {seed}", seed) as there:
        link = there.link()
        carrier = courier(sealing, link)
        there.faults, there.share = FAULTS, 0.6
        failures = 0
        for _ in range(100):
            try:
                await carrier.deliver()
                await heard(box, opened, sealing)
            except NotDelivered:
                failures += 1
        assert failures > 10
        there.share = 0.0
        await carrier.deliver()
        await link.close()
        assert set(there.happened) == set(FAULTS)
        assert await stored(there, box) == box.everything()["reading"]
        assert await sealing.of(lambda outbox: list(outbox.waiting)) == []


async def test_it_waits_for_approval_and_says_whose(there: Centre, store: Appliance) -> None:
    _, _, sealing = store
    there.approves = False
    link = there.link()
    carrier = courier(sealing, link)
    identity = await sealing.of(lambda outbox: outbox.identity)
    with pytest.raises(NotDelivered, match="waits for the operator's approval") as fault:
        await carrier.deliver()
    assert identity.fingerprint in str(fault.value)
    # Strangers may read what is wrong, and the code is for who stands beside it.
    assert identity.claim_code not in str(fault.value)
    await there.appliances.approve(identity.appliance, NOW_MS, identity.claim_code)
    await carrier.deliver()
    await there.appliances.revoke(identity.appliance, NOW_MS)
    await sealing.of(lambda outbox: outbox.waiting.update(dict.fromkeys([next(iter([outbox._tip.name]))])))  # type: ignore[union-attr]
    with pytest.raises(NotDelivered, match="revoked"):
        await carrier.deliver()
    await link.close()


async def test_a_new_key_is_introduced_by_the_old_one(there: Centre, store: Appliance) -> None:
    box, opened, sealing = store
    before = await sealing.of(lambda outbox: outbox.identity)
    rotate(box.directory, rotate(box.directory, before))
    sealing._outbox = None
    await heard(box, opened, sealing)
    link = there.link()
    await courier(sealing, link).deliver()
    await link.close()
    assert await stored(there, box) == box.everything()["reading"]


async def test_the_next_address_is_tried(there: Centre, store: Appliance) -> None:
    box, _, sealing = store
    links = [Link("http://127.0.0.1:1", there.keys), there.link()]
    await courier(sealing, *links).deliver()
    assert await stored(there, box) == box.everything()["reading"]
    with pytest.raises(NotDelivered, match=r"http://127.0.0.1:1: cannot be reached"):
        await heard(box, store[1], sealing)
        await courier(sealing, links[0]).deliver()
    for link in links:
        await link.close()


async def test_a_batch_that_rots_on_the_card_does_not_hold_up_the_rest(there: Centre, store: Appliance) -> None:
    box, _, sealing = store
    first = sorted((box.directory / "outbox").glob("*.batch"))[0]
    content = bytearray(first.read_bytes())
    content[200] ^= 1
    first.write_bytes(content)
    link = there.link()
    with pytest.raises(NotDelivered, match="lacks batch 1-1, which is not here any more"):
        await courier(sealing, link).deliver()
    identity = await sealing.of(lambda outbox: outbox.identity)
    await there.worker.give_up_gap(identity.appliance, 1, NOW_MS)
    await courier(sealing, link).deliver()
    await link.close()
    assert await sealing.of(lambda outbox: list(outbox.waiting)) == []
    assert list((box.directory / "damaged").iterdir())


async def test_what_rots_of_an_earlier_key_does_not_hold_up_the_rest(there: Centre, store: Appliance) -> None:
    """Its content may be whole: the signature is not, and no aggregator takes it."""
    box, opened, sealing = store
    rotate(box.directory, await sealing.of(lambda outbox: outbox.identity))
    sealing._outbox = None
    await heard(box, opened, sealing)
    first = sorted((box.directory / "outbox").glob("*.batch"))[0]
    content = first.read_bytes()
    place = content.index(b'"sig":"') + 9
    first.write_bytes(content[:place] + (b"B" if content[place : place + 1] == b"A" else b"A") + content[place + 1 :])
    link = there.link()
    with pytest.raises(NotDelivered, match="lacks batch 1-1, which is not here any more"):
        await courier(sealing, link).deliver()
    identity = await sealing.of(lambda outbox: outbox.identity)
    await there.worker.give_up_gap(identity.appliance, 1, NOW_MS)
    await courier(sealing, link).deliver()
    await link.close()
    assert await sealing.of(lambda outbox: list(outbox.waiting)) == []


async def test_it_goes_on_by_itself(there: Centre, store: Appliance) -> None:
    box, opened, sealing = store
    reports: list[str] = []
    there.faults, there.share = ("busy",), 1.0
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        there.share = 0.0 if len(pauses) > 3 else 1.0

    about = About("Calle 5", "0.1.0")
    carrier = Courier(sealing, [there.link()], about, Clock().offer, lambda: 0.0, lambda: None, pause)
    task = asyncio.create_task(carrier.run(lambda reason, hint: reports.append(reason)))
    async with asyncio.timeout(20):
        while not reports or reports[-1]:
            await asyncio.sleep(0.01)
        await heard(box, opened, sealing)
        while len(await stored(there, box)) < len(box.everything()["reading"]):
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    # The aggregator asked for two seconds each time.
    assert pauses == [2.0] * 4
    assert "answers 503" in reports[0]
