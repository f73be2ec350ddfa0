"""Rows of batches in the tables: told twice, moved by better clocks, of boots whose numbers were used twice."""

import json
from dataclasses import replace

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database
from appliance.aggregator.ingest import Refusal, Stored
from appliance.aggregator.schema import batch, boot, event, meter, reading, reception
from appliance.sync.batch import Happened, Knot, Meter, Part, Readings, Receptions, Restated, utc_ms
from appliance.sync.envelope import read
from tests.aggregator.street import NOW, Sender, ingest, rows
from tests.sync.made_batch import HOUR_MS, UTC_MS
from tests.sync.made_batch import batch as made_batch

PART = made_batch().parts[0]
LARGE = (reading, reception, event)


def part(moments: list[int], clock: tuple[Knot, ...], number: int = 3, boot_id: str = "boot three") -> Part:
    """A reading, a reception and an event of one meter at each of these milliseconds."""
    n = len(moments)
    return Part(
        number,
        boot_id,
        clock,
        Readings([0] * n, moments, list(range(n)), [0] * n, [None] * n, [0] * n),
        Receptions([0] * n, moments, *([[1] * n] * 3), [9] * n, *([[None] * n] * 3), [ms + 5 for ms in moments]),
        tuple(Happened(ms + 1, ms, "tamper", ms % 2 or None, {}) for ms in moments),
    )


async def told(database: Database) -> list[dict[int, tuple[int, int | None, str]]]:
    """When the rows of each table are, by boot and millisecond."""
    found = []
    for table in LARGE:
        kept = await rows(database, table)
        when = {(r["boot_id"], r["ms"]): (r["at"], r["uncertainty_ms"], r["source"]) for r in kept}
        assert len(when) == len(kept)
        found.append(when)
    return found


async def send(database: Database, *lines: bytes) -> None:
    worker = ingest(database)
    for line in lines:
        assert isinstance(await worker.ingest(line, NOW), Stored)


async def test_so_much_is_told_better_at_once_and_no_more(database: Database) -> None:
    """Each span is a statement, and on SQLite all other appliances wait meanwhile."""
    sender = await Sender().enrol(database)
    worker = ingest(database)
    clock = tuple(Knot(ms, UTC_MS + ms, 40, "ntp") for ms in range(500))
    told_better = tuple(Restated(boot, clock) for boot in range(1, 22))
    answer = await worker.ingest(sender.sealed(1, restated=told_better), NOW)
    assert isinstance(answer, Refusal)
    assert answer.reason == "bad_content"
    # As much as any appliance tells.
    clock = clock[:64]
    told_better = tuple(Restated(boot, clock) for boot in range(1, 101))
    await send(database, sender.sealed(1, restated=told_better))


async def test_better_knowledge_of_a_boots_time_moves_its_rows(database: Database) -> None:
    """Also into other months, and all tables' rows; those of other boots stay."""
    sender = await Sender().enrol(database)
    moments = [0, 10, 1_000, 500_000, 900_000]
    guess = (Knot(0, 1_000, None, "estimate"),)
    better = (
        Knot(10, UTC_MS, 40, "ntp"),
        Knot(1_000, UTC_MS + 2_000, 80, "rtc"),
        Knot(900_000, UTC_MS + 700_000, 7, "ntp"),
    )
    await send(
        database,
        sender.sealed(1, parts=(part(moments, guess), part([7], guess, 4, "boot four")), restated=()),
        sender.sealed(2, parts=(), restated=(Restated(3, better), Restated(99, better))),
    )
    expected = dict(zip(moments, utc_ms(better, moments), strict=True))
    for when in await told(database):
        assert {ms: at for (of, ms), (at, _, _) in when.items() if of == 1} == expected
        assert {key: found[1:] for key, found in when.items()} == {
            (1, 0): (40, "ntp"), (1, 10): (80, "rtc"), (1, 1_000): (80, "rtc"), (1, 500_000): (80, "rtc"),
            (1, 900_000): (7, "ntp"), (2, 7): (None, "estimate"),
        }  # fmt: skip
        assert when[2, 7][0] == 1_007
    worst = (Knot(0, UTC_MS - 30 * 24 * HOUR_MS, 1, "browser"),)
    await send(database, sender.sealed(3, parts=(part([901_000], worst),), restated=(Restated(3, worst),)))
    for when in await told(database):
        moved = {ms: at for (of, ms), (at, _, _) in when.items() if of == 1}
        assert moved == {ms: worst[0].utc_ms + ms for ms in (*moments, 901_000)}


async def test_a_row_that_is_told_again_is_kept_once(database: Database) -> None:
    """By the next epoch of a restored appliance, though its time is known better now."""
    sender = await Sender().enrol(database)
    await Appliances(database).rotate(sender.rotation(2), NOW)
    early, late = (Knot(0, UTC_MS, 9_000, "rtc"),), (Knot(0, UTC_MS + 77, 10, "ntp"),)
    await send(
        database,
        sender.sealed(1, parts=(part([1, 2, 3], early),), restated=()),
        sender.sealed(2, parts=(part([4, 5], early),), restated=()),
        sender.sealed(1, epoch=2, previous="", parts=(part([2, 4, 6], late),), restated=()),
    )
    for when in await told(database):
        assert {ms: at - UTC_MS for (_, ms), (at, _, _) in when.items()} == {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 83}
    kept = await rows(database, batch)
    counts = [(b["readings"], b["receptions"], b["events"], b["told_again"]) for b in kept]
    assert counts == [(3, 3, 3, 0), (2, 2, 2, 0), (1, 1, 1, 6)]


async def test_an_event_twice_in_one_batch_is_one(database: Database) -> None:
    sender = await Sender().enrol(database)
    doubled = replace(PART, events=PART.events * 2)
    await send(database, sender.sealed(1, parts=(doubled,)))
    assert len(await rows(database, event)) == 1
    assert [b["told_again"] for b in await rows(database, batch)] == [1]


async def test_the_same_meter_heard_by_two_appliances(database: Database) -> None:
    one, other = await Sender(1).enrol(database), await Sender(2).enrol(database)
    await send(database, one.sealed(1), other.sealed(1))
    assert len(await rows(database, meter)) == 2
    assert [r["appliance_id"] for r in await rows(database, reading, "appliance_id")] == [1, 1, 1, 2, 2, 2]


async def test_what_is_told_of_a_meter_last_counts(database: Database) -> None:
    sender = await Sender().enrol(database)
    changed = (Meter("scm", 17_000_001, 5, "unknown", False), Meter("scm+", 70_000_002, 12, "gas", False))
    await send(database, sender.sealed(1), sender.sealed(2, meters=changed, parts=()))
    assert [(m["endpoint_type"], m["commodity"]) for m in await rows(database, meter, "endpoint_id")] == [
        (5, "unknown"), (12, "gas"),
    ]  # fmt: skip


async def test_a_meter_that_was_made_up_is_another(database: Database) -> None:
    sender = await Sender().enrol(database)
    real = Meter("scm", 5, 7, "electric", False)
    await send(database, sender.sealed(1, meters=(real, real._replace(simulated=True)), parts=(), simulated=True))
    assert [m["simulated"] for m in await rows(database, meter, "simulated")] == [False, True]


async def test_a_boots_number_that_was_used_twice(database: Database) -> None:
    """By a machine and by the one restored from its backup: each epoch's better time is that of its own boot."""
    sender = await Sender().enrol(database)
    await Appliances(database).rotate(sender.rotation(2), NOW)
    guess, exact = (Knot(0, 5, None, "estimate"),), (Knot(0, UTC_MS, 5, "ntp"),)
    await send(
        database,
        sender.sealed(1, parts=(part([1], guess, 7, "the old machine's"),), restated=()),
        sender.sealed(1, epoch=2, previous="", parts=(part([1], guess, 7, "the new machine's"),), restated=()),
        sender.sealed(2, epoch=2, parts=(), restated=(Restated(7, exact),)),
    )
    assert [(b["number"], b["kernel_id"]) for b in await rows(database, boot)] == [
        (7, "the old machine's"), (7, "the new machine's"),
    ]  # fmt: skip
    assert (await told(database))[0] == {(1, 1): (6, None, "estimate"), (2, 1): (UTC_MS + 1, 5, "ntp")}
    await send(database, sender.sealed(2, parts=(), restated=(Restated(7, (Knot(0, 50, 1, "rtc"),)),)))
    assert (await told(database))[0] == {(1, 1): (51, 1, "rtc"), (2, 1): (UTC_MS + 1, 5, "ntp")}


async def test_each_line_of_keys_has_its_own_boots(database: Database) -> None:
    """Of a backup that was restored twice, and of one of before: whatever the numbers of their epochs."""
    sender = await Sender().enrol(database)
    for line in (sender.rotation(90, after=1), sender.rotation(40, after=1)):
        await Appliances(database).rotate(line, NOW)
    guess, exact = (Knot(0, 5, None, "estimate"),), (Knot(0, UTC_MS, 5, "ntp"),)
    await send(
        database,
        sender.sealed(1, parts=(part([1], guess, 8, "before"),), restated=()),
        sender.sealed(1, epoch=40, previous="", parts=(part([1], guess, 8, "of 40"),), restated=()),
        # Told again by the one that the first boot is of, too.
        sender.sealed(1, epoch=90, previous=sender.sha256[1, 1], parts=(part([1], guess, 8, "before"),), restated=()),
        sender.sealed(2, epoch=90, parts=(), restated=(Restated(8, exact),)),
    )
    assert (await told(database))[0] == {(1, 1): (UTC_MS + 1, 5, "ntp"), (2, 1): (6, None, "estimate")}
    await send(
        database,
        sender.sealed(2, epoch=40, parts=(), restated=(Restated(8, (Knot(0, 50, 1, "rtc"),)),)),
        sender.sealed(2, parts=(), restated=(Restated(8, (Knot(0, 70, 1, "rtc"),)),)),
    )
    assert (await told(database))[0] == {(1, 1): (71, 1, "rtc"), (2, 1): (51, 1, "rtc")}


async def test_what_differs_from_what_was_told_before_is_not_dropped_unsaid(database: Database) -> None:
    sender = await Sender().enrol(database)
    await Appliances(database).rotate(sender.rotation(2), NOW)
    worker, clock = ingest(database), (Knot(0, UTC_MS, 5, "ntp"),)
    first = part([1, 2, 3], clock)
    other = replace(
        first,
        readings=replace(first.readings, consumption=[0, 7, 2]),
        events=(first.events[0], first.events[1]._replace(detail={"phy": [0, 1]}), first.events[2]),
    )
    await send(database, sender.sealed(1, parts=(first,), restated=()))
    for epoch, sequence, again in ((1, 2, first), (2, 1, other)):
        line = sender.sealed(sequence, epoch=epoch, previous=sender.sha256[1, 1], parts=(again,), restated=())
        assert isinstance(await worker.ingest(line, NOW), Stored)
    assert [row["consumption"] for row in await rows(database, reading)] == [0, 1, 2]
    (told_otherwise,) = await worker.refusals.last()
    assert told_otherwise.reason == "contradiction"
    assert told_otherwise.words == "2 readings and events of batch 2-1 differ from what was told before, which stands"
    assert read(bytes(told_otherwise.evidence)).payload == read(line).payload


async def test_imports_have_their_place_in_the_calendar(database: Database) -> None:
    """In any order and repeated, whatever clock is told with them."""
    sender = await Sender().enrol(database)
    lying = (Knot(0, 99, 5, "ntp"),)
    old = [UTC_MS - year * 365 * 24 * HOUR_MS for year in (0, 30, 2, 11)]
    await send(
        database,
        sender.sealed(1, parts=(part(sorted(old[:2]), lying, 0, ""),), restated=()),
        sender.sealed(2, parts=(part(sorted(old), lying, 0, ""),), restated=(Restated(0, lying),)),
    )
    for when in await told(database):
        assert {ms: found for (_, ms), found in when.items()} == {ms: (ms, 0, "calendar") for ms in old}


async def test_the_clock_of_a_boot_is_kept(database: Database) -> None:
    sender = await Sender().enrol(database)
    await send(database, sender.sealed(1))
    (kept,) = await rows(database, boot)
    assert [tuple(knot) for knot in json.loads(kept["clock"])] == [tuple(knot) for knot in PART.clock]
    assert (kept["reading_ms"], kept["reception_ms"], kept["event_ms"]) == (301_000, 0, 301_000)
