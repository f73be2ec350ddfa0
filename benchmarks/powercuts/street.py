"""300 meters whose every message follows from its number: message k is on the air at second k.

Registers creep, each at its own rate, and tamper counters change now and then. Nothing has to be remembered, so that
a program can go on at any message and a check knows what each of them said.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import NamedTuple

from appliance.model import Message

METERS = 300
FIRST_ID = 17_000_000
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
BEGIN_UTC_MS = int(BEGIN.timestamp() * 1000)


class Meter(NamedTuple):
    """How a meter counts: at second t its register is `register` + t / `count_s`."""

    register: int
    count_s: float
    tamper_s: float
    tamper_enc: int


class Fields(NamedTuple):
    """What of a message makes a reading."""

    consumption: int
    tamper_phy: int
    tamper_enc: int


@cache
def meters(seed: int) -> tuple[Meter, ...]:
    """The meters of a street: from some counts a day to some a minute; tamper about every other day."""
    random = Random(f"street {seed}")
    return tuple(
        Meter(
            random.randint(0, 9_000_000),
            count_s=10 ** random.uniform(1, 4.5),
            tamper_s=random.uniform(20_000, 400_000),
            tamper_enc=random.randint(0, 3),
        )
        for _ in range(METERS)
    )


def meter_id(number: int) -> int:
    """Who sends message `number`."""
    return FIRST_ID + number % METERS


def fields(seed: int, number: int) -> Fields:
    """What message `number` says."""
    meter = meters(seed)[number % METERS]
    second = number + METERS * (number % METERS)  # so that not all begin at a count
    return Fields(meter.register + int(second / meter.count_s), int(second / meter.tamper_s) % 4, meter.tamper_enc)


def message(seed: int, number: int) -> Message:
    """Message `number`, as a receiver tells it at once."""
    consumption, tamper_phy, tamper_enc = fields(seed, number)
    return Message(
        time=BEGIN + timedelta(seconds=number),
        protocol="scm",
        meter_id=meter_id(number),
        endpoint_type=4,
        commodity="electric",
        tamper_phy=tamper_phy,
        tamper_enc=tamper_enc,
        consumption=consumption,
        checksum=number % 65536,
        frequency_hz=912_000_000 + number % METERS * 1000,
        snr_db=12.0 + number % 17,
        corrected_bits=int(number % 10 == 0),
        sample=0,
    )
