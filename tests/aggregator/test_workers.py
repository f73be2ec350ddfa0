"""Several workers, in processes of their own, are told the same batches at once, repeated and in any order."""

import asyncio
import random
import sys
from pathlib import Path

from appliance.aggregator.database import Database
from appliance.aggregator.ingest import Stored
from appliance.aggregator.schema import batch, event, meter, reading, reception, waiting_batch
from appliance.sync.batch import Happened, Knot, Meter, Part, Readings, Receptions
from tests.aggregator.street import NOW, Sender, receipt, rows

ROOT = Path(__file__).parent.parent.parent
APPLIANCES, BATCHES, WORKERS = 4, 12, 2

# Tells the receipt of each line of standard input, "" for one that waits; a refusal ends it.
WORKER = """
import asyncio, sys
from pathlib import Path
from appliance.aggregator.database import Database
from appliance.aggregator.ingest import Stored, Waiting
from tests.aggregator.street import NOW, ingest

async def main():
    place = sys.argv[1]
    database = Database(place if "//" in place else Path(place))
    worker = ingest(database)
    lines = sys.stdin.buffer.read().splitlines()
    answers = [b""] * len(lines)
    async def serve(numbers):
        for number in numbers:
            answer = await worker.ingest(lines[number], NOW + int(sys.argv[2]))
            assert isinstance(answer, (Stored, Waiting)), answer
            answers[number] = answer.receipt if isinstance(answer, Stored) else b""
    await asyncio.gather(*(serve(range(n, len(lines), 3)) for n in range(3)))
    await database.close()
    sys.stdout.buffer.write(b"\\n".join(answers) + b"\\n")

asyncio.run(main())
"""


def sealed(sender: Sender, sequence: int) -> bytes:
    """Five readings of two meters that all appliances hear; the place of each is told by its register."""
    ms = [1_000 * sequence + n for n in range(5)]
    registers = [1_000_000 * sender.number + 1_000 * sequence + n for n in range(5)]
    heard = [[1] * 2, [0] * 2, [1] * 2, [9] * 2, *([[None] * 2] * 3), [ms[0]] * 2]
    part = Part(
        1,
        "one",
        (Knot(0, NOW - 10**9, 5, "ntp"),),
        Readings([0, 0, 0, 1, 1], ms, registers, [0] * 5, [0] * 5, [0] * 5),
        Receptions([0, 1], [ms[0]] * 2, *heard),  # type: ignore[arg-type]
        (Happened(sequence, ms[0], "tamper", 0, {}),),
    )
    meters = (Meter("scm", 5, 7, "electric", False), Meter("scm", 6, 7, "electric", False))
    return sender.sealed(sequence, meters=meters, parts=(part,), restated=())


async def test_each_row_is_there_exactly_once(database: Database, place: Path | str) -> None:
    senders = [await Sender(n + 1).enrol(database) for n in range(APPLIANCES)]
    lines = {(s.number, n): sealed(s, n) for s in senders for n in range(1, BATCHES + 1)}
    receipts: dict[bytes, set[bytes]] = {line: set() for line in lines.values()}
    for turn in range(3):
        chance = random.Random(turn)
        shares = []
        for _ in range(WORKERS):
            # All of them once, some of them twice; in order the first time, for one of the workers.
            share = list(lines.values()) + chance.sample(list(lines.values()), 10)
            chance.shuffle(share)
            shares.append(share)
        answers = await asyncio.gather(*(run(place, share, turn) for share in shares))
        for share, found in zip(shares, answers, strict=True):
            assert len(share) == len(found)
            for line, answer in zip(share, found, strict=True):
                receipts[line] |= {answer} - {b""}
    for (number, sequence), line in lines.items():
        (answer,) = receipts[line]
        said = receipt(Stored(answer))
        assert (said.appliance, said.epoch, said.sequence) == (Sender(number).identity, 1, sequence)
        assert said.batch == senders[number - 1].sha256[1, sequence]
    expected = sorted(
        1_000_000 * s.number + 1_000 * n + i for s in senders for n in range(1, BATCHES + 1) for i in range(5)
    )
    assert sorted(row["consumption"] for row in await rows(database, reading)) == expected
    assert len(await rows(database, reception)) == 2 * len(lines)
    assert len(await rows(database, event)) == len(lines)
    assert len(await rows(database, meter)) == 2
    assert len(await rows(database, batch)) == len(lines)
    assert await rows(database, waiting_batch) == []


async def run(place: Path | str, lines: list[bytes], turn: int) -> list[bytes]:
    command = [sys.executable, "-c", WORKER, str(place), str(turn)]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(b"\n".join(lines))
    assert process.returncode == 0, err.decode()[-3000:]
    return out.removesuffix(b"\n").split(b"\n")
