"""Carries batches to an aggregator over HTTP, and receipts back.

    POST /api/v1/batches       envelopes, a line each; answered line by line, as each is stored
    POST /api/v1/receipts      which of these are stored already? so that nothing is sent twice after a cut
    POST /api/v1/enrolments    here I am; POST /api/v1/rotations: and this is my key now
    POST /api/v1/assignments   which meters matter here?

Nothing that an aggregator says is believed but what its key has signed: receipts, assignments, and the answer to a
nonce of ours, which tells the time and how it regards us. All else only decides what is tried next.
"""

import asyncio
import contextlib
import errno
import gzip
import io
import json
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.errors import NotDelivered
from appliance.sync.answer import Answer, nonce, unpack_answer
from appliance.sync.envelope import ANSWER, Refused, key_id, opened, printable, read

# The last is of a whole request: who neither takes what is sent nor ends what it says holds up the next address.
CONNECT_S, READ_S, REQUEST_S = 20.0, 60.0, 900.0
MOST_LINE_BYTES = 4_096
MOST_ANSWER_BYTES = 4 << 20
LONGEST_RETRY_S = 3_600.0

HINT_KEY = "Check in [sync] that aggregator_key is what 'appliance aggregator init' printed, and the address."
HINT_CERTIFICATE = "Copy the aggregator's certificate to the file that [sync] certificate names, and see to the clock."
REFUSED = "The connection was refused: nothing listens there."
NO_WAY = "There is no way to that address from here."
NO_NAME = "The name is not found."
SILENT = "There is no answer."
BROKEN_OFF = "The connection broke off."
CAUSES = (REFUSED, NO_WAY, NO_NAME, SILENT, BROKEN_OFF)
_BY_NUMBER = {
    errno.ECONNREFUSED: REFUSED,
    **dict.fromkeys((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL), NO_WAY),
    errno.ETIMEDOUT: SILENT,
    **dict.fromkeys((errno.ECONNRESET, errno.EPIPE), BROKEN_OFF),
}
CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class _Bounds(Exception):
    """An answer is beyond what is taken, in these words."""


_NOT_TRUSTED = (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)


@dataclass(slots=True)
class Told:
    """What an aggregator said to one request: what it signed, as it came; refusals, a gap, and its signed answer.

    `status` is that of HTTP, 0 where nobody answered at all. `sent_s` and `heard_s` are when the request began and when
    the answer came, by a monotonic clock.
    """

    receipts: list[bytes] = field(default_factory=list)
    assignments: list[bytes] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    gap: tuple[int, int] | None = None
    answer: Answer | None = None
    status: int = 0
    sent_s: float = 0.0
    heard_s: float = 0.0


class Link:
    """The way to one aggregator. `keys` are those that it signs with.

    `certificate` is its own or its CA's, as PEM, or a file with it; without one those that the system knows are.
    """

    def __init__(self, address: str, keys: Mapping[str, Ed25519PublicKey], certificate: str | None = None) -> None:
        self.address = address.rstrip("/")
        self.keys = keys
        self._certificate = certificate
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, path: str, lines: Sequence[bytes], appliance: str, told: Told, most_bytes: int = MOST_LINE_BYTES
    ) -> None:
        """Send lines, and fill in what is told, each line of `most_bytes`, also when it breaks off.

        Raises NotDelivered.
        """
        asked = nonce()
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        headers |= {"X-Nonce": asked, "X-Appliance": appliance}
        body = io.BytesIO(body_of(lines))
        told.sent_s = time.monotonic()
        try:
            session = await self._connected()
            async with session.post(self.address + path, data=body, headers=headers, allow_redirects=False) as response:
                told.status = response.status
                if response.status != 200:
                    words = f"{self.address} answers {response.status}"
                    raise NotDelivered(words, retry_after_s=_retry_after_s(response))
                async for line in _lines(response.content, most_bytes):
                    self._take(line, asked, told)
        except (aiohttp.ClientError, OSError, TimeoutError, _Bounds) as fault:
            # The next request reads the certificate anew, for that may be what is put right meanwhile.
            await self.close()
            hint = HINT_CERTIFICATE if isinstance(fault, _NOT_TRUSTED) else None
            raise NotDelivered(f"{self.address}: {_words(fault)}", hint, cause=_cause(fault)) from None

    def _take(self, line: bytes, asked: str, told: Told) -> None:
        try:
            match json.loads(line):
                case {"receipt": str(receipt)}:
                    told.receipts.append(receipt.encode())
                case {"assignments": str(assignments)}:
                    told.assignments.append(assignments.encode())
                case {"refused": str(reason), "words": str(words)}:
                    told.refusals.append((printable(reason[:40]), printable(words[:200])))
                case {"waiting": [int(epoch), int(sequence)]}:
                    told.gap = told.gap or (epoch, sequence)
                case {"answer": str(answer)}:
                    found = unpack_answer(opened(read(answer.encode()), ANSWER, self.keys))
                    if found.nonce == asked:
                        told.answer, told.heard_s = found, time.monotonic()
        except Refused as fault:
            what = "does not answer with its key" if fault.reason == "unknown_key" else f"is not believed: {fault}"
            raise NotDelivered(f"{self.address} {what}"[:300], HINT_KEY) from None
        except (ValueError, RecursionError) as fault:
            raise NotDelivered(f"{self.address} says what cannot be understood: {fault}"[:300], HINT_KEY) from None

    async def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            context: ssl.SSLContext | bool = True
            if self._certificate:
                context = await asyncio.to_thread(_trusting, self._certificate)
            timeout = aiohttp.ClientTimeout(total=REQUEST_S, sock_connect=CONNECT_S, sock_read=READ_S)
            connector = aiohttp.TCPConnector(ssl=context, limit=1)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        return self._session

    async def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _trusting(certificate: str) -> ssl.SSLContext:
    """What believes a certificate, or those that it has signed. Raises NotDelivered."""
    is_file = not certificate.startswith(CERTIFICATE)
    try:
        if is_file:
            return ssl.create_default_context(cafile=certificate)
        return ssl.create_default_context(cadata=certificate)
    except (ssl.SSLError, ValueError):
        what = certificate if is_file else "the certificate that is set"
        raise NotDelivered(f"{what} holds no certificate", HINT_CERTIFICATE) from None
    except OSError as fault:
        raise NotDelivered(f"{certificate}: {fault.strerror}", HINT_CERTIFICATE) from None


def body_of(lines: Sequence[bytes]) -> bytes:
    """Lines as the body of a request: newline-delimited, as one gzip member."""
    return gzip.compress(b"\n".join(lines) + b"\n", 6)


def links_of(addresses: Sequence[str], key: str, certificate: str) -> list[Link]:
    """The ways to an aggregator with several addresses. `key` is its public key in hexadecimal."""
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    return [Link(address, {key_id(public): public}, certificate or None) for address in addresses]


async def _lines(content: aiohttp.StreamReader, most_bytes: int) -> AsyncIterator[bytes]:
    """The lines of an answer; one that is too long is none, nor is what comes after too many of them."""
    line, left = bytearray(), MOST_ANSWER_BYTES
    async for piece in content.iter_any():
        left -= len(piece)
        if left < 0:
            raise _Bounds(f"an answer of more than {MOST_ANSWER_BYTES} bytes")
        *ended, rest = piece.split(b"\n")
        for end in ended:
            line += end
            if len(line) > most_bytes:
                break
            if line.strip():
                yield bytes(line)
            line.clear()
        line += rest
        if len(line) > most_bytes:
            raise _Bounds("an answer of too long lines")
    if line:
        raise _Bounds("the answer breaks off")


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    with contextlib.suppress(ValueError):
        return min(LONGEST_RETRY_S, max(0.0, float(response.headers.get("Retry-After", ""))))
    return None


def _words(fault: BaseException) -> str:
    if isinstance(fault, TimeoutError):
        return "no answer in time"
    if isinstance(fault, _NOT_TRUSTED):
        return "its certificate is not the one that is set, is for another name, or has expired"
    if isinstance(fault, aiohttp.ClientConnectorError):
        return f"cannot be reached ({_of_system(fault.os_error)})"
    if isinstance(fault, _Bounds):
        return str(fault)
    if isinstance(fault, aiohttp.ServerDisconnectedError):
        return "it broke the connection off"
    if isinstance(fault, aiohttp.ClientError) and not isinstance(fault, OSError):
        # Its words would quote whoever answers.
        return "what it says is no sound HTTP"
    return getattr(fault, "strerror", None) or type(fault).__name__


def _of_system(fault: OSError) -> str:
    """As the system calls it: what asyncio says of a connection has addresses in it, as Python writes them."""
    if fault.errno is not None and fault.errno in errno.errorcode:
        return os.strerror(fault.errno)
    return fault.strerror or str(fault)


def _cause(fault: BaseException) -> str:
    if isinstance(fault, _NOT_TRUSTED):
        return ""
    system = fault.os_error if isinstance(fault, aiohttp.ClientConnectorError) else fault
    if isinstance(system, socket.gaierror | aiohttp.ClientConnectorDNSError):
        return NO_NAME
    if isinstance(system, TimeoutError):
        return SILENT
    if isinstance(system, aiohttp.ServerDisconnectedError):
        return BROKEN_OFF
    return _BY_NUMBER.get(system.errno or 0, "") if isinstance(system, OSError) else ""
