"""How it went with each address, and a try that does not wait: on the page of the delivery and in the set-up."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import NotDelivered
from appliance.sync.courier import HINT_IN_VAIN, HINT_WAITING, About, Courier
from appliance.sync.sealing import Sealing
from appliance.sync.transport import HINT_KEY, REFUSED, links_of
from appliance.web.site import serving
from tests.sync.centre import NOW_MS, centre
from tests.web.conftest import Site
from tests.web.pages import as_technician, get
from tests.web.set_up import SetUp, set_up
from tests.web.test_set_up import Client

ADDRESSES = ("https://one.example", "https://two.example")


def courier(sealing: Sealing, addresses: tuple[str, ...] = ADDRESSES) -> Courier:
    return Courier(
        sealing, links_of(addresses, "00" * 32, ""), About("", ""), lambda *_: None, lambda: 1.0, lambda: None
    )


@asynccontextmanager
async def delivering(site: Site) -> AsyncIterator[Courier]:
    """A courier, and the site with it."""
    carrier = courier(Sealing(site.store))
    async with serving(replace(site.parts(), courier=carrier), "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        yield carrier


@pytest.mark.parametrize(
    ("hint", "state", "words"),
    [
        (NotDelivered.hint, "fair", "El último intento falló. Se rechazó la conexión"),
        (HINT_WAITING, "fair", "Aún no ha aprobado este equipo.</p>"),
        (HINT_IN_VAIN, "fair", "Aún no ha aprobado este equipo.</p> <p>La ficha no se conoce allí"),
        (HINT_KEY, "bad", "El último intento falló."),
    ],
)
async def test_only_what_somebody_must_do_is_red(site: Site, hint: str, state: str, words: str) -> None:
    async with delivering(site) as carrier:
        first = carrier.contacts[ADDRESSES[0]]
        first.tried, first.fault, first.hint = True, "it is so", hint
        first.cause = REFUSED if hint == NotDelivered.hint else ""
        page = await as_technician(site, "/delivery?lang=es")
        assert f'<p class="{state}">{words}' in page
        # The other was not needed, which is no fault of anybody's.
        assert page.count("Sin contacto desde el inicio") == page.count("No hizo falta desde el inicio") == 1


async def test_a_try_is_asked_for_on_the_page(site: Site) -> None:
    async with delivering(site) as carrier:
        button = '<button class="plain">Try now</button>'
        assert button not in await as_technician(site, "/delivery")
        carrier.contacts[ADDRESSES[0]].fault = "it is so"
        # With nothing that waits one that answers is enough.
        assert button not in await as_technician(site, "/delivery")
        carrier.contacts[ADDRESSES[1]].fault = "it is so"
        assert button in await as_technician(site, "/delivery")
        # Who may only read has no such button, and cannot press it.
        assert button not in (await get(site, "/delivery"))[1]
        answer, _ = await get(site, "/delivery/try", "POST", Origin=site.url)
        assert (answer.headers["Location"].partition("?")[0], carrier.is_trying) == ("/login", False)
        cookie = f"session={site.logs_in()['session']}"
        answer, _ = await get(site, "/delivery/try", "POST", Origin=site.url, Cookie=cookie)
        assert (answer.status, answer.headers["Location"]) == (303, "/delivery#ways-title")
        assert carrier.is_trying
        page = await as_technician(site, "/delivery")
        assert ("Trying now …" in page, button in page) == (True, False)


async def test_there_is_nothing_to_try_where_no_address_is_set(site: Site) -> None:
    cookie = f"session={site.logs_in()['session']}"
    answer, _ = await get(site, "/delivery/try", "POST", Origin=site.url, Cookie=cookie)
    assert answer.status == 404


async def test_each_address_that_is_tried_is_told_by_itself_and_the_box_by_the_worst(tmp_path: Path) -> None:
    async with set_up(tmp_path) as site, centre(tmp_path / "centre") as there, Client(site) as client:
        (key,) = there.keys.values()
        typed = {"aggregator_key": key.public_bytes_raw().hex(), "do": "try"}
        _, page = await client.post("aggregator", typed | {"aggregators": there.address})
        assert told(page) == ("fair", ["fair"])
        _, page = await client.post("aggregator", typed | {"aggregators": f"http://127.0.0.1:9\n{there.address}"})
        assert told(page) == ("bad", ["bad", "fair"])


def told(page: str) -> tuple[str, list[str]]:
    """How the box of what was tried is, and each line in it."""
    (box,) = re.findall(r'<div class="notice (\w+) trials"', page)
    return box, re.findall(r'<p class="(\w+)"><b class="mono">http', page)


async def test_one_that_has_approved_by_now_is_delivered_to_at_once(tmp_path: Path) -> None:
    site = SetUp(tmp_path / "data", is_open=False)
    async with centre(tmp_path / "centre") as there:
        carrier = courier(site.sealing, (there.address,))
        identity = await site.sealing.of(lambda outbox: outbox.identity)
        async with serving(replace(site.parts(), courier=carrier), "127.0.0.1", 0) as site.port:
            site.url = f"http://127.0.0.1:{site.port}"
            (key,) = there.keys.values()
            typed = {"aggregators": there.address, "aggregator_key": key.public_bytes_raw().hex(), "do": "try"}
            async with Client(site) as client:
                there.approves = False
                await there.appliances.enrol(identity.introduction("Calle 5", "0.1.0"), NOW_MS)
                _, page = await client.post("aggregator", typed)
                assert (told(page), carrier.is_trying) == (("fair", ["fair"]), False)
                await there.appliances.approve(identity.appliance, NOW_MS)
                _, page = await client.post("aggregator", typed)
                assert (told(page), carrier.is_trying) == (("good", ["good"]), True)
    site.sealing.close()


async def test_who_waits_for_approval_is_told_the_code_in_the_set_up(tmp_path: Path) -> None:
    site = SetUp(tmp_path / "data", is_open=False)
    carrier = courier(site.sealing)
    identity = await site.sealing.of(lambda outbox: outbox.identity)
    code = f"{identity.claim_code[:4]} {identity.claim_code[4:]}"
    async with serving(replace(site.parts(), courier=carrier), "127.0.0.1", 0) as site.port:
        site.url = f"http://127.0.0.1:{site.port}"
        async with Client(site) as client:
            assert code not in await client.get()
            first = carrier.contacts[ADDRESSES[0]]
            first.fault, first.hint = "waits for the operator's approval", HINT_IN_VAIN
            page = await client.get()
            assert (code in page, "The token is not known there" in page) == (True, True)
    site.sealing.close()
