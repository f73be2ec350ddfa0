"""A read-only view of a data directory: its catalogue, its sealed segments and the live database, beside the writer.

Also works from another process, and on a directory that nobody writes to. What is asked is in `queries.py`.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import StoreError
from appliance.store import catalogue
from appliance.store.rows import MeterKey, SegmentRow
from appliance.store.schema import CATALOGUE, LIVE, check_version, in_words, read_only, segment_path
from appliance.timeline import BOOT_SHIFT, Timeline

MOST_OPEN = 96


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of the data directory, what it may have, and what the file system still has."""

    used: int = 0
    budget: int = 0
    free: int = 0
    damaged_files: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """The store at one moment. `live_to` is the last live row that a segment holds too.

    `past` are the segments of the calendar (imported, or of format 1), `sealed` the others, both in the order of time.
    """

    history: "History"
    timeline: Timeline
    sealed: Sequence[SegmentRow]
    past: Sequence[SegmentRow]
    live: sqlite3.Connection
    catalogue: sqlite3.Connection

    @property
    def live_to(self) -> int:
        """The last live row that a segment holds too."""
        return max((row.live_to for row in self.sealed), default=0)

    def segment(self, row: SegmentRow) -> sqlite3.Connection:
        """The connection to a segment. Raises sqlite3.Error."""
        return self.history.segment(row.number)

    def number(self, key: MeterKey) -> int | None:
        """The number of a meter in the catalogue, None if it was never heard."""
        row = self.catalogue.execute(
            "SELECT number FROM meter WHERE meter_id = ? AND protocol = ? AND simulated = ?",
            (key.meter_id, key.protocol, int(key.simulated)),
        ).fetchone()
        return row[0] if row else None


class History:
    """The connections of one thread. A running store `show`s what there is; `opened` finds out by itself."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.usage = Usage()
        self._shown: tuple[Sequence[SegmentRow], Timeline] = ((), Timeline((), ()))
        self._segments: dict[int, sqlite3.Connection] = {}
        self._databases: dict[str, tuple[tuple[int, int], sqlite3.Connection]] = {}

    def show(self, segments: Sequence[SegmentRow], timeline: Timeline) -> None:
        """From now on there are these segments and this time."""
        self._shown = (tuple(segments), timeline)

    @contextlib.contextmanager
    def view(self) -> Iterator[View]:
        """The store as it is now, for one question. Raises sqlite3.Error, OSError."""
        live, known = self._database(LIVE), self._database(CATALOGUE)
        live.execute("BEGIN")
        try:
            # This begins the snapshot of the live database. The segments are looked up after it: a row that is
            # sealed meanwhile is then in both, never in none.
            live.execute("SELECT 1 FROM running").fetchone()
            segments, timeline = self._shown
            past = [row for row in segments if row.from_at < 1 << BOOT_SHIFT]
            sealed = [row for row in segments if row.from_at >= 1 << BOOT_SHIFT]
            yield View(self, timeline, sealed, past, live, known)
        finally:
            live.execute("ROLLBACK")

    def segment(self, number: int) -> sqlite3.Connection:
        """The connection to a segment, opened when first asked for. Raises sqlite3.Error."""
        if (connection := self._segments.pop(number, None)) is None:
            connection = read_only(segment_path(self.directory, number), immutable=True)
            connection.execute("PRAGMA cache_size = -256")
        self._segments[number] = connection
        if len(self._segments) > MOST_OPEN:
            self._segments.pop(next(iter(self._segments))).close()
        return connection

    def close(self) -> None:
        """Let go of all files."""
        for connection in [*self._segments.values(), *(c for _, c in self._databases.values())]:
            connection.close()
        self._segments.clear()
        self._databases.clear()

    def _database(self, name: str) -> sqlite3.Connection:
        about = (self.directory / name).stat()
        identity, connection = self._databases.get(name, (None, None))
        if connection is not None and identity == (about.st_dev, about.st_ino):
            return connection
        if connection is not None:
            connection.close()
            # Other data may have come into the directory, with segments of the same numbers.
            self.close()
        connection = read_only(self.directory / name)
        self._databases[name] = ((about.st_dev, about.st_ino), connection)
        return connection


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[History]:
    """The history in `directory`, for another process than the one that writes. Raises StoreError, StoreTooNew."""
    path = directory / CATALOGUE
    if not path.is_file():
        hint = "Name the right configuration with --config, or start the appliance once so that it makes its data."
        raise StoreError(f"{directory} holds no data of an appliance", hint)
    history = History(directory)
    try:
        with contextlib.closing(read_only(path)) as known:
            check_version(known, "catalogue", path)
            history.show(catalogue.segments(known), Timeline(*catalogue.clocks(known)))
        yield history
    except sqlite3.Error as fault:
        raise StoreError(f"{directory}: {in_words(fault)}") from fault
    finally:
        history.close()
