"""A life of an appliance: hears a street of its own, keeps it, seals it and delivers it; and says what it acknowledged.

Marks, in their order:

    here            this process runs; the directory has not been opened
    hear SECOND     what is on the air before that second is heard from now on
    kept SECOND     what was on the air before that second is acknowledged

What a meter says follows from who it is and from the second, so that a check needs to be told nothing. The street's
time passes as fast as PACE says. It ends by itself, once it was enough and all of it is delivered.
"""

import argparse
import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.model import Message
from appliance.store import upkeep
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store
from appliance.supervisor import Backoff, Supervisor
from appliance.sync.courier import About, Courier
from appliance.sync.envelope import key_id
from appliance.sync.sealing import Sealing
from appliance.sync.transport import Link
from benchmarks.powercuts.life import Time, teller
from benchmarks.powercuts.street import BEGIN

METERS = 20
EVERY_S = 60
SEAL_STEPS = 5
# Segments of a day become segments of some minutes: rows become history while they wait to be told.
SEAL_ROWS, JOIN = 400, 3
LONGEST_PAUSE_S = 0.3


@dataclass
class Street(Time):
    """Meters in the reach of one appliance, and the clocks of its boot."""

    appliance: int

    def messages(self) -> list[Message]:
        """What is on the air this second."""
        return [
            Message(
                time=BEGIN + timedelta(seconds=self.second), protocol="scm", meter_id=meter_id(self.appliance, n),
                endpoint_type=4, commodity="electric", tamper_phy=0, tamper_enc=tamper(n, self.second),
                consumption=register(n, self.second), checksum=40837, frequency_hz=912_000_000, snr_db=20.0,
                corrected_bits=0, sample=0,
            )
            for n in range(METERS)
        ]  # fmt: skip


def meter_id(appliance: int, n: int) -> int:
    """The ID of an appliance's n-th meter."""
    return 1000 * (appliance + 1) + n


def register(n: int, second: int) -> int:
    """What a meter's register is then: one more each time it is heard."""
    return 10_000 * n + second // EVERY_S


def tamper(n: int, second: int) -> int:
    """What a meter's tamper counter is then: one meter is opened every hour."""
    return second // 3600 % 4 if n == 0 else 3


class Hurried(Courier):
    """A courier that is not told to wait for longer than the street has time."""

    def __init__(self, sealing: Sealing, link: Link, about: About) -> None:
        pauses = Backoff(0.02, LONGEST_PAUSE_S)

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(min(seconds, LONGEST_PAUSE_S))

        super().__init__(sealing, [link], about, lambda utc_ms, doubt_ms: None, pauses.next_s, pauses.reset, sleep)


async def live(
    street: Street, directory: Path, say: Callable[..., None], link: Link, is_enough: Callable[[], bool], pace_s: float
) -> None:
    """Hear the street until it is enough, and go on until all of it is delivered."""
    upkeep.SEAL_ROWS, upkeep.JOIN = SEAL_ROWS, JOIN
    store = Store(directory, 60, street.clock())
    supervisor = Supervisor(uniform=lambda low, high: random.uniform(low, min(high, LONGEST_PAUSE_S)))
    try:
        await store.open()
        sealing = Sealing(store)
        keeper = Upkeep(
            store,
            None,
            before_seal=sealing.catch_up,
            monotonic=lambda: float(street.second),
            sleep=lambda _: asyncio.sleep(LONGEST_PAUSE_S),
        )
        supervisor.start("history", keeper.run)
        supervisor.start("delivery", Hurried(sealing, link, About(f"street {street.appliance}", "0")).run)
        while not is_enough():
            await _hear(street, store, say, pace_s)
            if street.second // EVERY_S % SEAL_STEPS == 0:
                await sealing.seal_now()
        while not await _is_done(store, sealing):  # noqa: ASYNC110 - a full disk tells nobody
            await asyncio.sleep(LONGEST_PAUSE_S)
    finally:
        await supervisor.stop()
        await store.disconnect()


async def _hear(street: Street, store: Store, say: Callable[..., None], pace_s: float) -> None:
    """Hear one round, and keep it."""
    say("hear", street.second + EVERY_S)
    for message in street.messages():
        store.hear(message, simulated=False)
    street.second += EVERY_S
    await asyncio.sleep(pace_s)
    if not await store.commit():
        say("kept", street.second)


async def _is_done(store: Store, sealing: Sealing) -> bool:
    """Whether all is written, sealed and receipted; where the disk is full it is not."""
    if await sealing.seal_now() or store.trouble:
        return False
    try:
        return not await sealing.of(lambda outbox: outbox.waiting)
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("marks", type=Path)
    parser.add_argument("enough", type=Path, help="hear on until this file is there")
    parser.add_argument("address")
    parser.add_argument("key")
    for name in ("appliance", "second", "boot_second"):
        parser.add_argument(name, type=int)
    parser.add_argument("boot_id")
    parser.add_argument("until", type=int)
    parser.add_argument("pace_s", type=float)
    given = parser.parse_args()
    say = teller(given.marks)
    say("here")
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(given.key))
    link = Link(given.address, {key_id(public): public})
    street = Street(given.second, given.boot_second, given.boot_id, given.appliance)

    def is_enough() -> bool:
        return street.second >= given.until and given.enough.exists()

    asyncio.run(live(street, given.directory, say, link, is_enough, given.pace_s))


if __name__ == "__main__":
    main()
