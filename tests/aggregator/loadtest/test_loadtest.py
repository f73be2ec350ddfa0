"""A made-up fleet delivers to a real aggregator, and what comes out is said; on SQLite and on PostgreSQL."""

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from appliance.aggregator import blank
from appliance.aggregator.database import Database, migrate
from appliance.aggregator.ingest import Ingest, Stored
from appliance.aggregator.loadtest import usage
from appliance.aggregator.loadtest.centre import Centre
from appliance.aggregator.loadtest.delivery import Sender, Sent, amiss
from appliance.aggregator.loadtest.street import Street, Tally
from appliance.aggregator.schema import reading
from appliance.cli import main
from appliance.sync.batch import NO_BATCH
from appliance.sync.envelope import read
from appliance.sync.unpack import unpack
from tests.aggregator.postgresql import Server
from tests.aggregator.street import CENTRE, NOW

ROOT = Path(__file__).parent.parent.parent.parent
STREET = Street(b"secret of this test", 50, 1_774_000_000_000)


def loadtest(folder: Path, *words: object) -> int:
    return main(["aggregator", "loadtest", "--directory", str(folder), *map(str, words)])


def report(text: str) -> dict[str, str]:
    return {line[:22].strip(): line[22:] for line in text.splitlines()}


def test_a_small_fleet_on_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = loadtest(tmp_path, "--appliances", 6, "--meters", 20, "--seconds", 3, "--interval", 1)
    said = capsys.readouterr()
    found = report(said.out)
    assert found["appliances"] == "6 with 20 meters, a batch every 1 s"
    assert re.match(r"18 due in 3 s, 18 delivered, 0 later than 5 s$", found["batches"])
    assert found["stored exactly once"] == "yes, every batch that was sent"
    # Whether it keeps up with this depends on the machine, and on what else that does.
    assert code == (0 if found["verdict"].startswith("keeps up") else 70)
    assert list(tmp_path.iterdir()) == []


def test_two_workers_on_postgresql_which_is_empty_again(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    address = server.new_database()
    words = ("--appliances", 5, "--meters", 10, "--seconds", 2, "--interval", 1, "--workers", 2, "--database", address)
    assert loadtest(tmp_path, *words) in (0, 70)
    found = report(capsys.readouterr().out)
    assert found["stored exactly once"] == "yes, every batch that was sent"
    assert " + " in found["processor"]
    assert "its database's server" in found["processor"]

    async def look() -> bool:
        database = Database(address)
        was_blank = await blank.is_blank(database)
        await migrate(database.engine)
        await database.close()
        return was_blank

    assert asyncio.run(look())
    assert loadtest(tmp_path, *words) == 64
    assert "the database is not empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--workers", 2), 64, "SQLite has one worker"),
        (("--meters", 9_000), 64, "is more than"),
        (("--appliances", 0), 64, "invalid number from 1"),
        (("--seconds", "nan"), 64, "invalid number of seconds"),
        (("--database", "mysql://me@host/x"), 78, "a database of the kind 'mysql'"),
        (("--database", "postgresql://me@127.0.0.1:9/x"), 74, "127.0.0.1"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, words: tuple[object, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert loadtest(tmp_path, *words) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_it_tells_how_far_it_is_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "appliance", "aggregator", "loadtest", "--directory", str(tmp_path)]
    ours, theirs = pty.openpty()
    words = ["--appliances", "20", "--meters", "20", "--seconds", "60", "--interval", "2"]
    with subprocess.Popen([*command, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while not re.search(rb"\d+ of \d+ delivered, processor \d+ % of a core", said):
            said += os.read(ours, 1_000)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130, time.monotonic() - begin
        assert process.stdout is not None
        assert process.stdout.read() == b""
    os.close(ours)
    assert b"Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_batches_are_sound_and_differ() -> None:
    previous, tallies, registers = NO_BATCH, [], dict[int, int]()
    for sequence in range(1, 9):
        sealed = STREET.batch(3, sequence, previous)
        assert sealed == STREET.batch(3, sequence, previous)
        batch = unpack(read(sealed.line).payload)
        assert (batch.appliance, batch.sequence, batch.previous) == (STREET.identity(3), sequence, previous)
        assert batch.simulated
        (part,) = batch.parts
        told = part.readings
        assert sealed.tally[:2] == (len(told.meter), sum(told.consumption))
        for number, register in zip(told.meter, told.consumption, strict=True):
            assert register > registers.get(number, 0)
            registers[number] = register
        tallies.append(sealed.tally)
        previous = sealed.sha256
    assert len({tally.readings for tally in tallies}) > 3
    mine, next_ones = (unpack(read(STREET.batch(n, 1, NO_BATCH).line).payload).meters for n in (3, 4))
    assert len(set(mine) & set(next_ones)) == 5


def test_what_is_not_stored_exactly_once_is_found() -> None:
    tally = Tally(3, 100, 2, 50, 1)
    twice = Tally(6, 200, 4, 100, 2)
    sender = Sender(0, "a", {1: Sent("x", tally), 2: Sent("y", tally)}, receipted=1)

    def found(batches: dict[int, dict[int, str]], **tallies: Tally) -> str:
        return "; ".join(amiss([sender], batches, {0: tallies["told"]} if tallies else {}))

    assert found({0: {1: "x"}}, told=tally) == ""
    assert found({0: {1: "x", 2: "y"}}, told=twice) == ""
    assert "stored are" in found({0: {1: "x"}}, told=twice)
    assert "1 receipted batches are not stored" in found({0: {}})
    assert "that was not sent" in found({0: {1: "z"}}, told=tally)
    assert "that was not sent" in found({0: {1: "x", 9: "y"}}, told=tally)
    assert "of 1 appliances" in found({0: {1: "x"}, 7: {1: "x"}}, told=tally)


async def test_what_is_stored_is_counted(database: Database, tmp_path: Path) -> None:
    centre = Centre(tmp_path, database, CENTRE.public_key())
    await centre.enrol(STREET, 3)
    worker = Ingest(database, CENTRE)
    senders = [Sender(number, STREET.identity(number)) for number in range(3)]
    for sender in senders[:2]:
        for sequence in (1, 2):
            before = sender.sent[1].sha256 if sequence == 2 else NO_BATCH
            sealed = STREET.batch(sender.number, sequence, before)
            assert isinstance(await worker.ingest(sealed.line, NOW), Stored)
            sender.sent[sequence], sender.receipted = Sent(sealed.sha256, sealed.tally), sequence
    assert amiss(senders, *await centre.stored()) == []
    async with database.writing() as connection:
        changed = update(reading).where(reading.c.appliance_id == 2).values(consumption=reading.c.consumption + 1)
        await connection.execute(changed)
    assert [words.partition(":")[0] for words in amiss(senders, *await centre.stored())] == [senders[1].identity]


def test_what_processes_use() -> None:
    assert usage.processor_s([os.getpid(), 2**22 + 1]) > 0
    assert usage.family_processor_s(os.getpid()) >= usage.processor_s([os.getpid()])
    assert usage.peak_memory_bytes(os.getpid()) > 10_000_000
    assert usage.peak_memory_bytes(2**22 + 1) == 0
    assert usage.parent_of(os.getpid(), "no such program") is None
