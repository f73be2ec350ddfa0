"""Batches out of order, forks, gaps, and new epochs."""

import pytest

from appliance.aggregator import chains
from appliance.aggregator.appliances import Appliances
from appliance.aggregator.chains import Gap, Missing, gaps
from appliance.aggregator.database import Database
from appliance.aggregator.ingest import Ingest, Refusal, Stored, Waiting
from appliance.aggregator.schema import batch, reading, waiting_batch
from appliance.errors import UsageError
from appliance.sync.batch import Readings
from tests.aggregator.street import NOW, Sender, ingest, rows
from tests.sync.made_batch import batch as made_batch

PART = made_batch().parts[0]


def told(sender: Sender, sequence: int, **changed: object) -> bytes:
    """A batch with one reading of its own, at so many minutes."""
    ms = 60_000 * sequence + 1_000_000 * int(changed.get("epoch", 1))  # type: ignore[call-overload]
    readings = Readings([0], [ms], [sequence], [0], [0], [0])
    part = PART.__class__(3, "boot three", PART.clock, readings, PART.receptions, ())
    return sender.sealed(sequence, parts=(part,), restated=(), **changed)


async def sequences(database: Database) -> list[tuple[int, int]]:
    return [(row["epoch"], row["sequence"]) for row in await rows(database, batch)]


async def refused(worker: Ingest, line: bytes) -> str:
    answer = await worker.ingest(line, NOW)
    assert isinstance(answer, Refusal), answer
    return answer.reason


async def test_what_comes_early_waits_and_is_stored_in_order(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker = ingest(database)
    lines = [told(sender, sequence) for sequence in range(1, 7)]
    assert isinstance(await worker.ingest(lines[0], NOW), Stored)
    for place in (4, 2, 5, 2):
        assert await worker.ingest(lines[place], NOW + place) == Waiting(1, 2, is_kept=True)
    assert await gaps(database) == [Gap(sender.identity, 1, 2, 2, 3, NOW + 2)]
    assert isinstance(await worker.ingest(lines[1], NOW), Stored)
    assert await sequences(database) == [(1, 1), (1, 2), (1, 3)]
    assert await gaps(database) == [Gap(sender.identity, 1, 4, 4, 2, NOW + 4)]
    assert isinstance(await worker.ingest(lines[3], NOW), Stored)
    assert await sequences(database) == [(1, n) for n in range(1, 7)]
    assert await rows(database, waiting_batch) == []
    assert await gaps(database) == []
    receipts = await worker.receipts(sender.identity, [(1, n) for n in range(1, 7)])
    assert [await worker.ingest(line, NOW + 77) for line in lines] == [Stored(receipt) for receipt in receipts]
    assert len(await rows(database, reading)) == 6


async def test_a_worker_that_ended_before_the_rest_was_stored(database: Database) -> None:
    """What waited and is sent again finds its place, and takes along what waited behind it."""
    sender = await Sender().enrol(database)
    lines = [told(sender, sequence) for sequence in range(1, 5)]
    worker = ingest(database)
    worker._drain = _nothing  # type: ignore[method-assign]
    for place in (1, 2, 3, 0):
        await worker.ingest(lines[place], NOW)
    assert await sequences(database) == [(1, 1)]
    assert isinstance(await ingest(database).ingest(lines[1], NOW), Stored)
    assert await sequences(database) == [(1, n) for n in range(1, 5)]


async def _nothing(appliance_id: int, now_utc_ms: int) -> None: ...


async def test_no_more_waits_than_there_is_room_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = await Sender(1).enrol(database), await Sender(2).enrol(database)
    worker = ingest(database)
    monkeypatch.setattr(chains, "MOST_WAITING", 2)
    lines = [told(one, sequence) for sequence in range(1, 6)]
    kept = [await worker.ingest(line, NOW) for line in lines[1:]]
    assert kept == [Waiting(1, 1, is_kept=True)] * 2 + [Waiting(1, 1, is_kept=False)] * 2
    monkeypatch.setattr(chains, "MOST_WAITING_BYTES", len(told(other, 2)) + 1)
    assert await worker.ingest(told(other, 2), NOW) == Waiting(1, 1, is_kept=True)
    assert await worker.ingest(told(other, 3), NOW) == Waiting(1, 1, is_kept=False)
    for line in lines:
        assert isinstance(await worker.ingest(line, NOW), Stored)
    assert [row["appliance_id"] for row in await rows(database, waiting_batch)] == [2]


async def test_a_fork_is_refused_and_kept_as_evidence(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker = ingest(database)
    first = told(sender, 1)
    begun = sender.sha256[1, 1]
    for line in (first, told(sender, 2)):
        assert isinstance(await worker.ingest(line, NOW), Stored)
    other = told(sender, 2, previous=begun, assignments=9)
    assert await refused(worker, other) == "fork"
    assert await refused(worker, told(sender, 3, previous=begun)) == "fork"
    assert await refused(worker, told(sender, 3, previous="")) == "fork"
    assert await refused(worker, told(sender, 3, previous="ab" * 32)) == "broken_chain"
    assert await refused(worker, told(sender, 1, previous="ab" * 32)) == "fork"
    evidence = await worker.refusals.last()
    assert [e.reason for e in evidence] == ["fork", "broken_chain", "fork", "fork", "fork"]
    assert (evidence[-1].identity, evidence[-1].evidence) == (sender.identity, other[:4096])
    assert await sequences(database) == [(1, 1), (1, 2)]


async def test_the_first_of_all_follows_nothing(database: Database) -> None:
    sender = await Sender().enrol(database)
    assert await refused(ingest(database), told(sender, 1, previous="ab" * 32)) == "broken_chain"


async def test_a_fork_among_those_that_wait(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker = ingest(database)
    first, second = told(sender, 1), told(sender, 2)
    third = told(sender, 3, previous="ab" * 32)
    assert await worker.ingest(third, NOW) == Waiting(1, 1, is_kept=True)
    assert await refused(worker, told(sender, 3, previous="cd" * 32)) == "fork"
    for line in (first, second):
        assert isinstance(await worker.ingest(line, NOW), Stored)
    assert await sequences(database) == [(1, 1), (1, 2)]
    assert await rows(database, waiting_batch) == []
    assert [e.reason for e in await worker.refusals.last()] == ["broken_chain", "fork"]


async def test_a_gap_that_is_given_up(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker = ingest(database)
    lines = [told(sender, sequence) for sequence in range(1, 8)]
    with pytest.raises(UsageError, match="no batch of epoch 1 waits"):
        await worker.give_up_gap(sender.identity, 1, NOW)
    with pytest.raises(UsageError, match="has enrolled"):
        await worker.give_up_gap("0" * 32, 1, NOW)
    for place in (0, 4, 5, 6):
        await worker.ingest(lines[place], NOW)
    assert await worker.give_up_gap(sender.identity, 1, NOW) == Missing(1, 4)
    assert await sequences(database) == [(1, n) for n in (1, 5, 6, 7)]
    assert await gaps(database) == []
    # A batch of it that turns up is stored, if it fits.
    assert await refused(worker, told(sender, 4, previous="ab" * 32)) == "broken_chain"
    assert isinstance(await worker.ingest(lines[3], NOW), Stored)
    assert isinstance(await worker.ingest(lines[1], NOW), Stored)
    assert isinstance(await worker.ingest(told(sender, 8, previous=sender.sha256[1, 7]), NOW), Stored)
    assert await sequences(database) == [(1, n) for n in (1, 2, 4, 5, 6, 7, 8)]


async def test_a_new_epoch_follows_any_batch_that_is_known(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker = ingest(database)
    for sequence in (1, 2, 3):
        assert isinstance(await worker.ingest(told(sender, sequence), NOW), Stored)
    rotation = sender.rotation(2)
    restored = told(sender, 1, epoch=2, previous=sender.sha256[1, 2])
    assert await refused(worker, restored) == "unknown_key"
    await Appliances(database).rotate(rotation, NOW)
    assert isinstance(await worker.ingest(restored, NOW), Stored)
    assert isinstance(await worker.ingest(told(sender, 2, epoch=2), NOW), Stored)
    # A stick with what the lost machine had sealed since.
    assert isinstance(await worker.ingest(told(sender, 4, previous=sender.sha256[1, 3]), NOW), Stored)
    assert await sequences(database) == [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2)]
    assert len(await rows(database, reading)) == 6


async def test_a_new_epoch_waits_for_the_batch_that_it_follows(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker = ingest(database)
    lines = [told(sender, sequence) for sequence in (1, 2)]
    await Appliances(database).rotate(sender.rotation(2), NOW)
    later = [told(sender, 1, epoch=2, previous=sender.sha256[1, 2]), told(sender, 2, epoch=2)]
    assert await worker.ingest(later[0], NOW) == Waiting(1, 1, is_kept=True)
    assert await worker.ingest(later[1], NOW) == Waiting(2, 1, is_kept=True)
    assert await gaps(database) == [Gap(sender.identity, 2, 0, 0, 2, NOW)]
    for line in lines:
        assert isinstance(await worker.ingest(line, NOW), Stored)
    assert await sequences(database) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert await gaps(database) == []


async def test_a_new_epoch_whose_beginning_is_given_up_or_not_known(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker = ingest(database)
    await Appliances(database).rotate(sender.rotation(2), NOW)
    await Appliances(database).rotate(sender.rotation(3), NOW)
    assert isinstance(await worker.ingest(told(sender, 1, epoch=3, previous=""), NOW), Stored)
    assert await worker.ingest(told(sender, 1, epoch=2, previous="ab" * 32), NOW) == Waiting(1, 1, is_kept=True)
    assert await worker.give_up_gap(sender.identity, 2, NOW) == Missing(2, 0)
    assert await sequences(database) == [(2, 1), (3, 1)]


async def test_a_revoked_key_ends_its_epoch_alone(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker, appliances = ingest(database), Appliances(database)
    await appliances.rotate(sender.rotation(2), NOW)
    early = told(sender, 1, epoch=2, previous="")
    await worker.ingest(told(sender, 2, previous="ab" * 32), NOW)
    await appliances.revoke(sender.identity, NOW, epoch=1)
    assert await refused(worker, told(sender, 1)) == "revoked"
    assert isinstance(await worker.ingest(early, NOW), Stored)
    assert await sequences(database) == [(2, 1)]
