"""Lists of assignments at the aggregator, on both databases: versions, who gets which, and who does not."""

import asyncio
import random

import pytest

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.assignments import AssignmentLists, regarded
from appliance.aggregator.audit import deeds
from appliance.aggregator.database import Database
from appliance.aggregator.keys import Keys
from appliance.aggregator.schema import assignment, assignment_list
from appliance.assignment import MOST_ASSIGNED, Assignment
from appliance.errors import InputError, UsageError
from appliance.sync.assignments import Assignments, question, unpack_assignments
from appliance.sync.envelope import ANSWER, ASSIGNMENTS, Refused, key_id, opened, read, seal
from tests.aggregator.street import CENTRE, NOW, Sender, rows
from tests.aggregator.test_api import served

PUBLIC = {key_id(CENTRE.public_key()): CENTRE.public_key()}


def street(count: int, name: str = "house") -> list[Assignment]:
    found = [Assignment.of(1000 + n, "", f"{name} {n}", f"Calle 5 nº {n}, Ñuñoa", "0.01") for n in range(count)]
    random.Random(1).shuffle(found)
    return found


def said(line: bytes | None) -> Assignments:
    assert line is not None
    return unpack_assignments(opened(read(line), ASSIGNMENTS, PUBLIC))


async def test_a_list_has_a_version_for_what_it_says(database: Database) -> None:
    sender, lists = await Sender().enrol(database), AssignmentLists(database, CENTRE)
    assert await regarded(database, sender.identity) == ("approved", 0)
    assert await lists.line(sender.identity) is None
    first = await lists.assign(sender.identity, street(12), NOW)
    assert first == (NOW // 1000, 12, True)
    assert await lists.assign(sender.identity, reversed(street(12)), NOW + 60_000) == (first.version, 12, False)
    # Within the same second, or with a clock that was set back, it still goes up.
    second = await lists.assign(sender.identity, street(12, "casa"), NOW - 99_000)
    assert second == (first.version + 1, 12, True)
    told = said(await lists.line(sender.identity))
    assert (told.appliance, told.version, told.made_utc_ms) == (sender.identity, second.version, NOW - 99_000)
    assert told.meters == await lists.assigned(sender.identity) == tuple(sorted(street(12, "casa")))
    assert await regarded(database, sender.identity) == ("approved", second.version)
    empty = await lists.assign(sender.identity, [], NOW + 99_000)
    assert empty == (NOW // 1000 + 99, 0, True)
    assert said(await lists.line(sender.identity)).meters == ()
    assert await rows(database, assignment) == []
    assert [deed.detail for deed in await deeds(database, 9, about=sender.identity) if deed.what == "assign"] == [
        f"0 meters, version {empty.version}", f"12 meters, version {second.version}",
        f"12 meters, version {first.version}",
    ]  # fmt: skip


async def test_the_same_bytes_whoever_asks(database: Database) -> None:
    sender = await Sender().enrol(database)
    await AssignmentLists(database, CENTRE).assign(sender.identity, street(50), NOW)
    lines = {await AssignmentLists(database, CENTRE).line(sender.identity) for _ in range(3)}
    assert lines == {(await rows(database, assignment_list))[0]["line"]}


async def test_one_list_does_not_touch_another(database: Database) -> None:
    senders = [await Sender(n).enrol(database) for n in (1, 2)]
    lists = AssignmentLists(database, CENTRE)
    for n, sender in enumerate(senders):
        await lists.assign(sender.identity, street(3 + n, f"street {n}"), NOW)
    await lists.assign(senders[0].identity, [], NOW)
    assert await lists.assigned(senders[1].identity) == tuple(sorted(street(4, "street 1")))


async def test_only_who_is_approved_is_assigned_meters(database: Database) -> None:
    lists, keys, sender = AssignmentLists(database, CENTRE), Keys(database, lambda: 0.0), Sender()
    with pytest.raises(UsageError, match="has enrolled"):
        await lists.assign(sender.identity, street(3), NOW)
    await Appliances(database).enrol(sender.enrolment(), NOW)
    with pytest.raises(UsageError, match="is waiting: only approved appliances"):
        await lists.assign(sender.identity, street(3), NOW)
    await Appliances(database).approve(sender.identity, NOW)
    await lists.assign(sender.identity, street(3), NOW)
    asked = question(sender.identity, 0, sender.keys[1])
    assert said(await lists.answer(keys, asked)).version == NOW // 1000
    await Appliances(database).revoke(sender.identity, NOW)
    assert await lists.line(sender.identity) is None
    assert await regarded(database, sender.identity) == ("revoked", 0)
    with pytest.raises(Refused) as fault:
        await lists.answer(keys, asked)
    assert fault.value.reason == "revoked"
    with pytest.raises(UsageError, match="is revoked"):
        await lists.assign(sender.identity, street(4), NOW)
    assert await regarded(database, "' OR ''='") == ("unknown", 0)


async def test_addresses_are_told_only_to_whom_they_are_for(database: Database) -> None:
    lists, keys = AssignmentLists(database, CENTRE), Keys(database, lambda: 0.0)
    mine, other, stranger = await Sender(1).enrol(database), await Sender(2).enrol(database), Sender(3)
    version = (await lists.assign(mine.identity, street(3), NOW)).version
    asked = question(mine.identity, 0, mine.keys[1])
    for line, reason in (
        (question(mine.identity, 0, stranger.keys[1]), "unknown_key"),
        (question(mine.identity, 0, other.keys[1]), "not_its_own"),
        (seal(ANSWER, read(asked).payload, mine.keys[1]), "wrong_type"),
        (asked.replace(b'"sig":"', b'"sig":"AA'), "malformed"),
        (seal(read(asked).kind, b'{"appliance":"x","version":0}', mine.keys[1]), "bad_content"),
        (seal(read(asked).kind, b'{"version":0}', mine.keys[1]), "bad_content"),
        (seal(read(asked).kind, b"[" * 500, mine.keys[1]), "bad_content"),
        (b" " * 2000, "too_large"),
    ):
        with pytest.raises(Refused) as fault:
            await lists.answer(keys, line)
        assert fault.value.reason == reason, line
    assert await lists.answer(keys, question(other.identity, 0, other.keys[1])) is None
    assert await lists.answer(keys, question(mine.identity, version, mine.keys[1])) is None
    assert await lists.answer(keys, question(mine.identity, version - 1, mine.keys[1]))
    await Appliances(database).rotate(mine.rotation(2), NOW)
    await Appliances(database).revoke(mine.identity, NOW, epoch=1)
    with pytest.raises(Refused) as fault:
        await lists.answer(keys, asked)
    assert fault.value.reason == "revoked"


async def test_by_http_and_whether_it_has_come(database: Database) -> None:
    lists, mine, other = (
        AssignmentLists(database, CENTRE),
        await Sender(1).enrol(database),
        await Sender(2).enrol(database),
    )
    version = (await lists.assign(mine.identity, street(2_000), NOW)).version
    assert await lists.versions(mine.identity) == (version, 0)
    async with served(database) as centre:
        asked = question(mine.identity, 0, mine.keys[1])
        told, answer = await centre.post("assignments", asked, mine.identity)
        assert said(told["assignments"].encode()).version == version
        assert answer == {"answer": "approved"}
        assert await centre.post("assignments", question(mine.identity, version, mine.keys[1]), mine.identity) == [
            answer
        ]
        # Whose name is in the header counts for nothing.
        refused, _ = await centre.post("assignments", question(mine.identity, 0, other.keys[1]), mine.identity)
        assert refused["refused"] == "not_its_own"
        for body in (b"", b"{}", b"x" * 70_000, asked + b"\n" + asked):
            lines = await centre.post("assignments", body, mine.identity)
            assert not any("assignments" in line for line in lines), body
        await centre.deliver(mine, [mine.sealed(1, assignments=version)])
        assert await lists.versions(mine.identity) == (version, version)
        # It has one that nobody here made: the next list is above that.
        await centre.deliver(mine, [mine.sealed(2, assignments=version + 10_000)])
    assert (await lists.assign(mine.identity, street(3), NOW)).version == version + 10_001


async def test_several_workers_assign_at_once(database: Database) -> None:
    sender = await Sender().enrol(database)
    made = await asyncio.gather(
        *(AssignmentLists(database, CENTRE).assign(sender.identity, street(5 + n), NOW) for n in range(4))
    )
    assert sorted(one.version for one in made) == [NOW // 1000 + n for n in range(4)]
    told = said(await AssignmentLists(database, CENTRE).line(sender.identity))
    assert len(told.meters) == max(made).meters == len(await rows(database, assignment))


async def test_a_list_beyond_bounds_changes_nothing(database: Database) -> None:
    sender, lists = await Sender().enrol(database), AssignmentLists(database, CENTRE)
    await lists.assign(sender.identity, street(3), NOW)
    before = await lists.line(sender.identity)
    chance = random.Random(1)
    noise = ["".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(160)) for _ in range(MOST_ASSIGNED)]
    for meters, words in (
        ([*street(3), *street(1)], "meter 1000 stands twice"),
        (street(MOST_ASSIGNED + 1), "at most 10000"),
        ([Assignment.of(1 + n, "", "", text, "1") for n, text in enumerate(noise)], "are too many"),
    ):
        with pytest.raises(InputError, match=words):
            await lists.assign(sender.identity, meters, NOW + 5_000)
    assert await lists.line(sender.identity) == before
    assert (await lists.assign(sender.identity, street(MOST_ASSIGNED), NOW)).meters == MOST_ASSIGNED
