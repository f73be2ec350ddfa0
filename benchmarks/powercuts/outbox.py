"""The appliance's outbox under power cuts: what must be there when the power is back.

- It opens by itself, finds nothing damaged, and the appliance is who it was.
- Each batch that was sealed is there as it was, until it was receipted; one that was receipted does not wait again.
- The batches of all lives follow each other without gap or fork, each whole, and signed by the key of its epoch.
- It goes on: sealed once more, the batches of all lives tell every row of the store, and none twice.
"""

import asyncio
import base64
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.store.writer import Store
from appliance.sync.batch import Batch
from appliance.sync.envelope import BATCH, Refused, key_id, opened, read
from appliance.sync.identity import Identity
from appliance.sync.outbox import Name, Outbox
from appliance.sync.sealing import Sealing
from appliance.sync.unpack import unpack
from benchmarks.powercuts.cuts import Lost, Verdict
from benchmarks.powercuts.life import Time
from tests.store.box import Box

OUTAGE_S = 600

Rows = list[tuple[Any, ...]]


@dataclass
class Kept:
    """What is known of the lives so far: the batches, those that were receipted, and when the next life may begin."""

    second: int = 0
    identity: str = ""
    lines: dict[Name, bytes] = field(default_factory=dict)
    receipted: set[Name] = field(default_factory=set)


@dataclass
class TheOutbox:
    """The subject: a life of so many hours, and later ones; each is a boot, as after a power cut."""

    seed: int
    hours: float
    later_hours: float = 1.0
    name: str = "outbox"

    def command(self, directory: Path, marks: Path, kept: Kept | None) -> Sequence[str]:
        """A life in another process."""
        second = kept.second if kept else 0
        hours = self.later_hours if kept else self.hours
        words = (directory, marks, self.seed, second, second, f"boot-{second}", hours)
        return [sys.executable, "-m", "benchmarks.powercuts.delivering", *map(str, words)]

    def check(self, directory: Path, said: Sequence[str], kept: Kept | None) -> Verdict:
        """Open outbox and store as after a power-up, seal what is left, and look at all of it. Raises Lost."""
        return Verdict(asyncio.run(self._check(directory, _said(said, kept or Kept()))), 0.0)

    async def _check(self, directory: Path, now: Kept) -> Kept:
        """Returns what is known to be in the directory before it is gone on with."""
        store = Store(directory, 60, Time(now.second, now.second, f"check-{now.second}").clock())
        try:
            await store.open()
            if store.trouble:
                raise Lost(f"does not come up: {store.trouble}")
            sealing = Sealing(store)
            waiting = await sealing.of(lambda outbox: set(outbox.waiting))
            _compare(directory, now, waiting)
            # What a power cut kept was sealed, though nobody could say so.
            now.lines |= await sealing.of(_lines)
            if trouble := await sealing.seal_now():
                raise Lost(f"does not go on: {trouble}")
            lines = now.lines | await sealing.of(_lines)
            identity = await sealing.of(lambda outbox: outbox.identity)
            if now.identity and identity.appliance != now.identity:
                raise Lost(f"the appliance {now.identity} calls itself {identity.appliance}")
            _check_told(Box(directory), _chained(lines, identity))
            await asyncio.to_thread(sealing.close)
        finally:
            await store.disconnect()
            store.history.close()
        return now


def _said(said: Sequence[str], before: Kept) -> Kept:
    now = Kept(before.second, before.identity, dict(before.lines), set(before.receipted))
    for line in said:
        what, _, rest = line.partition(" ")
        if what == "name" and now.identity not in ("", rest):
            raise Lost(f"the appliance {now.identity} calls itself {rest}")
        if what == "hear":
            now.second = int(rest)
        elif what == "batch":
            told = unpack(read(rest.encode()).payload)
            name = Name(told.epoch, told.sequence)
            if now.lines.setdefault(name, rest.encode()) != rest.encode():
                raise Lost(f"batch {name} was sealed twice")
            now.identity = told.appliance
        elif what == "receipt":
            now.receipted.add(Name(*map(int, rest.split())))
    now.second += OUTAGE_S
    return now


def _lines(outbox: Outbox) -> dict[Name, bytes]:
    return {name: outbox.line(name) for name in outbox.waiting}


def _compare(directory: Path, now: Kept, waiting: set[Name]) -> None:
    """What waits against what was said."""
    if (aside := directory / "damaged").exists() and list(aside.iterdir()):
        raise Lost(f"damage after a power cut: {[path.name for path in aside.iterdir()]}")
    if again := now.receipted & waiting:
        raise Lost(f"receipted batches wait again: {sorted(again)}")
    for name in now.lines.keys() - now.receipted:
        path = directory / "outbox" / name.file
        # Its receipt may have reached the card before that could be said.
        if name in waiting and path.read_bytes() != now.lines[name]:
            raise Lost(f"batch {name} is not what it was")
        if name not in waiting and not _is_receipted(directory, name):
            raise Lost(f"batch {name} was sealed, was not receipted, and does not wait")


def _is_receipted(directory: Path, name: Name) -> bool:
    for line in (directory / "outbox" / "receipts.jsonl").read_bytes().splitlines():
        try:
            told = json.loads(read(line).payload)
        except (Refused, ValueError):
            continue
        if (told["epoch"], told["sequence"]) == name:
            return True
    return False


def _chained(lines: Mapping[Name, bytes], identity: Identity) -> list[Batch]:
    """All batches in their order: each signed by the key of its epoch, each naming the one before."""
    found: list[Batch] = []
    before, last = "", Name(0, 0)
    keys = _keys(identity)
    for name, line in sorted(lines.items()):
        if name not in ((last.epoch, last.sequence + 1), (last.epoch + 1, 1)) and name.sequence != 1:
            raise Lost(f"batch {name} follows {last}")
        try:
            payload = opened(read(line), BATCH, keys)
        except Refused as fault:
            raise Lost(f"batch {name}: {fault}") from None
        batch = unpack(payload)
        if batch.previous != before:
            raise Lost(f"batch {name} does not name {last}, which is before it")
        before, last = hashlib.sha256(payload).hexdigest(), name
        found.append(batch)
    return found


def _keys(identity: Identity) -> dict[str, Ed25519PublicKey]:
    """The keys of all epochs, by the words of each for the next."""
    first = json.loads(read(identity.introduction()).payload)["public_key"]
    told = [first] + [json.loads(read(line).payload)["public_key"] for line in identity.rotations]
    found = [Ed25519PublicKey.from_public_bytes(base64.b64decode(key)) for key in told]
    return {key_id(key): key for key in found}


def _check_told(box: Box, batches: Sequence[Batch]) -> None:
    """All rows of the store are told, each once."""
    known = {(p, i, bool(s)): number for number, p, i, s in box.meters()}
    readings: Rows = []
    receptions: Rows = []
    for batch in batches:
        numbers = [known[m.protocol, m.meter_id, m.simulated] for m in batch.meters]
        for part in batch.parts:
            high = part.boot << 42
            readings += [
                (numbers[meter], high | ms, *rest) for meter, ms, *rest in zip(*_columns(part.readings), strict=True)
            ]
            receptions += [
                (numbers[meter], high | ms) for meter, ms in zip(part.receptions.meter, part.receptions.ms, strict=True)
            ]
    everything = box.everything()
    for what, told, heard in (
        ("readings", readings, everything["reading"]),
        ("receptions", receptions, [row[:2] for row in everything["reception"]]),
    ):
        if sorted(told) != sorted(heard):
            missing, beyond = set(heard) - set(told), set(told) - set(heard)
            twice = len(told) - len(set(told))
            raise Lost(f"{what}: {len(missing)} not told, {len(beyond)} not in the store, {twice} told twice")


def _columns(readings: Any) -> tuple[list[Any], ...]:
    return (
        readings.meter, readings.ms, readings.consumption, readings.tamper_phy, readings.tamper_enc, readings.flags,
    )  # fmt: skip
