"""What is taken in of what an aggregator has signed, or another."""

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.store.writer import Store
from appliance.sync.envelope import BATCH, RECEIPT, key_id, read, seal
from appliance.sync.outbox import Outbox
from appliance.sync.receipt import Receipt, pack_receipt
from appliance.sync.sealing import Sealing
from appliance.sync.taking import MOST_LINE_BYTES, Outcome, Taking, Tally, keys_of
from tests.store.box import Box

T = TypeVar("T")
CENTRE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {key_id(CENTRE.public_key()): CENTRE.public_key()}


@pytest.fixture
async def sealing(tmp_path: Path) -> AsyncIterator[Sealing]:
    """An appliance with two batches."""
    box = Box(tmp_path / "data")
    async with box.store() as opened:
        made = Sealing(opened)
        for _ in range(2):
            await hear(box, opened, made)
        yield made
        made.close()


async def hear(box: Box, store: Store, sealing: Sealing) -> None:
    box.hear(store, 15)
    assert await sealing.seal_now() == ""


def receipt(outbox: Outbox, key: Ed25519PrivateKey = CENTRE, **changed: object) -> bytes:
    """One for the first batch that waits."""
    name = next(iter(outbox.waiting))
    sha256 = hashlib.sha256(read(outbox.line(name)).payload).hexdigest()
    values = {
        "appliance": outbox.identity.appliance, "epoch": name.epoch, "sequence": name.sequence, "batch": sha256,
        "stored_utc_ms": 1,
    }  # fmt: skip
    return seal(RECEIPT, pack_receipt(Receipt(**(values | changed))), key)  # type: ignore[arg-type]


async def waiting(sealing: Sealing) -> int:
    return await sealing.of(lambda outbox: len(outbox.waiting))


async def test_a_receipt_is_taken_once(sealing: Sealing) -> None:
    taking, line = Taking(sealing, KEYS), await sealing.of(receipt)
    assert [(await taking.take([line]))[0].what for _ in range(3)] == ["taken", "known", "known"]
    assert await waiting(sealing) == 1


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda outbox: receipt(outbox, Ed25519PrivateKey.generate()), "unknown_key"),
        (lambda outbox: receipt(outbox, appliance="0" * 32), "not_its_own"),
        (lambda outbox: receipt(outbox, batch="0" * 64), "not_its_own"),
        (lambda outbox: seal(BATCH, b"", CENTRE), "wrong_type"),
        (lambda outbox: receipt(outbox).replace(b'"sig":"', b'"sig":"AA'), "malformed"),
        (lambda outbox: b"\xff", "malformed"),
        (lambda outbox: b" " * (MOST_LINE_BYTES + 1), "too_large"),
    ],
)
async def test_what_is_not_believed_is_refused_by_name(
    sealing: Sealing, made: Callable[[Outbox], bytes], reason: str
) -> None:
    outcome = (await Taking(sealing, KEYS).take([await sealing.of(made)]))[0]
    assert (outcome.what, outcome.reason) == ("refused", reason)
    assert outcome.words
    assert await waiting(sealing) == 2


async def test_many_are_counted(sealing: Sealing) -> None:
    good = await sealing.of(receipt)
    taking, tally = Taking(sealing, KEYS), Tally()
    tally.add(*await taking.take([good, good, b"no", b"neither", good.replace(b"receipt", b"deceipt")]))
    assert (tally.taken, tally.known, tally.refused, tally.is_good) == (
        1, 1, {"malformed": 2, "wrong_type": 1}, True
    )  # fmt: skip
    assert tally.words.startswith("no JSON")


async def test_without_a_key_nothing_is_believed(sealing: Sealing) -> None:
    assert keys_of(CENTRE.public_key().public_bytes_raw().hex()).keys() == KEYS.keys()
    assert (await Taking(sealing, keys_of("")).take([await sealing.of(receipt)]))[0].reason == "unknown_key"
    assert Outcome("known").words == ""
