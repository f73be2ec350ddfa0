"""Assignments by HTTP: asked for when an answer tells of newer ones, and never in the way of what is delivered."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.assignment import MOST_ASSIGNED, Assignment
from appliance.errors import NotDelivered
from appliance.store.writer import Store
from appliance.sync.assignments import Assignments, pack_assignments
from appliance.sync.courier import Courier
from appliance.sync.envelope import ASSIGNMENTS, read, seal
from appliance.sync.sealing import Sealing
from appliance.sync.unpack import unpack
from tests.store.box import Box
from tests.sync.centre import NOW_MS, Centre, centre
from tests.sync.test_courier import FAULTS, courier, heard


class Appliance:
    """One that delivers to `there`."""

    def __init__(self, box: Box, store: Store, sealing: Sealing, carrier: Courier) -> None:
        self.box, self.store, self.sealing, self.carrier = box, store, sealing, carrier
        self.names: list[str] = []

    async def identity(self) -> str:
        return await self.sealing.of(lambda outbox: outbox.identity.appliance)

    async def deliver(self) -> None:
        """Hear, seal and deliver."""
        await heard(self.box, self.store, self.sealing)
        await self.carrier.deliver()

    async def waiting(self) -> int:
        return await self.sealing.of(lambda outbox: len(outbox.waiting))


@pytest.fixture
async def here(tmp_path: Path, there: Centre) -> AsyncIterator[Appliance]:
    box, link = Box(tmp_path / "data"), there.link()
    async with box.store() as store:
        sealing = Sealing(store)
        yield Appliance(box, store, sealing, courier(sealing, link))
        sealing.close()
    await link.close()


def street(meters: int, name: str = "house") -> list[Assignment]:
    return [Assignment.of(1000 + n, "", f"{name} {n}", f"Calle 5 nº {n}, Ñuñoa", "1") for n in range(meters)]


async def test_they_come_with_the_next_answer_and_go_into_the_next_batch(there: Centre, here: Appliance) -> None:
    await here.deliver()
    assert there.requests["assignments"] == 0
    version = (await there.lists.assign(await here.identity(), street(12), NOW_MS)).version
    await here.deliver()
    assert here.store.assigned.version == version
    assert here.store.assigned.meters == tuple(street(12))
    await heard(here.box, here.store, here.sealing)
    lines = await here.sealing.of(lambda outbox: [outbox.line(name) for name in outbox.waiting])
    assert [unpack(read(line).payload).assignments for line in lines] == [version]
    await here.carrier.deliver()
    # What is known is not asked for.
    assert there.requests["assignments"] == 1


async def test_the_longest_list_comes_through(there: Centre, here: Appliance) -> None:
    await here.deliver()
    await there.lists.assign(await here.identity(), street(MOST_ASSIGNED), NOW_MS)
    await here.deliver()
    assert len(here.store.assigned.meters) == MOST_ASSIGNED


@pytest.mark.parametrize("what", ["older", "another's", "forged", "no list", "nothing", "endless"])
async def test_what_cannot_be_believed_holds_nothing_up(there: Centre, here: Appliance, what: str) -> None:
    await here.deliver()
    who = await here.identity()
    version = (await there.lists.assign(who, street(3), NOW_MS)).version
    await here.deliver()
    kept = here.store.assigned
    await there.lists.assign(who, street(5), NOW_MS)
    key = Ed25519PrivateKey.generate() if what == "forged" else there.key
    made = {
        "older": Assignments(who, version - 1, NOW_MS, tuple(street(4))),
        "another's": Assignments("0" * 32, version + 9, NOW_MS, tuple(street(4))),
    }.get(what, Assignments(who, version + 9, NOW_MS, tuple(street(4))))
    payload = b"no list" if what == "no list" else pack_assignments(made)
    there.assigns = {"nothing": b"", "endless": b"x" * (2 << 20)}.get(what, seal(ASSIGNMENTS, payload, key))
    if what == "endless":
        with pytest.raises(NotDelivered, match="too long lines"):
            await here.deliver()
        await here.carrier.deliver()
    else:
        await here.deliver()
        words = await reported(here.carrier)
        assert words[0].startswith(f"what {there.address} assigns is not taken in: ")
        assert words[1].startswith("Tell the operator.")
    assert here.store.assigned == kept
    assert await here.waiting() == 0
    # Once for each answer, and no more often.
    assert there.requests["assignments"] == 2
    there.assigns = None
    await here.deliver()
    assert here.store.assigned.meters == tuple(street(5))
    assert await reported(here.carrier) == ("", "")


async def reported(carrier: Courier) -> tuple[str, str]:
    """What it says of itself once all is delivered."""

    class Enough(Exception):
        pass

    said: list[tuple[str, str]] = []

    def report(reason: str, hint: str) -> None:
        said.append((reason, hint))
        raise Enough

    links, carrier._links = carrier._links, ()
    with pytest.raises(Enough):
        await carrier.run(report)
    carrier._links = links
    return said[0]


async def test_a_restored_aggregator_that_knows_an_older_list_is_not_followed(there: Centre, here: Appliance) -> None:
    await here.deliver()
    who = await here.identity()
    version = (await there.lists.assign(who, street(3), NOW_MS)).version
    before = await there.lists.line(who)
    await there.lists.assign(who, street(5), NOW_MS)
    await here.deliver()
    there.assigns = before
    here.carrier._announced = version + 1
    await here.deliver()
    assert here.store.assigned.version == version + 1


async def test_who_is_not_approved_gets_none(there: Centre, here: Appliance) -> None:
    await here.deliver()
    who = await here.identity()
    await there.lists.assign(who, street(3), NOW_MS)
    await there.appliances.revoke(who, NOW_MS)
    with pytest.raises(NotDelivered, match="has revoked this appliance") as fault:
        await here.deliver()
    assert fault.value.hint.startswith("Ask the operator why.")
    assert there.requests["assignments"] == 0
    assert here.store.assigned.version == 0
    assert await here.waiting() == 1


@pytest.mark.parametrize("seed", range(2))
async def test_over_a_hostile_network(tmp_path: Path, seed: int) -> None:
    async with centre(tmp_path / "aggregator", seed) as there:
        box, link = Box(tmp_path / "data"), there.link()
        async with box.store() as store:
            sealing = Sealing(store)
            here = Appliance(box, store, sealing, courier(sealing, link))
            await here.deliver()
            there.faults, there.share = FAULTS, 0.6
            who, versions = await here.identity(), [0]
            for n in range(40):
                await there.lists.assign(who, street(3 + n % 3, f"house {n}"), NOW_MS)
                with contextlib.suppress(NotDelivered):
                    await here.deliver()
                versions.append(store.assigned.version)
                assert store.assigned.version in (0, versions[-2]) or len(store.assigned.meters) == 3 + n % 3
            assert versions == sorted(versions)
            there.share = 0.0
            await here.deliver()
            assert store.assigned.meters == tuple(street(3 + 39 % 3, "house 39"))
            sealing.close()
        await link.close()
