"""What a courier tells of itself, and that somebody who asks for a try does not wait for the next one."""

import asyncio
from pathlib import Path

import pytest

from appliance.errors import NotDelivered
from appliance.store.writer import Store
from appliance.sync.courier import HINT_IN_VAIN, HINT_WAITING, About, Courier
from appliance.sync.identity import rotate
from appliance.sync.outbox import Name, Outbox
from appliance.sync.sealing import Sealing
from appliance.sync.standing import Standings
from appliance.sync.transport import Link
from tests.store.box import Box
from tests.sync.centre import NOW_MS, Centre, centre
from tests.sync.test_courier import heard

Appliance = tuple[Box, Store, Sealing]


async def for_ever(_seconds: float) -> None:
    await asyncio.Event().wait()


def courier(sealing: Sealing, *links: Link, token: str = "") -> Courier:
    about = About("Calle 5", "0.1.0", token)
    return Courier(sealing, links, about, lambda *_: None, lambda: 900.0, lambda: None, for_ever)


async def until(carrier: Courier, link: Link, *, hint: str) -> None:
    async with asyncio.timeout(20):
        while carrier.is_trying or carrier.contacts[link.address].hint != hint:
            await asyncio.sleep(0.01)


async def sent(sealing: Sealing) -> int:
    return (await sealing.of(Standings().now)).sent


async def test_who_asks_does_not_wait_for_the_end_of_a_pause(there: Centre, here: Appliance) -> None:
    _, _, sealing = here
    there.approves = False
    link = there.link()
    carrier = courier(sealing, link)
    running = asyncio.create_task(carrier.run(lambda reason, hint: None))
    try:
        await until(carrier, link, hint=HINT_WAITING)
        await there.appliances.approve(await sealing.of(lambda outbox: outbox.identity.appliance), NOW_MS)
        carrier.try_now()
        assert carrier.is_trying
        await until(carrier, link, hint="")
        assert await sealing.of(lambda outbox: list(outbox.waiting)) == []
        # With nothing to deliver it costs nothing, either.
        carrier.try_now()
        async with asyncio.timeout(20):
            while carrier.is_trying:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_token_that_is_not_good_is_said_not_to_be(there: Centre, here: Appliance) -> None:
    box, _, sealing = here
    there.approves = False
    link = there.link()
    for token, hint in (("", HINT_WAITING), ("MISTYPED", HINT_IN_VAIN)):
        with pytest.raises(NotDelivered, match="waits for the operator's approval") as fault:
            await courier(sealing, link, token=token).deliver()
        assert fault.value.hint == hint
    # What the first key has said of itself before it went was without one.
    rotate(box.directory, await sealing.of(lambda outbox: outbox.identity))
    sealing._outbox = None
    with pytest.raises(NotDelivered) as fault:
        await courier(sealing, link, token="MISTYPED").deliver()
    assert fault.value.hint == HINT_WAITING
    await link.close()


async def test_a_token_for_another_aggregator_is_told_at_once(here: Appliance, tmp_path: Path) -> None:
    """Receipts of the one before are no reason not to say who this is."""
    box, store, sealing = here
    async with centre(tmp_path / "one") as one, centre(tmp_path / "other") as other:
        links = [one.link(), other.link()]
        await courier(sealing, links[0]).deliver()
        other.approves = False
        await heard(box, store, sealing)
        with pytest.raises(NotDelivered):
            await courier(sealing, links[1]).deliver()
        day_ms = 86_400_000
        token = await other.appliances.make_token(NOW_MS, day_ms)
        identity = await sealing.of(lambda outbox: outbox.identity.appliance)
        # Its batches of before are missing there; that it is approved is what the token is for.
        with pytest.raises(NotDelivered, match="lacks batch"):
            await courier(sealing, links[1], token=token).deliver()
        assert [known.state for known in await other.appliances.all() if known.identity == identity] == ["approved"]
        for link in links:
            await link.close()


async def test_only_what_was_needed_counts_as_tried(there: Centre, here: Appliance) -> None:
    links = [there.link(), Link("http://127.0.0.1:1", there.keys)]
    carrier = courier(here[2], *links)
    assert not any(contact.tried for contact in carrier.contacts.values())
    await carrier.deliver()
    assert [contact.tried for contact in carrier.contacts.values()] == [True, False]
    for link in links:
        await link.close()


async def test_what_was_sent_and_not_confirmed_is_counted(there: Centre, here: Appliance) -> None:
    box, store, sealing = here
    nobody, link = Link("http://127.0.0.1:1", there.keys), there.link()
    with pytest.raises(NotDelivered):
        await courier(sealing, nobody).deliver()
    assert await sent(sealing) == 0
    # The first is missing there, so that the others are taken in but not confirmed.
    await sealing.of(lambda outbox: outbox.waiting.pop(Name(1, 1)))
    with pytest.raises(NotDelivered, match="lacks batch 1-1"):
        await courier(sealing, link).deliver()
    assert await sent(sealing) == 2
    await heard(box, store, sealing)
    assert await sent(sealing) == 2
    await there.worker.give_up_gap(await sealing.of(lambda outbox: outbox.identity.appliance), 1, NOW_MS)
    await courier(sealing, link).deliver()
    assert await sent(sealing) == 0
    for one in (nobody, link):
        await one.close()


async def test_nothing_else_counts_as_sent(here: Appliance) -> None:
    def named(outbox: Outbox) -> int:
        outbox.note_sent([Name(1, 2), Name(9, 9)])
        return outbox.sent

    assert await here[2].of(named) == 1
    assert await sent(here[2]) == 1
