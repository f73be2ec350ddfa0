"""An appliance whose clock the test holds: what it heard, and what its files say of that, to be compared."""

import contextlib
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from appliance.clock import Clock, KernelTime
from appliance.model import Message
from appliance.store import catalogue
from appliance.store.rows import CARRIED, SegmentRow
from appliance.store.schema import CATALOGUE, HISTORY, LIVE, read_only, segment_path
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Rows = set[tuple[Any, ...]]


class Box:
    """`now_s` since its first start; `restart` begins another boot."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now_s = self.boot_s = 0
        self.boots = 1

    def at(self, directory: Path) -> "Box":
        """The same box with another data directory."""
        other = Box(directory)
        other.now_s, other.boot_s, other.boots = self.now_s, self.boot_s, self.boots
        return other

    def clock(self) -> Clock:
        return Clock(
            boottime_ms=lambda: (self.now_s - self.boot_s) * 1000,
            realtime_ms=lambda: round(START.timestamp() * 1000) + self.now_s * 1000,
            boot_id=f"boot {self.boots}",
            kernel=lambda: KernelTime(synchronized=True, uncertainty_ms=250),
        )

    def restart(self) -> None:
        self.now_s += 100
        self.boot_s, self.boots = self.now_s, self.boots + 1

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The store, opened; closed also when the test fails: its threads would keep the process alive."""
        store = Store(self.directory, 60, self.clock())
        try:
            await store.open()
            yield store
        finally:
            await store.close()

    def upkeep(self, store: Store, budget_bytes: int | None = None) -> Upkeep:
        return Upkeep(store, budget_bytes, monotonic=lambda: float(self.now_s))

    def message(self, meter_id: int, consumption: int, **fields: Any) -> Message:
        given: dict[str, Any] = {
            "time": START + timedelta(seconds=self.now_s), "protocol": "scm", "meter_id": meter_id,
            "endpoint_type": 4, "commodity": "electric", "tamper_phy": 0, "tamper_enc": 3, "consumption": consumption,
            "checksum": 40837, "frequency_hz": 912_000_000, "snr_db": 20.0, "corrected_bits": 0, "sample": 0,
        }  # fmt: skip
        return Message(**given | fields)

    def hear(self, store: Store, minutes: int, meters: int = 10) -> None:
        """Each meter each minute, its register one on each time; each hour one meter is tampered with."""
        for _ in range(minutes):
            self.now_s += 60
            for n in range(meters):
                tamper = self.now_s // 3600 if n == 0 else 3
                store.hear(self.message(1000 + n, 60 * n + self.now_s // 60, tamper_enc=tamper), False)

    async def sealed(self, segments: int = 1, minutes: int = 240, meters: int = 10) -> None:
        """Hear and seal, so many times; then hear a little more."""
        async with self.store() as store:
            upkeep = self.upkeep(store)
            for _ in range(segments):
                self.hear(store, minutes, meters)
                assert await store.commit() == ""
                await upkeep._seal()
            await upkeep._copy()
            self.hear(store, 20, meters)

    def listed(self) -> list[SegmentRow]:
        with contextlib.closing(read_only(self.directory / CATALOGUE)) as known:
            return catalogue.segments(known)

    def segment(self, row: SegmentRow) -> Path:
        return segment_path(self.directory, row.number)

    def events(self, kind: str) -> list[str]:
        return [
            detail for (detail,) in ask(self.directory / CATALOGUE, f"SELECT detail FROM event WHERE kind = '{kind}'")
        ]

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows that were heard, wherever they lie, in order: nothing may be in two places."""
        found: dict[str, list[tuple[Any, ...]]] = {}
        segments = [self.segment(row) for row in self.listed()]
        for table, columns in (
            ("reading", "meter, at, consumption, tamper_phy, tamper_enc, flags"),
            ("reception", "meter, at, count, corrected, levels, snr_sum_cdb, last"),
            ("coverage", "at, meters, messages"),
        ):
            kept = f"WHERE NOT flags & {CARRIED}" if table == "reading" else ""
            rows = [
                row
                for path in (*segments, self.directory / LIVE)
                for row in ask(path, f"SELECT {columns} FROM {table} {kept}")
            ]
            found[table] = sorted(rows)
        return found

    def meters(self) -> Rows:
        return set(ask(self.directory / CATALOGUE, "SELECT number, protocol, meter_id, simulated FROM meter"))


def ask(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """What a database answers."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchall()


def is_whole(directory: Path) -> bool:
    """Whether all databases in use hold together, by SQLite's own full check."""
    paths = [directory / CATALOGUE, directory / LIVE, *sorted((directory / HISTORY).glob("0*.db"))]
    return all(ask(path, "PRAGMA integrity_check") == [("ok",)] for path in paths)


def contents(directory: Path) -> dict[str, str]:
    """The files of a directory and their SHA-256, without what SQLite shares between processes."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


def spoil(path: Path, place: int, content: bytes) -> None:
    """Overwrite a part of a file as a failing card does: below the file's permissions, its times and its readers."""
    content = content[: path.stat().st_size - place]
    mode = path.stat().st_mode
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)
    path.chmod(mode)


def flip(path: Path, place: int, mask: int) -> None:
    """Flip bits of one byte."""
    with path.open("rb") as file:
        file.seek(place)
        byte = file.read(1)[0]
    spoil(path, place, bytes([byte ^ mask]))
