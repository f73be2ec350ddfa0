"""The aggregator's commands as an operator runs them: real processes where it matters."""

import asyncio
import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database
from appliance.aggregator.ingest import MOST_LINE_BYTES
from appliance.aggregator.keys import open_key
from appliance.aggregator.schema import batch
from appliance.aggregator.settings import FILE
from appliance.cli import main
from appliance.sync.answer import nonce
from appliance.sync.envelope import RECEIPT, key_id, opened, read
from appliance.sync.receipt import unpack_receipt
from tests.aggregator.postgresql import Server
from tests.aggregator.street import CODE, NOW, Sender, ingest, rows

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-W", "error", "-m", "appliance", "aggregator"]


@pytest.fixture
def centre(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An aggregator's directory, made ready."""
    assert main(["aggregator", "init", str(tmp_path / "centre")]) == 0
    capsys.readouterr()
    return tmp_path / "centre"


def call(centre: Path, *words: object) -> int:
    return main(["aggregator", *map(str, words), "--directory", str(centre)])


def in_database(centre: Path, work: object) -> object:
    async def done() -> object:
        database = Database(centre)
        try:
            return await work(database)  # type: ignore[operator]
        finally:
            await database.close()

    return asyncio.run(done())


def test_init_makes_a_key_and_does_it_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "new" / "centre"
    assert main(["aggregator", "init", str(directory)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{open_key(directory).public_key().public_bytes_raw().hex()}\n"
    assert str(directory / FILE) in said.err
    assert (directory / FILE).stat().st_mode & 0o077 == 0
    before = (directory / FILE).read_bytes()
    assert main(["aggregator", "init", str(directory)]) == 0
    assert capsys.readouterr().out == said.out
    assert (directory / FILE).read_bytes() == before
    assert main(["aggregator", "init", str(directory), "--name", "meters.example"]) == 65
    assert main(["aggregator", "init", str(tmp_path / "other"), "--name", "no name"]) == 64
    assert not (tmp_path / "other" / FILE).exists()


def test_an_operator_approves_and_revokes(centre: Path, capsys: pytest.CaptureFixture[str]) -> None:
    senders = [Sender(n) for n in range(3)]

    async def enrol(database: Database) -> None:
        for sender in senders:
            await Appliances(database).enrol(sender.enrolment(), NOW)

    in_database(centre, enrol)
    one, two, _ = (" ".join(re.findall("....", sender.identity)) for sender in senders)
    assert call(centre, "approve", *one.split(), "--claim", f"{CODE[:4]} {CODE[4:].lower()}") == 0
    assert call(centre, "approve", senders[1].identity.upper()) == 0
    assert call(centre, "revoke", two) == 0
    assert call(centre, "list") == 0
    head, *listed = capsys.readouterr().out.splitlines()
    assert head.split() == ["APPLIANCE", "STATE", "LAST", "BATCH", "LAG", "MISSING", "NAME"]
    assert [line[:39].replace(" ", "") for line in listed] == [sender.identity for sender in senders]
    assert [line[39:].split()[0] for line in listed] == ["approved", "revoked", "waiting"]
    for words, said in [
        (("approve", senders[2].identity, "--claim", "WRONG"), "another claim code"),
        (("approve", "0" * 32), "has enrolled"),
        (("approve", "'; DROP TABLE"), "has enrolled"),
        (("approve", two), "is revoked"),
        (("revoke", one, "--epoch", 7), "no key of epoch 7"),
        (("revoke", one, "--epoch", "one"), "invalid int"),
    ]:
        assert call(centre, *words) == 64
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert call(centre, "revoke", one, "--epoch", 1) == 0
    assert capsys.readouterr().err == f"The key of epoch 1 of {one} is revoked.\n"


def test_what_is_missing_is_listed(centre: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sender = Sender()

    async def deliver_some(database: Database) -> None:
        await sender.enrol(database)
        lines = {n: sender.sealed(n) for n in range(1, 6)}
        for n in (1, 3, 5):
            await ingest(database).ingest(lines[n], NOW)

    in_database(centre, deliver_some)
    assert call(centre, "list") == 0
    assert re.search(r" approved  1-1 +\d+ [hd]  1-2 +street 1$", capsys.readouterr().out)


def test_what_will_never_come_is_given_up(centre: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sender = Sender()

    async def deliver_some(database: Database) -> None:
        await sender.enrol(database)
        lines = {n: sender.sealed(n) for n in range(1, 7)}
        for n in (1, 3, 4, 6):
            await ingest(database).ingest(lines[n], NOW)

    in_database(centre, deliver_some)
    assert call(centre, "give-up", sender.identity) == 64
    assert call(centre, "give-up", "0" * 32, "--epoch", 1) == 64
    assert call(centre, "give-up", sender.identity, "--epoch", 2) == 64
    assert call(centre, "list") == 0
    capsys.readouterr()
    groups = re.findall("....", sender.identity)
    assert call(centre, "give-up", *groups, "--epoch", 1) == 0
    assert "up to 1-2 of " in capsys.readouterr().err
    assert call(centre, "list") == 0
    assert re.search(r" approved  1-4 +\d+ [hd]  1-5 +street 1$", capsys.readouterr().out)
    assert call(centre, "give-up", sender.identity, "--epoch", 1) == 0
    assert call(centre, "give-up", sender.identity, "--epoch", 1) == 64
    assert "waits for another one" in capsys.readouterr().err


def test_a_token_approves_one(centre: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(centre, "token") == 0
    token = capsys.readouterr().out.strip()

    async def enrol(database: Database) -> list[str]:
        return [await Appliances(database).enrol(Sender(n).enrolment(token=token), NOW) for n in range(2)]

    assert in_database(centre, enrol) == ["approved", "waiting"]


def test_a_stick_of_one_that_waits_is_to_be_taken_in_once_more(
    centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender = Sender()
    (tmp_path / "introduction.enrolment").write_bytes(sender.enrolment())
    (tmp_path / "000001-00000001.batch").write_bytes(sender.sealed(1))
    assert call(centre, "ingest", tmp_path) == 65
    assert capsys.readouterr().err.endswith("'appliance aggregator approve', then ingest once more.\n")
    assert call(centre, "approve", sender.identity) == 0
    assert call(centre, "ingest", tmp_path) == 0


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert main(["aggregator", "init", str(tmp_path / "file")]) == 74
    assert capsys.readouterr().err == (
        f"appliance: not done: {tmp_path / 'file'}: File exists."
        " Name a folder that you may write to and that has room; then try again.\n"
    )


def test_a_stick_is_taken_in_and_carries_the_receipts_back(
    centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender, other = Sender(1), Sender(2)
    in_database(centre, sender.enrol)
    stick = tmp_path / "stick"
    folder = stick / "street 1"
    folder.mkdir(parents=True)
    lines = {n: sender.sealed(n) for n in range(1, 5)}
    (folder / "000002.rotation").write_bytes(sender.rotation(2))
    (folder / "000001-00000001.batch").write_bytes(lines[1] + b"\n")
    (folder / "000001-00000002.batch").write_bytes(lines[2][:-20])
    (folder / "000001-00000003.batch").write_bytes(lines[3])
    (folder / "again-00000002.batch").write_bytes(lines[2])
    (folder / "link.batch").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.batch")
    (stick / "new.enrolment").write_bytes(other.enrolment())
    (stick / "\x1b[2J.batch").write_bytes(bytes(2_000_000))
    assert call(centre, "ingest", stick) == 65
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "new.enrolment: waits for your approval",
        "street 1/000002.rotation: the key is known",
        f"?[2J.batch: refused, too_large: {MOST_LINE_BYTES + 2} bytes, at most {MOST_LINE_BYTES}",
        "street 1/000001-00000001.batch: stored",
        "street 1/000001-00000002.batch: refused, malformed: " + said.out.splitlines()[4].rpartition("malformed: ")[2],
        "street 1/000001-00000003.batch: waits for batch 1-2, kept until then",
        "street 1/again-00000002.batch: stored",
        "street 1/000001-00000003.batch: stored",
    ]  # fmt: skip
    assert "2 of 7 files are not taken in: ?[2J.batch, street 1/000001-00000002.batch" in said.err
    assert not (stick / "receipts.jsonl").exists()
    assert receipts(centre, folder) == {1, 2, 3}
    assert not list(stick.rglob("*.part"))
    for path in stick.rglob("*.batch"):
        path.unlink()
    (folder / "000001-00000004.batch").write_bytes(lines[4])
    assert call(centre, "ingest", stick) == 0
    assert receipts(centre, folder) == {1, 2, 3, 4}


def test_receipts_that_cannot_be_written_are_said(
    centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender = Sender()
    in_database(centre, sender.enrol)
    (tmp_path / "stick" / "receipts.jsonl").mkdir(parents=True)
    (tmp_path / "stick" / "1.batch").write_bytes(sender.sealed(1))
    assert call(centre, "ingest", tmp_path / "stick") == 74
    said = capsys.readouterr()
    assert said.out == "1.batch: stored\n"
    assert "the stick cannot be written to" in said.err
    (tmp_path / "stick" / "receipts.jsonl").rmdir()
    assert call(centre, "ingest", tmp_path / "stick") == 0
    assert receipts(centre, tmp_path / "stick") == {1}


def receipts(centre: Path, folder: Path) -> set[int]:
    """The sequences of the receipts on a stick, their signatures checked."""
    key = open_key(centre).public_key()
    lines = (folder / "receipts.jsonl").read_bytes().splitlines()
    found = [unpack_receipt(opened(read(line), RECEIPT, {key_id(key): key})).sequence for line in lines]
    assert len(found) == len(set(found))
    return set(found)


def test_a_folder_that_is_no_stick(centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for folder, said in [("empty", "holds no batches"), ("missing", "is no folder")]:
        assert call(centre, "ingest", tmp_path / folder) == 65
        assert said in capsys.readouterr().err


def test_traps_on_a_stick_are_passed_over(centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stick = tmp_path / "stick"
    deep = stick.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "000001-00000001.batch").write_text("too deep to be meant")
    (stick / "loop").symlink_to(stick)
    (stick / "a.batch").symlink_to(centre / FILE)
    os.mkfifo(stick / "b.batch")
    (stick / "c.batch").mkdir()
    assert call(centre, "ingest", stick) == 65
    assert "holds no batches" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ("[web]\nhost = '*'", 78, "set [tls] certificate and key"),
        ("[web]\nport = 70000", 78, "web.port = 70000 must be"),
        ("[web]\nhost = '192.0.2.1'\nplain = true", 78, "cannot listen on 192.0.2.1"),
        ("[tls]\ncertificate = 'c.pem'\nkey = 'k.pem'", 78, "c.pem: cannot be read: No such file"),
        (f"[tls]\ncertificate = '{FILE}'\nkey = '{FILE}'", 78, "tls.certificate and tls.key"),
        ("[database]\nurl = 'mysql://root:secret@host/name'", 78, "a database of the kind 'mysql'"),
        ("[database]\nurl = 'postgresql://me:secret@host/name?sslmod=on'", 78, "'sslmod', which is no parameter of it"),
        ("[database]\nurl = 'postgresql://root:secret@host:port/name'", 78, "its port is no number"),
        ("[database]\nurl = 'postgresql://root:secret@127.0.0.1:9/name'", 74, "cannot be made ready"),
    ],
)
def test_run_refuses_what_cannot_be(
    centre: Path, settings: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (centre / FILE).write_text(settings)
    assert call(centre, "run") == code
    error = capsys.readouterr().err
    assert said in error
    assert "secret" not in error
    assert "Traceback" not in error


def test_run_without_its_key_makes_no_other(centre: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (centre / "key").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    assert call(centre, "run") == 74
    assert "damaged, and so is its copy" in capsys.readouterr().err


@contextlib.contextmanager
def running(centre: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A worker's address and process, which has ended well at the end."""
    words = [*COMMAND, "run", "--directory", str(centre)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    bound = threading.Timer(60, process.kill)
    bound.start()
    said = ""
    try:
        for line in process.stderr:
            said += line
            if found := re.search(r"serving (\S+)", line):
                break
        assert found, said
        yield found[1], process
        process.send_signal(signal.SIGTERM)
        said += process.stderr.read()
        assert process.wait() == 0, said
        assert "Traceback" not in said
        assert said.rstrip().endswith("stopping")
    finally:
        bound.cancel()
        process.kill()
        process.wait()
        process.stderr.close()


@contextlib.asynccontextmanager
async def client(address: str, certificate: Path | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    context = ssl.create_default_context(cafile=str(certificate)) if certificate else True
    async with aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield session


async def deliver(session: aiohttp.ClientSession, sender: Sender, lines: list[bytes]) -> list[str]:
    headers = {"X-Nonce": nonce(), "X-Appliance": sender.identity}
    async with session.post("/api/v1/batches", data=b"\n".join(lines), headers=headers) as response:
        return [next(iter(json.loads(line))) async for line in response.content]


def test_workers_serve_one_postgresql_until_they_are_stopped(
    centre: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    address = server.new_database()
    (centre / FILE).write_text(f"[web]\nport = 0\n[database]\nurl = '{address}'")
    sender = Sender()
    lines = [sender.sealed(n) for n in range(1, 6)]

    async def enrol() -> None:
        database = Database(address)
        await sender.enrol(database)
        await database.close()

    async def both(*workers: str) -> None:
        async with client(workers[0]) as one, client(workers[1]) as other:
            told = await asyncio.gather(deliver(one, sender, lines), deliver(other, sender, lines))
        assert told == [["receipt"] * 5 + ["answer"]] * 2

    async def stored() -> list[int]:
        database = Database(address)
        found = [row["sequence"] for row in await rows(database, batch)]
        await database.close()
        return found

    assert main(["aggregator", "init", str(centre)]) == 0
    asyncio.run(enrol())
    with running(centre) as (one, _), running(centre) as (other, _):
        asyncio.run(both(one, other))
    assert asyncio.run(stored()) == [1, 2, 3, 4, 5]
    capsys.readouterr()
    assert call(centre, "list") == 0
    assert " approved  1-5 " in capsys.readouterr().out


def test_a_certificate_of_its_own_is_believed_by_whom_it_was_given(tmp_path: Path) -> None:
    centre = tmp_path / "centre"
    assert main(["aggregator", "init", str(centre), "--name", "127.0.0.1"]) == 0
    settings = (centre / FILE).read_text().replace('host = "*"', 'host = "127.0.0.1"\nport = 0')
    (centre / FILE).write_text(settings)
    assert (centre / "tls" / "key.pem").stat().st_mode & 0o077 == 0
    sender = Sender()
    in_database(centre, sender.enrol)

    async def ask(address: str) -> None:
        async with client(address, centre / "tls" / "certificate.pem") as session:
            assert await deliver(session, sender, [sender.sealed(1)]) == ["receipt", "answer"]
        async with client(address) as stranger:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await stranger.get("/healthz")

    with running(centre) as (address, _):
        assert address.startswith("https://127.0.0.1:")
        asyncio.run(ask(address))


def test_a_stop_does_not_wait_for_those_who_say_nothing(centre: Path) -> None:
    (centre / FILE).write_text("[web]\nport = 0")

    async def hang(address: str) -> asyncio.StreamWriter:
        port = int(address.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/v1/batches HTTP/1.1\r\n")
        await writer.drain()
        return writer

    async def stopped() -> None:
        with running(centre) as (address, process):
            writer = await hang(address)
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    asyncio.run(stopped())
