"""The network between appliances and an aggregator, which does what networks do, and what somebody on it would.

It stands where TLS would end, so that it can tamper with all that is said. With each request one fault is drawn, or
none; what is counted has happened.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.sync.envelope import ENROLMENT, RECEIPT, read, seal

REMEMBERED = 200
FORWARD_S = 20.0


class Cut(Exception):
    """The connection is to end here."""


class Answer(NamedTuple):
    """What an aggregator said."""

    status: int
    lines: list[bytes]
    headers: dict[str, str]


@dataclass
class Network:
    """`targets` are the addresses of the aggregator's workers now; `share` of the requests meet a fault."""

    seed: int
    targets: Callable[[], Sequence[str]]
    share: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    address: str = ""
    _requests: deque[tuple[str, list[bytes], dict[str, str]]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _receipts: deque[bytes] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _answers: deque[bytes] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def __post_init__(self) -> None:
        self._chance = random.Random(f"network {self.seed}")
        self._liar = Ed25519PrivateKey.generate()
        self._session: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Network"]:
        """Be there, on a free port of the loopback."""
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/api/v1/{what}", self._pass)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(FORWARD_S)) as self._session:
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        faults = REQUEST_FAULTS if request.match_info["what"] != "batches" else (*REQUEST_FAULTS, *BATCH_FAULTS)
        fault = self._chance.choice(faults) if self._chance.random() < self.share else ""
        lines = (await request.read()).splitlines()
        headers = {name: request.headers[name] for name in ("X-Nonce", "X-Appliance")}
        response = web.StreamResponse()
        try:
            answer = await self._answer(fault, request.path, lines, headers)
            response.set_status(answer.status)
            response.headers.update(answer.headers)
            await response.prepare(request)
            for n, line in enumerate(answer.lines):
                if fault == "answer cut" and n == len(answer.lines) // 2:
                    await response.write(line[: len(line) // 2])
                    raise Cut
                await response.write(line + b"\n")
        except (Cut, aiohttp.ClientError, OSError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _answer(self, fault: str, path: str, lines: list[bytes], headers: dict[str, str]) -> Answer:
        """What the appliance is to be told. Raises Cut."""
        if fault:
            self.happened[fault] += 1
        if fault == "refused":
            raise Cut
        if fault == "busy":
            return Answer(503, [], {"Retry-After": "0"})
        if fault == "garbage":
            return Answer(200, [b"<html><body>Please log in to the network</body></html>"], {})
        if fault == "led astray":
            return Answer(302, [], {"Location": self.address + path})
        if fault == "delayed":
            await asyncio.sleep(self._chance.uniform(0.1, 0.6))
        if fault == "replayed" and self._requests:
            await self._forward(*self._chance.choice(self._requests))
        if fault == "duplicated":
            answer, _ = await asyncio.gather(self._forward(path, lines, headers), self._forward(path, lines, headers))
        else:
            answer = await self._forward(path, self._tampered(fault, lines), headers)
        self._requests.append((path, lines, headers))
        if fault == "answer lost":
            raise Cut
        if fault == "request cut":
            # What was stored of it, nobody is told.
            raise Cut
        return answer._replace(lines=self._twisted(fault, answer.lines))

    def _tampered(self, fault: str, lines: list[bytes]) -> list[bytes]:
        """What arrives of a request."""
        place = self._chance.randrange(len(lines))
        match fault:
            case "request cut":
                return [*lines[:place], lines[place][: len(lines[place]) // 2]]
            case "reordered":
                return self._chance.sample(lines, len(lines))
            case "repeated":
                return [line for line in lines for _ in range(2)]
            case "altered":
                return [*lines[:place], self._altered(lines[place]), *lines[place + 1 :]]
            case "left out":
                return [*lines[:place], *lines[place + 1 :]] or [b"{}"]
            case "mixed with another's" if self._requests:
                return [*self._chance.choice(self._requests)[1], *lines]
        return lines

    def _altered(self, line: bytes) -> bytes:
        place = self._chance.randrange(len(line))
        return line[:place] + bytes([line[place] ^ 1 << self._chance.randrange(7)]) + line[place + 1 :]

    def _twisted(self, fault: str, lines: list[bytes]) -> list[bytes]:
        """What arrives of an answer."""
        said = []
        for line in lines:
            match json.loads(line):
                case {"receipt": str(receipt)}:
                    said.append(self._receipt(fault, line))
                    self._receipts.append(receipt.encode())
                case {"answer": str(answer)}:
                    old = fault == "old answer" and self._answers
                    said.append(_told("answer", self._chance.choice(self._answers)) if old else line)
                    self._answers.append(answer.encode())
                case _:
                    said.append(line)
        if fault == "answer reordered":
            self._chance.shuffle(said)
        elif fault == "told to wait":
            said.insert(0, b'{"waiting":[1,1],"kept":true}')
        elif fault == "told to enrol":
            said = [b'{"refused":"unknown_key","words":"nobody knows this key"}', *said[-1:]]
        elif fault == "no answer":
            said = said[:-1]
        return said

    def _receipt(self, fault: str, line: bytes) -> bytes:
        """What becomes of a receipt on its way."""
        receipt = json.loads(line)["receipt"].encode()
        match fault:
            case "receipt altered":
                return _told("receipt", self._altered(receipt).decode("ascii", "replace").encode())
            case "receipt of another" if self._receipts:
                return _told("receipt", self._chance.choice(self._receipts))
            case "receipt forged":
                return _told("receipt", seal(RECEIPT, read(receipt).payload, self._liar))
            case "receipt of another kind":
                return _told("receipt", seal(ENROLMENT, read(receipt).payload, self._liar))
        return line

    async def _forward(self, path: str, lines: list[bytes], headers: dict[str, str]) -> Answer:
        assert self._session is not None
        if not (targets := self.targets()):
            raise Cut
        url, body = self._chance.choice(targets) + path, b"\n".join(lines) + b"\n"
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            kept = {name: response.headers[name] for name in ("Retry-After",) if name in response.headers}
            return Answer(response.status, [line for line in (await response.read()).splitlines() if line], kept)


REQUEST_FAULTS = (
    "refused", "busy", "garbage", "led astray", "delayed", "replayed", "duplicated", "answer lost", "answer cut",
    "old answer", "no answer",
)  # fmt: skip
BATCH_FAULTS = (
    "request cut", "reordered", "repeated", "altered", "left out", "mixed with another's", "answer reordered",
    "told to wait", "told to enrol", "receipt altered", "receipt of another", "receipt forged",
    "receipt of another kind",
)  # fmt: skip


def _told(what: str, envelope: bytes) -> bytes:
    return json.dumps({what: envelope.decode()}).encode()
