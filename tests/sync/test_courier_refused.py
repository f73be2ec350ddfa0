"""When the aggregator does not take it, or the card: what is said, what to do is said, all is kept, and it goes on."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import distinct, func, select

from appliance.aggregator.schema import appliance, batch, waiting_batch
from appliance.errors import NotDelivered, StoreError
from appliance.store.backup import restore
from appliance.store.writer import Store
from appliance.supervisor import Backoff, Supervisor
from appliance.sync.courier import LEAST_BYTES, About, Courier
from appliance.sync.envelope import key_id
from appliance.sync.identity import IDENTITY, ask_new_key, rotate
from appliance.sync.sealing import Sealing
from appliance.sync.transport import Link
from tests.aggregator.street import Sender
from tests.store.box import Box
from tests.sync.centre import NOW_MS, Centre
from tests.sync.test_courier import courier, heard

Appliance = tuple[Box, Store, Sealing]


async def refused(carrier: Courier) -> NotDelivered:
    with pytest.raises(NotDelivered) as fault:
        await carrier.deliver()
    return fault.value


async def waiting(sealing: Sealing) -> int:
    return await sealing.of(lambda outbox: len(outbox.waiting))


async def test_an_aggregator_that_takes_in_nobody_more(
    there: Centre, here: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.approves = False
    monkeypatch.setattr("appliance.aggregator.appliances.MOST_WAITING", 2)
    for n in range(2):
        await there.appliances.enrol(Sender(n).enrolment(), NOW_MS)
    link = there.link()
    fault = await refused(courier(here[2], link))
    assert "does not take this appliance in: 2 appliances wait for an operator already (too_many)" in str(fault)
    assert fault.hint.startswith("Ask the operator")
    assert there.requests == {"enrolments": 1}
    await link.close()


async def test_a_key_that_was_revoked(there: Centre, here: Appliance) -> None:
    """Nor does a later key help, for which the revoked one gives its word."""
    box, store, sealing = here
    link = there.link()
    carrier = courier(sealing, link)
    await carrier.deliver()
    who = await sealing.of(lambda outbox: outbox.identity)
    await there.appliances.revoke(who.appliance, NOW_MS, epoch=1)
    await heard(box, store, sealing)
    fault = await refused(carrier)
    assert "refuses what is sent" in str(fault)
    assert "(revoked)" in str(fault)
    rotate(box.directory, who)
    sealing._outbox = None
    await heard(box, store, sealing)
    fault = await refused(carrier)
    assert "(revoked)" in str(fault)
    assert fault.hint.startswith("Ask the operator")
    assert await waiting(sealing) == 2
    await link.close()


async def test_a_key_that_was_revoked_after_it_had_another(there: Centre, here: Appliance) -> None:
    """The keys that came later are good, and those after them."""
    box, store, sealing = here
    link = there.link()
    carrier = courier(sealing, link)
    await carrier.deliver()
    for epoch in (2, 3):
        rotate(box.directory, await sealing.of(lambda outbox: outbox.identity))
        sealing._outbox = None
        await heard(box, store, sealing)
        await carrier.deliver()
        who = await sealing.of(lambda outbox: outbox.identity)
        assert who.epoch == epoch
        await there.appliances.revoke(who.appliance, NOW_MS, epoch=1)
    assert await waiting(sealing) == 0
    await link.close()


def restored(box: Box, directory: Path) -> Box:
    """The appliance as a restore of what a box holds now makes it."""
    shutil.copytree(box.directory, directory / "handover" / "restore")
    (directory / "handover" / "restore" / restore.ABOUT).write_text('{"made": "once"}')
    assert restore.take_up(directory)
    made = box.at(directory)
    made.restart()
    # Machines name their boots by chance.
    made.boots += 100 * (1 + len(list(directory.parent.iterdir())))
    return made


async def test_backups_that_are_restored_more_than_once(there: Centre, here: Appliance, tmp_path: Path) -> None:
    """One twice, one of before a restore, one of a restored machine; in any order, and the first one goes on."""
    box, store, sealing = here
    link = there.link()
    early = restored(box, tmp_path / "early")
    await courier(sealing, link).deliver()
    await heard(box, store, sealing)
    machines = [restored(box, tmp_path / f"late {times}") for times in (1, 2)]
    machines.append(early)
    for times in range(5):
        if times == 3:
            machines.append(restored(machines[0], tmp_path / "again"))
        async with machines[times % 4].store() as one:
            anew = Sealing(one)
            for _ in range(2 + times):
                await heard(machines[times % 4], one, anew)
            await courier(anew, link).deliver()
            assert await waiting(anew) == 0
            anew.close()
        await heard(box, store, sealing)
        await courier(sealing, link).deliver()
    async with there.database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(appliance)) == 1
        assert await connection.scalar(select(func.count(distinct(batch.c.epoch)))) == 5
        assert await connection.scalar(select(func.count()).select_from(waiting_batch)) == 0
    await there.worker.refusals.write()
    # As long as a new key was not introduced.
    assert {one.reason for one in await there.worker.refusals.last()} <= {"unknown_key"}
    await link.close()


async def test_a_card_that_was_copied(there: Centre, here: Appliance, tmp_path: Path) -> None:
    """Two machines began the same epoch, each with a key of its own. What helps is said, and does help."""
    box, _, sealing = here
    link = there.link()
    await courier(sealing, link).deliver()
    for times in (1, 2):
        copied = Box(tmp_path / f"copied {times}")
        shutil.copytree(box.directory, copied.directory)
        ask_new_key(copied.directory)
        async with copied.store() as store:
            anew = Sealing(store)
            for _ in range(times):
                await heard(copied, store, anew)
            if times == 1:
                await courier(anew, link).deliver()
                anew.close()
                continue
            fault = await refused(courier(anew, link))
            assert "does not take this appliance in: another key is known for epoch 2 (fork)" in str(fault)
            assert fault.hint.startswith("Another machine has begun a new key with this one's identity")
            anew.close()
    shutil.rmtree(copied.directory / IDENTITY)
    async with copied.store() as store:
        anew = Sealing(store)
        await heard(copied, store, anew)
        await courier(anew, link).deliver()
        assert await waiting(anew) == 0
        anew.close()
    first, second = await there.appliances.all()
    count = select(func.sum(batch.c.readings)).join(appliance).group_by(appliance.c.identity)
    async with there.database.reading() as connection:
        told = [await connection.scalar(count.where(appliance.c.identity == one.identity)) for one in (first, second)]
    # From the first day on.
    assert told[1] > told[0]
    await link.close()


async def test_what_nobody_takes_is_tried_with_little(there: Centre, here: Appliance) -> None:
    """Another appliance has used this one's numbers: its card was copied."""
    box, _, sealing = here
    link = there.link()
    carrier = courier(sealing, link)
    await carrier.deliver()
    copy = Box(box.directory.with_name("copy"))
    async with copy.store() as other:
        (copy.directory / IDENTITY).mkdir()
        for path in (box.directory / IDENTITY).iterdir():
            (copy.directory / IDENTITY / path.name).write_bytes(path.read_bytes())
        (copy.directory / IDENTITY).chmod(0o700)
        twin = Sealing(other)
        for _ in range(6):
            copy.hear(other, 15, meters=3)
            assert await twin.seal_now() == ""
        second = courier(twin, link)
        for _ in range(2):
            fault = await refused(second)
            assert "refuses what is sent" in str(fault)
            assert "(fork)" in str(fault)
            assert second._bytes == LEAST_BYTES
        assert await waiting(twin) == 6
        twin.close()
    await link.close()


async def test_a_gap_is_for_the_operator(there: Centre, here: Appliance) -> None:
    box, _, sealing = here
    sorted((box.directory / "outbox").glob("*.batch"))[1].unlink()
    link = there.link()
    carrier = courier(sealing, link)
    fault = await refused(carrier)
    assert "lacks batch 1-2, which is not here any more" in str(fault)
    assert fault.hint.startswith("Ask the operator to give the gap up")
    assert carrier._bytes == LEAST_BYTES
    assert await waiting(sealing) == 1
    await link.close()


async def test_a_key_that_is_not_theirs(there: Centre, here: Appliance) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    link = Link(there.address, {key_id(other): other})
    fault = await refused(courier(here[2], link))
    assert str(fault) == f"{there.address} does not answer with its key"
    assert "aggregator_key" in fault.hint
    assert await waiting(here[2]) == 3
    await link.close()


async def test_what_a_person_can_do_is_said_first(there: Centre, here: Appliance) -> None:
    there.approves = False
    links = [Link("http://127.0.0.1:1", there.keys), there.link()]
    fault = await refused(courier(here[2], *links))
    assert str(fault).startswith("http://127.0.0.1:1: cannot be reached")
    assert fault.hint.startswith("Tell the operator the number and the code,")
    assert fault.retry_after_s == 300.0
    for link in links:
        await link.close()


Break = Callable[[Box], Callable[[], object]]


def receipts_are_a_folder(box: Box) -> Callable[[], object]:
    (box.directory / "outbox" / "receipts.jsonl").mkdir()
    return (box.directory / "outbox" / "receipts.jsonl").rmdir


def keys_are_damaged(box: Box) -> Callable[[], object]:
    paths = [path for path in (box.directory / IDENTITY).iterdir() if path.suffix in (".key", ".copy")]
    kept = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.write_bytes(b"damaged")
    # So that they are read again.
    (box.directory / "outbox").rename(box.directory / "moved")
    (box.directory / "moved").rename(box.directory / "other")
    (box.directory / "outbox").mkdir()

    def mend() -> None:
        for path, content in kept.items():
            path.write_bytes(content)
        (box.directory / "outbox").rmdir()
        (box.directory / "other").rename(box.directory / "outbox")

    return mend


@pytest.mark.parametrize(
    ("harm", "reason", "hint"),
    [
        (receipts_are_a_folder, "the outbox cannot be used: Is a directory", "Check that the card is not full"),
        (keys_are_damaged, "000001.key is damaged, and so is its copy", "Restore a backup"),
    ],
)
async def test_a_fault_of_the_card_is_said_and_it_goes_on(
    there: Centre, here: Appliance, harm: Break, reason: str, hint: str
) -> None:
    box, _, sealing = here
    mend = harm(box)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            mend()
        await asyncio.sleep(0)

    back_off = Backoff(5.0, 900.0, uniform=lambda low, high: high)
    carrier = Courier(
        sealing, [there.link()], About("Calle 5", "0.1.0"), lambda *time: None, back_off.next_s, back_off.reset, pause
    )
    supervisor = Supervisor()
    supervisor.start("delivery", carrier.run)
    seen = []
    async with asyncio.timeout(20):
        while await waits(sealing) or supervisor.health["delivery"].state != "healthy":
            if (health := supervisor.health["delivery"]).reason and health not in seen:
                seen.append(health)
            await asyncio.sleep(0.005)
    await supervisor.stop()
    # By itself, without that the task ends, each time after a longer pause.
    assert pauses == [5.0, 10.0, 20.0]
    assert [(health.state, health.failures) for health in seen] == [("degraded", 0)]
    assert reason in seen[0].reason
    assert seen[0].hint.startswith(hint)


async def test_what_is_stored_is_not_sent_again_because_the_card_takes_no_receipts(
    there: Centre, here: Appliance
) -> None:
    """Over a link that costs by the byte, until somebody sees to the card."""
    box, _, sealing = here
    mend = receipts_are_a_folder(box)
    link = there.link()
    carrier = courier(sealing, link)
    for _ in range(4):
        with pytest.raises(OSError, match="Is a directory"):
            await carrier.deliver()
    # The first was before it was known there.
    assert there.requests["batches"] == 2
    mend()
    await carrier.deliver()
    assert there.requests["batches"] == 2
    assert await waiting(sealing) == 0
    await link.close()


async def waits(sealing: Sealing) -> bool:
    try:
        return await waiting(sealing) > 0
    except (StoreError, OSError):
        return True
