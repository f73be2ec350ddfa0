"""Sealed batches on the card, one file each, until the aggregator's receipt for each is on the card too.

    outbox/000001-00000017.batch    epoch and sequence; the envelope as it travels, whoever carries it
    outbox/receipts.jsonl           the receipts of what was delivered last
    outbox/told.json                what was told of the time of each boot
    outbox/.spare                   room for receipts where there is none any more: what they let go makes it again

A batch counts once its file has its name: that one rename is the commit. How far the store has been taken stands in
the batch itself, signed, so that nothing can be out of step with it. The newest batch stays though its receipt has
come, for the next one continues from it. If it is found damaged it is set aside, and a new epoch begins from the newest
that is whole. After a restore the first batch tells all that the live database holds. What is told twice by that, the
aggregator knows already.
"""

import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from errno import ENOSPC
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.durable import PART, sync, write
from appliance.store.files import set_aside
from appliance.store.history import History
from appliance.store.outgoing import Outgoing, Position, from_live, outgoing
from appliance.sync.batch import NO_BATCH, Batch, Knot, Restated
from appliance.sync.envelope import BATCH, RECEIPT, Refused, key_id, opened, read, seal
from appliance.sync.identity import Identity, rotate
from appliance.sync.pack import pack
from appliance.sync.receipt import unpack_receipt
from appliance.sync.sparing import Sparing
from appliance.sync.telling import knots, meters_of, parts_of, stamps_of
from appliance.sync.unpack import unpack
from appliance.timeline import CALENDAR, Timeline, boot_of, ms_of, stamp

log = logging.getLogger(__name__)

OUTBOX = "outbox"
RECEIPTS, TOLD, SPARE = "receipts.jsonl", "told.json", ".spare"
SPARE_BYTES = 65_536
MOST_ROWS = 10_000
MOST_RESTATED = 100
MOST_RECEIPTS_BYTES = 1 << 20
# A boot's time is told again when it moved by so much, or is known twice as well as it was told.
MOVED_MS = 100


class Name(NamedTuple):
    """A batch's place in the order of all."""

    epoch: int
    sequence: int

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.epoch:06}-{self.sequence:08}.batch"


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest batch: what the next one continues from."""

    name: Name
    sha256: str
    position: Position


class Outbox:
    """The outbox of a data directory, for one thread at a time. `open` it first."""

    def __init__(self, directory: Path, identity: Identity, sparing: Sparing | None = None) -> None:
        self.identity = identity
        self._sparing = sparing or Sparing()
        self.waiting: dict[Name, None] = {}
        self._sent: set[Name] = set()
        self._data = directory
        self._folder = directory / OUTBOX
        self._tip: Tip | None = None
        self._told: dict[int, tuple[int, int | None]] = {}
        self._told_by: Timeline | None = None

    def open(self) -> None:
        """Find out what is there, and put it in order. Raises StoreError, OSError."""
        self._folder.mkdir(exist_ok=True)
        for part in self._folder.glob(f"*{PART}"):
            part.unlink()
        names = batches_in(self._folder)
        self._tip, damaged = None, False
        while names and (tip := self._whole(names[-1])) is None:
            damaged = True
            set_aside(self._data, self._folder / names.pop().file)
        if names:
            self._tip = tip
        beyond = names[-1].epoch - self.identity.epoch if names else 0
        if damaged or beyond > 0:
            self.identity = rotate(self._data, self.identity, 1 + max(0, beyond))
        delivered = delivered_from(self._folder)
        self.waiting = {name: None for name in names if name not in delivered}
        for name in names[:-1]:
            if name in delivered:
                (self._folder / name.file).unlink()
        self._told = self._kept_told()
        self._make_spare()

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self._folder

    @property
    def newest(self) -> Name | None:
        """The batch that was sealed last; None before the first."""
        return self._tip.name if self._tip else None

    @property
    def was_receipted(self) -> bool:
        """Whether any batch ever was."""
        return (self._folder / RECEIPTS).exists()

    @property
    def sent(self) -> int:
        """How many of those that wait were sent, fetched or carried off since the program started."""
        return sum(name in self._sent for name in self.waiting)

    def note_sent(self, names: Iterable[Name]) -> None:
        """These were; whether they arrived their receipts will say."""
        self._sent = {*self._sent, *names} & self.waiting.keys()

    def size(self, name: Name) -> int:
        """The bytes of a batch's file, 0 for one that is gone. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            return (self._folder / name.file).stat().st_size
        return 0

    def line(self, name: Name) -> bytes:
        """The envelope of a batch. Raises OSError."""
        return (self._folder / name.file).read_bytes()

    def sound_line(self, name: Name) -> bytes | None:
        """The same, None when it is damaged or gone: it then waits no longer, and the aggregator sees the gap."""
        try:
            if self._whole(name):
                return self.line(name)
            set_aside(self._data, self._folder / name.file)
        except FileNotFoundError:
            log.warning("outbox=%s batch=%s gone", self._folder, name.file)
        self.waiting.pop(name, None)
        return None

    def sound_lines(self, names: Sequence[Name], most_bytes: int) -> dict[Name, bytes]:
        """The envelopes of batches, together of so many bytes at most, but at least one if any is whole."""
        found: dict[Name, bytes] = {}
        size = 0
        for name in names:
            if (line := self.sound_line(name)) is None:
                continue
            size += len(line)
            if found and size > most_bytes:
                break
            found[name] = line
        return found

    def seal(self, history: History, timeline: Timeline, now: int, assignments: int = 0) -> int:
        """Seal all that was not told yet, as of stamp `now`; returns how many batches that made.

        `assignments` is the version of those in force.

        Raises StoreError or OSError; what was sealed until then stays, and the rest is due again.
        """
        made, after = 0, self._tip.position if self._tip else Position()
        # More than one ahead is an epoch that a restore began.
        if self._tip and self._tip.name.epoch + 1 < self.identity.epoch:
            after = from_live(history, after)
        while True:
            rows = self._sparing.left(outgoing(history, after, MOST_ROWS), timeline)
            restated = self._restated(timeline, now)
            if not rows.is_empty or restated:
                self._seal(rows, restated, timeline, now, assignments)
                made += 1
            elif self._tip:
                # What was left out is not looked at again, but by the next run.
                self._tip = replace(self._tip, position=rows.position)
            if rows.position == after:
                return made
            after = rows.position

    def accept(self, lines: Sequence[bytes], keys: Mapping[str, Ed25519PublicKey]) -> list[bool | Refused]:
        """Take in receipts signed with one of `keys`; the files of their batches go.

        Returns of each whether its batch waited until now, or why it is not believed. They are put on the card
        together. Raises OSError; all of them are to come again then.
        """
        told: list[bool | Refused] = []
        fresh: dict[Name, bytes] = {}
        for line in lines:
            try:
                name = self._receipted(line, keys)
            except Refused as fault:
                told.append(fault)
                continue
            is_fresh = name in self.waiting and name not in fresh
            if is_fresh:
                fresh[name] = line
            told.append(is_fresh)
        if fresh:
            self._keep(list(fresh.values()))
        for name in fresh:
            del self.waiting[name]
            if self._tip and name != self._tip.name:
                (self._folder / name.file).unlink()
        self._make_spare()
        return told

    def _receipted(self, line: bytes, keys: Mapping[str, Ed25519PublicKey]) -> Name:
        """The batch that a receipt is for. Raises Refused, OSError."""
        receipt = unpack_receipt(opened(read(line), RECEIPT, keys))
        name = Name(receipt.epoch, receipt.sequence)
        if receipt.appliance != self.identity.appliance:
            raise Refused("not_its_own", f"a receipt for the appliance {receipt.appliance}")
        if name in self.waiting and receipt.batch != hashlib.sha256(read(self.line(name)).payload).hexdigest():
            raise Refused("not_its_own", f"a receipt for another batch {name.epoch}-{name.sequence}")
        return name

    def _seal(
        self, rows: Outgoing, restated: tuple[Restated, ...], timeline: Timeline, now: int, assignments: int
    ) -> None:
        tip, epoch = self._tip, self.identity.epoch
        name = Name(epoch, tip.name.sequence + 1 if tip and tip.name.epoch == epoch else 1)
        moment = timeline.moment(now)
        meters, place = meters_of(rows)
        batch = Batch(
            appliance=self.identity.appliance,
            epoch=epoch,
            sequence=name.sequence,
            previous=tip.sha256 if tip else NO_BATCH,
            simulated=any(meter.simulated for meter in meters),
            assignments=assignments,
            sealed=Knot(ms_of(now), moment.utc_ms, moment.uncertainty_ms, moment.source),
            sealed_boot=boot_of(now),
            position=tuple(rows.position),
            meters=meters,
            parts=tuple(parts_of(rows, place, timeline)),
            restated=restated,
        )
        payload = pack(batch)
        write(self._folder / name.file, seal(BATCH, payload, self.identity.key), 0o644)
        self._tip = Tip(name, hashlib.sha256(payload).hexdigest(), rows.position)
        self.waiting[name] = None
        if tip and tip.name not in self.waiting:
            (self._folder / tip.name.file).unlink(missing_ok=True)
        self._tell(timeline, {boot_of(at) for at in stamps_of(rows)}, restated, now)

    def _restated(self, timeline: Timeline, now: int) -> tuple[Restated, ...]:
        """The boots that were told of and whose time is known better now."""
        if timeline is self._told_by:
            return ()
        found = []
        for boot, (told_ms, told_uncertainty_ms) in sorted(self._told.items()):
            utc_ms, uncertainty_ms = _begin(timeline, boot)
            is_better = uncertainty_ms is not None and 2 * uncertainty_ms < (told_uncertainty_ms or 1 << 60)
            if is_better or abs(utc_ms - told_ms) > MOVED_MS:
                found.append(Restated(boot, knots(timeline, boot, 0, _last_ms(timeline, boot, now))))
        if len(found) <= MOST_RESTATED:
            self._told_by = timeline
        return tuple(found[:MOST_RESTATED])

    def _tell(self, timeline: Timeline, boots: set[int], restated: tuple[Restated, ...], now: int) -> None:
        """Note what the last batch told of the time of boots."""
        told = {boot for boot, _ in restated} | (boots - {CALENDAR} - self._told.keys())
        if told:
            self._told |= {boot: _begin(timeline, boot) for boot in told}
            write(self._folder / TOLD, json.dumps(self._told).encode(), 0o644)

    def _kept_told(self) -> dict[int, tuple[int, int | None]]:
        """What was told of the time of boots; where that is damaged it is told again."""
        try:
            kept = json.loads((self._folder / TOLD).read_text())
            return {int(boot): (int(utc_ms), doubt and int(doubt)) for boot, (utc_ms, doubt) in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return {}

    def _whole(self, name: Name) -> Tip | None:
        """What a batch on the card says of itself; None when it is damaged, or was sealed as another appliance."""
        try:
            envelope = read(self.line(name))
            if key := self.identity.public_keys.get(name.epoch):
                opened(envelope, BATCH, {key_id(key): key})
            batch = unpack(envelope.payload)
            position = Position(*batch.position)
        except (Refused, TypeError):
            return None
        if (batch.appliance, batch.epoch, batch.sequence) != (self.identity.appliance, *name):
            return None
        return Tip(name, hashlib.sha256(envelope.payload).hexdigest(), position)

    def _keep(self, receipts: Sequence[bytes]) -> None:
        """Put receipts on the card for certain. Raises OSError."""
        try:
            self._append(receipts)
        except OSError as fault:
            if fault.errno != ENOSPC or not (self._folder / SPARE).exists():
                raise
            (self._folder / SPARE).unlink()
            self._append(receipts)

    def _make_spare(self) -> None:
        """Hold room for receipts, if there is any."""
        if not (self._folder / SPARE).exists():
            with contextlib.suppress(OSError):
                write(self._folder / SPARE, bytes(SPARE_BYTES))

    def _append(self, receipts: Sequence[bytes]) -> None:
        path = self._folder / RECEIPTS
        if path.exists() and path.stat().st_size > MOST_RECEIPTS_BYTES:
            path.rename(self._folder / f"{RECEIPTS}.old")
        is_new = not path.exists()
        with path.open("ab") as file:
            # What a power cut tore is no receipt, and these begin on a line of their own.
            file.write(b"\n" + b"\n".join(receipts) + b"\n")
            file.flush()
        sync(path)
        if is_new:
            sync(self._folder)


def batches_in(folder: Path) -> list[Name]:
    """The batches whose files lie in a folder, in order. Raises OSError."""
    found = (re.fullmatch(r"([0-9]{6,16})-([0-9]{8})\.batch", path.name) for path in folder.iterdir())
    return sorted(Name(int(match[1]), int(match[2])) for match in found if match)


def delivered_from(folder: Path) -> set[Name]:
    """The batches of an outbox whose receipts are kept; these were verified before they were. Raises OSError."""
    found = set()
    for path in (folder / f"{RECEIPTS}.old", folder / RECEIPTS):
        with contextlib.suppress(FileNotFoundError):
            for line in path.read_bytes().splitlines():
                with contextlib.suppress(Refused):
                    receipt = unpack_receipt(read(line).payload)
                    found.add(Name(receipt.epoch, receipt.sequence))
    return found


def _begin(timeline: Timeline, boot: int) -> tuple[int, int | None]:
    moment = timeline.moment(stamp(boot, 0))
    return moment.utc_ms, moment.uncertainty_ms


def _last_ms(timeline: Timeline, boot: int, now: int) -> int:
    return ms_of(now) if boot == boot_of(now) else timeline.last_ms(boot)
