"""Signed envelopes: everything that the appliance and the aggregator believe of each other comes in one.

DSSE, "Dead Simple Signing Envelope" 1.0.2 (github.com/secure-systems-lab/dsse), with Ed25519 (RFC 8032) and one
signature. An envelope is a line of JSON:

    {"payload": "<base64>", "payloadType": "<type>", "signatures": [{"keyid": "<hex>", "sig": "<base64>"}]}

What is signed is not the JSON but the pre-authentication encoding of type and payload:

    "DSSEv1" SP length(type) SP type SP length(payload) SP payload

so that a signature on one type of content never counts as one on another. A key's id is the SHA-256 of its 32 bytes.
The id in an envelope is a hint only: which key is looked for; the signature proves it.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

BATCH = "application/vnd.meter-appliance.batch.v1+json+gzip"
RECEIPT = "application/vnd.meter-appliance.receipt.v1+json"
ROTATION = "application/vnd.meter-appliance.rotation.v1+json"
ENROLMENT = "application/vnd.meter-appliance.enrolment.v1+json"
ANSWER = "application/vnd.meter-appliance.answer.v1+json"
ASSIGNMENTS = "application/vnd.meter-appliance.assignments.v1+json+gzip"
ASSIGNMENTS_QUESTION = "application/vnd.meter-appliance.assignments-question.v1+json"
PULL = "application/vnd.meter-appliance.pull.v1+json"

Reason = Literal[
    "malformed", "wrong_type", "unknown_key", "bad_signature", "not_its_own", "too_large", "bad_content",
    "not_approved", "revoked", "fork", "broken_chain", "contradiction", "too_many", "stale",
]  # fmt: skip
"""Why an envelope or its content is refused."""


class Refused(Exception):
    """It is not believed: `reason` is the name under which it is counted, the text says what was wrong."""

    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(printable(words))
        self.reason = reason


def printable(words: str) -> str:
    r"""Words that quote a stranger, in one line that does nothing to a terminal or a log.

    >>> printable("all\x1b[2J\nis well")
    'all?[2J?is well'
    """
    return "".join(char if char.isprintable() else "?" for char in words)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an envelope says, before anything of it is believed."""

    kind: str
    payload: bytes
    key_id: str
    signature: bytes


def encoding(kind: str, payload: bytes) -> bytes:
    """The bytes that are signed.

    >>> encoding("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def key_id(key: Ed25519PublicKey) -> str:
    """What a key is known by: the SHA-256 of its 32 bytes, in hexadecimal."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def seal(kind: str, payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """The envelope as a line of JSON, without its newline."""
    signature = key.sign(encoding(kind, payload))
    record = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(record, separators=(",", ":")).encode()


def read(line: bytes) -> Envelope:
    """What a line of JSON says. Raises Refused when it is no envelope; how long it is, is the caller's to bound."""
    try:
        record = json.loads(line.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as fault:
        raise Refused("malformed", f"no JSON: {fault}") from None
    match record:
        case {"payload": str(payload), "payloadType": str(kind), "signatures": [{"keyid": str(key), "sig": str(sig)}]}:
            if len(record) == 3 and len(record["signatures"][0]) == 2:
                return Envelope(kind, _bytes(payload, "payload"), key, _bytes(sig, "sig"))
    raise Refused("malformed", "not an envelope: payload, payloadType and one signature with keyid and sig")


def opened(envelope: Envelope, kind: str, keys: Mapping[str, Ed25519PublicKey]) -> bytes:
    """The payload, if it is of that kind and one of these keys signed it. Raises Refused."""
    if envelope.kind != kind:
        raise Refused("wrong_type", f"a {envelope.kind[:100]!r} in place of a {kind!r}")
    key = keys.get(envelope.key_id)
    if key is None:
        raise Refused("unknown_key", f"signed with a key that is not known: {envelope.key_id[:64]!r}")
    try:
        key.verify(envelope.signature, encoding(kind, envelope.payload))
    except InvalidSignature:
        raise Refused("bad_signature", "the signature is not that of the key over this content") from None
    return envelope.payload


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two equal names they believe."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _bytes(text: str, name: str) -> bytes:
    """Base64, in the one form in which it is written."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if base64.b64encode(content).decode() != text:
        raise Refused("malformed", f"{name} is not base64")
    return content
