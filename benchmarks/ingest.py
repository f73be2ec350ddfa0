"""How many readings a second the aggregator verifies and stores, beside what its database takes of the same rows.

Appliances with 300 meters each send a batch a quarter of an hour: 900 readings and 300 receptions. The batches are
sealed before the clock starts. Two worker processes, as many as cores, share out the appliances and ingest theirs, four
at a time; SQLite has one worker. Beside it, in the same run, the rows of as many batches go into the same tables of a
database of their own by `executemany`, or by COPY, and nothing else, a transaction for each batch.

`--curve` goes on until so many million readings are stored, and measures on the way (`ingest_curve.py`).
"""

import argparse
import asyncio
import contextlib
import hashlib
import multiprocessing
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Table, insert, select

from appliance.aggregator.database import Database, migrate
from appliance.aggregator.ingest import Ingest, Stored
from appliance.aggregator.partitions import Months
from appliance.aggregator.schema import appliance, appliance_key, chain, meter, reading, reception
from appliance.sync.batch import NO_BATCH, Batch, Knot, Meter, Part, Readings, Receptions
from appliance.sync.envelope import BATCH, key_id, seal
from appliance.sync.identity import name_of
from appliance.sync.pack import pack

METERS, READINGS_EACH = 300, 3
QUARTER_MS = 900_000
BEGIN_UTC_MS = 1_774_000_000_000
WORKERS, AT_ONCE = 2, 4
KINDS = ("SQLite", "PostgreSQL")
CENTRE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

Place = Path | str


@dataclass(frozen=True)
class Rate:
    """Readings a second through the aggregator, and through the database alone."""

    readings: int
    ingest_per_s: float
    raw_per_s: float

    @property
    def ratio(self) -> float:
        """How many times as long the aggregator takes."""
        return self.raw_per_s / self.ingest_per_s


def key_of(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(str(number).encode()).digest())


def batches(number: int, first: int, last: int, previous: str) -> Iterator[tuple[bytes, str]]:
    """The lines of an appliance's batches from one quarter of an hour to another, and their SHA-256."""
    key, chance = key_of(number), random.Random(number)
    identity = name_of(key.public_key())
    meters = tuple(Meter("scm", 1_000 * number + n, 7, "electric", False) for n in range(METERS))
    order = [n for n in range(METERS) for _ in range(READINGS_EACH)]
    for quarter in range(first, last):
        begin_ms = quarter * QUARTER_MS
        steps = [begin_ms + step * QUARTER_MS // READINGS_EACH for step in range(READINGS_EACH)]
        told = Readings(
            order,
            [step + chance.randrange(250_000) for _ in range(METERS) for step in steps],
            [10_000 + 100 * n + quarter * READINGS_EACH + step for n in range(METERS) for step in range(READINGS_EACH)],
            [0] * len(order),
            [0] * len(order),
            [0] * len(order),
        )
        heard = [
            (
                n,
                begin_ms,
                30,
                1,
                30,
                30 * 1500 + chance.randrange(900),
                2500,
                910_000_000,
                920_000_000,
                begin_ms + 890_000,
            )
            for n in range(METERS)
        ]
        clock = tuple(Knot(ms, BEGIN_UTC_MS + ms, 50, "ntp") for ms in (begin_ms, begin_ms + QUARTER_MS))
        part = Part(1, f"boot of {number}", clock, told, Receptions(*map(list, zip(*heard, strict=True))))
        batch = Batch(
            appliance=identity, epoch=1, sequence=quarter + 1, previous=previous, simulated=False, assignments=0,
            sealed=clock[-1], sealed_boot=1, position=(quarter,), meters=meters, parts=(part,),
        )  # fmt: skip
        payload = pack(batch)
        previous = hashlib.sha256(payload).hexdigest()
        yield seal(BATCH, payload, key), previous


async def ready(place: Place, appliances: int) -> None:
    """A migrated database that knows and believes the appliances."""
    database = Database(place)
    await migrate(database.engine)
    await Months(database).extend(BEGIN_UTC_MS)
    async with database.writing() as connection:
        for number in range(1, appliances + 1):
            public = key_of(number).public_key()
            known = {
                "appliance_id": number,
                "identity": name_of(public),
                "name": str(number),
                "version": "",
                "claim": "",
            }
            await connection.execute(insert(appliance).values(known | {"state": "approved", "enrolled_utc_ms": 0}))
            row = {
                "appliance_id": number,
                "epoch": 1,
                "key_id": key_id(public),
                "public_key": public.public_bytes_raw(),
            }
            await connection.execute(insert(appliance_key).values(row | {"statement": b"", "added_utc_ms": 0}))
            begun = {"appliance_id": number, "epoch": 1, "sequence": 0, "sha256": NO_BATCH}
            await connection.execute(insert(chain).values(begun))
    await database.close()


def _work(place: Place, lines: Sequence[Sequence[bytes]], barrier: Any) -> None:
    """A worker process: ingests the lines of its appliances, from when all are ready."""
    asyncio.run(_ingest(place, lines, barrier))


async def _ingest(place: Place, lines: Sequence[Sequence[bytes]], barrier: Any = None) -> None:
    database = Database(place)
    worker = Ingest(database, CENTRE)
    await worker.keys.refresh()
    if barrier is not None:
        barrier.wait()
    waiting = list(lines)

    async def serve() -> None:
        while waiting:
            for line in waiting.pop():
                answer = await worker.ingest(line, BEGIN_UTC_MS)
                if not isinstance(answer, Stored):
                    raise SystemExit(f"a batch was not stored: {answer}")

    await asyncio.gather(*(serve() for _ in range(AT_ONCE)))
    await database.close()


def _in_processes(place: Place, lines: Sequence[Sequence[bytes]]) -> float:
    """Seconds in which `WORKERS` processes ingest."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WORKERS + 1)
    workers = [context.Process(target=_work, args=(place, lines[n::WORKERS], barrier)) for n in range(WORKERS)]
    for worker in workers:
        worker.start()
    barrier.wait()
    begin = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - begin
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a worker failed")
    return seconds


async def _rows(place: Place) -> list[dict[Table, list[tuple[Any, ...]]]]:
    """The rows as they were stored, batch by batch."""
    database = Database(place)
    found: dict[tuple[int, int], dict[Table, list[tuple[Any, ...]]]] = {}
    for table in (reading, reception):
        async with database.reading() as connection:
            for row in await connection.execute(select(table).order_by(table.c.meter_id, table.c.ms)):
                of = found.setdefault((row.ms // QUARTER_MS, row.appliance_id), {reading: [], reception: []})
                of[table].append(tuple(row))
    await database.close()
    return [found[key] for key in sorted(found)]


async def _same_meters(place: Place, raw_place: Place) -> None:
    """Rows are of meters that must be known."""
    whole, raw = Database(place), Database(raw_place)
    async with whole.reading() as connection:
        meters = [tuple(row) for row in await connection.execute(select(meter))]
    async with raw.writing() as connection:
        await connection.exec_driver_sql("SELECT 1")
        await raw.add(connection, meter, meters)
    await whole.close()
    await raw.close()


async def _raw(place: Place, found: Sequence[dict[Table, list[tuple[Any, ...]]]]) -> float:
    """Seconds in which the database alone takes the rows."""
    database = Database(place)
    begin = time.perf_counter()
    for rows_of in found:
        async with database.writing() as connection:
            await connection.exec_driver_sql("SELECT 1")
            for table, rows in rows_of.items():
                await database.add(connection, table, rows)
    seconds = time.perf_counter() - begin
    await database.close()
    return seconds


def _timed(place: Place, lines: Sequence[Sequence[bytes]]) -> float:
    """Seconds in which as many workers as the database takes ingest."""
    if isinstance(place, str):
        return _in_processes(place, lines)
    begin = time.perf_counter()
    asyncio.run(_ingest(place, lines))
    return time.perf_counter() - begin


def measure(place: Place, raw_place: Place, *, appliances: int, quarters: int) -> Rate:
    """Ingest so much into a new database, and the same rows into another."""
    lines = [[line for line, _ in batches(n, 0, quarters, NO_BATCH)] for n in range(1, appliances + 1)]
    readings = appliances * quarters * METERS * READINGS_EACH
    asyncio.run(ready(place, appliances))
    seconds = _timed(place, lines)
    found = asyncio.run(_rows(place))
    stored = sum(len(rows_of[reading]) for rows_of in found)
    if stored != readings:
        raise SystemExit(f"{stored} readings are stored of {readings}")
    asyncio.run(ready(raw_place, 1))
    asyncio.run(_same_meters(place, raw_place))
    raw_s = asyncio.run(_raw(raw_place, found))
    return Rate(readings, readings / seconds, readings / raw_s)


@contextlib.contextmanager
def places(wanted: Sequence[str] = KINDS, settings: Sequence[str] = ()) -> Iterator[dict[str, tuple[Place, Place]]]:
    """Two databases of each kind, one for the aggregator and one for rows alone; on the disk of the current folder."""
    from tests.aggregator.postgresql import running

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="ingest-")))
        found: dict[str, tuple[Place, Place]] = {}
        if "SQLite" in wanted:
            found["SQLite"] = (folder / "ingest", folder / "raw")
        if "PostgreSQL" in wanted:
            server = stack.enter_context(running(fsync=True, settings=settings))
            found["PostgreSQL"] = (server.new_database(), server.new_database())
        yield found


def rates(*, quick: bool) -> dict[str, Rate]:
    """The rate on each kind of database, for `make bench`."""
    with places() as found:
        return {name: measure(*pair, appliances=20 if quick else 40, quarters=8) for name, pair in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--appliances", type=int, default=40)
    parser.add_argument("--quarters", type=int, default=8)
    parser.add_argument("--curve", type=int, metavar="MILLIONS", help="go on until so many readings are stored")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="draw the curves into this SVG or PNG")
    setting = "of PostgreSQL, such as max_wal_size=16GB; any number of times"
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE", help=setting)
    parser.add_argument("--on", dest="kinds", action="append", choices=KINDS, help="only this one (default both)")
    args = parser.parse_args()
    from benchmarks import ingest_curve

    curves: dict[str, list[ingest_curve.Point]] = {}
    with places(args.kinds or KINDS, args.settings) as found:
        for name, (place, raw_place) in found.items():
            if args.curve:
                print(name)
                curves[name] = asyncio.run(ingest_curve.Curve(place).points(args.curve))
                continue
            rate = measure(place, raw_place, appliances=args.appliances, quarters=args.quarters)
            print(
                f"  {name}: {rate.ingest_per_s:,.0f} readings/s verified and stored, raw {rate.raw_per_s:,.0f}/s,"
                f" ratio {rate.ratio:.2f}"
            )
    if curves and args.draw:
        ingest_curve.draw(curves, args.draw)


if __name__ == "__main__":
    main()
