"""Assignments on their way: what an appliance takes in, and all the ways in which it does not.

`python -m tests.sync.test_assignments` makes the vector anew.
"""

import gzip
import json
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.assignment import MOST_ASSIGNED, Assignment
from appliance.store.assigned import Assigned
from appliance.sync.assignments import (
    MOST_LINE_BYTES,
    Assignments,
    pack_assignments,
    question,
    unpack_assignments,
    unpack_question,
)
from appliance.sync.envelope import ASSIGNMENTS, BATCH, Refused, key_id, opened, read, seal
from appliance.sync.sealing import Sealing
from appliance.sync.taking import Taking
from appliance.sync.unpack import unpack
from tests.store.box import Box

CENTRE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {key_id(CENTRE.public_key()): CENTRE.public_key()}
VECTOR = Path(__file__).parent / "vectors" / "assignments.json"
WHO = "0123456789abcdef0123456789abcdef"
HOUSES = (
    Assignment.of(5, "", "Pozo", "", "1"),
    Assignment.of(60243827, "scm", "Calle 5, 12", "Calle 5 nº 12, Ñuñoa", "0.01"),
)
NAMES = ("appliance", "version", "made_utc_ms", "meters")


def made(version: int = 1, appliance: str = WHO, meters: tuple[Assignment, ...] = HOUSES) -> Assignments:
    return Assignments(appliance, version, 1_774_000_000_000, meters)


def record(**changed: Any) -> dict[str, Any]:
    return {
        "appliance": WHO, "version": 1, "made_utc_ms": 1, "meters": [list(house.row()) for house in HOUSES]
    } | changed  # fmt: skip


def packed(content: Any) -> bytes:
    return gzip.compress(json.dumps(content).encode(), mtime=0)


def test_what_is_packed_is_unpacked() -> None:
    for assignments in (made(), made(meters=())):
        payload = pack_assignments(assignments)
        assert unpack_assignments(payload) == assignments
        assert pack_assignments(unpack_assignments(payload)) == payload


def test_the_longest_list_passes() -> None:
    chance = random.Random(1)
    meters = tuple(
        Assignment.of(10**9 + n, "netidm", f"Servicio {n}", f"Calle {chance.randrange(999)} nº {n}, Ñuñoa", "0.01")
        for n in range(MOST_ASSIGNED)
    )
    payload = pack_assignments(made(meters=meters))
    assert len(unpack_assignments(payload).meters) == MOST_ASSIGNED
    assert len(seal(ASSIGNMENTS, payload, CENTRE)) < MOST_LINE_BYTES


def test_we_read_the_vector() -> None:
    assert unpack_assignments(opened(read(VECTOR.read_bytes()), ASSIGNMENTS, KEYS)) == made()


ROW = list(HOUSES[1].row())
WRONG: list[Any] = [
    b"", b"{}", gzip.compress(b"{") , gzip.compress(b"[" * 100_000), pack_assignments(made())[:-3],
    pack_assignments(made()) + b"x", gzip.compress(b'{"appliance": 1}'),
    *({name: value for name, value in record().items() if name != left} for left in NAMES),
    record(more=1), record(appliance="x"), record(appliance=None), record(version=0), record(version=1.5),
    record(version=True), record(version=1 << 53), record(made_utc_ms=-1), record(made_utc_ms="1"),
    record(meters={}), record(meters=[ROW[:-1]]), record(meters=[[*ROW, 1]]), record(meters=["abcde"]),
    record(meters=[[str(ROW[0]), *ROW[1:]]]), record(meters=[[*ROW[:-1], 0.01]]), record(meters=[[*ROW[:-1], "0.010"]]),
    record(meters=[ROW, ROW]), record(meters=[ROW, [ROW[0], "", "b", "", "1"]]),
    record(meters=[ROW, list(HOUSES[0].row())]), record(meters=[[n, "", "", "", "1"] for n in range(1, 10_002)]),
    record(meters=[[5, "", "\ud800", "", "1"]]), record(meters=[[5, "", "a\x00", "", "1"]]),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_what_is_no_list_is_refused(wrong: Any) -> None:
    with pytest.raises(Refused) as fault:
        unpack_assignments(wrong if isinstance(wrong, bytes) else packed(wrong))
    assert fault.value.reason == "bad_content"
    assert len(str(fault.value)) <= 200


def test_a_bomb_is_not_unpacked() -> None:
    for payload in (gzip.compress(bytes(64 << 20)), bytes(1 << 21)):
        with pytest.raises(Refused) as fault:
            unpack_assignments(payload)
        assert fault.value.reason == "too_large"


def test_a_flipped_bit_is_noticed() -> None:
    payload = pack_assignments(made())
    for place in range(0, 8 * len(payload), 7):
        flipped = bytearray(payload)
        flipped[place // 8] ^= 1 << place % 8
        try:
            found = unpack_assignments(bytes(flipped))
        except Refused:
            continue
        # The time and the system in gzip's own head say nothing.
        assert found == made()


def test_a_question_is_read() -> None:
    assert unpack_question(b'{"appliance":"%s","version":3}' % WHO.encode()) == (WHO, 3)
    assert len(question(WHO, 1 << 52, CENTRE)) < 1_000


@pytest.fixture
async def sealing(tmp_path: Path) -> AsyncIterator[Sealing]:
    async with Box(tmp_path / "data").store() as opened:
        made = Sealing(opened)
        yield made
        made.close()


def line(appliance: str, version: int = 7, key: Ed25519PrivateKey = CENTRE, kind: str = ASSIGNMENTS) -> bytes:
    return seal(kind, pack_assignments(made(version, appliance)), key)


async def test_a_list_is_taken_in_once(sealing: Sealing) -> None:
    taking, who = Taking(sealing, KEYS), await sealing.of(lambda outbox: outbox.identity.appliance)
    assert [(await taking.take([line(who, n)]))[0].what for n in (7, 7, 6, 8, 7)] == [
        "taken", "known", "known", "taken", "known"
    ]  # fmt: skip
    assert sealing.assignments == 8
    assert sealing._store.assigned == Assigned(8, made().made_utc_ms, HOUSES)


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        (lambda who: line(who, key=Ed25519PrivateKey.generate()), "unknown_key"),
        (lambda who: line(WHO), "not_its_own"),
        (lambda who: line(who, kind=BATCH), "wrong_type"),
        (lambda who: line(who).replace(b'"sig":"', b'"sig":"AA'), "malformed"),
        (lambda who: seal(ASSIGNMENTS, b"\x00", CENTRE), "bad_content"),
        (lambda who: seal(ASSIGNMENTS, gzip.compress(bytes(64 << 20)), CENTRE), "too_large"),
        (lambda who: b" " * (MOST_LINE_BYTES + 1), "too_large"),
    ],
)
async def test_what_is_not_believed_changes_nothing(
    sealing: Sealing, forged: Callable[[str], bytes], reason: str
) -> None:
    taking, who = Taking(sealing, KEYS), await sealing.of(lambda outbox: outbox.identity.appliance)
    await taking.take([line(who, 3)])
    outcome = (await taking.take([forged(who)]))[0]
    assert (outcome.what, outcome.reason) == ("refused", reason)
    assert sealing.assignments == 3


async def test_each_flipped_bit_of_an_envelope_is_refused(sealing: Sealing) -> None:
    taking, who = Taking(sealing, KEYS), await sealing.of(lambda outbox: outbox.identity.appliance)
    good = line(who)
    for place in range(len(good)):
        flipped = bytearray(good)
        flipped[place] ^= 1 << place % 7
        assert (await taking.take([bytes(flipped)]))[0].what == "refused", place
    assert sealing.assignments == 0


async def test_batches_say_which_version_is_in_force(sealing: Sealing, tmp_path: Path) -> None:
    box, store = Box(tmp_path / "data"), sealing._store
    who = await sealing.of(lambda outbox: outbox.identity.appliance)
    for _ in range(2):
        box.hear(store, 15)
        assert await sealing.seal_now() == ""
        await Taking(sealing, KEYS).take([line(who)])
    lines = await sealing.of(lambda outbox: [outbox.line(name) for name in outbox.waiting])
    assert [unpack(read(one).payload).assignments for one in lines] == [0, 7]


if __name__ == "__main__":
    VECTOR.write_bytes(seal(ASSIGNMENTS, pack_assignments(made()), CENTRE) + b"\n")
