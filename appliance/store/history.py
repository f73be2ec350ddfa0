"""A read-only view of a data directory: its catalogue, its sealed segments and the live database, beside the writer.

Also works from another process, and on a directory that nobody writes to. What is asked is in `queries.py`.

History goes on changing under a question: segments are joined and dropped, and a card goes bad. A question that meets
a segment which is not there any more is put once more to those that are; one that meets damage is answered from the
rest, and the segment is `suspected`, so that upkeep looks at it next.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

from appliance.errors import StoreError
from appliance.store import catalogue
from appliance.store.rows import MeterKey, SegmentRow
from appliance.store.schema import CATALOGUE, LIVE, check_version, in_words, read_only, segment_path
from appliance.timeline import BOOT_SHIFT, Timeline

MOST_OPEN = 96

T = TypeVar("T")


class Unreadable(Exception):
    """A segment gave no answer: its file is gone, or it is damaged."""

    def __init__(self, number: int) -> None:
        super().__init__(f"segment {number} cannot be read")
        self.number = number


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of the data directory, what it may have, and what the file system still has; `scarcity` as in retention."""

    used: int = 0
    budget: int = 0
    free: int = 0
    damaged_files: int = 0
    scarcity: int = 0


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
    live_to: int

    def segment(self, row: SegmentRow) -> sqlite3.Connection:
        """The connection to a segment. Raises sqlite3.Error."""
        return self.history.segment(row.number)

    def rows(self, row: SegmentRow, query: str, values: Sequence[int | str]) -> list[tuple[int, ...]]:
        """What a segment answers, to a query for columns of numbers. Raises Unreadable."""
        try:
            found = self.history.segment(row.number).execute(query, values).fetchall()
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as fault:
            raise Unreadable(row.number) from fault
        # SQLite does not check what it reads: a flipped bit can make a text of a number.
        if not set(map(type, chain.from_iterable(found))) <= {int}:
            raise Unreadable(row.number)
        return found

    def number(self, key: MeterKey) -> int | None:
        """The number of a meter in the catalogue, None if it was never heard."""
        row = self.catalogue.execute(
            "SELECT number FROM meter WHERE meter_id = ? AND protocol = ? AND simulated = ?",
            (key.meter_id, key.protocol, int(key.simulated)),
        ).fetchone()
        return row[0] if row else None


class History:
    """The connections of one thread. A running store `show`s what there is; `opened` finds out by itself.

    `suspected` are the numbers of segments that gave no answer; questions do without them until they are taken out.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.usage = Usage()
        self.suspected: set[int] = set()
        self._shown: tuple[Sequence[SegmentRow], Timeline] = ((), Timeline((), ()))
        self._segments: dict[int, sqlite3.Connection] = {}
        self._databases: dict[str, tuple[tuple[int, int], sqlite3.Connection]] = {}

    def show(self, segments: Sequence[SegmentRow], timeline: Timeline) -> None:
        """From now on there are these segments and this time."""
        self._shown = (tuple(segments), timeline)

    def answer(self, question: Callable[[View], T]) -> T:
        """Answer a question from what can be read. Raises sqlite3.Error, OSError if that is not even the catalogue."""
        relisted: set[int] = set()
        while True:
            try:
                with self.view(relist=bool(relisted)) as view:
                    return question(view)
            except Unreadable as fault:
                self._close(fault.number)
                if fault.number in relisted:
                    self.suspected.add(fault.number)
                relisted.add(fault.number)

    @contextlib.contextmanager
    def view(self, *, relist: bool = False) -> Iterator[View]:
        """The store as it is now, for one question. Raises sqlite3.Error, OSError.

        `relist` reads the list of segments from the catalogue rather than take what was shown.
        """
        live, known = self._connect()
        live.execute("BEGIN")
        try:
            # This begins the snapshot of the live database. The segments are looked up after it: a row that is
            # sealed meanwhile is then in both, never in none.
            live.execute("SELECT 1 FROM running").fetchone()
            segments, timeline = self._shown
            if relist:
                segments = catalogue.segments(known)
            self._keep_open({row.number for row in segments})
            live_to = max((row.live_to for row in segments if row.from_at >= 1 << BOOT_SHIFT), default=0)
            trusted = [row for row in segments if row.number not in self.suspected]
            past = [row for row in trusted if row.from_at < 1 << BOOT_SHIFT]
            sealed = [row for row in trusted if row.from_at >= 1 << BOOT_SHIFT]
            yield View(self, timeline, sealed, past, live, known, live_to)
        finally:
            live.execute("ROLLBACK")

    def segment(self, number: int) -> sqlite3.Connection:
        """The connection to a segment, opened when first asked for. Raises sqlite3.Error."""
        if (connection := self._segments.pop(number, None)) is None:
            connection = read_only(segment_path(self.directory, number), immutable=True)
            connection.execute("PRAGMA cache_size = -256")
        self._segments[number] = connection
        if len(self._segments) > MOST_OPEN:
            self._close(next(iter(self._segments)))
        return connection

    @property
    def timeline(self) -> Timeline:
        """The time as it was last shown."""
        return self._shown[1]

    def let_go(self) -> None:
        """Close what is not listed any more: a file that is open takes its room though it be deleted."""
        self._keep_open({row.number for row in self._shown[0]})

    def close(self) -> None:
        """Let go of all files."""
        self._keep_open(set())
        for _, connection in self._databases.values():
            connection.close()
        self._databases.clear()

    def _keep_open(self, numbers: set[int]) -> None:
        for number in self._segments.keys() - numbers:
            self._close(number)

    def _close(self, number: int) -> None:
        if connection := self._segments.pop(number, None):
            connection.close()

    def _connect(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        """The live database and the catalogue."""
        paths = {name: self.directory / name for name in (LIVE, CATALOGUE)}
        found = {name: ((about := path.stat()).st_dev, about.st_ino) for name, path in paths.items()}
        if any(found[name] != identity for name, (identity, _) in self._databases.items()):
            # Other data has come into the directory, with segments of the same numbers.
            self.close()
        for name, path in paths.items():
            if name not in self._databases:
                self._databases[name] = (found[name], read_only(path))
        return self._databases[LIVE][1], self._databases[CATALOGUE][1]


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
