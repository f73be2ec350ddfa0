"""An aggregator for the tests: the real one's ingest on SQLite, behind a small server that can be told to misbehave."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.assignments import AssignmentLists, regarded
from appliance.aggregator.database import Database, migrate
from appliance.aggregator.ingest import Ingest, Stored, Waiting
from appliance.sync.answer import Answer, pack_answer
from appliance.sync.envelope import ANSWER, Refused, key_id, seal
from appliance.sync.transport import Link

NOW_MS = 1_774_000_000_000


class Centre:
    """`faults` are names of what goes wrong, one of them by chance with each request, `share` of the time."""

    def __init__(self, database: Database, seed: int = 1) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        self.keys = {key_id(self.key.public_key()): self.key.public_key()}
        self.database = database
        self.appliances = Appliances(database)
        self.worker = Ingest(database, self.key)
        self.lists = AssignmentLists(database, self.key)
        # What it hands out in place of the list that it has.
        self.assigns: bytes | None = None
        self.approves = True
        self.faults: tuple[str, ...] = ()
        self.share = 0.0
        self.requests: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()
        self.address = ""
        self._chance = random.Random(seed)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Centre"]:
        """Serve on a free port of the loopback."""
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/api/v1/{what}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def link(self) -> Link:
        """A way here that knows the right key."""
        return Link(self.address, self.keys)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        self.requests[what] += 1
        fault = self._chance.choice(self.faults) if self._chance.random() < self.share else ""
        if fault:
            self.happened[fault] += 1
        if fault == "busy":
            return web.Response(status=503, headers={"Retry-After": "2"})
        if fault == "dropped":
            assert request.transport
            request.transport.close()
            return web.Response()
        body = await request.read()
        response = web.StreamResponse()
        await response.prepare(request)
        lines = body.splitlines()
        if fault == "reordered":
            self._chance.shuffle(lines)
        elif fault == "duplicated":
            lines += lines
        for n, line in enumerate(lines):
            said = await getattr(self, f"_{what}")(line)
            if fault == "lying receipts":
                said = [{"receipt": self._lie(one["receipt"])} if "receipt" in one else one for one in said]
            for one in said:
                await response.write(json.dumps(one).encode() + b"\n")
            if fault == "cut" and n == len(lines) // 2:
                await response.write(b'{"receipt": "to')
                assert request.transport
                request.transport.close()
                return response
        if fault != "no answer":
            key = Ed25519PrivateKey.generate() if fault == "wrong key" else self.key
            asked = "0" * 32 if fault == "old answer" else request.headers["X-Nonce"]
            payload = pack_answer(Answer(asked, NOW_MS, *await regarded(self.database, request.headers["X-Appliance"])))
            await response.write(json.dumps({"answer": seal(ANSWER, payload, key).decode()}).encode() + b"\n")
        return response

    async def _batches(self, line: bytes) -> list[dict[str, object]]:
        said = await self.worker.ingest(line, NOW_MS)
        if isinstance(said, Stored):
            return [{"receipt": said.receipt.decode()}]
        if isinstance(said, Waiting):
            return [{"waiting": [said.epoch, said.sequence], "kept": said.is_kept}]
        return [{"refused": said.reason, "words": said.words}]

    async def _receipts(self, line: bytes) -> list[dict[str, object]]:
        asked = json.loads(line)
        found = await self.worker.receipts(asked["appliance"], [(e, s) for e, s in asked["batches"]])
        return [{"receipt": receipt.decode()} for receipt in found]

    async def _enrolments(self, line: bytes) -> list[dict[str, object]]:
        try:
            await self.appliances.enrol(line, NOW_MS)
        except Refused as fault:
            return [{"refused": fault.reason, "words": str(fault)}]
        if self.approves:
            for known in await self.appliances.all():
                await self.appliances.approve(known.identity, NOW_MS)
        await self.worker.keys.refresh()
        return []

    async def _rotations(self, line: bytes) -> list[dict[str, object]]:
        try:
            await self.appliances.rotate(line, NOW_MS)
        except Refused as fault:
            return [{"refused": fault.reason, "words": str(fault)}]
        await self.worker.keys.refresh()
        return []

    async def _assignments(self, line: bytes) -> list[dict[str, object]]:
        if self.assigns is not None:
            return [{"assignments": self.assigns.decode()}]
        try:
            found = await self.lists.answer(self.worker.keys, line)
        except Refused as fault:
            return [{"refused": fault.reason, "words": str(fault)}]
        return [{"assignments": found.decode()}] if found else []

    def _lie(self, receipt: object) -> str:
        forged = str(receipt)
        place = self._chance.randrange(len(forged))
        return forged[:place] + ("x" if forged[place] != "x" else "y") + forged[place + 1 :]


@contextlib.asynccontextmanager
async def centre(directory: Path, seed: int = 1) -> AsyncIterator[Centre]:
    """An aggregator with a database of its own, serving."""
    database = Database(directory)
    await migrate(database.engine)
    try:
        async with Centre(database, seed).serving() as serving:
            yield serving
    finally:
        await database.close()
        await asyncio.sleep(0)
