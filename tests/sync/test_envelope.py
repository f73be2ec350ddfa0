"""Envelopes: what is sealed is opened, and nothing else is."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.sync.envelope import BATCH, RECEIPT, Refused, encoding, key_id, opened, read, seal

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
LINE = seal(BATCH, b"content", KEY)


def refused(line: bytes, kind: str = BATCH) -> str:
    with pytest.raises(Refused) as fault:
        opened(read(line), kind, KEYS)
    return fault.value.reason


@given(st.text(), st.binary())
def test_what_is_sealed_is_opened(kind: str, payload: bytes) -> None:
    kind = kind.encode("ascii", "ignore").decode()
    assert opened(read(seal(kind, payload, KEY)), kind, KEYS) == payload


def test_the_example_of_the_standard() -> None:
    # Appendix B of its protocol.md gives the encoding of these; the signature there is of another algorithm.
    assert encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_key_is_known_by_its_hash() -> None:
    assert key_id(KEY.public_key()) == hashlib.sha256(KEY.public_key().public_bytes_raw()).hexdigest()
    assert json.loads(LINE)["signatures"][0]["keyid"] == key_id(KEY.public_key())


def test_the_same_is_sealed_alike() -> None:
    assert seal(BATCH, b"content", KEY) == LINE
    assert b"\n" not in LINE


def test_another_kind_or_key_is_refused() -> None:
    assert refused(LINE, RECEIPT) == "wrong_type"
    assert refused(seal(BATCH, b"content", OTHER)) == "unknown_key"
    forged = json.loads(seal(BATCH, b"content", OTHER))
    forged["signatures"][0]["keyid"] = key_id(KEY.public_key())
    assert refused(json.dumps(forged).encode()) == "bad_signature"


def test_a_signature_counts_for_one_kind_and_one_content() -> None:
    for name, value in (("payloadType", RECEIPT), ("payload", base64.b64encode(b"contend").decode())):
        changed = json.loads(LINE) | {name: value}
        assert refused(json.dumps(changed).encode(), changed["payloadType"]) == "bad_signature"


def test_every_flipped_bit_is_refused() -> None:
    for place in range(8 * len(LINE)):
        flipped = bytearray(LINE)
        flipped[place // 8] ^= 1 << place % 8
        assert refused(bytes(flipped)) in ("malformed", "wrong_type", "unknown_key", "bad_signature")


def test_every_beginning_is_refused() -> None:
    assert {refused(LINE[:length]) for length in range(len(LINE))} == {"malformed"}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe" + LINE.decode().encode("utf-16-le"),
        LINE + LINE,
        LINE.replace(b'"payload":', b'"payload":"","payload":'),
        LINE.replace(b'"payload":', b'"more":1,"payload":'),
        LINE.replace(b'"sig":', b'"more":1,"sig":'),
        LINE.replace(b'"signatures":[', b'"signatures":[{"keyid":"","sig":""},'),
        LINE.replace(b"=", b""),
        LINE.replace(base64.b64encode(b"content"), b"Y29udGVudB=="),
        LINE.replace(base64.b64encode(b"content"), b"Y29u\\ndGVudA=="),
        LINE.replace(base64.b64encode(b"content"), "Y29udGVudÄ==".encode()),
        b'{"payload": 1, "payloadType": 2, "signatures": 3}',
        b'{"payload": "", "payloadType": "", "signatures": []}',
        b"1" * 5000,
    ],
)
def test_what_is_no_envelope(line: bytes) -> None:
    assert refused(line) == "malformed"


@given(st.binary(max_size=300))
def test_anything(line: bytes) -> None:
    assert refused(line) == "malformed"
