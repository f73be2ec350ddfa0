"""The aggregator that is tested: real `appliance aggregator run` processes over TLS, on a database that is blank.

It has a directory of its own, which goes at the end, and so does what is put into the database. The appliances are
enrolled and approved before anything is measured: what an operator does once is not the load.
"""

import asyncio
import contextlib
import logging
import re
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, insert, select, text

from appliance import certificate
from appliance.aggregator import blank, settings
from appliance.aggregator.database import FILE, Database, migrate
from appliance.aggregator.keys import make_key
from appliance.aggregator.loadtest import usage
from appliance.aggregator.loadtest.street import Street, Tally
from appliance.aggregator.schema import appliance, appliance_key, batch, chain, event, reading, reception
from appliance.durable import write
from appliance.errors import StoreError, UsageError
from appliance.sync.batch import NO_BATCH
from appliance.sync.envelope import key_id
from appliance.sync.identity import name_of

log = logging.getLogger(__name__)

STARTS_WITHIN_S, STOPS_WITHIN_S = 60.0, 20.0
PREFIX = "loadtest-"


class Worker:
    """One process of the aggregator, and where it serves."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said: deque[str] = deque(maxlen=5)
        self._listening: asyncio.Task[None] | None = None
        self.address = ""

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is no more, though nobody stopped it."""
        return self._process.returncode is not None

    @property
    def last_words(self) -> str:
        """What it said last."""
        return " ".join(self._said)[-300:]

    async def begin(self) -> None:
        """Wait until it serves. Raises StoreError."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STARTS_WITHIN_S):
                while line := await self._line():
                    if found := re.search(r" serving (https://\S+)$", line):
                        self.address = found[1]
                        self._listening = asyncio.create_task(self._listen())
                        return
        raise StoreError(f"the aggregator does not start: {self.last_words}")

    async def _listen(self) -> None:
        while await self._line():
            pass

    async def _line(self) -> str:
        assert self._process.stderr is not None
        line = (await self._process.stderr.readline()).decode(errors="replace").rstrip()
        self._said.append(line)
        return line

    async def stop(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOPS_WITHIN_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)


class Centre:
    """The aggregator under test: its workers, key and certificate, and its database."""

    def __init__(self, directory: Path, database: Database, key: Ed25519PublicKey) -> None:
        self.workers: list[Worker] = []
        self.certificate = directory / certificate.CERTIFICATE
        self.keys = {key_id(key): key}
        self._directory = directory
        self._database = database
        self._server: int | None = None

    async def enrol(self, street: Street, appliances: int) -> None:
        """Make appliances known, and believed."""
        rows: dict[str, list[dict[str, object]]] = {"appliance": [], "appliance_key": [], "chain": []}
        for number in range(appliances):
            public = street.key(number).public_key()
            rows["appliance"].append(
                {"appliance_id": number + 1, "identity": name_of(public), "name": f"simulated {number}", "version": "",
                 "claim": "", "state": "approved", "enrolled_utc_ms": 0}
            )  # fmt: skip
            rows["appliance_key"].append(
                {"number": number + 1, "appliance_id": number + 1, "epoch": 1, "key_id": key_id(public),
                 "public_key": public.public_bytes_raw(), "statement": b"", "added_utc_ms": 0}
            )  # fmt: skip
            rows["chain"].append({"appliance_id": number + 1, "epoch": 1, "sequence": 0, "sha256": NO_BATCH})
            await asyncio.sleep(0)
        async with self._database.writing() as connection:
            for table in (appliance, appliance_key, chain):
                await connection.execute(insert(table), rows[table.name])

    async def stored(self) -> tuple[dict[int, dict[int, str]], dict[int, Tally]]:
        """By appliance: the SHA-256 of each batch that is stored; what is in the tables of it."""
        batches: dict[int, dict[int, str]] = {}
        tallies: dict[int, list[int]] = {}
        sums = (
            (0, reading, func.sum(reading.c.consumption)),
            (2, reception, func.sum(reception.c.snr_sum_cdb)),
            (4, event, func.count()),
        )
        async with self._database.reading() as connection:
            listed = select(batch.c.appliance_id, batch.c.sequence, batch.c.sha256)
            for row in await connection.execute(listed):
                batches.setdefault(row.appliance_id - 1, {})[row.sequence] = row.sha256
            for place, table, total in sums:
                counted = select(table.c.appliance_id, func.count(), total).group_by(table.c.appliance_id)
                for number, count, amount in await connection.execute(counted):
                    tally = tallies.setdefault(number - 1, [0] * 6)
                    tally[place : place + 2] = [int(count), int(amount)]
        return batches, {number: Tally(*tally[:5]) for number, tally in tallies.items()}

    def processor_s(self) -> list[float]:
        """Seconds of processor time that each worker has used."""
        return [usage.processor_s([worker.pid]) for worker in self.workers]

    async def find_server(self) -> None:
        """Find the database's server, if it has one and that runs on this machine."""
        if self._database.is_postgresql:
            async with self._database.reading() as connection:
                pid = await connection.scalar(text("SELECT pg_backend_pid()"))
            self._server = usage.parent_of(int(pid or 0), "postgres")

    def server_processor_s(self) -> float | None:
        """Seconds of processor time that the database's server has used; None if that is not known."""
        return None if self._server is None else usage.family_processor_s(self._server)

    def memory_bytes(self) -> int:
        """The most memory that any worker had."""
        return max(usage.peak_memory_bytes(worker.pid) for worker in self.workers)

    async def database_bytes(self) -> int:
        """What the database takes on the disk."""
        if self._database.is_postgresql:
            async with self._database.reading() as connection:
                return int(await connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
        return sum(path.stat().st_size for path in self._directory.glob(f"{FILE}*"))


@contextlib.asynccontextmanager
async def running(folder: Path, url: str, workers: int) -> AsyncIterator[Centre]:
    """An aggregator, from its making to its end. Raises UsageError, ConfigError, StoreError, OSError."""
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        database = Database(url or directory)
        stack.push_async_callback(database.close)
        if not await _is_blank(database):
            hint = "Make one for the test (createdb), which may be dropped afterwards."
            raise UsageError("the database is not empty", hint)
        if url:
            stack.push_async_callback(blank.clear, database)
        await migrate(database.engine)
        certificate.make_certificate(directory, "127.0.0.1")
        tls = {"certificate": certificate.CERTIFICATE, "key": certificate.KEY}
        told = settings.written(web={"host": "127.0.0.1", "port": 0}, tls=tls, database={"url": url})
        write(directory / settings.FILE, told.encode())
        centre = Centre(directory, database, make_key(directory).public_key())
        for _ in range(workers):
            # The terminal's Ctrl-C is for this process, which ends the others in their turn.
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "appliance", "aggregator", "run", "--directory", str(directory)),
                stderr=asyncio.subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            centre.workers.append(Worker(process))
            stack.push_async_callback(centre.workers[-1].stop)
        for worker in centre.workers:
            await worker.begin()
        await centre.find_server()
        yield centre


async def _is_blank(database: Database) -> bool:
    try:
        return await blank.is_blank(database)
    except OSError as fault:
        raise StoreError(f"the database cannot be reached: {fault}", "Check its address.") from fault
