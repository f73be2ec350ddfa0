"""Years of history, made in minutes: straight into segments, as the running store would have made them.

300 electric meters whose register changes every 5 minutes, each heard 30 times in a quarter of an hour; the appliance
loses power twice a day, and NTP tells it the time soon after. Rows are made by SQLite itself.
"""

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance.store import catalogue, live, segments
from appliance.store.files import create
from appliance.store.rows import CARRIED, QUARTER_MS, MeterKey, SegmentRow
from appliance.store.schema import CATALOGUE, HISTORY, LIVE
from appliance.store.upkeep import JOIN, SEAL_ROWS

START_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 24 * 3_600_000
BOOT_MS = DAY_MS // 2
HEARD = 30
METER = (
    "SELECT n, 'scm', 17000000 + 37 * n, 0, 'electric', 7, 1 << 42 FROM (WITH RECURSIVE tick (n) AS "
    "(VALUES (1) UNION ALL SELECT n + 1 FROM tick WHERE n < :meters) SELECT n FROM tick)"
)
# At millisecond `t` of the history: the boot that was running then, and the millisecond of it.
_STAMP = f"((({{t}}) / {BOOT_MS} + 1) << 42 | ({{t}}) % {BOOT_MS})"
_TICK = "WITH RECURSIVE tick (n) AS (VALUES (:first) UNION ALL SELECT n + 1 FROM tick WHERE n < :last)"
# A meter brings its register up to date at a moment of its own, and is heard some seconds later or earlier.
_CHANGE = "n * :change + :meter * 7919 % 150000 + (n * 104729 + :meter * 1299709) % 120000"


@dataclass(frozen=True)
class Made:
    """What was made: how long, of how many meters, and how often their registers change."""

    directory: Path
    days: int
    meters: int
    change_ms: int

    @property
    def end_ms(self) -> int:
        """UTC of the end."""
        return START_MS + self.days * DAY_MS

    def meter(self, number: int) -> MeterKey:
        """One of the meters, from 1."""
        return MeterKey("scm", 17_000_000 + 37 * number, False)


def make(directory: Path, days: int, meters: int = 300, change_ms: int = 300_000) -> Made:
    """Make a data directory. A word of progress for each segment goes to standard error."""
    made = Made(directory, days, meters, change_ms)
    (directory / HISTORY).mkdir(parents=True)
    with contextlib.closing(create(directory / CATALOGUE, "catalogue")) as known:
        known.execute("BEGIN")
        boots = range(1, days * DAY_MS // BOOT_MS + 1)
        known.executemany("INSERT INTO boot VALUES (?, ?, ?, ?)", [(b, f"boot {b}", BOOT_MS - 1, 0) for b in boots])
        fixes = [(b, 60_000, START_MS + (b - 1) * BOOT_MS + 60_000, 20, "ntp") for b in boots]
        known.executemany(catalogue.FIX, fixes)
        last_at = boots[-1] << 42 | BOOT_MS - 1
        known.execute(
            "INSERT INTO meter (number, protocol, meter_id, simulated, commodity, endpoint_type, first_at, last_at, "
            f"consumption) SELECT *, :last_at - n * 1000, 0 FROM ({METER})",
            {"meters": meters, "last_at": last_at},
        )
        # Each meter is tampered with four times a year, or seems to be.
        tampered = _STAMP.format(t=f"n * {91 * DAY_MS} / :meters")
        known.execute(
            f"""INSERT INTO event {_TICK}
            SELECT NULL, {tampered}, 'tamper', n % :meters + 1, '{{"phy":[0,1],"enc":[3,3]}}' FROM tick""",
            {"first": 0, "last": days * meters // 91, "meters": meters},
        )
        known.execute("COMMIT")
        waiting_from = _seal(made, known)
    _fill_live(made, waiting_from)
    return made


def _seal(made: Made, known: sqlite3.Connection) -> int:
    """Make the segments that the running store would have by the end; returns up to when they reach."""
    day_rows = made.meters * (DAY_MS // made.change_ms + DAY_MS // QUARTER_MS)
    sealed = int(made.days * day_rows // SEAL_ROWS)
    if day_rows < SEAL_ROWS:
        sealed = made.days
    rest, ranks = sealed, []
    for rank in (2, 1, 0):
        count, rest = divmod(rest, JOIN**rank)
        ranks += [rank] * count
    span_ms = min(DAY_MS, SEAL_ROWS * DAY_MS // day_rows)
    begin = 0
    for number, rank in enumerate(ranks, 1):
        end = begin + JOIN**rank * span_ms // QUARTER_MS * QUARTER_MS
        sys.stderr.write(f"\r  history: segment {number} of {len(ranks)} ")
        sys.stderr.flush()
        row = _segment(made, number, rank, begin, end)
        known.execute(catalogue.SEGMENT, catalogue.segment_values(row))
        begin = end
    sys.stderr.write("\n")
    return begin


def _segment(made: Made, number: int, rank: int, begin: int, end: int) -> SegmentRow:
    def fill(segment: sqlite3.Connection) -> None:
        segment.execute(f"INSERT INTO meter {METER}", {"meters": made.meters})
        for meter in range(1, made.meters + 1):
            values = {"meter": meter, "change": made.change_ms}
            reading, first, last = (
                _reading(f"CASE n WHEN :first THEN {CARRIED} ELSE 0 END"),
                *_changes(made, begin, end),
            )
            segment.execute(f"INSERT INTO reading {reading}", values | {"first": max(0, first - 1), "last": last})
            quarters = {"first": begin // QUARTER_MS, "last": end // QUARTER_MS - 1}
            segment.execute(f"INSERT INTO reception {_reception()}", values | quarters)
        at = _STAMP.format(t=f"n * {QUARTER_MS}")
        segment.execute(
            f"INSERT INTO coverage {_TICK} SELECT {at}, :meters, :meters * {HEARD} FROM tick",
            {"first": begin // QUARTER_MS, "last": end // QUARTER_MS - 1, "meters": made.meters},
        )

    return segments.build(made.directory, number, fill, rank=rank, live_to=number)


def _changes(made: Made, begin: int, end: int) -> tuple[int, int]:
    """The first and the last change that each meter shows in that time, near enough."""
    return begin // made.change_ms, end // made.change_ms - 1


def _reading(flags: str) -> str:
    at = _STAMP.format(t=_CHANGE)
    return f"{_TICK} SELECT :meter, {at}, 1000000 + :meter * 10007 + n, 0, 3, {flags} FROM tick"


def _reception() -> str:
    at = _STAMP.format(t=f"n * {QUARTER_MS}")
    levels = f"{HEARD}, {HEARD} * (1200 + n * 31 % 900) + n % {HEARD}, 2100 + n * 31 % 900"
    frequencies = "909586000 + n * 7919 % 900000, 921000000 - n * 104729 % 900000"
    last = _STAMP.format(t=f"n * {QUARTER_MS} + 870000 + (n * 7919 + :meter * 104729) % 30000")
    return f"{_TICK} SELECT :meter, {at}, {HEARD}, n % 3, {levels}, {frequencies}, {last} FROM tick"


def _fill_live(made: Made, begin: int) -> None:
    """What waits to be sealed, in the order in which it was heard."""
    with contextlib.closing(create(made.directory / LIVE, "live")) as writer:
        writer.execute("BEGIN")
        for table, statement, length in (("reading", _reading("0"), 6), ("reception", _reception(), 10)):
            rows = list(_live_rows(writer, made, statement, table, begin))
            rows.sort(key=lambda row: row[1])
            marks = ", ".join("?" * (length + 1))
            first = 1_000_000 if table == "reading" else 2_000_000
            writer.executemany(
                f"INSERT INTO {table} VALUES ({marks})", ((first + n, *row) for n, row in enumerate(rows))
            )
        writer.execute(live.RUNNING, (live.pack([], {}),))
        writer.execute("COMMIT")


def _live_rows(
    writer: sqlite3.Connection, made: Made, statement: str, table: str, begin: int
) -> Iterator[tuple[int, ...]]:
    step, end = made.change_ms if table == "reading" else QUARTER_MS, made.days * DAY_MS
    for meter in range(1, made.meters + 1):
        values = {"meter": meter, "change": made.change_ms, "first": begin // step, "last": end // step - 1}
        if values["first"] <= values["last"]:
            yield from writer.execute(statement, values)
