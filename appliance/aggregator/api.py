"""What appliances ask of the aggregator over HTTP, and how it answers.

    POST /api/v1/batches       envelopes, a line each: {"receipt": "<envelope>"}, {"waiting": [epoch, sequence],
                               "kept": true} or {"refused": reason, "words": …} for each, as soon as it is stored
    POST /api/v1/receipts      {"appliance": …, "batches": [[epoch, sequence], …]}: the receipts that there are
    POST /api/v1/enrolments    an enrolment: {"standing": …} or {"refused": …}
    POST /api/v1/rotations     the word of a key for the one after it: the same
    POST /api/v1/assignments   an envelope that asks for newer ones: {"assignments": "<envelope>"} if there are any
    GET  /api/v1/key           {"public_key": "<base64>"}: what signs, for whoever knows its SHA-256 already
    GET  /healthz              whether this worker reaches its database

A request brings a nonce (X-Nonce) and says which appliance it is of (X-Appliance), a hint on which nothing depends but
what its answer says of the standing. The last line of what went well is {"answer": "<envelope>"}, signed for that
nonce. {"failed": reason, "words": …} in its place, or with another status than 200, means: send again what was not
answered, after Retry-After seconds where that is said.
"""

import asyncio
import base64
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from appliance.aggregator.admission import Limits, Load, Overloaded
from appliance.aggregator.appliances import MOST_STATEMENT_BYTES, Appliances
from appliance.aggregator.assignments import AssignmentLists, regarded
from appliance.aggregator.database import Database
from appliance.aggregator.exchange import Exchange, Failed, Gone
from appliance.aggregator.fleet import standing
from appliance.aggregator.ingest import MOST_LINE_BYTES, Ingest, Refusal, Stored
from appliance.aggregator.schema import NO_APPLIANCE
from appliance.sync.answer import Answer, is_nonce, pack_answer
from appliance.sync.batch import LIMIT
from appliance.sync.envelope import ANSWER, Refused, read, seal
from appliance.sync.identity import NAME_DIGITS
from appliance.web.frame.addresses import address_of

log = logging.getLogger(__name__)

MOST_LINES = 256
MOST_ASKED, MOST_QUESTION_BYTES = 1_000, 1 << 16
HEALTHY_WITHIN_S = 5.0
_IDENTITY = re.compile(f"[0-9a-f]{{{NAME_DIGITS}}}")

Work = Callable[[Exchange], Awaitable[None]]


def utc_ms() -> int:
    """The time of this machine's clock, which is set by NTP."""
    return time.time_ns() // 1_000_000


class Api:
    """The handlers of one worker. `key` signs; `now_utc_ms` is the time."""

    def __init__(
        self,
        database: Database,
        key: Ed25519PrivateKey,
        limits: Limits | None = None,
        now_utc_ms: Callable[[], int] = utc_ms,
    ) -> None:
        self.ingest = Ingest(database, key)
        self.load = Load(limits or Limits())
        self.database = database
        self.appliances = Appliances(database)
        self._lists = AssignmentLists(database, key)
        self._key = key
        self.now_utc_ms = now_utc_ms

    def routes(self) -> list[web.RouteDef]:
        """The table of URLs."""
        handlers: dict[str, Callable[[Exchange], Awaitable[None]]] = {
            "batches": self._batches,
            "receipts": self._receipts,
            "enrolments": self._enrolments,
            "rotations": self._rotations,
            "assignments": self._assignments,
        }
        posts = [web.post(f"/api/v1/{name}", self._answering(work)) for name, work in handlers.items()]
        return [*posts, web.get("/api/v1/key", self._public_key), web.get("/healthz", self._health)]

    @web.middleware
    async def admit(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Say what is refused, and what is too much, in JSON; a fault of our own is logged in full."""
        try:
            with self.load.request(address_of(request)):
                return await handler(request)
        except Overloaded as fault:
            response = _failed(fault.status, "overloaded", str(fault))
            response.headers["Retry-After"] = str(self.load.limits.retry_after_s)
        except web.HTTPException as fault:
            response = _failed(fault.status, _reason(fault), fault.text or fault.reason)
            if isinstance(fault, web.HTTPMethodNotAllowed):
                response.headers["Allow"] = ", ".join(sorted(fault.allowed_methods))
        except ConnectionError:
            # The appliance went away: nobody is left to tell.
            raise
        except Exception:
            log.exception("request path=%s broke", request.path)
            response = _failed(500, "internal", "a fault of the aggregator")
        # What is left of the body is not looked at.
        response.force_close()
        return response

    def _answering(self, work: Work) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A handler that does some work for a request, and signs for it."""

        async def handler(request: web.Request) -> web.StreamResponse:
            asked, identity = _headers(request)
            exchange = Exchange(request, self.load)
            await exchange.begin()
            try:
                await work(exchange)
                await exchange.tell(answer=(await self._answer(asked, identity)).decode())
            except Gone:
                exchange.drop()
            except Failed as fault:
                await exchange.fail(fault.reason, str(fault))
            except (SQLAlchemyError, OSError) as fault:
                log.warning("database path=%s fault=%s: %s", request.path, type(fault).__name__, _first_line(fault))
                await exchange.fail("database", "the aggregator's database does not take it now: try again later")
            except Exception:
                log.exception("request path=%s broke", request.path)
                await exchange.fail("internal", "a fault of the aggregator")
            return await exchange.end()

        return handler

    async def _answer(self, asked: str, identity: str) -> bytes:
        answer = Answer(asked, self.now_utc_ms(), *await regarded(self.database, identity))
        return seal(ANSWER, pack_answer(answer), self._key)

    async def _batches(self, exchange: Exchange) -> None:
        count = 0
        async with aclosing(exchange.lines(MOST_LINE_BYTES)) as lines:
            async for line in lines:
                count += 1
                if count > MOST_LINES:
                    raise Failed("too_large", f"more than {MOST_LINES} lines")
                told = await self.ingest.ingest(line, self.now_utc_ms())
                if isinstance(told, Stored):
                    await exchange.tell(receipt=told.receipt.decode())
                elif isinstance(told, Refusal):
                    await exchange.tell(refused=told.reason, words=told.words)
                else:
                    await exchange.tell(waiting=[told.epoch, told.sequence], kept=told.is_kept)

    async def _receipts(self, exchange: Exchange) -> None:
        identity, batches = _question(await exchange.line(MOST_QUESTION_BYTES))
        for receipt in await self.ingest.receipts(identity, batches):
            await exchange.tell(receipt=receipt.decode())

    async def _enrolments(self, exchange: Exchange) -> None:
        async def enrol(line: bytes) -> None:
            await self.appliances.enrol(line, self.now_utc_ms())

        await self._statement(exchange, enrol)

    async def _rotations(self, exchange: Exchange) -> None:
        async def rotate(line: bytes) -> None:
            await self.appliances.rotate(line, self.now_utc_ms())

        await self._statement(exchange, rotate)

    async def _assignments(self, exchange: Exchange) -> None:
        line = await exchange.line(MOST_QUESTION_BYTES)
        try:
            found = await self._lists.answer(self.ingest.keys, line)
        except Refused as fault:
            await self.ingest.refusals.note(NO_APPLIANCE, fault.reason, str(fault), line, self.now_utc_ms())
            await exchange.tell(refused=fault.reason, words=str(fault))
            return
        if found is not None:
            await exchange.tell(assignments=found.decode())

    async def _statement(self, exchange: Exchange, take_in: Callable[[bytes], Awaitable[None]]) -> None:
        line = await exchange.line(MOST_STATEMENT_BYTES)
        try:
            await take_in(line)
        except Refused as fault:
            await self.ingest.refusals.note(NO_APPLIANCE, fault.reason, str(fault), line, self.now_utc_ms())
            await exchange.tell(refused=fault.reason, words=str(fault))
            return
        # What it sends next is signed with a key that has just become known.
        await self.ingest.keys.refresh()
        await exchange.tell(standing=await standing(self.database, _said_by(line)))

    async def _public_key(self, _request: web.Request) -> web.Response:
        return web.json_response({"public_key": base64.b64encode(self._key.public_key().public_bytes_raw()).decode()})

    async def _health(self, _request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(HEALTHY_WITHIN_S), self.database.reading() as connection:
                await connection.execute(select(1))
        except (SQLAlchemyError, OSError) as fault:
            log.warning("database fault=%s: %s", type(fault).__name__, _first_line(fault))
            return _failed(503, "database", "the database does not answer")
        return web.json_response({"status": "ok"})


def _headers(request: web.Request) -> tuple[str, str]:
    """The nonce and the appliance of a request. Raises HTTPException."""
    asked, identity = request.headers.get("X-Nonce", ""), request.headers.get("X-Appliance", "")
    if not is_nonce(asked):
        raise web.HTTPBadRequest(text="the header X-Nonce is not 32 hexadecimal digits")
    if not _IDENTITY.fullmatch(identity):
        raise web.HTTPBadRequest(text=f"the header X-Appliance is not {NAME_DIGITS} hexadecimal digits")
    if request.headers.get("Content-Encoding", "identity") not in ("gzip", "identity"):
        raise web.HTTPUnsupportedMediaType(text="Content-Encoding is neither gzip nor identity")
    return asked, identity


def _question(line: bytes) -> tuple[str, list[tuple[int, int]]]:
    """Whose receipts are asked for, and of which batches. Raises Failed."""
    if len(line) > MOST_QUESTION_BYTES:
        raise Failed("too_large", f"a question of more than {MOST_QUESTION_BYTES} bytes")
    try:
        record = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise Failed("malformed", "the question is no JSON") from None
    match record:
        case {"appliance": str(identity), "batches": [*batches]} if len(record) == 2 and _IDENTITY.fullmatch(identity):
            if len(batches) <= MOST_ASKED and all(map(_is_name, batches)):
                return identity, [(epoch, sequence) for epoch, sequence in batches]
    raise Failed("malformed", f"not a question: appliance, and at most {MOST_ASKED} batches as [epoch, sequence]")


def _is_name(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(n) is int and 0 < n < LIMIT for n in value)


def _said_by(line: bytes) -> str:
    """The appliance that a statement, which was taken in, is of."""
    return str(json.loads(read(line).payload)["appliance"])


def _failed(status: int, reason: str, words: str) -> web.Response:
    return web.json_response({"failed": reason, "words": words}, status=status)


def _reason(fault: web.HTTPException) -> str:
    return fault.reason.lower().replace(" ", "_")


def _first_line(fault: Exception) -> str:
    """What a fault says, without the statement and its parameters: these are customers' readings."""
    return f"{getattr(fault, 'orig', None) or fault}".partition("\n")[0][:200]
