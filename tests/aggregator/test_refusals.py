"""Refusals are counted and kept as evidence, and cost the database little."""

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from appliance.aggregator import refusals as module
from appliance.aggregator.database import Database
from appliance.aggregator.ingest import Ingest, Refusal, Stored
from appliance.aggregator.refusals import Count, Refusals
from appliance.aggregator.schema import NO_APPLIANCE
from tests.aggregator.street import CENTRE, NOW, Sender


async def test_they_are_counted_by_whose_they_are(database: Database, place: Path | str) -> None:
    sender = await Sender().enrol(database)
    worker = Ingest(database, CENTRE, lambda: 0.0)
    await worker.keys.refresh()
    for n in range(30):
        assert isinstance(await worker.ingest(b"garbage", NOW + n), Refusal)
    assert await worker.refusals.counts() == []
    wrong = sender.sealed(1, previous="ab" * 32)
    for n in range(3):
        assert isinstance(await worker.ingest(wrong, NOW + n), Refusal)
    expected = [Count("", "malformed", 30, NOW, NOW + 29), Count(sender.identity, "broken_chain", 3, NOW, NOW + 2)]
    assert await worker.refusals.counts() == expected
    other = Database(place)
    theirs = Refusals(other, lambda: 0.0)
    await theirs.note(NO_APPLIANCE, "malformed", "no", b"x", NOW + 99)
    await theirs.write()
    await theirs.write()
    assert (await theirs.counts())[0] == Count("", "malformed", 31, NOW, NOW + 99)
    await other.close()


async def test_counts_outlive_a_database_that_fails(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = Refusals(database, lambda: 0.0)

    async def fail(*_: object) -> None:
        raise OperationalError("INSERT", None, OSError("no room"))

    await refusals.note(NO_APPLIANCE, "malformed", "no", b"x", NOW)
    with monkeypatch.context() as broken:
        broken.setattr(database, "write", fail)
        with pytest.raises(OperationalError):
            await refusals.write()
    await refusals.note(NO_APPLIANCE, "malformed", "no", b"x", NOW + 1)
    await refusals.write()
    assert await refusals.counts() == [Count("", "malformed", 2, NOW, NOW + 1)]


async def test_garbage_hardly_costs_a_write_and_good_batches_pass(database: Database) -> None:
    """Ten thousand bad lines in a second, a good one among each thousand."""
    sender = await Sender().enrol(database)
    now_s, writes = 0.0, 0
    worker = Ingest(database, CENTRE, lambda: now_s)
    write = worker.refusals.write

    async def counted() -> None:
        nonlocal writes
        writes += 1
        await write()

    worker.refusals.write = counted  # type: ignore[method-assign]
    flipped = bytearray(sender.sealed(1))
    flipped[200] ^= 1
    stranger = Sender(9).sealed(1)
    for sequence in range(1, 11):
        for line in (b"{", bytes(flipped), stranger, sender.enrolment()) * 250:
            assert isinstance(await worker.ingest(line, NOW), Refusal)
        now_s += 0.1
        assert isinstance(await worker.ingest(sender.sealed(sequence), NOW), Stored)
    assert writes == 0
    now_s = 5.0
    await worker.ingest(b"{", NOW)
    assert writes == 1
    assert sum(count.times for count in await worker.refusals.counts()) == 10_001
    assert len(await worker.refusals.last(1_000)) == module.UNKNOWN_AT_ONCE + 1


async def test_evidence_is_bounded_and_that_of_appliances_outlives_garbage(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNKNOWN", 5)
    monkeypatch.setattr(module, "MOST_OF_ONE", 3)
    one, other = await Sender(1).enrol(database), await Sender(2).enrol(database)
    refusals = Refusals(database, iter(range(0, 1 << 30, 100)).__next__)
    for n in range(10):
        for appliance_id in (1, 2, NO_APPLIANCE):
            await refusals.note(appliance_id, "fork", f"no {n} \0 \ud800 é", bytes([n]) * 10_000, NOW + n)
    await refusals.write()
    kept = await refusals.last()
    assert [e.evidence[0] for e in kept if e.identity == one.identity] == [9, 8, 7]
    assert [e.evidence[0] for e in kept if e.identity == other.identity] == [9, 8, 7]
    assert [e.evidence[0] for e in kept if not e.identity] == [9, 8, 7, 6, 5]
    assert {(e.line_bytes, len(e.evidence)) for e in kept} == {(10_000, module.MOST_EVIDENCE_BYTES)}
    assert kept[0].words == "no 9 ? ? é"
