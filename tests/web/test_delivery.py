"""What a technician carries off from the page, and what they bring back to it."""

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.store.writer import Store
from appliance.sync.envelope import RECEIPT, seal
from appliance.sync.gate import Gate
from appliance.sync.standing import Standings
from tests.web.conftest import logged_in, recorded
from tests.web.test_pull import Door, opened

BY_ANOTHER = seal(RECEIPT, b"{}", Ed25519PrivateKey.generate())


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with opened(tmp_path / "one") as made:
        yield made


def store_of(door: Door) -> Store:
    return door.sealing._store


async def technician(door: Door) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookies=logged_in(store_of(door)), headers={"Origin": door.url})


async def page(client: aiohttp.ClientSession, door: Door, path: str = "/delivery") -> str:
    async with client.get(door.url + path) as answer:
        assert answer.status == 200
        return " ".join((await answer.text()).split())


async def bring(client: aiohttp.ClientSession, door: Door, content: bytes, name: str = "receipts") -> tuple[int, str]:
    form = aiohttp.FormData()
    form.add_field(name, io.BytesIO(content), filename="receipts.jsonl")
    async with client.post(door.url + "/delivery/receipts", data=form) as answer:
        return answer.status, " ".join((await answer.text()).split())


async def test_the_page_says_what_waits_and_who_this_is(door: Door) -> None:
    async with await technician(door) as client:
        shown = await page(client, door)
        identity = await door.sealing.of(lambda outbox: outbox.identity)
        assert identity.fingerprint in shown
        assert f"{identity.claim_code[:4]} {identity.claim_code[4:]}" in shown
        assert '<dd class="large">3 <small>' in shown
        assert '<dt>Sent, not confirmed yet</dt><dd class="large">0</dd>' in shown
        assert '<dd class="large">0 / 2</dd>' in shown


async def test_the_claim_code_is_for_who_has_logged_in(door: Door) -> None:
    async with aiohttp.ClientSession() as client:
        shown = await page(client, door)
        identity = await door.sealing.of(lambda outbox: outbox.identity)
        assert identity.fingerprint in shown
        assert identity.claim_code[4:] not in shown
        assert "<form" not in shown


async def test_all_that_waits_is_one_file(door: Door) -> None:
    noted = recorded(store_of(door))
    async with await technician(door) as client, client.post(door.url + "/delivery/batches") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="meter-appliance-')
        content = await answer.read()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = {one.name.rpartition("/")[2]: archive.extractfile(one) for one in archive}
        batches = {name: file.read() for name, file in files.items() if file and name.endswith(".batch")}
    lines = await door.sealing.of(lambda outbox: {name.file: outbox.line(name) for name in outbox.waiting})
    assert batches == lines
    assert {"introduction.enrolment", "000002.rotation"} <= files.keys()
    assert await door.waiting() == 3
    assert noted == [("changed", {"who": "ana", "what": "batches_downloaded"})]
    assert (await door.sealing.of(Standings().now)).sent == 3


async def test_receipts_are_brought_back(door: Door) -> None:
    noted, receipts = recorded(store_of(door)), await door.receipts()
    async with await technician(door) as client:
        status, shown = await bring(client, door, b"\r\n".join(receipts))
        assert (status, "Taken in: 3." in shown) == (200, True)
        assert await door.waiting() == 0
        assert '<dd class="large">2 / 2</dd>' in shown
        status, shown = await bring(client, door, b"\n".join(receipts))
        assert (status, "Known already: 3." in shown) == (200, True)
    assert noted == [("changed", {"who": "ana", "what": "receipts_brought", "taken": 3})]


@pytest.mark.parametrize(
    ("content", "name", "status", "words"),
    [
        (b"", "receipts", 422, "There was nothing in it."),
        (b"\n\n", "receipts", 422, "There was nothing in it."),
        (b"{}", "other", 422, "There was nothing in it."),
        (b"<b>rubbish</b>", "receipts", 422, "This file cannot be read."),
        (BY_ANOTHER, "receipts", 422, "Nothing in it is believed."),
        (b"x" * 3_000_000, "receipts", 413, "This file cannot be read."),
    ],
)
async def test_what_is_no_receipt(door: Door, content: bytes, name: str, status: int, words: str) -> None:
    noted = recorded(store_of(door))
    async with await technician(door) as client:
        answered, shown = await bring(client, door, content, name)
        assert (answered, words in shown) == (status, True)
        assert "<b>rubbish" not in shown
    assert await door.waiting() == 3
    assert noted == []


async def test_what_is_no_form(door: Door) -> None:
    async with await technician(door) as client:
        for kind in ("multipart/form-data", "multipart/form-data; boundary=x", "text/plain"):
            async with client.post(
                door.url + "/delivery/receipts", data=b"--y\r\n\r\n", headers={"Content-Type": kind}
            ) as answer:
                assert answer.status in (400, 415, 422), kind
                assert "cannot be read" in await answer.text() or answer.status == 422


async def test_a_card_that_does_not_take_it_now(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(self: Gate, lines: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Gate, "take_in", full)
    async with await technician(door) as client:
        status, shown = await bring(client, door, b"{}")
        assert (status, "The card does not take it now." in shown) == (503, True)
