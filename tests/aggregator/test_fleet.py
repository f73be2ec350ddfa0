"""How appliances stand, as the database knows it; on both databases."""

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.chains import Gap
from appliance.aggregator.database import Database
from appliance.aggregator.fleet import Member, fleet, standing
from appliance.aggregator.overview import last_batches
from tests.aggregator.street import NOW, Sender, ingest, sealed_batch


async def test_each_appliance_with_its_last_batch_and_what_is_missing(database: Database) -> None:
    new, steady, gappy = Sender(1), await Sender(2).enrol(database), await Sender(3).enrol(database)
    worker = ingest(database)
    await Appliances(database).enrol(new.enrolment(), NOW)
    for n in (1, 2):
        await worker.ingest(steady.sealed(n), NOW)
    await Appliances(database).rotate(steady.rotation(2), NOW)
    lines = {n: gappy.sealed(n) for n in range(1, 8)}
    for n in (1, 4, 6, 7):
        await worker.ingest(lines[n], NOW + n)
    sealed_ms = sealed_batch(lines[1]).sealed.utc_ms
    assert await fleet(database) == [
        Member(steady.identity, "street 2", "approved", (1, 2), sealed_ms, ()),
        Member(
            gappy.identity, "street 3", "approved", (1, 1), sealed_ms, (Gap(gappy.identity, 1, 2, 3, 3, NOW + 4),)
        ),
        Member(new.identity, "street 1", "waiting", None, None, ()),
    ]  # fmt: skip
    await worker.ingest(steady.sealed(1, epoch=2, previous=steady.sha256[1, 2]), NOW)
    assert (await fleet(database))[0].last == (2, 1)
    # Of keys that restores began it is not the highest that counts.
    await Appliances(database).rotate(steady.rotation(90, after=1), NOW)
    await worker.ingest(steady.sealed(1, epoch=90, previous=steady.sha256[1, 2]), NOW + 10)
    assert (await fleet(database))[0].last == (90, 1)
    await worker.ingest(steady.sealed(2, epoch=2), NOW + 20)
    assert (await fleet(database))[0].last == (2, 2)
    assert [(one.epoch, one.sequence) for one in await last_batches(database, steady.identity, 3)] == [
        (2, 2), (90, 1), (2, 1),
    ]  # fmt: skip


async def test_how_an_appliance_is_regarded(database: Database) -> None:
    sender = Sender()
    assert await standing(database, sender.identity) == "unknown"
    await Appliances(database).enrol(sender.enrolment(), NOW)
    assert await standing(database, sender.identity) == "waiting"
    await Appliances(database).approve(sender.identity, NOW)
    assert await standing(database, sender.identity) == "approved"
    await Appliances(database).revoke(sender.identity, NOW)
    assert await standing(database, sender.identity) == "revoked"
    assert await standing(database, "' OR ''='") == "unknown"
