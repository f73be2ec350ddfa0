"""Enrolment, approval, tokens, rotation, revocation."""

import asyncio
import json

import pytest

from appliance.aggregator import appliances as module
from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database
from appliance.aggregator.overview import keys
from appliance.aggregator.schema import appliance_key, chain, enrolment_token
from appliance.config import Site
from appliance.errors import UsageError
from appliance.naming import MOST_NAME
from appliance.settings import settings_of
from appliance.sync.envelope import ENROLMENT, Refused, seal
from tests.aggregator.street import CODE, NOW, Sender, key, public, rows

DAY_MS = 24 * 3_600_000


async def refused(work: object) -> str:
    with pytest.raises(Refused) as caught:
        await work  # type: ignore[misc]
    return caught.value.reason


async def test_an_appliance_enrols_and_is_approved(database: Database) -> None:
    sender, appliances = Sender(), Appliances(database)
    assert await appliances.enrol(sender.enrolment(), NOW) == "waiting"
    assert await appliances.enrol(sender.enrolment(name="renamed"), NOW + 1) == "waiting"
    (known,) = await appliances.all()
    assert (known.identity, known.name, known.state, known.enrolled_utc_ms) == (
        sender.identity,
        "renamed",
        "waiting",
        NOW,
    )
    await appliances.approve(sender.identity, NOW + 2, f" {CODE[:4].lower()}-{CODE[4:]}")
    assert await appliances.enrol(sender.enrolment(), NOW + 3) == "approved"
    await appliances.approve(sender.identity, NOW + 4)
    await appliances.revoke(sender.identity, NOW + 5)
    await appliances.revoke(sender.identity, NOW + 6)
    assert await appliances.enrol(sender.enrolment(), NOW + 7) == "revoked"
    (known,) = await appliances.all("revoked")
    assert (known.approved_utc_ms, known.revoked_utc_ms) == (NOW + 2, NOW + 5)
    with pytest.raises(UsageError, match="is revoked"):
        await appliances.approve(sender.identity, NOW)
    assert await appliances.all("waiting") == []


async def test_what_an_introduction_does_not_say_stays_known(database: Database) -> None:
    """One that has a second key repeats what its first has signed, where there is no name."""
    sender, appliances = Sender(), Appliances(database)
    await appliances.enrol(sender.enrolment(name="Calle 5", version="0.1.0"), NOW)
    await appliances.enrol(sender.enrolment(name="", version=""), NOW + 1)
    await appliances.enrol(sender.enrolment(name="", version="0.2.0"), NOW + 2)
    (known,) = await appliances.all()
    assert (known.name, known.version) == ("Calle 5", "0.2.0")


@pytest.mark.parametrize(
    "name", ["Ñ" * MOST_NAME, "\U00010348" * MOST_NAME, "x" * (MOST_NAME + 1), "a\u200db", "a\u202eb"]
)
async def test_a_name_is_taken_by_both_sides_or_by_neither(database: Database, name: str) -> None:
    site, wrong = settings_of(Site, {"name": name}, "site")
    if wrong:
        assert await refused(Appliances(database).enrol(Sender().enrolment(name=name), NOW)) == "bad_content"
    else:
        assert await Appliances(database).enrol(Sender().enrolment(name=site.name), NOW) == "waiting"
    assert bool(wrong) == (name[:1] in "xa")


async def test_another_claim_code_is_said(database: Database) -> None:
    sender, appliances = Sender(), Appliances(database)
    await appliances.enrol(sender.enrolment(), NOW)
    with pytest.raises(UsageError, match="another claim code"):
        await appliances.approve(sender.identity, NOW, "ABCD2346")
    for nobody in ("0" * 32, "nobody", "\0", "\ud800"):
        with pytest.raises(UsageError, match="has enrolled"):
            await appliances.approve(nobody, NOW)
    with pytest.raises(UsageError, match="no key of epoch 7"):
        await appliances.revoke(sender.identity, NOW, epoch=7)


async def test_a_token_approves_one_appliance_once(database: Database) -> None:
    appliances = Appliances(database)
    token, late = await appliances.make_token(NOW, DAY_MS), await appliances.make_token(NOW, DAY_MS)
    first, second = Sender(1), Sender(2)
    assert await appliances.enrol(first.enrolment(token=token), NOW) == "approved"
    assert await appliances.enrol(second.enrolment(token=token), NOW) == "waiting"
    assert await appliances.enrol(second.enrolment(token="ABC"), NOW) == "waiting"
    assert await appliances.enrol(second.enrolment(token=late), NOW + DAY_MS) == "waiting"
    assert await appliances.enrol(second.enrolment(token=late), NOW + DAY_MS - 1) == "approved"
    kept = await rows(database, enrolment_token, "used_utc_ms")
    assert [row["used_by"] for row in kept] == [first.identity, second.identity]
    assert token not in json.dumps(kept)


async def test_a_token_is_good_though_strangers_have_taken_all_places(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    appliances = Appliances(database)
    token = await appliances.make_token(NOW, DAY_MS)
    for stranger in (1, 2):
        assert await appliances.enrol(Sender(stranger).enrolment(), NOW) == "waiting"
    assert await refused(appliances.enrol(Sender(3).enrolment(token="ABC"), NOW)) == "too_many"
    assert await appliances.enrol(Sender(3).enrolment(token=token), NOW) == "approved"
    assert await refused(appliances.enrol(Sender(4).enrolment(token=token), NOW)) == "too_many"


async def test_enrolment_that_is_not_its_own_is_refused(database: Database) -> None:
    sender, appliances = Sender(), Appliances(database)
    foreign = json.loads(sender.enrolment())
    lines = {
        sender.enrolment(appliance="0" * 32): "not_its_own", sender.enrolment(public_key=public(key(9))): "unknown_key",
        sender.enrolment(public_key="AAAA"): "bad_content", sender.enrolment(public_key=7): "bad_content",
        sender.enrolment(name="x" * 81): "bad_content", sender.enrolment(version="\0"): "bad_content",
        sender.enrolment(claim="short"): "bad_content", sender.enrolment(token="\ud800"): "bad_content",
        sender.enrolment(more=1): "bad_content", sender.rotation(2): "bad_content", b"x": "malformed",
        b" " * 9_000: "too_large", seal(ENROLMENT, b"[]", sender.keys[1]): "bad_content",
        seal(ENROLMENT, b"[" * 5_000, sender.keys[1]): "bad_content",
        json.dumps(foreign | {"payloadType": "x"}).encode(): "wrong_type",
    }  # fmt: skip
    for line, reason in lines.items():
        assert await refused(appliances.enrol(line, NOW)) == reason
    assert await appliances.all() == []


async def test_who_waits_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    appliances = Appliances(database)
    for number in (1, 2):
        await appliances.enrol(Sender(number).enrolment(), NOW)
    assert await refused(appliances.enrol(Sender(3).enrolment(), NOW)) == "too_many"
    assert await appliances.enrol(Sender(2).enrolment(), NOW) == "waiting"
    await appliances.approve(Sender(1).identity, NOW)
    assert await appliances.enrol(Sender(3).enrolment(), NOW) == "waiting"


async def test_two_workers_enrol_the_same_appliance(database: Database, place: object) -> None:
    other = Database(place)  # type: ignore[arg-type]
    line = Sender().enrolment()
    answers = await asyncio.gather(*(Appliances(d).enrol(line, NOW) for d in (database, other) * 3))
    await other.close()
    assert answers == ["waiting"] * 6
    assert len(await Appliances(database).all()) == 1


async def test_keys_rotate_each_with_the_word_of_the_one_before(database: Database) -> None:
    sender, appliances = await Sender().enrol(database), Appliances(database)
    second, third = sender.rotation(2), sender.rotation(3)
    assert await refused(appliances.rotate(third, NOW)) == "unknown_key"
    for line in (second, second, third, second):
        await appliances.rotate(line, NOW)
    assert [row["epoch"] for row in await rows(database, appliance_key)] == [1, 2, 3]
    assert [row["statement"] for row in await rows(database, appliance_key)][1:] == [second, third]
    assert [(row["epoch"], row["sequence"]) for row in await rows(database, chain)] == [(1, 0), (2, 0), (3, 0)]


async def test_several_keys_may_follow_one(database: Database) -> None:
    """A backup that was restored more than once; which key follows which is known."""
    sender, appliances = await Sender().enrol(database), Appliances(database)
    for line in (sender.rotation(70, after=1), sender.rotation(40, after=1), sender.rotation(71), sender.rotation(41)):
        await appliances.rotate(line, NOW)
    assert [(key.epoch, key.follows, key.is_beside) for key in await keys(database, sender.identity)] == [
        (41, 40, False), (71, 70, False), (40, 1, True), (70, 1, True), (1, None, False),
    ]  # fmt: skip
    assert await refused(appliances.rotate(sender.rotation(40, after=70), NOW)) == "bad_content"
    # Whose number was drawn twice is told.
    assert await refused(appliances.rotate(sender.rotation(70, after=1, public_key=public(key(5))), NOW)) == "fork"


async def test_the_keys_of_one_appliance_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger that waits, or who has a stolen key, would else fill tables and memory with them."""
    monkeypatch.setattr(module, "MOST_KEYS", 3)
    sender, appliances = Sender(), Appliances(database)
    await appliances.enrol(sender.enrolment(), NOW)
    for epoch in (2, 3):
        await appliances.rotate(sender.rotation(epoch), NOW)
    assert await refused(appliances.rotate(sender.rotation(4), NOW)) == "too_many"
    await appliances.rotate(sender.rotation(3), NOW)
    await appliances.revoke(sender.identity, NOW, 1)
    await appliances.rotate(sender.rotation(4), NOW)


async def test_a_rotation_that_is_not_its_own_is_refused(database: Database) -> None:
    sender, other = await Sender(1).enrol(database), await Sender(2).enrol(database)
    appliances = Appliances(database)
    good = sender.rotation(2)
    lines = {
        sender.rotation(2, appliance=other.identity): "unknown_key", sender.rotation(2, appliance="\0"): "bad_content",
        sender.rotation(2, epoch=0): "bad_content", sender.rotation(2, epoch=1): "bad_content",
        sender.rotation(2, epoch=True): "bad_content", sender.rotation(2, epoch="2"): "bad_content",
        sender.rotation(2, public_key=public(other.keys[1])): "not_its_own", sender.enrolment(): "bad_content",
        sender.rotation(2, public_key=public(sender.keys[1])): "not_its_own",
    }  # fmt: skip
    for line, reason in lines.items():
        assert await refused(appliances.rotate(line, NOW)) == reason
    await appliances.rotate(good, NOW)
    assert await refused(appliances.rotate(sender.rotation(2, public_key=public(key(5))), NOW)) == "fork"
    third = sender.rotation(3)
    await appliances.revoke(sender.identity, NOW, epoch=2)
    assert await refused(appliances.rotate(third, NOW)) == "revoked"
    assert len(await rows(database, appliance_key)) == 3
