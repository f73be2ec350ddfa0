"""Appliances deliver to a real server over HTTP, good ones and bad ones, on both databases."""

import asyncio
import contextlib
import gzip
import io
import json
import logging
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy.exc import OperationalError

from appliance.aggregator.admission import Limits
from appliance.aggregator.api import MOST_LINES, Api
from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database, migrate
from appliance.aggregator.exchange import MOST_BODY_BYTES
from appliance.aggregator.ingest import MOST_LINE_BYTES
from appliance.aggregator.schema import batch
from appliance.aggregator.server import serving
from appliance.aggregator.settings import Web
from appliance.sync.answer import nonce, unpack_answer
from appliance.sync.envelope import ANSWER, RECEIPT, key_id, opened, read
from appliance.sync.receipt import Receipt, unpack_receipt
from tests.aggregator.conftest import TEMPLATE
from tests.aggregator.postgresql import Server
from tests.aggregator.street import CENTRE, NOW, Sender, key, public, rows

PUBLIC = {key_id(CENTRE.public_key()): CENTRE.public_key()}


@dataclass
class Centre:
    """A server under test, and a client of it."""

    api: Api
    port: int
    session: aiohttp.ClientSession

    async def post(self, what: str, body: bytes, identity: str, **headers: str) -> list[dict[str, Any]]:
        """The lines of an answer; where it is signed, what it says in place of the envelope."""
        asked = nonce()
        given = {"X-Nonce": asked, "X-Appliance": identity, "Content-Type": "application/x-ndjson"} | headers
        async with self.session.post(f"/api/v1/{what}", data=io.BytesIO(body), headers=given) as response:
            told = [json.loads(line) async for line in response.content]
            assert response.headers["Server"] == "appliance"
        for line in told:
            if "answer" in line:
                answer = unpack_answer(opened(read(line["answer"].encode()), ANSWER, PUBLIC))
                assert (answer.nonce, answer.utc_ms) == (asked, NOW)
                line["answer"] = answer.standing
        return told

    @contextlib.asynccontextmanager
    async def raw(self, count: int) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
        """So many connections on which anything can be sent."""
        made = [await asyncio.open_connection("127.0.0.1", self.port) for _ in range(count)]
        try:
            yield made
        finally:
            for _, writer in made:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async def deliver(self, sender: Sender, lines: Iterable[bytes], **headers: str) -> list[dict[str, Any]]:
        return await self.post("batches", b"".join(line + b"\n" for line in lines), sender.identity, **headers)


Serve = Callable[..., contextlib.AbstractAsyncContextManager[Centre]]


@contextlib.asynccontextmanager
async def served(database: Database, **limits: Any) -> AsyncIterator[Centre]:
    api = Api(database, CENTRE, Limits(**limits), lambda: NOW)
    async with serving(api, Web(host="127.0.0.1", port=0)) as port:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield Centre(api, port, session)


@pytest.fixture
async def centre(database: Database) -> AsyncIterator[Centre]:
    async with served(database) as made:
        yield made


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Database]:
    """A database for what has nothing to do with which one it is."""
    made = Database(tmp_path / "small")
    await migrate(made.engine)
    yield made
    await made.close()


def receipt(line: dict[str, Any]) -> Receipt:
    return unpack_receipt(opened(read(line["receipt"].encode()), RECEIPT, PUBLIC))


async def test_batches_are_stored_and_receipted(database: Database, centre: Centre) -> None:
    sender = await Sender().enrol(database)
    lines = [sender.sealed(n) for n in range(1, 4)]
    *receipts, answer = await centre.deliver(sender, lines)
    assert [receipt(line).sequence for line in receipts] == [1, 2, 3]
    assert [receipt(line).batch for line in receipts] == [sender.sha256[1, n] for n in range(1, 4)]
    assert answer == {"answer": "approved"}
    assert len(await rows(database, batch)) == 3
    again = await centre.deliver(sender, lines)
    assert again == [*receipts, answer]
    packed = gzip.compress(b"\n".join(lines))
    headers = {"Content-Encoding": "gzip"}
    assert await centre.post("batches", packed, sender.identity, **headers) == again


async def test_each_line_has_its_own_fate(database: Database, centre: Centre) -> None:
    sender = await Sender().enrol(database)
    first, second, third, fourth = (sender.sealed(n) for n in range(1, 5))
    long = b"x" * (MOST_LINE_BYTES + 70_000)
    told = await centre.deliver(sender, [first, long, b"", third, first[:-9] + b"AAAAAAA}]", second, b"\xff", fourth])
    names = [next(iter(line)) for line in told]
    assert names == ["receipt", "refused", "refused", "waiting", "refused", "receipt", "refused", "receipt", "answer"]
    assert [line["refused"] for line in told if "refused" in line] == [
        "too_large", "malformed", "malformed", "malformed",
    ]  # fmt: skip
    assert told[3] == {"waiting": [1, 2], "kept": True}
    asked = {"appliance": sender.identity, "batches": [[1, n] for n in (4, 3, 9, 1)]}
    *found, answer = await centre.post("receipts", json.dumps(asked).encode(), sender.identity)
    assert [receipt(line).sequence for line in found] == [1, 3, 4]
    assert answer == {"answer": "approved"}


async def test_what_was_stored_before_a_cut_is_told_before_it(database: Database, centre: Centre) -> None:
    """A line is answered while the next one is still on its way; half of one is none."""
    sender = await Sender().enrol(database)
    first, second = sender.sealed(1), sender.sealed(2)
    async with centre.raw(1) as [(reader, writer)]:
        writer.write(head(sender.identity, len(first) + len(second) + 1) + first + b"\n" + second[:100])
        assert b'{"receipt":' in await reader.readuntil(b'"}\n')
    assert [row["sequence"] for row in await rows(database, batch)] == [1]
    *receipts, _ = await centre.deliver(sender, [first, second])
    assert [receipt(line).sequence for line in receipts] == [1, 2]


async def test_an_appliance_comes_to_be_known(database: Database, centre: Centre) -> None:
    sender, stranger = Sender(1), Sender(2)
    line = sender.sealed(1)
    told = await centre.deliver(sender, [line])
    assert (told[0]["refused"], told[1]) == ("unknown_key", {"answer": "unknown"})
    enrolled = await centre.post("enrolments", sender.enrolment(), sender.identity)
    assert enrolled == [{"standing": "waiting"}, {"answer": "waiting"}]
    told = await centre.deliver(sender, [line])
    assert (told[0]["refused"], told[1]) == ("not_approved", {"answer": "waiting"})
    await Appliances(database).approve(sender.identity, NOW)
    told = await centre.post("rotations", sender.rotation(2) + b"\n", sender.identity)
    assert told == [{"standing": "approved"}, {"answer": "approved"}]
    next_epoch = sender.sealed(1, epoch=2, previous=sender.sha256[1, 1])
    *receipts, _ = await centre.deliver(sender, [line, next_epoch])
    assert [receipt(one).epoch for one in receipts] == [1, 2]
    token = await Appliances(database).make_token(NOW, 60_000)
    told = await centre.post("enrolments", stranger.enrolment(token=token), stranger.identity)
    assert told == [{"standing": "approved"}, {"answer": "approved"}]
    await Appliances(database).revoke(sender.identity, NOW)
    told = await centre.deliver(sender, [line])
    assert (told[0]["refused"], told[1]) == ("revoked", {"answer": "revoked"})


@pytest.mark.parametrize(
    ("what", "body", "reason"),
    [
        ("enrolments", b"", "malformed"),
        ("enrolments", b"{}\n{}\n", "malformed"),
        ("enrolments", b"x" * 9_000, "too_large"),
        ("enrolments", b"{}", "malformed"),
        ("rotations", Sender().enrolment(), "bad_content"),
        ("rotations", Sender().rotation(2), "unknown_key"),
        ("receipts", b"{", "malformed"),
        ("receipts", b"[" * 60_000, "malformed"),
        ("receipts", b"x" * 70_000, "too_large"),
        ("receipts", json.dumps({"appliance": "1" * 32, "batches": [[1, 1]] * 1_001}).encode(), "malformed"),
        ("receipts", json.dumps({"appliance": "1" * 32, "batches": [[1, True]]}).encode(), "malformed"),
        ("receipts", json.dumps({"appliance": "1" * 32, "batches": [[1, 1 << 60]]}).encode(), "malformed"),
        ("receipts", json.dumps({"appliance": "' OR 1=1", "batches": []}).encode(), "malformed"),
    ],
)
async def test_a_body_that_is_no_such_thing(small: Database, what: str, body: bytes, reason: str) -> None:
    async with served(small) as centre:
        told = await centre.post(what, body, "1" * 32)
    assert told[0].get("refused", told[0].get("failed")) == reason
    assert all(words.isascii() for words in told[0].values())
    assert ("failed" in told[0]) == (len(told) == 1)


async def test_a_request_that_is_none(small: Database) -> None:
    good = {"X-Nonce": nonce(), "X-Appliance": "1" * 32}
    async with served(small) as centre:
        for method, path, headers, status in [
            ("POST", "/api/v1/batches", {}, 400),
            ("POST", "/api/v1/batches", good | {"X-Nonce": "0"}, 400),
            ("POST", "/api/v1/batches", good | {"X-Appliance": "1" * 31 + "G"}, 400),
            ("POST", "/api/v1/batches", good | {"Content-Encoding": "br"}, 415),
            ("GET", "/api/v1/batches", good, 405),
            ("POST", "/api/v2/batches", good, 404),
            ("GET", "/api/v1", {}, 404),
        ]:
            async with centre.session.request(method, path, headers=headers) as response:
                assert response.status == status, path
                assert response.content_type == "application/json"
                assert (await response.json()).keys() == {"failed", "words"}
                assert response.headers["Server"] == "appliance"
        async with centre.session.get("/healthz") as response:
            assert (response.status, await response.json()) == (200, {"status": "ok"})
        async with centre.session.get("/api/v1/key") as response:
            assert await response.json() == {"public_key": public(CENTRE)}
        async with centre.raw(1) as [(reader, writer)]:
            writer.write(b"\x16\x03\x01 hello\r\n\r\n")
            said = await reader.read()
        assert said.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
        assert b"Traceback" not in said
        assert b"aiohttp" not in said


async def test_a_body_beyond_the_bounds_ends_the_request(small: Database) -> None:
    sender = await Sender().enrol(small)
    line = sender.sealed(1)
    packed = {"Content-Encoding": "gzip"}
    async with served(small) as centre:
        told = await centre.deliver(sender, [line] * (MOST_LINES + 1))
        assert [next(iter(one)) for one in told] == ["receipt"] * MOST_LINES + ["failed"]
        bomb = gzip.compress(bytes(MOST_BODY_BYTES * 4))
        told = await centre.post("batches", bomb, sender.identity, **packed)
        assert [one["failed"] for one in told] == ["too_large"]
        # Of what is to be one line, millions of them are neither kept nor counted.
        for what in ("receipts", "enrolments", "rotations", "assignments"):
            told = await centre.post(what, gzip.compress(b"\n" * MOST_BODY_BYTES * 4, 1), sender.identity, **packed)
            assert [one["failed"] for one in told] == ["malformed"]
        for broken in (gzip.compress(line)[:-9], gzip.compress(line) * 2, line):
            told = await centre.post("batches", broken, sender.identity, **packed)
            assert told[-1]["failed"] == "bad_encoding"
        # What fits to the last byte of a piece comes out whole.
        blank = b" " * ((1 << 20) - len(line) % (1 << 16)) + line
        told = await centre.post("batches", gzip.compress(blank), sender.identity, **packed)
        assert [next(iter(one)) for one in told] == ["receipt", "answer"]
        assert centre.api.load.held_bytes == 0


async def test_bad_clients_do_not_hold_up_a_good_one(database: Database) -> None:
    """Twenty that write a byte now and then, long lines without end, a bomb, garbage; and one that delivers."""
    sender = await Sender().enrol(database)
    async with served(database, held_bytes=4 << 20, linger_s=0.1) as centre, centre.raw(20) as slow:
        for _, writer in slow:
            writer.write(head("1" * 32, 1_000_000) + b"x" * 70_000)
        bomb = centre.post("batches", gzip.compress(bytes(1 << 28)), "2" * 32, **{"Content-Encoding": "gzip"})
        garbage = (centre.post("batches", secrets.token_bytes(99) + b"\n" * 255, "3" * 32) for _ in range(8))
        bad = [asyncio.ensure_future(one) for one in (bomb, *garbage)]
        for sequence in range(1, 9):
            for _, writer in slow:
                writer.write(b"x")
            told = await centre.deliver(sender, [sender.sealed(sequence)])
            assert [next(iter(line)) for line in told] == ["receipt", "answer"]
        for told in await asyncio.gather(*bad):
            assert next(iter(told[-1])) in ("failed", "answer")
    assert len(await rows(database, batch)) == 8


async def test_who_is_slow_is_cut_off(small: Database) -> None:
    async with served(small, read_s=0.1, request_s=0.3, linger_s=1.0) as centre, centre.raw(2) as connections:
        (silent, first), (steady, second) = connections
        first.write(head("1" * 32, 1000) + b"x")
        assert b'{"failed":"too_slow"' in await silent.read()
        second.write(head("1" * 32, 1_000_000))
        ended = asyncio.ensure_future(steady.read())
        while not ended.done():
            # A byte is always on its way.
            with contextlib.suppress(ConnectionError):
                second.write(b"x")
                await second.drain()
            await asyncio.sleep(0.05)
        assert b'{"failed":"too_slow"' in await ended


async def test_too_many_at_once_are_sent_away(small: Database) -> None:
    async with served(small, requests=3, requests_from_one=2, retry_after_s=7) as centre:
        async with centre.raw(3) as [*held, last]:
            for reader, writer in held:
                writer.write(head("1" * 32, 1000, forwarded="192.0.2.1"))
                await reader.readuntil(b"\r\n\r\n")
            for forwarded, status in [("192.0.2.1", 429), ("192.0.2.1, 198.51.100.9", 200), ("2001:db8::1", 200)]:
                async with centre.session.get("/healthz", headers={"X-Forwarded-For": forwarded}) as response:
                    assert response.status == status
                    assert response.headers.get("Retry-After") == ("7" if status == 429 else None)
            last[1].write(head("1" * 32, 1000, forwarded="unknown"))
            await last[0].readuntil(b"\r\n\r\n")
            async with centre.session.get("/healthz") as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "7")
                assert (await response.json())["failed"] == "overloaded"


async def test_a_surplus_connection_is_closed_before_it_is_read(small: Database) -> None:
    async with served(small, connections=2) as centre:
        async with centre.raw(3) as [*held, (reader, _)]:
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            for reader, writer in held:
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert await reader.readuntil(b"}")
        async with centre.session.get("/healthz") as response:
            assert response.status == 200


async def test_who_says_nothing_is_let_go(small: Database) -> None:
    async with served(small, idle_s=0.1) as centre, centre.raw(2) as [(silent, _), (slow, writer)]:
        writer.write(b"GET /healthz HT")
        assert await silent.read() == b""
        assert await slow.read() == b""


async def test_a_database_that_fails_is_said_without_an_answer(
    small: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sender = await Sender().enrol(small)

    async def fail(line: bytes, now: int) -> None:
        raise OperationalError("INSERT INTO reading", {"consumption": 4711}, Exception("disk I/O error"))

    async def break_down(line: bytes, now: int) -> None:
        raise KeyError("consumption")

    async with served(small) as centre:
        with monkeypatch.context() as patch:
            patch.setattr(centre.api.ingest, "ingest", fail)
            assert [one["failed"] for one in await centre.deliver(sender, [sender.sealed(1)])] == ["database"]
            patch.setattr(centre.api.ingest, "ingest", break_down)
            assert [one["failed"] for one in await centre.deliver(sender, [sender.sealed(1)])] == ["internal"]
        assert "disk I/O error" in caplog.text
        assert "4711" not in caplog.text
        assert any(record.exc_info for record in caplog.records if record.levelno == logging.ERROR)
        told = await centre.deliver(sender, [sender.sealed(1)])
        assert [next(iter(one)) for one in told] == ["receipt", "answer"]


async def test_a_database_that_goes_away_and_comes_back(server: Server) -> None:
    address = await asyncio.to_thread(server.new_database, TEMPLATE)
    name = re.search(r"@/(\w+)", address)
    assert name
    away = Database(address)
    sender = await Sender().enrol(away)
    lines = [sender.sealed(n) for n in range(1, 4)]
    async with served(away) as centre:
        assert [next(iter(one)) for one in await centre.deliver(sender, lines[:1])] == ["receipt", "answer"]
        for statement in (
            f"ALTER DATABASE {name[1]} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name[1]}'",
        ):
            await asyncio.to_thread(server.run, statement)
        assert [one["failed"] for one in await centre.deliver(sender, lines)] == ["database"]
        async with centre.session.get("/healthz") as response:
            assert response.status == 503
        await asyncio.to_thread(server.run, f"ALTER DATABASE {name[1]} ALLOW_CONNECTIONS true")
        assert [next(iter(one)) for one in await centre.deliver(sender, lines)] == ["receipt"] * 3 + ["answer"]
        async with centre.session.get("/healthz") as response:
            assert response.status == 200
    await away.close()


async def test_a_stop_lets_what_is_under_way_come_to_its_end(small: Database) -> None:
    sender = await Sender().enrol(small)
    line = sender.sealed(1)
    async with served(small, linger_s=0.1) as centre, centre.raw(1) as [(reader, writer)]:
        writer.write(head(sender.identity, 2 * len(line)) + line + b"\n")
        told = await reader.readuntil(b'"}\n')
        centre.api.load.stop()
        told += await reader.read()
        assert b'{"receipt":' in told
        assert b'{"failed":"stopping"' in told


async def test_another_key_does_not_answer(small: Database) -> None:
    """That is, the test would notice."""
    api = Api(small, key(5), now_utc_ms=lambda: NOW)
    async with serving(api, Web(host="127.0.0.1", port=0)) as port:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            with pytest.raises(Exception, match="not known"):
                await Centre(api, port, session).post("batches", b"", "1" * 32)


def head(identity: str, length: int, forwarded: str = "127.0.0.1") -> bytes:
    """A request as far as its body."""
    return (
        f"POST /api/v1/batches HTTP/1.1\r\nHost: x\r\nX-Nonce: {nonce()}\r\nX-Appliance: {identity}\r\n"
        f"X-Forwarded-For: {forwarded}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
