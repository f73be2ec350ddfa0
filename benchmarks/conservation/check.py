"""What must be so at the end: every reading that was acknowledged or sealed is at the aggregator once; nothing else is.

Of each appliance: what its files hold is what the aggregator has of it, row by row, and what the aggregator has beyond
that is history which had to go for a full disk; each row says what its meter said then; nothing that was acknowledged
is missing; each receipt that it keeps was given for what is stored; its batches have no gap, and none waits.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select

from appliance.aggregator.chains import gaps
from appliance.aggregator.database import Database
from appliance.aggregator.schema import appliance, batch, boot, meter, reading, waiting_batch
from appliance.sync.envelope import RECEIPT, Refused, key_id, opened, read
from appliance.sync.receipt import unpack_receipt
from benchmarks.conservation.life import EVERY_S, METERS, meter_id, register, tamper
from benchmarks.powercuts.street import BEGIN_UTC_MS
from tests.store.box import Box

TIME_ERROR_MS = 2_000


class Lost(Exception):
    """Something is missing, there twice, invented or altered: says what."""


class Life(NamedTuple):
    """What a life said: it heard the street from one second to another, and acknowledged so much of that."""

    first: int
    heard: int
    kept: int


class Heard(NamedTuple):
    """An appliance at the end: its number, its name to the aggregator, its data directory and its lives."""

    number: int
    identity: str
    directory: Path
    lives: Sequence[Life]


async def check(database: Database, key: Ed25519PublicKey, boxes: Sequence[Heard]) -> int:
    """Compare; returns how many readings there are. Raises Lost."""
    if missing := await gaps(database):
        raise Lost(f"batches are missing: {missing}")
    async with database.reading() as connection:
        if left := len((await connection.execute(select(waiting_batch.c.epoch))).all()):
            raise Lost(f"{left} batches still wait")
    total = 0
    for box in boxes:
        stored = await _stored(database, box.identity)
        _compare(box, stored)
        await _check_receipts(database, key, box)
        total += len(stored)
    async with database.reading() as connection:
        if (found := len((await connection.execute(select(reading.c.at))).all())) != total:
            raise Lost(f"{found} readings are stored, {total} of appliances that are known")
    return total


async def _stored(database: Database, identity: str) -> list[tuple[Any, ...]]:
    """The readings of an appliance: protocol, meter, boot, ms, register, tamper counters, flags, UTC in ms."""
    question = (
        select(
            meter.c.protocol, meter.c.endpoint_id, boot.c.number, reading.c.ms, reading.c.consumption,
            reading.c.tamper_phy, reading.c.tamper_enc, reading.c.flags, reading.c.at,
        )
        .join(meter, meter.c.meter_id == reading.c.meter_id)
        .join(boot, (boot.c.boot_id == reading.c.boot_id) & (boot.c.appliance_id == reading.c.appliance_id))
        .join(appliance, appliance.c.appliance_id == reading.c.appliance_id)
        .where(appliance.c.identity == identity)
    )  # fmt: skip
    async with database.reading() as connection:
        return sorted(tuple(row) for row in (await connection.execute(question)).all())


def _compare(box: Heard, stored: list[tuple[Any, ...]]) -> None:
    files = Box(box.directory)
    known = {number: (protocol, endpoint) for number, protocol, endpoint, _ in files.meters()}
    kept = sorted(
        (*known[number], at >> 42, at & (1 << 42) - 1, *more) for number, at, *more in files.everything()["reading"]
    )
    told = [row[:-1] for row in stored]
    held = set(kept)
    missing = sorted(held - set(told))
    beyond = [row for row in stored if row[:-1] not in held]
    by_time, by_stamp = _gone(files)
    invented = [
        row
        for row in beyond
        if not any(low <= row[-1] <= high for low, high in by_time)
        and not any(low <= row[2] << 42 | row[3] <= high for low, high in by_stamp)
    ]
    twice = len(told) - len(set(told))
    if missing or invented or twice:
        words = f"{len(missing)} missing {missing[:3]}, {len(invented)} invented {invented[:3]}, {twice} twice"
        raise Lost(f"appliance {box.number}: {words}")
    said = set()
    for _, endpoint, _, _, consumption, _, tampered, _, utc_ms in stored:
        n = endpoint - meter_id(box.number, 0)
        second = round((utc_ms - BEGIN_UTC_MS) / 1000 / EVERY_S) * EVERY_S
        if not 0 <= n < METERS or (consumption, tampered) != (register(n, second), tamper(n, second)):
            raise Lost(f"appliance {box.number}: meter {endpoint} never said {consumption} at second {second}")
        if abs(utc_ms - BEGIN_UTC_MS - second * 1000) > TIME_ERROR_MS:
            raise Lost(f"appliance {box.number}: the time of second {second} is off by {utc_ms - BEGIN_UTC_MS} ms")
        said.add((n, second))
    for life in box.lives:
        acknowledged = {(n, second) for n in range(METERS) for second in range(life.first, life.kept, EVERY_S)}
        if lost := acknowledged - said:
            raise Lost(f"appliance {box.number}: {len(lost)} acknowledged readings are gone, such as {min(lost)}")


def _gone(files: Box) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """When history was that had to go, by UTC in ms; and by stamps, what went before that could be noted."""
    told = [json.loads(detail) for kind in ("history_thinned", "history_dropped") for detail in files.events(kind)]
    missed = [json.loads(detail) for detail in files.events("segment_damaged")]
    return (
        [(detail["from_utc_ms"], detail["to_utc_ms"]) for detail in told],
        [(detail["from_at"], detail["to_at"]) for detail in missed if detail.get("missing")],
    )


async def _check_receipts(database: Database, key: Ed25519PublicKey, box: Heard) -> None:
    """Each receipt is true."""
    question = (
        select(batch.c.epoch, batch.c.sequence, batch.c.sha256, batch.c.stored_utc_ms)
        .join(appliance, appliance.c.appliance_id == batch.c.appliance_id)
        .where(appliance.c.identity == box.identity)
    )
    async with database.reading() as connection:
        stored = {tuple(row) for row in (await connection.execute(question)).all()}
    given = set()
    for line in _receipts(box.directory / "outbox"):
        # A power cut, or a full disk, may have torn one; it then counts as none.
        with contextlib.suppress(Refused):
            receipt = unpack_receipt(opened(read(line), RECEIPT, {key_id(key): key}))
            given.add((receipt.epoch, receipt.sequence, receipt.batch, receipt.stored_utc_ms))
    if untrue := given - stored:
        raise Lost(f"appliance {box.number}: {len(untrue)} receipts are for what is not stored: {min(untrue)}")
    if not given:
        raise Lost(f"appliance {box.number} keeps no receipt")
    if waiting := [path.name for path in (box.directory / "outbox").glob("*.batch")][1:]:
        raise Lost(f"appliance {box.number}: {waiting} are still there")


def _receipts(outbox: Path) -> Iterator[bytes]:
    for path in (outbox / "receipts.jsonl.old", outbox / "receipts.jsonl"):
        if path.exists():
            yield from path.read_bytes().splitlines()
