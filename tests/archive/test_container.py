"""The encrypted file: what went in comes out, and whatever was done to it is found."""

import hashlib
import io
import os
import struct
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.archive.container import CHUNK_BYTES, HEADER_BYTES, MAGIC, TAG_BYTES, Cost, Opener, Sealer
from appliance.errors import InputError

PASSPHRASE = "correcto caballo batería"
QUICK = Cost(log2_n=1, r=1, p=1)
FRAME_BYTES = 4 + CHUNK_BYTES + TAG_BYTES
BORDERS = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]


def sealed(content: bytes, cost: Cost = QUICK, step: int = 10_000) -> bytes:
    target = io.BytesIO()
    sealer = Sealer(target, PASSPHRASE, cost)
    for start in range(0, len(content), step):
        sealer.write(content[start : start + step])
    sealer.close()
    return target.getvalue()


def opened(file: bytes, passphrase: str = PASSPHRASE, size: int = 10_000) -> bytes:
    opener = Opener(io.BytesIO(file), passphrase, "x.backup")
    return b"".join(iter(lambda: opener.read(size), b""))


@settings(max_examples=40, deadline=None)
@given(
    length=st.one_of(st.sampled_from(BORDERS), st.integers(0, 3 * CHUNK_BYTES)),
    step=st.integers(1_000, 3 * CHUNK_BYTES),
    size=st.integers(1_000, 3 * CHUNK_BYTES),
)
def test_what_went_in_comes_out(length: int, step: int, size: int) -> None:
    content = hashlib.shake_128(str(length).encode()).digest(length)
    file = sealed(content, step=step)
    assert opened(file, size=size) == content
    chunks = max(1, -(-length // CHUNK_BYTES))
    assert len(file) == HEADER_BYTES + length + chunks * (4 + TAG_BYTES)


def test_the_usual_cost_and_a_passphrase_typed_on_another_keyboard() -> None:
    file = sealed(b"readings", Cost())
    assert opened(file, unicodedata.normalize("NFD", PASSPHRASE)) == b"readings"
    assert Cost().bearable


def test_no_two_files_are_alike_and_none_shows_what_it_holds() -> None:
    first, second = sealed(b"meter " * 50), sealed(b"meter " * 50)
    assert first[HEADER_BYTES:] != second[HEADER_BYTES:]
    assert b"meter" not in first


def test_a_wrong_passphrase() -> None:
    with pytest.raises(InputError, match=r"x\.backup: the passphrase is wrong"):
        opened(sealed(b"readings"), "correcto caballo bateria")


def test_every_truncation_of_a_small_file() -> None:
    file = sealed(b"readings")
    for length in range(1, len(file)):
        with pytest.raises(InputError, match=r"is cut off"):
            opened(file[:length])
    with pytest.raises(InputError, match=r"is not a backup"):
        opened(b"")


@pytest.mark.parametrize("chunk", [0, 1, 2])
@pytest.mark.parametrize("beyond", [-1, 0, 1, 4, 5, 20, FRAME_BYTES - 1])
def test_truncations_around_the_borders_of_chunks(chunk: int, beyond: int) -> None:
    file = sealed(os.urandom(4 * CHUNK_BYTES))
    with pytest.raises(InputError, match=r"is cut off"):
        opened(file[: HEADER_BYTES + chunk * FRAME_BYTES + beyond])


def test_every_bit_of_a_small_file_counts() -> None:
    file = sealed(b"readings")
    for position in range(len(file)):
        for bit in range(8):
            flipped = bytearray(file)
            flipped[position] ^= 1 << bit
            with pytest.raises(InputError, match=r"not a backup|later version|damaged or altered|cut off"):
                opened(bytes(flipped))


def test_a_flipped_bit_in_the_content_is_found_before_any_of_its_chunk_is_given_out() -> None:
    file = bytearray(sealed(os.urandom(3 * CHUNK_BYTES)))
    file[HEADER_BYTES + FRAME_BYTES + 1000] ^= 1
    opener = Opener(io.BytesIO(bytes(file)), PASSPHRASE, "x.backup")
    assert len(opener.read(CHUNK_BYTES)) == CHUNK_BYTES
    with pytest.raises(InputError, match=r"damaged or altered"):
        opener.read(1)


def chunks_of(file: bytes) -> list[bytes]:
    body = file[HEADER_BYTES:]
    return [body[start : start + FRAME_BYTES] for start in range(0, len(body), FRAME_BYTES)]


@pytest.mark.parametrize(
    "order",
    [[1, 0, 2], [0, 0, 1, 2], [0, 2], [1, 2], [2], [0, 1, 2, 2], [0, 1, 1], [2, 1, 0]],
    ids=lambda order: "".join(map(str, order)),
)
def test_chunks_moved_repeated_or_left_out(order: list[int]) -> None:
    file = sealed(os.urandom(3 * CHUNK_BYTES))
    chunks = chunks_of(file)
    assert len(chunks) == 3
    with pytest.raises(InputError, match=r"damaged or altered|cut off"):
        opened(file[:HEADER_BYTES] + b"".join(chunks[n] for n in order))


def test_a_chunk_of_another_file_and_a_forged_end() -> None:
    content = os.urandom(3 * CHUNK_BYTES)
    one, other = sealed(content), sealed(content)
    with pytest.raises(InputError, match=r"damaged or altered"):
        opened(one[: HEADER_BYTES + FRAME_BYTES] + other[HEADER_BYTES + FRAME_BYTES :])
    first = bytearray(chunks_of(one)[0])
    first[0] |= 0x80
    with pytest.raises(InputError, match=r"damaged or altered"):
        opened(one[:HEADER_BYTES] + bytes(first))
    with pytest.raises(InputError, match=r"damaged or altered"):
        opened(one + b"\0")


def test_a_file_that_was_never_finished() -> None:
    target = io.BytesIO()
    Sealer(target, PASSPHRASE, QUICK).write(bytes(2 * CHUNK_BYTES))
    with pytest.raises(InputError, match=r"is cut off"):
        opened(target.getvalue())


@pytest.mark.parametrize("start", [b"SQLite format 3\0" * 10, b"\x1f\x8b" + bytes(100), b"METERBX\n" + bytes(100)])
def test_something_else(start: bytes) -> None:
    with pytest.raises(InputError, match=r"x\.backup is not a backup"):
        opened(start)


def test_a_later_version_is_named_before_its_header_is_read() -> None:
    with pytest.raises(InputError, match=r"format 2 of a later version"):
        opened(MAGIC + b"\x02anything")


@pytest.mark.parametrize(
    "cost", [(30, 8, 1), (16, 255, 2), (255, 1, 1), (0, 8, 1), (16, 8, 0), (16, 0, 1), (10, 8, 200)]
)
def test_a_header_cannot_ask_for_the_whole_memory_or_for_ever(cost: tuple[int, int, int]) -> None:
    head = struct.pack("!8s4B16s7s16s", MAGIC, 1, *cost, bytes(16), bytes(7), bytes(16))
    with pytest.raises(InputError, match=r"damaged or altered"):
        opened(head + hashlib.sha256(head).digest()[:8] + bytes(100))
    assert not Cost(*cost).bearable


def test_hostile_lengths() -> None:
    file = sealed(b"readings")
    for word in (0, 1, 15, 0xFFFFFFFF, 0x7FFFFFFF, CHUNK_BYTES + TAG_BYTES + 1, 0x80000000 | 15):
        with pytest.raises(InputError, match=r"damaged or altered"):
            opened(file[:HEADER_BYTES] + struct.pack("!I", word) + bytes(200_000))
