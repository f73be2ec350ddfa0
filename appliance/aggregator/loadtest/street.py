"""Appliances that are made up: their keys, and batches with what each would have heard in a quarter of an hour.

A meter is heard seven times a quarter of an hour, as one that sends each half minute is by a receiver with a quarter of
its band, and its register moves up to five times. One in ten meters is heard by the next appliance, too. Levels,
carriers and times are by chance, and one batch in two hundred brings a tamper event. All follows from a secret, the
appliance and the number of the batch, so that a batch can be made anywhere and at any time.
"""

import hashlib
import random
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.sync.batch import Batch, Happened, Knot, Meter, Part, Readings, Receptions
from appliance.sync.envelope import BATCH, seal
from appliance.sync.identity import name_of
from appliance.sync.pack import pack

QUARTER_MS = 900_000
HEARD, MOST_CHANGES = 7, 5
# What a register can move in a quarter of an hour; a change is by 1 or 2.
MOST_STEP = 2 * MOST_CHANGES
EVENTS = 1 / 200
SHARED = 10
FIRST_ENDPOINT = 1_000_000


class Tally(NamedTuple):
    """Rows and sums of what a batch, or many, told."""

    readings: int = 0
    registers: int = 0
    receptions: int = 0
    levels_cdb: int = 0
    events: int = 0

    def with_(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(*(mine + its for mine, its in zip(self, other, strict=True)))


class Sealed(NamedTuple):
    """A batch: its envelope as a line, the SHA-256 of its payload, and what it tells."""

    line: bytes
    sha256: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class Street:
    """Appliances by number, from 0. `meters` is how many each hears; the first quarter begins at `begin_utc_ms`."""

    secret: bytes
    meters: int
    begin_utc_ms: int

    def key(self, number: int) -> Ed25519PrivateKey:
        """The key of an appliance, of its only epoch."""
        return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(self.secret + b"%d" % number).digest())

    def identity(self, number: int) -> str:
        """The name of an appliance."""
        return name_of(self.key(number).public_key())

    def batch(self, number: int, sequence: int, previous: str) -> Sealed:
        """A batch of an appliance, which follows one with the SHA-256 `previous`."""
        key = self.key(number)
        # Chance decides what is on the air, not what is secret.
        chance = random.Random((number << 32) + sequence)  # noqa: S311
        begin_ms = sequence * QUARTER_MS
        clock = tuple(Knot(ms, self.begin_utc_ms + ms, 50, "ntp") for ms in (begin_ms, begin_ms + QUARTER_MS))
        readings, receptions = self._told(chance, number, sequence, begin_ms)
        events: tuple[Happened, ...] = ()
        if chance.random() < EVENTS:
            at_ms = begin_ms + chance.randrange(QUARTER_MS)
            events = (Happened(sequence, at_ms, "tamper", 0, {"phy": [0, 1], "enc": [0, 0]}),)
        part = Part(1, f"simulated {number}", clock, readings, receptions, events)
        batch = Batch(
            appliance=name_of(key.public_key()), epoch=1, sequence=sequence, previous=previous, simulated=True,
            assignments=0, sealed=clock[-1], sealed_boot=1, position=(sequence,), meters=self._meters(number),
            parts=(part,),
        )  # fmt: skip
        payload = pack(batch)
        tally = Tally(
            len(readings.meter), sum(readings.consumption), len(receptions.meter), sum(receptions.snr_sum_cdb),
            len(events),
        )  # fmt: skip
        return Sealed(seal(BATCH, payload, key), hashlib.sha256(payload).hexdigest(), tally)

    def _meters(self, number: int) -> tuple[Meter, ...]:
        first = FIRST_ENDPOINT + number * (self.meters - self.meters // SHARED)
        return tuple(Meter("scm", first + n, 7, "electric", True) for n in range(self.meters))

    def _told(self, chance: random.Random, number: int, sequence: int, begin_ms: int) -> tuple[Readings, Receptions]:
        readings = Readings([], [], [], [], [], [])
        heard = Receptions([], [], [], [], [], [], [], [], [], [])
        for meter in range(self.meters):
            count = sum(chance.random() < 0.5 for _ in range(2 * HEARD))
            if not count:
                continue
            times = sorted(chance.sample(range(begin_ms, begin_ms + QUARTER_MS), count))
            register = 20_000 + 977 * ((number * self.meters + meter) % 4_096) + MOST_STEP * sequence
            for ms in sorted(chance.sample(times, min(count, chance.randint(0, MOST_CHANGES)))):
                register += chance.randint(1, 2)
                readings.meter.append(meter)
                readings.ms.append(ms)
                readings.consumption.append(register)
                readings.tamper_phy.append(0)
                readings.tamper_enc.append(0)
                readings.flags.append(0)
            levels = [round(chance.gauss(1_000 + 50 * (meter % 50), 200)) for _ in times]
            heard.meter.append(meter)
            heard.ms.append(begin_ms)
            heard.last.append(times[-1])
            heard.count.append(count)
            heard.corrected.append(int(chance.random() < 0.1))
            heard.levels.append(count)
            heard.snr_sum_cdb.append(sum(levels))
            heard.snr_best_cdb.append(max(levels))
            low, high = sorted(chance.choices(range(909_600_000, 921_800_000, 200_000), k=2))
            heard.frequency_min_hz.append(low + chance.randrange(20_000))
            heard.frequency_max_hz.append(max(high + chance.randrange(20_000), heard.frequency_min_hz[-1] or 0))
        return readings, heard
