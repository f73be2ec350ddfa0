"""What came on a USB stick: enrolments, rotations and batches, a file each, taken in as if they came by HTTP.

    *.enrolment, *.rotation, *.batch    an envelope each, in any folder below the one that is named
    receipts.jsonl                      written beside the batches: the receipts of those that are stored
    assignments.jsonl                   the same: what is assigned to the appliances whose batches these are

A stick is what anybody hands over: files are bounded, nothing but plain files is opened, and what they hold is believed
no more than what comes by HTTP. What lies there already stays, for other batches and appliances.
"""

import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.assignments import AssignmentLists
from appliance.aggregator.ingest import MOST_LINE_BYTES, Ingest, Refusal, Stored
from appliance.aggregator.schema import NO_APPLIANCE
from appliance.durable import write
from appliance.sync.envelope import Refused, read
from appliance.sync.receipt import unpack_receipt

RECEIPTS, ASSIGNED = "receipts.jsonl", "assignments.jsonl"
# In the order in which they are taken in: who it is, by which key, what it has to say.
ENDINGS = (".enrolment", ".rotation", ".batch")
MOST_KEPT_BYTES = 64 << 20
MOST_DEPTH = 12


class Outcome(NamedTuple):
    """What became of a file, in words; whether all is well with it, which it is also with one that waits."""

    path: Path
    words: str
    is_good: bool


class Stick:
    """A folder whose files are taken in; `is_early` once one was refused for its appliance waits for approval.

    Raises OSError where the folder cannot be read.
    """

    def __init__(self, folder: Path, ingest: Ingest, appliances: Appliances) -> None:
        found = [path for path in _below(folder) if path.suffix in ENDINGS]
        self.files = sorted(found, key=lambda path: (ENDINGS.index(path.suffix), _in_order(path)))
        self._ingest = ingest
        self._appliances = appliances
        self._receipts: dict[Path, list[bytes]] = {}
        self.is_early = False

    async def take_in(self, now_utc_ms: int) -> AsyncIterator[Outcome]:
        """Take in each file; one that waited is told of again when it could be stored after all.

        Raises sqlalchemy.exc.DBAPIError, OSError; `write_receipts` of what was stored until then all the same.
        """
        early = []
        for path in self.files:
            outcome, waits = await self._one(path, now_utc_ms)
            yield outcome
            if waits:
                early.append(path)
        for path in early:
            outcome, waits = await self._one(path, now_utc_ms)
            if not waits:
                yield outcome

    async def _one(self, path: Path, now_utc_ms: int) -> tuple[Outcome, bool]:
        """What becomes of a file, and whether it waits."""
        try:
            with path.open("rb") as file:
                line = file.read(MOST_LINE_BYTES + 2).rstrip(b"\r\n")
        except OSError as fault:
            return Outcome(path, f"cannot be read: {fault.strerror}", is_good=False), False
        if path.suffix != ".batch":
            return await self._statement(path, line, now_utc_ms), False
        told = await self._ingest.ingest(line, now_utc_ms)
        if isinstance(told, Stored):
            self._receipts.setdefault(path.parent, []).append(told.receipt)
            return Outcome(path, "stored", is_good=True), False
        if isinstance(told, Refusal):
            self.is_early |= told.reason == "not_approved"
            return Outcome(path, f"refused, {told.reason}: {told.words}", is_good=False), False
        kept = "kept until then" if told.is_kept else "not kept, for too many wait"
        return Outcome(path, f"waits for batch {told.epoch}-{told.sequence}, {kept}", is_good=told.is_kept), True

    async def _statement(self, path: Path, line: bytes, now_utc_ms: int) -> Outcome:
        try:
            if path.suffix == ".rotation":
                await self._appliances.rotate(line, now_utc_ms)
                words = "the key is known"
            else:
                state = await self._appliances.enrol(line, now_utc_ms)
                words = "waits for your approval" if state == "waiting" else state
        except Refused as fault:
            await self._ingest.refusals.note(NO_APPLIANCE, fault.reason, str(fault), line, now_utc_ms)
            return Outcome(path, f"refused, {fault.reason}: {fault}", is_good=False)
        await self._ingest.keys.refresh()
        return Outcome(path, words, is_good=True)

    def write_receipts(self) -> list[Path]:
        """Put the receipts beside the batches, whole and for certain; returns the files. Raises OSError."""
        return [_add(folder / RECEIPTS, receipts) for folder, receipts in self._receipts.items()]

    async def write_assignments(self, lists: AssignmentLists) -> list[Path]:
        """Put there what is assigned to their appliances; returns the files.

        Raises sqlalchemy.exc.DBAPIError, OSError.
        """
        written = []
        for folder, receipts in self._receipts.items():
            met = {unpack_receipt(read(line).payload).appliance for line in receipts}
            found = [line for identity in sorted(met) if (line := await lists.line(identity))]
            if found:
                written.append(_add(folder / ASSIGNED, found))
        return written


def _in_order(path: Path) -> str:
    """By its numbers, which have zeros before them only as far as six digits."""
    return re.sub("[0-9]+", lambda number: number[0].zfill(16), path.as_posix())


def _add(path: Path, lines: list[bytes]) -> Path:
    """Put lines into a file, below those that it has. Raises OSError."""
    kept = dict.fromkeys([*_lines(path), *lines])
    # Whoever carries the stick on is another user.
    write(path, b"".join(line + b"\n" for line in kept), 0o644)
    return path


def _below(folder: Path) -> Iterator[Path]:
    """The plain files in a folder and those in it, as deep as anybody means it. Raises OSError."""
    folders = [(folder, 0)]
    while folders:
        inner, depth = folders.pop()
        with os.scandir(inner) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and depth < MOST_DEPTH:
                    folders.append((Path(entry.path), depth + 1))
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry.path)


def _is_plain(path: Path) -> bool:
    """A link could lead anywhere, and a pipe nowhere."""
    return path.is_file() and not path.is_symlink()


def _lines(path: Path) -> list[bytes]:
    if not _is_plain(path) or path.stat().st_size > MOST_KEPT_BYTES:
        return []
    with path.open("rb") as file:
        return [kept for line in file if (kept := line.rstrip(b"\r\n"))]
