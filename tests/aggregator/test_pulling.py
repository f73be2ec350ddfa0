"""What an aggregator fetches from appliances, and from whoever pretends to be one."""

import asyncio
import contextlib
import json
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.aggregator import pulling, visiting
from appliance.aggregator.assignments import AssignmentLists
from appliance.aggregator.pull_command import in_words
from appliance.aggregator.pulling import Fetched, Puller
from appliance.aggregator.visiting import Visitor, check_address
from appliance.assignment import Assignment
from appliance.certificate import CERTIFICATE, KEY, make_certificate
from appliance.errors import UsageError
from appliance.store.writer import Store
from appliance.sync.courier import About
from appliance.sync.envelope import read
from appliance.sync.gate import Gate
from appliance.sync.identity import rotate
from appliance.sync.pull import PATH, Nonces
from appliance.sync.sealing import Sealing
from appliance.sync.taking import Taking
from appliance.web.site import serving
from tests.store.box import Box
from tests.sync.centre import NOW_MS, Centre, centre
from tests.sync.test_courier import stored
from tests.web.conftest import Site


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Centre]:
    async with centre(tmp_path / "aggregator") as serving:
        yield serving


@asynccontextmanager
async def appliance(directory: Path, there: Centre) -> AsyncIterator[tuple[Box, Store, Sealing, str]]:
    """One that has sealed six batches with two keys, and its address."""
    box = Box(directory / "data")
    async with box.store() as store:
        sealing = Sealing(store)
        await heard(box, store, sealing, 3)
        rotate(box.directory, await sealing.of(lambda outbox: outbox.identity))
        sealing._outbox = None
        await heard(box, store, sealing, 3)
        gate = Gate(sealing, Taking(sealing, there.keys), there.keys, About("Calle 5", "0.1.0"))
        parts = replace(Site(directory / "site").parts(), store=store, gate=gate)
        async with serving(parts, "127.0.0.1", 0) as port:
            yield box, store, sealing, f"http://127.0.0.1:{port}"
        sealing.close()


async def heard(box: Box, store: Store, sealing: Sealing, times: int) -> None:
    for _ in range(times):
        box.hear(store, 15)
        assert await sealing.seal_now() == ""


async def pulled(there: Centre, address: str) -> Fetched:
    async with Visitor() as visitor:
        return await Puller(there.database, there.key, visitor, lambda: NOW_MS).pull(address)


async def approve(there: Centre) -> None:
    for known in await there.appliances.all("waiting"):
        await there.appliances.approve(known.identity, NOW_MS)


async def test_all_that_waits_is_fetched_once_it_is_approved(
    there: Centre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "MOST_BYTES", 6_000)
    async with appliance(tmp_path, there) as (box, store, sealing, address):
        first = await pulled(there, address)
        identity = await sealing.of(lambda outbox: outbox.identity)
        assert (first.identity, first.standing, first.stored, first.words) == (identity.appliance, "waiting", 0, "")
        assert in_words(first) == f"{identity.fingerprint}, waits for your approval; nothing was fetched"
        await approve(there)
        assert in_words(await pulled(there, address)) == f"{identity.fingerprint}, 6 batches stored"
        assert await stored(there, box) == box.everything()["reading"]
        assert await sealing.of(lambda outbox: list(outbox.waiting)) == []
        assert (await pulled(there, address)).stored == 0
        await heard(box, store, sealing, 1)
        assert (await pulled(there, address)).stored == 1
        await there.appliances.revoke(identity.appliance, NOW_MS)
        assert (await pulled(there, address)).standing == "revoked"


async def test_receipts_that_are_lost_come_with_the_next_pull(
    there: Centre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with appliance(tmp_path, there) as (box, _, sealing, address):
        await pulled(there, address)
        await approve(there)
        ingest = pulling.Ingest.ingest

        async def dies(self: pulling.Ingest, line: bytes, now: int) -> object:
            await ingest(self, line, now)
            raise ConnectionResetError("the database is gone")

        monkeypatch.setattr(pulling.Ingest, "ingest", dies)
        with pytest.raises(ConnectionResetError):
            await pulled(there, address)
        monkeypatch.setattr(pulling.Ingest, "ingest", ingest)
        assert await sealing.of(lambda outbox: len(outbox.waiting)) == 6
        assert (await pulled(there, address)).stored == 6
        assert await stored(there, box) == box.everything()["reading"]


async def test_two_pulls_at_once_harm_nothing(there: Centre, tmp_path: Path) -> None:
    async with appliance(tmp_path, there) as (box, _, sealing, address):
        await pulled(there, address)
        await approve(there)
        both = await asyncio.gather(pulled(there, address), pulled(there, address))
        assert {one.words for one in both} <= {"", "it says: another pull is being served"}
        await pulled(there, address)
        assert await stored(there, box) == box.everything()["reading"]
        assert await sealing.of(lambda outbox: list(outbox.waiting)) == []


async def test_an_appliance_with_another_key_gives_nothing(there: Centre, tmp_path: Path) -> None:
    async with centre(tmp_path / "other", 2) as other, appliance(tmp_path, there) as (_, _, sealing, address):
        other.key = Ed25519PrivateKey.generate()
        fetched = await pulled(other, address)
        assert "it says: signed with a key that is not known" in fetched.words
        assert await sealing.of(lambda outbox: len(outbox.waiting)) == 6


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def stranger(offer: Answer, answer: Answer) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([web.get(PATH, offer, allow_head=False), web.post(PATH, answer)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def offers(_request: web.Request) -> web.Response:
    return web.json_response({"appliance": "0" * 32, "nonce": Nonces().make()})


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def silent(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


def says(text: str, status: int = 200) -> Answer:
    async def said(_request: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    return said


END = json.dumps({"nonce": Nonces().make()})


@pytest.mark.parametrize(
    ("offer", "answer", "words"),
    [
        (says("{}"), offers, "no appliance that can be pulled from (status 200)"),
        (says("[" * 3000), offers, "no appliance that can be pulled from (status 200)"),
        (says("x" * 100_000, 500), offers, "no appliance that can be pulled from (status 500)"),
        (says("no", 421), offers, "add it to [web] names there"),
        (says('{"words": "no key"}', 404), offers, "it says: no key"),
        (says('{"appliance": "../..", "nonce": ""}'), offers, "no appliance that can be pulled from"),
        (silent, offers, "no answer in time"),
        (offers, says("no", 302), "it answers 302"),
        (offers, says('{"words": 3}', 400), "it answers 400"),
        (offers, endless, "it answers with more than"),
        (offers, says("\n" * 5000), "it answers with more than 2000 lines"),
        (offers, says("garbage\n" * 100 + END), "is refused"),
        (offers, says(END + "\n"), "it does not say who it is"),
        (offers, silent, "no answer in time"),
    ],
)
async def test_strangers_are_bounded(
    there: Centre, offer: Answer, answer: Answer, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visiting, "READ_S", 0.2)
    async with stranger(offer, answer) as address:
        assert words in (await pulled(there, address)).words
    assert await there.appliances.all() == []


async def test_nobody_there_is_said(there: Centre) -> None:
    assert (await pulled(there, "http://127.0.0.1:1")).words.startswith("it cannot be reached")


async def test_one_that_takes_no_receipts_is_left(there: Centre, tmp_path: Path) -> None:
    async with appliance(tmp_path, there) as (_, _, sealing, address):
        await pulled(there, address)
        await approve(there)
        lines = await sealing.of(lambda outbox: [outbox.line(name) for name in outbox.waiting])
        identity = await sealing.of(lambda outbox: outbox.identity.appliance)

        async def named(_request: web.Request) -> web.Response:
            return web.json_response({"appliance": identity, "nonce": Nonces().make()})

        async def always(request: web.Request) -> web.Response:
            asked = json.loads(read((await request.read()).splitlines()[0]).payload)
            sent = [] if asked["introduce"] else [line.decode() for line in lines]
            return web.Response(text="\n".join([*sent, END, ""]))

        async with stranger(named, always) as impostor:
            fetched = await pulled(there, impostor)
    assert (fetched.stored, fetched.words) == (6, "it sends the same again, though it was given the receipts")


@pytest.mark.parametrize("address", ["", "ftp://x", "http://", "http://a/b c", "http://u:p@x", "10.0.0.7:8080"])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(UsageError, match="is no address of an appliance"):
        check_address(address)


def test_addresses() -> None:
    for address in ("http://10.0.0.7:8080", "https://[fe80::1]:8443", "https://meters-7.example.org/"):
        check_address(address)


async def test_a_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    for name in ("nothing", "here"):
        (tmp_path / "here").write_text("no certificate")
        with pytest.raises(UsageError, match=name):
            await Visitor(tmp_path / name).__aenter__()


@asynccontextmanager
async def behind_tls(directory: Path, address: str) -> AsyncIterator[tuple[str, Path]]:
    """A proxy that does TLS for an appliance; its address, and its certificate."""
    directory.mkdir()
    make_certificate(directory, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / CERTIFICATE, directory / KEY)
    host, port = address.removeprefix("http://").split(":")

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            writer.write(piece)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}", directory / CERTIFICATE
    finally:
        server.close()


async def test_what_is_assigned_goes_by_https_only(there: Centre, tmp_path: Path) -> None:
    async with appliance(tmp_path, there) as (_, store, sealing, address):
        await pulled(there, address)
        await approve(there)
        identity = await sealing.of(lambda outbox: outbox.identity.appliance)
        meters = [Assignment(1000, "scm", "Casa 7", "Calle 5", Decimal(1))]
        await AssignmentLists(there.database, there.key).assign(identity, meters, NOW_MS)
        assert (await pulled(there, address)).words == ""
        assert store.assigned.version == 0
        async with behind_tls(tmp_path / "proxy", address) as (secret, certificate):
            assert "certificate is not one that is trusted" in (await pulled(there, secret)).words
            async with Visitor(certificate) as visitor:
                puller = Puller(there.database, there.key, visitor, lambda: NOW_MS)
                assert (await puller.pull(secret)).words == ""
                # Whoever answers there may say to be any appliance.
                assert store.assigned.version == 0
                assert "another appliance is there" in (await puller.pull(secret, "0" * 32)).words
                assert (await puller.pull(secret, identity)).words == ""
        assert store.assigned.meters == tuple(meters)


@asynccontextmanager
async def hostile(address: str, chance: random.Random) -> AsyncIterator[tuple[str, list[int]]]:
    """A way to an appliance that breaks off after so many bytes either way, nine times in ten; and where it did."""
    host, port = address.removeprefix("http://").split(":")
    cuts: list[int] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int) -> None:
        while left > 0 and (piece := await reader.read(min(left, 4_096))):
            left -= len(piece)
            writer.write(piece)
            await writer.drain()
        writer.close()
        if left <= 0:
            cuts.append(left)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        most = (chance.randrange(200, 4_000), chance.randrange(200, 30_000))
        out, back = most if chance.random() < 0.9 else (1 << 30, 1 << 30)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(carry(reader, inner_writer, out), carry(inner_reader, writer, back))
        for one in (writer, inner_writer):
            one.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", cuts
    finally:
        server.close()


@pytest.mark.parametrize("seed", range(2))
async def test_over_a_way_that_breaks_off_all_comes_once(
    there: Centre, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "MOST_BYTES", 8_000)
    async with appliance(tmp_path, there) as (box, store, sealing, address):
        await pulled(there, address)
        await approve(there)
        async with hostile(address, random.Random(seed)) as (way, cuts):
            failures = 0
            for number in range(25):
                failures += bool((await pulled(there, way)).words)
                if number < 5:
                    await heard(box, store, sealing, 1)
        assert failures > 3
        assert len(cuts) > 5
        assert (await pulled(there, address)).words == ""
        assert await sealing.of(lambda outbox: list(outbox.waiting)) == []
        assert await stored(there, box) == box.everything()["reading"]
