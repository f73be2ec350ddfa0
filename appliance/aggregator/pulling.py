"""Fetches what waits at appliances that cannot reach the aggregator, but can be reached.

What comes is taken in as if it had been delivered; the receipts go back with the next request. Whoever answers at an
address is a stranger until a signature says otherwise: answers are bounded in size and time, and a pull ends as soon as
it brings nothing new. What is assigned to an appliance names addresses, and goes only where the connection is secret.
"""

import asyncio
import json
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.exc import SQLAlchemyError

from appliance.aggregator.appliances import APPROVED, MOST_STATEMENT_BYTES, REVOKED, Appliances
from appliance.aggregator.assignments import AssignmentLists
from appliance.aggregator.database import Database
from appliance.aggregator.fleet import standing
from appliance.aggregator.ingest import MOST_LINE_BYTES, Ingest, Refusal, Stored
from appliance.aggregator.schema import NO_APPLIANCE
from appliance.errors import UsageError
from appliance.sync.answer import Standing
from appliance.sync.envelope import PULL, ROTATION, Refused, read, seal
from appliance.sync.identity import NAME_DIGITS
from appliance.sync.pull import PATH, Pull, is_pull_nonce, pack_pull

CONNECT_S, READ_S, ANSWER_S, PULL_S = 20.0, 60.0, 300.0, 3_600.0
MOST_BYTES = 1 << 20
"""So much is asked for at a time; an answer may have a batch more than that, and who it is."""
MOST_ANSWER_BYTES = MOST_BYTES + MOST_LINE_BYTES + (1 << 20)
MOST_LINES, MOST_REFUSED = 2_000, 10
MOST_WORDS_BYTES = 4_096
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._-]{1,253}(:\d{1,5})?|https?://\[[0-9a-fA-F:.]+\](:\d{1,5})?")
_IDENTITY = re.compile(f"[0-9a-f]{{{NAME_DIGITS}}}")


class NotPulled(Exception):
    """Nothing more comes from an address, in words."""


class _Stale(Exception):
    """The nonce is good no longer."""


@dataclass(slots=True)
class Fetched:
    """What came from an address: from which appliance, how it is regarded, how many batches were stored or refused.

    `words` say what is wrong, if anything is.
    """

    identity: str = ""
    standing: Standing = "unknown"
    stored: int = 0
    refused: int = 0
    words: str = ""


class _Answer(NamedTuple):
    """The lines of an answer, and the nonce for the next request; "" if it broke off."""

    lines: list[bytes]
    nonce: str


@dataclass(slots=True)
class _Round:
    """What goes to an appliance next: receipts, or what is assigned to it."""

    nonce: str
    lines: list[bytes] = field(default_factory=list)


class Puller:
    """Pulls for an aggregator, whose `key` signs, while it is entered. `certificate`: a file with those to trust."""

    def __init__(
        self,
        database: Database,
        key: Ed25519PrivateKey,
        now_utc_ms: Callable[[], int],
        certificate: Path | None = None,
    ) -> None:
        self.ingest = Ingest(database, key)
        self._database = database
        self._appliances = Appliances(database)
        self._lists = AssignmentLists(database, key)
        self._key = key
        self._now_utc_ms = now_utc_ms
        self._certificate = certificate
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Puller":
        """Raises UsageError when the certificate cannot be read."""
        try:
            context = ssl.create_default_context(cafile=self._certificate)
        except (OSError, ssl.SSLError) as fault:
            words = f"{self._certificate}: {fault.strerror or fault}"
            raise UsageError(words, "Name a file with a certificate in PEM.") from fault
        timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S, sock_read=READ_S)
        connector = aiohttp.TCPConnector(ssl=context, limit=1, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def pull(self, address: str) -> Fetched:
        """Fetch all that waits at an address. Raises SQLAlchemyError; what was stored until then stays."""
        fetched = Fetched()
        try:
            async with asyncio.timeout(PULL_S) as limit:
                await self._pull(address.rstrip("/"), fetched)
        except NotPulled as fault:
            fetched.words = str(fault)
        except SQLAlchemyError:
            raise
        except TimeoutError as fault:
            late = f"more comes than can be fetched in {PULL_S / 60:g} min: pull again"
            fetched.words = late if limit.expired() else _words(fault)
        except (aiohttp.ClientError, OSError) as fault:
            fetched.words = _words(fault)
        return fetched

    async def _pull(self, address: str, fetched: Fetched) -> None:
        fetched.identity, nonce = await self._offer(address)
        answer = await self._post(address, fetched.identity, _Round(nonce), introduce=True)
        await self._meet(answer)
        fetched.standing = await standing(self._database, fetched.identity)
        if fetched.standing != APPROVED:
            if fetched.standing == "unknown":
                raise NotPulled("it does not say who it is, or what it says is not signed by its key")
            return
        following = _Round(answer.nonce)
        if address.startswith("https://") and (line := await self._lists.line(fetched.identity)):
            following.lines.append(line)
        known: set[bytes] = set()
        while True:
            if not following.nonce:
                _, following.nonce = await self._offer(address)
            try:
                answer = await self._post(address, fetched.identity, following, introduce=False)
            except _Stale:
                # Storing what came last took longer than a nonce is good for.
                _, following.nonce = await self._offer(address)
                answer = await self._post(address, fetched.identity, following, introduce=False)
            receipts = await self._store(answer.lines, fetched)
            if not receipts:
                if not answer.nonce:
                    raise NotPulled("the answer breaks off")
                if answer.lines:
                    raise NotPulled(f"nothing of what it sends can be stored: {fetched.words}")
                fetched.words = ""
                return
            if known.issuperset(receipts):
                raise NotPulled("it sends the same again, though it was given the receipts")
            known.update(receipts)
            fetched.stored = len(known)
            following = _Round(answer.nonce, receipts)

    async def _store(self, lines: list[bytes], fetched: Fetched) -> list[bytes]:
        """Take in batches; the receipts of those that are stored."""
        receipts, refused = [], 0
        for line in lines:
            told = await self.ingest.ingest(line, self._now_utc_ms())
            if isinstance(told, Stored):
                receipts.append(told.receipt)
            elif isinstance(told, Refusal):
                refused += 1
                fetched.words = fetched.words or f"{told.words} ({told.reason})"
                if refused >= MOST_REFUSED:
                    break
            else:
                fetched.words = fetched.words or f"batch {told.epoch}-{told.sequence} is missing"
        fetched.refused += refused
        return receipts

    async def _meet(self, answer: _Answer) -> None:
        """Take in who an appliance says it is, as if it had enrolled. Raises NotPulled."""
        for line in answer.lines:
            kind = ""
            try:
                kind = read(line).kind if len(line) <= MOST_STATEMENT_BYTES else ""
                if kind == ROTATION:
                    await self._appliances.rotate(line, self._now_utc_ms())
                elif await self._appliances.enrol(line, self._now_utc_ms()) == REVOKED:
                    break
            except Refused as fault:
                await self.ingest.refusals.note(NO_APPLIANCE, fault.reason, str(fault), line, self._now_utc_ms())
                # A key that is revoked may have had others after it.
                if kind != ROTATION:
                    raise NotPulled(f"what it says of itself is refused: {fault} ({fault.reason})") from None
        await self.ingest.keys.refresh()

    async def _offer(self, address: str) -> tuple[str, str]:
        """Which appliance is there, and a nonce of it. Raises NotPulled, aiohttp.ClientError, OSError."""
        assert self._session is not None
        async with self._session.get(address + PATH, allow_redirects=False) as response:
            match await _said(response):
                case {"appliance": str(identity), "nonce": str(nonce)} if response.status == 200:
                    if _IDENTITY.fullmatch(identity) and is_pull_nonce(nonce):
                        return identity, nonce
                case {"words": str(words)}:
                    raise NotPulled(f"it says: {words[:300]}")
        if response.status == 421:
            raise NotPulled("it does not answer to that name: add it to [web] names there")
        raise NotPulled(f"what answers there is no appliance that can be pulled from (status {response.status})")

    async def _post(self, address: str, identity: str, following: _Round, *, introduce: bool) -> _Answer:
        """One request. Raises NotPulled, _Stale, aiohttp.ClientError, OSError."""
        assert self._session is not None
        pull = Pull(identity, following.nonce, 0 if introduce else MOST_BYTES, introduce)
        lines = [seal(PULL, pack_pull(pull), self._key), *following.lines]
        body = b"".join(line + b"\n" for line in lines)
        headers = {"Content-Type": "application/x-ndjson"}
        async with self._session.post(address + PATH, data=_pieces(body), headers=headers, allow_redirects=False) as r:
            if r.status == 200:
                return await _answer(r)
            said = await _said(r)
        if said.get("refused") == "stale":
            raise _Stale
        raise NotPulled(f"it says: {said['words'][:300]}" if "words" in said else f"it answers {r.status}")


def check_address(address: str) -> None:
    """Raises UsageError when an address is none."""
    if not _ADDRESS.fullmatch(address.rstrip("/")):
        hint = "Give it as http:// or https://, a name or an IP address, and the port: http://10.0.0.7:8080"
        raise UsageError(f"{address!r:.200} is no address of an appliance", hint)


async def _answer(response: aiohttp.ClientResponse) -> _Answer:
    """The lines of an answer, also when it breaks off. Raises NotPulled when it is too large."""
    content, line = bytearray(), b""
    try:
        async for piece in response.content.iter_chunked(1 << 16):
            content += piece
            if len(content) > MOST_ANSWER_BYTES:
                raise NotPulled(f"it answers with more than the {MOST_ANSWER_BYTES} bytes that were asked for")
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass
    *lines, line = bytes(content).split(b"\n")
    if len(lines) > MOST_LINES:
        raise NotPulled(f"it answers with more than {MOST_LINES} lines")
    if not line and lines:
        match _object(lines[-1]):
            case {"nonce": str(nonce), **others} if "payload" not in others:
                return _Answer(lines[:-1], nonce if is_pull_nonce(nonce) else "")
    return _Answer(lines, "")


async def _said(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """A short answer in JSON; empty if it is none."""
    said = _object(await response.content.read(MOST_WORDS_BYTES))
    return said if isinstance(said.get("words", ""), str) else {}


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


async def _pieces(body: bytes) -> Any:
    for place in range(0, len(body), 1 << 16):
        yield body[place : place + (1 << 16)]


def _words(fault: BaseException) -> str:
    if isinstance(fault, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not one that is trusted, or has expired"
    if isinstance(fault, aiohttp.ClientConnectorError):
        return f"it cannot be reached ({fault.os_error.strerror or fault.os_error})"
    if isinstance(fault, TimeoutError):
        return "no answer in time"
    return str(fault) or type(fault).__name__
