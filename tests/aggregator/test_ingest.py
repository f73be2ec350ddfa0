"""A batch is verified, stored once and answered, on both databases."""

import asyncio
import gzip
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from sqlalchemy.event import listen, remove

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database, migrate
from appliance.aggregator.ingest import MOST_LINE_BYTES, Answer, Ingest, Refusal, Stored
from appliance.aggregator.schema import batch, event, meter, reading, reception
from appliance.sync.batch import NO_READINGS, NO_RECEPTIONS, Batch, Knot, Restated
from appliance.sync.envelope import BATCH, key_id, seal
from appliance.sync.pack import pack
from tests.aggregator.conftest import TEMPLATE
from tests.aggregator.postgresql import Server
from tests.aggregator.street import CENTRE, NOW, Sender, ingest, key, receipt, rows
from tests.sync.made_batch import UTC_MS, batches
from tests.sync.made_batch import batch as made_batch


async def test_a_batch_is_stored_with_all_that_it_holds(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker = ingest(database)
    said = receipt(await worker.ingest(sender.sealed(1), NOW))
    assert (said.appliance, said.epoch, said.sequence, said.stored_utc_ms) == (sender.identity, 1, 1, NOW)
    assert said.batch == sender.sha256[1, 1]
    meters = {row["meter_id"]: row for row in await rows(database, meter)}
    assert sorted((m["protocol"], m["endpoint_id"], m["commodity"]) for m in meters.values()) == [
        ("scm", 17_000_001, "electric"),
        ("scm+", 70_000_002, "gas"),
    ]
    told = await rows(database, reading, "ms")
    assert [(meters[r["meter_id"]]["endpoint_id"], r["ms"], r["consumption"], r["flags"]) for r in told] == [
        (17_000_001, 1000, 31_160, 0),
        (70_000_002, 2500, 7, 1),
        (17_000_001, 301_000, 31_163, 0),
    ]
    assert [(r["at"], r["uncertainty_ms"], r["source"]) for r in told] == [
        (UTC_MS + 1000, 250, "ntp"), (UTC_MS + 2500, 250, "ntp"), (UTC_MS + 301_000, 250, "ntp"),
    ]  # fmt: skip
    heard = await rows(database, reception, "count")
    assert [(r["count"], r["last_ms"], r["snr_best_cdb"]) for r in heard] == [(1, 2500, None), (29, 889_000, 1875)]
    (happened,) = await rows(database, event)
    assert (happened["kind"], happened["number"], happened["detail"]) == (
        "tamper", 5, '{"phy": [0, 1], "enc": [3, 3]}',
    )  # fmt: skip
    (stored,) = await rows(database, batch)
    counts = [stored[name] for name in ("readings", "receptions", "events", "told_again")]
    assert counts == [3, 2, 1, 0]


async def test_the_same_batch_gets_the_same_receipt(database: Database, place: Path | str) -> None:
    sender = await Sender().enrol(database)
    line = sender.sealed(1)
    first = await ingest(database).ingest(line, NOW)
    assert await ingest(database).ingest(line, NOW + 5) == first
    restarted = Database(place)
    assert await ingest(restarted).ingest(line, NOW + 99_000) == first
    assert await ingest(restarted).receipts(sender.identity, [(1, 1), (1, 2), (7, 7)]) == [first.receipt]
    await restarted.close()
    assert len(await rows(database, reading)) == 3
    assert len(await rows(database, batch)) == 1


async def test_a_question_after_many_receipts_costs_little(database: Database) -> None:
    """Anybody may ask, and every appliance does after an outage."""
    sender = await Sender().enrol(database)
    worker = ingest(database)
    stored = [await worker.ingest(sender.sealed(sequence), NOW) for sequence in (1, 2)]
    statements = []

    def count(*told: object) -> None:
        statements.append(told[2])

    listening = (database.engine.sync_engine, "before_cursor_execute", count)
    listen(*listening)
    names = [(epoch, sequence) for epoch in range(1, 11) for sequence in range(1, 101)]
    receipts = await worker.receipts(sender.identity, names)
    assert await worker.receipts("0" * 32, names) == []
    remove(*listening)
    assert [Stored(receipt) for receipt in receipts] == stored
    assert len(statements) < 10


async def test_an_appliance_is_believed_once_it_is_approved_until_it_is_revoked(database: Database) -> None:
    sender, worker, appliances = Sender(), ingest(database), Appliances(database)
    line = sender.sealed(1)
    assert refused(await worker.ingest(line, NOW)) == "unknown_key"
    await appliances.enrol(sender.enrolment(), NOW)
    assert refused(await worker.ingest(line, NOW)) == "not_approved"
    assert await rows(database, batch) == []
    await appliances.approve(sender.identity, NOW)
    assert isinstance(await worker.ingest(line, NOW), Stored)
    await appliances.revoke(sender.identity, NOW)
    assert refused(await worker.ingest(line, NOW)) == "revoked"
    assert refused(await worker.ingest(sender.sealed(2), NOW)) == "revoked"
    assert len(await rows(database, batch)) == 1


async def test_a_batch_of_another_is_refused(database: Database) -> None:
    """Another appliance's batch, or epoch's, under one's own key; a batch under another's key id."""
    one, other = await Sender(1).enrol(database), await Sender(2).enrol(database)
    worker = ingest(database)
    foreign = seal(BATCH, pack(made_batch(appliance=other.identity)), one.keys[1])
    assert refused(await worker.ingest(foreign, NOW)) == "not_its_own"
    later = seal(BATCH, pack(made_batch(appliance=one.identity, epoch=2)), one.keys[1])
    assert refused(await worker.ingest(later, NOW)) == "not_its_own"
    record = json.loads(one.sealed(1))
    record["signatures"][0]["keyid"] = key_id(other.keys[1].public_key())
    assert refused(await worker.ingest(json.dumps(record).encode(), NOW)) == "bad_signature"
    assert await rows(database, batch) == []


async def test_what_is_no_batch_is_refused(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker = ingest(database)
    stored = await worker.ingest(sender.sealed(1), NOW)
    assert isinstance(stored, Stored)
    lines = {
        stored.receipt: "wrong_type", sender.enrolment(): "wrong_type", sender.rotation(2): "wrong_type",
        b"": "malformed", b"[]": "malformed", b"{" * 9_000: "malformed", b"\xff": "malformed",
        b" " * (MOST_LINE_BYTES + 1): "too_large",
        seal(BATCH, b"no gzip", sender.keys[1]): "bad_content",
        seal(BATCH, gzip.compress(b"[" * 100_000), sender.keys[1]): "bad_content",
        seal(BATCH, gzip.compress(bytes(9 << 20)), sender.keys[1]): "too_large",
        seal(BATCH, pack(made_batch(appliance=sender.identity)), key(77)): "unknown_key",
    }  # fmt: skip
    for line, reason in lines.items():
        assert refused(await worker.ingest(line, NOW)) == reason
    assert len(await rows(database, batch)) == 1


async def test_what_no_table_can_hold_is_refused(database: Database) -> None:
    sender = await Sender().enrol(database)
    worker = ingest(database)
    part = made_batch().parts[0]
    huge = replace(part.receptions, count=[1 << 50, 1], levels=[1 << 50, 1], snr_sum_cdb=[1 << 60, 0])
    for strange in (replace(part, boot_id="\0"), replace(part, boot_id="\x85"), replace(part, receptions=huge)):
        assert refused(await worker.ingest(sender.sealed(1, parts=(strange,)), NOW)) == "bad_content"
    absurd = (Knot(0, 0, 0, "ntp"), Knot(1 << 41, 0, 0, "ntp"))
    for changed in ({"parts": (replace(part, clock=absurd),)}, {"restated": (Restated(1, absurd),)}):
        assert refused(await worker.ingest(sender.sealed(1, **changed), NOW)) == "bad_content"
    text = gzip.decompress(pack(made_batch(appliance=sender.identity))).replace(b"boot three", b"\\ud800")
    assert refused(await worker.ingest(seal(BATCH, gzip.compress(text), sender.keys[1]), NOW)) == "bad_content"
    assert await rows(database, batch) == []


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=batches())
def test_any_batch_that_unpacks_is_stored_or_refused(made: Batch, server: Server, tmp_path: Path) -> None:
    """And each of its rows once, on both databases alike."""

    async def told(place: Path | str) -> tuple[object, ...]:
        found = Database(place)
        await migrate(found.engine)
        sender = await Sender().enrol(found)
        changed = {name: getattr(made, name) for name in ("meters", "parts", "restated", "simulated", "sealed")}
        answer = await ingest(found).ingest(sender.sealed(1, **changed), NOW)
        kept = [await rows(found, table, "ms", "at", "boot_id") for table in (reading, reception, event)]
        await found.close()
        if isinstance(answer, Stored):
            assert len(kept[0]) == sum(len(part.readings.ms) for part in made.parts)
            assert len(kept[1]) == sum(len(part.receptions.ms) for part in made.parts)
            assert len(kept[2]) == sum(len(part.events) for part in made.parts)
        return type(answer), [sorted(row["at"] for row in table) for table in kept]

    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    assert asyncio.run(told(folder)) == asyncio.run(told(server.new_database(TEMPLATE)))


async def test_every_bit_flip_and_truncation_is_refused(database: Database) -> None:
    """All of them, of a small batch: nothing of it is stored until the whole of it comes."""
    sender = await Sender().enrol(database)
    worker = Ingest(database, CENTRE)
    part = made_batch().parts[0]
    small = replace(part, readings=NO_READINGS, receptions=NO_RECEPTIONS)
    line = sender.sealed(1, parts=(small,), restated=())
    for place in range(8 * len(line)):
        flipped = bytearray(line)
        flipped[place // 8] ^= 1 << place % 8
        # A key id or a signature in other capitals is not the same either.
        assert isinstance(await worker.ingest(bytes(flipped), NOW), Refusal), place
    for length in range(len(line)):
        assert refused(await worker.ingest(line[:length], NOW)) == "malformed"
    assert await rows(database, batch) == []
    assert isinstance(await worker.ingest(line, NOW), Stored)


def refused(answer: Answer) -> str:
    assert isinstance(answer, Refusal), answer
    return answer.reason
