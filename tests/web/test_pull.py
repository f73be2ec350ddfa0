"""Aggregators at the appliance's door: who is given what waits, and who is not."""

import asyncio
import hashlib
import io
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.store.writer import Store
from appliance.sync import gate as gates
from appliance.sync.courier import About
from appliance.sync.envelope import BATCH, ENROLMENT, PULL, RECEIPT, ROTATION, key_id, read, seal
from appliance.sync.gate import RECEIPTS_PATH, Gate
from appliance.sync.identity import rotate
from appliance.sync.pull import PATH, Pull, pack_pull
from appliance.sync.receipt import Receipt, pack_receipt
from appliance.sync.sealing import Sealing
from appliance.sync.taking import Taking
from appliance.sync.unpack import unpack
from appliance.web import bodies
from appliance.web.site import serving
from tests.store.box import Box
from tests.web.conftest import Site

CENTRE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {key_id(CENTRE.public_key()): CENTRE.public_key()}


@dataclass
class Door:
    """An appliance with three batches, its site, and a client."""

    box: Box
    sealing: Sealing
    client: aiohttp.ClientSession
    url: str
    now_s: list[float] = field(default_factory=lambda: [1000.0])

    async def identity(self) -> str:
        return await self.sealing.of(lambda outbox: outbox.identity.appliance)

    async def waiting(self) -> int:
        return await self.sealing.of(lambda outbox: len(outbox.waiting))

    async def nonce(self) -> str:
        async with self.client.get(self.url + PATH) as answer:
            assert answer.status == 200
            said = await answer.json()
        assert said["appliance"] == await self.identity()
        return str(said["nonce"])

    async def request(self, key: Ed25519PrivateKey = CENTRE, **changed: Any) -> bytes:
        values: dict[str, Any] = {
            "appliance": await self.identity(), "nonce": "", "most_bytes": 1 << 20, "introduce": False,
        } | changed  # fmt: skip
        values["nonce"] = values["nonce"] or await self.nonce()
        return seal(PULL, pack_pull(Pull(**values)), key)

    async def post(self, *lines: bytes, path: str = PATH) -> tuple[int, list[Any]]:
        """Status, and the lines of the answer."""
        body = io.BytesIO(b"".join(line + b"\n" for line in lines))
        async with self.client.post(self.url + path, data=body) as answer:
            return answer.status, [json.loads(line) for line in (await answer.read()).splitlines()]

    async def receipts(self, appliance: str = "") -> list[bytes]:
        """Those of all that waits."""
        named = appliance or await self.identity()

        def made(outbox: Any) -> list[bytes]:
            told = []
            for name in outbox.waiting:
                sha256 = hashlib.sha256(read(outbox.line(name)).payload).hexdigest()
                told.append(seal(RECEIPT, pack_receipt(Receipt(named, *name, sha256, 1)), CENTRE))
            return told

        return await self.sealing.of(made)


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Door]:
    box = Box(directory / "data")
    async with box.store() as store:
        sealing = Sealing(store)
        await heard(box, store, sealing)
        rotate(box.directory, await sealing.of(lambda outbox: outbox.identity))
        sealing._outbox = None
        await heard(box, store, sealing)
        await heard(box, store, sealing)
        now_s = [1000.0]
        about = About("Calle 5", "0.1.0", "TOKEN234")
        gate = Gate(sealing, Taking(sealing, KEYS), KEYS, about, lambda: now_s[0])
        parts = replace(Site(directory / "other").parts(), store=store, gate=gate, sealing=sealing)
        async with serving(parts, "127.0.0.1", 0) as port, aiohttp.ClientSession() as client:
            yield Door(box, sealing, client, f"http://127.0.0.1:{port}", now_s)
        sealing.close()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with opened(tmp_path / "one") as made:
        yield made


async def heard(box: Box, store: Store, sealing: Sealing) -> None:
    box.hear(store, 15)
    assert await sealing.seal_now() == ""


def named(lines: list[Any]) -> list[tuple[int, int]]:
    """The batches among the lines of an answer."""
    found = [read(json.dumps(line).encode()) for line in lines if line.get("payloadType") == BATCH]
    batches = [unpack(envelope.payload) for envelope in found]
    return [(batch.epoch, batch.sequence) for batch in batches]


async def test_it_gives_what_waits_and_takes_the_receipts(door: Door) -> None:
    status, lines = await door.post(await door.request(introduce=True))
    assert status == 200
    assert [line.get("payloadType") for line in lines] == [ENROLMENT, ROTATION, BATCH, BATCH, BATCH, None]
    assert b"TOKEN234" not in read(json.dumps(lines[0]).encode()).payload
    assert named(lines) == [(1, 1), (2, 1), (2, 2)]
    assert lines[-1]["waiting"] == 0
    # The receipts are lost on the way: the same is given again.
    status, again = await door.post(await door.request(nonce=lines[-1]["nonce"]))
    assert again[:-1] == lines[2:-1]
    receipts = await door.receipts()
    status, lines = await door.post(await door.request(nonce=again[-1]["nonce"]), *receipts, receipts[0])
    assert (status, len(lines)) == (200, 1)
    assert (lines[0]["waiting"], lines[0]["brought"]["taken"], lines[0]["brought"]["known"]) == (0, 3, 1)
    assert await door.waiting() == 0


async def test_an_answer_is_as_large_as_was_asked_for_but_one_batch_at_least(door: Door) -> None:
    _, lines = await door.post(await door.request(most_bytes=0, introduce=True))
    assert [line.get("payloadType") for line in lines] == [ENROLMENT, ROTATION, None]
    assert lines[-1]["waiting"] == 3
    _, lines = await door.post(await door.request(most_bytes=1))
    assert (named(lines), lines[-1]["waiting"]) == ([(1, 1)], 2)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"key": Ed25519PrivateKey.generate()}, "unknown_key"),
        ({"appliance": "0" * 32}, "not_its_own"),
        ({"nonce": "0" * 56}, "stale"),
        ({"nonce": "0" * 55}, "bad_content"),
        ({"most_bytes": -1}, "bad_content"),
        ({"introduce": 1}, "bad_content"),
    ],
)
async def test_others_are_given_nothing(door: Door, changed: dict[str, Any], reason: str) -> None:
    status, lines = await door.post(await door.request(**changed), *await door.receipts())
    assert (status, [line["refused"] for line in lines]) == (403, [reason])
    assert await door.waiting() == 3


@pytest.mark.parametrize("line", [b"{}", b"\xff" * 100, b"x" * 5000])
async def test_what_is_no_request_is_refused(door: Door, line: bytes) -> None:
    assert (await door.post(line))[0] == 403
    assert (await door.post(seal(RECEIPT, b"{}", CENTRE)))[1][0]["refused"] == "wrong_type"
    assert (await door.post())[0] == 400


async def test_a_request_is_good_once_and_for_a_minute(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    request = await door.request()
    assert (await door.post(request))[0] == 200
    for _ in range(3):
        status, lines = await door.post(request)
        assert (status, lines[0]["words"]) == (403, "the nonce was used before")
    late = await door.request()
    door.now_s[0] += 61
    assert (await door.post(late))[1][0]["words"] == "the nonce is older than 60 s"
    assert sum("pull refused" in one.message for one in caplog.records) == 1
    # Those that are not used are not remembered, so nobody can use them up.
    await asyncio.gather(*(door.nonce() for _ in range(200)))
    assert (await door.post(await door.request()))[0] == 200


async def test_a_request_is_worth_nothing_at_another_appliance(door: Door, tmp_path: Path) -> None:
    async with opened(tmp_path / "two") as other:
        # Who stands between the two relays the other one's nonce.
        request = await door.request(nonce=await other.nonce())
        assert (await other.post(request))[1][0]["refused"] == "not_its_own"
        assert (await door.post(request))[1][0]["refused"] == "stale"
        lines = await other.receipts()
        status, said = await door.post(*lines, path=RECEIPTS_PATH)
        assert (status, said[0]["refused"]) == (200, {"not_its_own": 3})


async def test_one_is_served_at_a_time(door: Door) -> None:
    lines = await door.receipts()
    first = await door.request()
    begun = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield first + b"\n" + lines[0] + b"\n"
        begun.set()
        while (await door.post(await door.request()))[0] != 429:
            await asyncio.sleep(0.01)
        yield lines[1] + b"\n"

    async with asyncio.timeout(20), door.client.post(door.url + PATH, data=slowly()) as answer:
        said = (await answer.read()).splitlines()
    assert begun.is_set()
    assert json.loads(said[-1])["brought"]["taken"] == 2
    assert (await door.post(await door.request()))[0] == 200


async def test_cut_off_in_the_middle_what_came_before_counts(door: Door) -> None:
    lines, request = await door.receipts(), await door.request()
    host, port = door.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    begin = request + b"\n" + lines[0] + b"\n" + lines[1][:50]
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9999\r\n\r\n".encode() + begin)
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(20):
        while await door.waiting() == 3:
            await asyncio.sleep(0.01)
    assert await door.waiting() == 2
    assert (await door.post(await door.request()))[1][-1]["waiting"] == 0


async def test_receipts_may_be_handed_in_by_anybody(door: Door) -> None:
    lines = await door.receipts()
    status, said = await door.post(*lines, b"garbage", lines[0].replace(b'"sig":"', b'"sig":"x'), path=RECEIPTS_PATH)
    assert (status, said[0]["taken"], said[0]["refused"]) == (200, 3, {"malformed": 2})
    assert await door.waiting() == 0


async def test_garbage_is_given_up(door: Door) -> None:
    receipts = await door.receipts()
    status, said = await door.post(*[b"no"] * 1000, *receipts, path=RECEIPTS_PATH)
    assert (status, said[0]["refused"]) == (200, {"malformed": gates.MOST_REFUSED, "too_many": 1})
    assert await door.waiting() == 3


async def test_bodies_are_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    status, said = await door.post(b"x" * (2 << 20), path=RECEIPTS_PATH)
    assert (status, said[0]["refused"]) == (413, "too_large")
    headers = {"Content-Encoding": "gzip"}
    async with door.client.post(door.url + RECEIPTS_PATH, data=b"x", headers=headers) as answer:
        assert answer.status == 415
    monkeypatch.setattr(bodies, "MOST_BODY_BYTES", 100)
    assert (await door.post(*[b"x" * 30] * 5, path=RECEIPTS_PATH))[0] == 413
    monkeypatch.setattr(bodies, "READ_S", 0.05)

    async def never() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(5)

    async with door.client.post(door.url + RECEIPTS_PATH, data=never()) as answer:
        assert answer.status == 408


async def test_without_a_key_it_says_so(site: Site) -> None:
    async with aiohttp.ClientSession() as client:
        for ask in (client.get(site.url + PATH), client.post(site.url + PATH), client.post(site.url + RECEIPTS_PATH)):
            async with ask as answer:
                assert answer.status == 404
                assert "aggregator_key" in (await answer.json())["words"]
