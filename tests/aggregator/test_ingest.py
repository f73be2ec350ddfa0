"""A batch is verified, stored once and answered, on both databases."""

from appliance.aggregator.database import Database
from appliance.aggregator.schema import batch, event, meter, reading, reception
from tests.aggregator.street import NOW, Sender, ingest, receipt, rows
from tests.sync.made_batch import UTC_MS


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
