"""Speaks with whoever answers at an appliance's address: a stranger, whose answers are bounded in size and in time."""

import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from appliance.aggregator.ingest import MOST_LINE_BYTES
from appliance.errors import UsageError
from appliance.sync.identity import NAME_DIGITS
from appliance.sync.pull import PATH, is_pull_nonce

CONNECT_S, READ_S, ANSWER_S = 20.0, 60.0, 300.0
MOST_BYTES = 1 << 20
"""So much is asked for at a time; an answer may have a batch more than that, and who it is."""
MOST_ANSWER_BYTES = MOST_BYTES + MOST_LINE_BYTES + (1 << 20)
MOST_LINES = 2_000
MOST_WORDS_BYTES = 4_096
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._-]{1,253}(:\d{1,5})?|https?://\[[0-9a-fA-F:.]+\](:\d{1,5})?")
_IDENTITY = re.compile(f"[0-9a-f]{{{NAME_DIGITS}}}")


class NotPulled(Exception):
    """Nothing more comes from an address, in words."""


class Stale(Exception):
    """The nonce is good no longer."""


class Answer(NamedTuple):
    """The lines of an answer, and the nonce for the next request; "" if it broke off."""

    lines: list[bytes]
    nonce: str


class Visitor:
    """Speaks with appliances, while it is entered. `certificate` is a file with those to trust."""

    def __init__(self, certificate: Path | None = None) -> None:
        self._certificate = certificate
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Visitor":
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

    async def offer(self, address: str) -> tuple[str, str]:
        """Which appliance is there, and a nonce of it. Raises NotPulled."""
        assert self._session is not None
        async with _said_why(), self._session.get(address + PATH, allow_redirects=False) as response:
            match await _said(response):
                case {"appliance": str(identity), "nonce": str(nonce)} if response.status == 200:
                    if _IDENTITY.fullmatch(identity) and is_pull_nonce(nonce):
                        return identity, nonce
                case {"words": str(words)}:
                    raise NotPulled(f"it says: {words[:300]}")
        if response.status == 421:
            raise NotPulled("it does not answer to that name: add it to [web] names there")
        raise NotPulled(f"what answers there is no appliance that can be pulled from (status {response.status})")

    async def post(self, address: str, lines: Sequence[bytes]) -> Answer:
        """One request. Raises NotPulled, Stale."""
        assert self._session is not None
        body = b"".join(line + b"\n" for line in lines)
        headers = {"Content-Type": "application/x-ndjson"}
        posting = self._session.post(address + PATH, data=_pieces(body), headers=headers, allow_redirects=False)
        async with _said_why(), posting as response:
            status = response.status
            if status == 200:
                return await _answer(response)
            said = await _said(response)
        if said.get("refused") == "stale":
            raise Stale
        raise NotPulled(f"it says: {said['words'][:300]}" if "words" in said else f"it answers {status}")


def check_address(address: str) -> None:
    """Raises UsageError when an address is none."""
    if not _ADDRESS.fullmatch(address.rstrip("/")):
        hint = "Give it as http:// or https://, a name or an IP address, and the port: http://10.0.0.7:8080"
        raise UsageError(f"{address!r:.200} is no address of an appliance", hint)


@contextlib.asynccontextmanager
async def _said_why() -> AsyncIterator[None]:
    """Say what kept an address from answering. Raises NotPulled."""
    try:
        yield
    except (aiohttp.ClientError, OSError) as fault:
        raise NotPulled(_words(fault)) from None


async def _answer(response: aiohttp.ClientResponse) -> Answer:
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
                return Answer(lines[:-1], nonce if is_pull_nonce(nonce) else "")
    return Answer(lines, "")


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


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for place in range(0, len(body), 1 << 16):
        yield body[place : place + (1 << 16)]


def _words(fault: BaseException) -> str:
    if isinstance(fault, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not one that is trusted, is for another name, or has expired"
    if isinstance(fault, aiohttp.ClientConnectorError):
        return f"it cannot be reached ({fault.os_error.strerror or fault.os_error})"
    if isinstance(fault, TimeoutError):
        return "no answer in time"
    return str(fault) or type(fault).__name__
