"""A history made at will, through the store's own schema and segments, and the truth of it, counted one by one."""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from appliance.store import catalogue, live, segments
from appliance.store.files import create, remove
from appliance.store.history import History
from appliance.store.rows import CARRIED, DAYS, SUSPECT, MeterKey, Reception, SegmentRow
from appliance.store.schema import CATALOGUE, HISTORY, LIVE
from appliance.timeline import BOOT_SHIFT, Boot, Fix, Timeline

START_MS = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
METERS = 3


class Row(NamedTuple):
    """A reading; `total` is what the meter counted until then, whatever its register did."""

    meter: int
    at: int
    consumption: int
    flags: int
    total: int


class Heard(NamedTuple):
    """A meter's messages in a quarter of an hour, from the first to the last one."""

    meter: int
    at: int
    last: int
    count: int


class Happened(NamedTuple):
    """An event of a meter."""

    meter: int
    at: int
    kind: str
    detail: dict[str, object]


def key(meter: int) -> MeterKey:
    """What the meter of that number is."""
    return MeterKey("scm", 1000 + meter, False)


@dataclass
class Made:
    """A data directory and, beside it, all its rows in lists. Rows are `put`, then `seal`ed, `join`ed, `thin`ned."""

    directory: Path
    boots: list[Boot]
    fixes: list[Fix]
    rows: dict[int, list[Row]] = field(default_factory=dict)
    heard: dict[int, list[Heard]] = field(default_factory=dict)
    waiting: list[Row] = field(default_factory=list)
    waiting_heard: list[Heard] = field(default_factory=list)
    running: list[Heard] = field(default_factory=list)
    forgotten_to_ms: int = -1
    events: list[Happened] = field(default_factory=list)
    firsts: dict[int, int] = field(default_factory=dict)
    lasts: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.directory / HISTORY).mkdir(parents=True)
        self.timeline = Timeline(self.boots, self.fixes)
        self._id = 0
        self.live = create(self.directory / LIVE, "live")
        self.catalogue = create(self.directory / CATALOGUE, "catalogue")
        for connection in (self.live, self.catalogue):
            # Nothing is cut short here.
            connection.execute("PRAGMA synchronous = OFF")
        for boot in self.boots:
            values = (boot.number, boot.boot_id, boot.last_ms, boot.system_offset_ms)
            self.catalogue.execute(catalogue.BOOT, values)

    def close(self) -> None:
        """Let go of the files."""
        self.live.close()
        self.catalogue.close()

    def history(self) -> History:
        """What is there now, to be asked."""
        history = History(self.directory)
        history.show(self.segments, self.timeline)
        return history

    @property
    def segments(self) -> list[SegmentRow]:
        """The list of segments."""
        return catalogue.segments(self.catalogue)

    @property
    def own(self) -> list[SegmentRow]:
        """Those of what the appliance heard itself."""
        return [row for row in self.segments if row.from_at >= 1 << BOOT_SHIFT]

    def put(self, rows: Iterable[Row], heard: Iterable[Heard] = (), running: Iterable[Heard] = ()) -> None:
        """Commit these readings, receptions, and in place of those before them those of the running quarter."""
        for row in rows:
            self._id += 1
            values = (self._id, row.meter, row.at, row.consumption, 0, 0, row.flags)
            self.live.execute(live.READING, values)
            self.waiting.append(row)
            self._know(row.meter, row.at, row.at)
        counts: dict[int, tuple[int, int]] = {}
        for one in heard:
            self._id += 1
            self.live.execute(live.RECEPTION, (self._id, *live.reception_values(one.meter, _reception(one))))
            self.waiting_heard.append(one)
            self._know(one.meter, one.at, one.last)
            meters, messages = counts.get(one.at, (0, 0))
            counts[one.at] = (meters + 1, messages + one.count)
        for at, (meters, messages) in counts.items():
            self._id += 1
            self.live.execute(live.COVERAGE, (self._id, at, meters, messages))
        self.running = list(running)
        for one in self.running:
            self._know(one.meter, one.at, one.last)
        numbers = {key(meter): meter for meter in range(1, METERS + 1)}
        self.live.execute(live.RUNNING, (live.pack(map(_reception, self.running), numbers),))

    def tell(self, happened: Iterable[Happened]) -> None:
        """Record these events."""
        for event in happened:
            values = (event.at, event.kind, event.meter, json.dumps(event.detail))
            self.catalogue.execute("INSERT INTO event VALUES (NULL, ?, ?, ?, ?)", values)
            self.events.append(event)

    def seal(self, *, alone: bool = False) -> None:
        """Make a segment of what waits; `alone`, like one that was salvaged, without copies of what preceded it."""
        if not self.waiting and not self.waiting_heard:
            return
        own = [] if alone else self.own
        number = self._next()
        made = segments.seal(self.directory, number, self._id, own[-1] if own else None)
        self._list(made)
        for table in ("reading", "reception", "coverage"):
            self.live.execute(f"DELETE FROM {table}")
        carried = self._carried(self.rows[own[-1].number]) if own else []
        self.rows[number], self.heard[number] = carried + self.waiting, self.waiting_heard
        self.waiting, self.waiting_heard = [], []

    def join(self, begin: int, end: int) -> None:
        """Make one segment of those from one place to another, if none is thinned."""
        parts = self.own[begin:end]
        if len(parts) < 2 or any(row.rank == DAYS for row in parts):
            return
        number = self._next()
        self._list(segments.join(self.directory, number, parts), parts)
        # What a part carries, the part before it holds.
        rows: dict[tuple[int, int], Row] = {}
        for part in parts:
            for row in self.rows.pop(part.number):
                rows.setdefault((row.meter, row.at), row)
        self.rows[number] = list(rows.values())
        self.heard[number] = [one for part in parts for one in self.heard.pop(part.number)]

    def thin(self) -> None:
        """Leave one reading of each meter and day of the oldest segment."""
        whole = next((row for row in self.own if row.rank != DAYS), None)
        if whole is None:
            return
        number = self._next()
        self._list(segments.thin(self.directory, number, whole, self.day), [whole])
        kept: dict[tuple[int, int, bool], Row] = {}
        for row in sorted(self.rows.pop(whole.number), key=lambda row: row.at):
            if not row.flags & SUSPECT:
                kept[row.meter, self.day(row.at), bool(row.flags & CARRIED)] = row
        self.rows[number] = list(kept.values())
        self._forget(whole)

    def drop(self) -> None:
        """Remove the oldest segment."""
        if not (own := self.own):
            return
        self._list(None, own[:1])
        del self.rows[own[0].number]
        self._forget(own[0])
        detail = {"to_utc_ms": self.timeline.utc_ms(own[0].to_at)}
        self.catalogue.execute(
            "INSERT INTO event VALUES (NULL, ?, 'history_dropped', NULL, ?)", (own[-1].to_at, json.dumps(detail))
        )

    def log(self, rows: Iterable[Row], heard: Iterable[Heard]) -> None:
        """A segment of the calendar, as if imported."""
        rows, heard, number = list(rows), list(heard), self._next()
        if not rows:
            return

        def fill(segment: sqlite3.Connection) -> None:
            for row in sorted(rows):
                segment.execute("INSERT INTO reading VALUES (?, ?, ?, 0, 0, ?)", (*row[:3], row.flags))
            for one in heard:
                values = live.reception_values(one.meter, _reception(one))
                segment.execute(f"INSERT INTO reception VALUES ({', '.join('?' * 10)})", values)

        for row in rows:
            self._know(row.meter, row.at, row.at)
        for one in heard:
            self._know(one.meter, one.at, one.last)
        self._list(segments.build(self.directory, number, fill, rank=0, live_to=0))
        self.rows[number], self.heard[number] = rows, heard

    def day(self, at: int) -> int:
        """The day of a stamp."""
        return self.timeline.utc_ms(at) // 86_400_000

    def readings(self, meter: int) -> Iterator[Row]:
        """All readings of a meter that count, in the order of UTC."""
        everything = [row for rows in self.rows.values() for row in rows] + self.waiting
        counted = {row for row in everything if row.meter == meter and not row.flags & SUSPECT}
        yield from sorted(counted, key=lambda row: (self.timeline.utc_ms(row.at), row.at))

    def register(self, meter: int, utc_ms: int) -> Row | None:
        """The last reading at or before an instant."""
        found = None
        for row in self.readings(meter):
            if self.timeline.utc_ms(row.at) <= utc_ms:
                found = row
        return found

    def messages(self, meter: int, from_ms: int, to_ms: int) -> int | None:
        """How often a meter was heard in a quarter of an hour; None if it may have been when it is not kept any more.

        History goes from its old end: where nothing is kept, before what was thinned or dropped last ended, it may be.
        """
        total = 0
        for one in [one for some in self.heard.values() for one in some] + self.waiting_heard + self.running:
            if one.meter == meter and from_ms <= self.timeline.utc_ms((one.at + one.last) // 2) < to_ms:
                total += one.count
        return total or (None if from_ms <= self.forgotten_to_ms and meter in self.lasts else 0)

    def _forget(self, row: SegmentRow) -> None:
        self.heard.pop(row.number, None)
        self.forgotten_to_ms = max(self.forgotten_to_ms, self.timeline.utc_ms(row.to_at))

    def _carried(self, rows: list[Row]) -> list[Row]:
        last: dict[int, Row] = {}
        for row in sorted(rows, key=lambda row: row.at):
            if not row.flags & SUSPECT:
                last[row.meter] = row._replace(flags=CARRIED)
        return list(last.values())

    def _know(self, meter: int, first_at: int, last_at: int) -> None:
        self.firsts[meter] = min(first_at, self.firsts.get(meter, first_at))
        last = max(self.lasts.get(meter, last_at), last_at, key=self.timeline.utc_ms)
        self.lasts[meter] = last
        self.catalogue.execute(
            "INSERT INTO meter VALUES (?, ?, ?, ?, 'electric', 7, ?, ?, 0, 0, 0, NULL, NULL, NULL) "
            "ON CONFLICT (number) DO UPDATE SET first_at = excluded.first_at, last_at = excluded.last_at",
            (meter, *key(meter), self.firsts[meter], last),
        )

    def _next(self) -> int:
        highest = self.catalogue.execute("SELECT coalesce(max(number), 0) FROM segment").fetchone()[0]
        return int(highest) + 1

    def _list(self, made: SegmentRow | None, gone: Iterable[SegmentRow] = ()) -> None:
        if made:
            self.catalogue.execute(catalogue.SEGMENT, catalogue.segment_values(made))
        for row in gone:
            self.catalogue.execute("DELETE FROM segment WHERE number = ?", (row.number,))
            remove(self.directory, row.number)


def _reception(one: Heard) -> Reception:
    return Reception(key(one.meter), one.at, one.count, levels=0, last=one.last)


@contextlib.contextmanager
def made(directory: Path, boots: list[Boot], fixes: list[Fix]) -> Iterator[Made]:
    """A history that is closed in the end."""
    with contextlib.closing(Made(directory, boots, fixes)) as history:
        yield history
