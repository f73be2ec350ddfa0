"""A life of the outbox: the store hears a street, batches are sealed of it, and some are receipted.

Marks, in their order:

    here                   this process runs; the directory has not been opened
    name IDENTITY          the name by which the aggregator knows it
    hear SECOND            what is on the air before that second is heard from now on
    batch ENVELOPE         it was sealed
    receipt EPOCH SEQUENCE its receipt was taken in
    key EPOCH              a new key was begun

A batch a quarter of an hour, history sealed beside it, a new key now and then.
"""

import argparse
import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store
from appliance.sync.envelope import RECEIPT, key_id, read, seal
from appliance.sync.identity import rotate
from appliance.sync.outbox import Name, Outbox
from appliance.sync.receipt import Receipt, pack_receipt
from appliance.sync.sealing import Sealing
from benchmarks.powercuts import street
from benchmarks.powercuts.life import Time, small_limits, teller

CENTRE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {key_id(CENTRE.public_key()): CENTRE.public_key()}
QUARTER_S = 900
# Of the batches that wait, so many at most are receipted at once; and a new key is begun after so many quarters.
RECEIPTED, KEY_QUARTERS = 3, 6
BUDGET_BYTES = 1 << 30

Say = Callable[..., None]


def receipt(outbox: Outbox, name: Name) -> bytes:
    """What an aggregator would say of a batch."""
    sha256 = hashlib.sha256(read(outbox.line(name)).payload).hexdigest()
    told = Receipt(outbox.identity.appliance, name.epoch, name.sequence, sha256, street.BEGIN_UTC_MS)
    return seal(RECEIPT, pack_receipt(told), CENTRE)


async def live(directory: Path, say: Say, seed: int, time: Time, hours: float) -> None:
    """Hear the street from `time` on, and seal it."""
    small_limits()
    random = Random(f"delivering {seed} {time.second}")
    store = Store(directory, 60, time.clock())
    try:
        await store.open()
        sealing = Sealing(store)
        history = Upkeep(store, BUDGET_BYTES, before_seal=sealing.catch_up, monotonic=lambda: float(time.second))
        say("name", await sealing.of(lambda outbox: outbox.identity.appliance))
        for quarter in range(int(hours * 3600 / QUARTER_S)):
            say("hear", time.second + QUARTER_S)
            for number in range(time.second, time.second + QUARTER_S):
                time.second = number
                store.hear(street.message(seed, number), simulated=False)
            time.second += 1
            before = await sealing.of(lambda outbox: set(outbox.waiting))
            if trouble := await sealing.seal_now():
                raise SystemExit(trouble)
            await history.tend()
            await sealing.of(lambda outbox, before=before: _tell(outbox, before, say))  # type: ignore[misc]
            await sealing.of(lambda outbox: _take_in(outbox, random, say))
            if quarter % KEY_QUARTERS == KEY_QUARTERS - 1:
                await sealing.of(lambda outbox: _new_key(directory, outbox, say))
        await asyncio.to_thread(sealing.close)
        await store.close()
    finally:
        await store.disconnect()


def _tell(outbox: Outbox, before: set[Name], say: Say) -> None:
    for name in outbox.waiting:
        if name not in before:
            say("batch", outbox.line(name).decode())


def _take_in(outbox: Outbox, random: Random, say: Say) -> None:
    names = list(outbox.waiting)
    names = random.sample(names, min(len(names), random.randint(0, RECEIPTED)))
    outbox.accept([receipt(outbox, name) for name in names], KEYS)
    for name in names:
        say("receipt", *name)


def _new_key(directory: Path, outbox: Outbox, say: Say) -> None:
    outbox.identity = rotate(directory, outbox.identity)
    say("key", outbox.identity.epoch)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("marks", type=Path)
    for name in ("seed", "second", "boot_second"):
        parser.add_argument(name, type=int)
    parser.add_argument("boot_id")
    parser.add_argument("hours", type=float)
    given = parser.parse_args()
    say = teller(given.marks)
    say("here")
    time = Time(given.second, given.boot_second, given.boot_id)
    asyncio.run(live(given.directory, say, given.seed, time, given.hours))


if __name__ == "__main__":
    main()
