"""Years of history, made in minutes: straight into segments, as the running store would have made them.

300 electric meters whose register changes every 5 minutes (`docs/protocols.md`), each heard 30 times in a quarter of
an hour; the appliance loses power twice a day, and NTP tells it the time a minute after. Rows are made by SQLite
itself. What each register showed when follows from two formulas, so that answers can be checked.
"""

import contextlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance.fixes import Fix
from appliance.store import catalogue, live, segments
from appliance.store.files import create
from appliance.store.history import History
from appliance.store.rows import CARRIED, QUARTER_MS, MeterKey, Reception, SegmentRow
from appliance.store.schema import CATALOGUE, HISTORY, LIVE
from appliance.store.upkeep import JOIN, SEAL_ROWS
from appliance.timeline import BOOT_SHIFT, Boot, Timeline

START_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 24 * 3_600_000
BOOT_MS = DAY_MS // 2
FIX_MS = 60_000
HEARD = 30
FIRST_LIVE_ID = 1_000_000
# Each meter is tampered with four times a year, or seems to be.
TAMPER_DAYS = 91
_TAMPER = {"phy": [0, 1], "enc": [3, 3]}
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

    def changed_ms(self, number: int, n: int) -> int:
        """UTC of the change `n` of a meter's register, as `_CHANGE` has it."""
        late_ms = number * 7919 % 150_000 + (n * 104_729 + number * 1_299_709) % 120_000
        return START_MS + n * self.change_ms + late_ms

    def register(self, number: int, utc_ms: int) -> int | None:
        """What a meter's register showed, None before it was first heard."""
        n = (min(utc_ms, self.end_ms) - START_MS) // self.change_ms
        if n * self.change_ms == self.days * DAY_MS or self.changed_ms(number, n) > utc_ms:
            n -= 1
        return 1_000_000 + number * 10_007 + n if n >= 0 else None

    def history(self) -> History:
        """What is there, to be asked, as a store that just started has it."""
        with contextlib.closing(sqlite3.connect(self.directory / CATALOGUE)) as known:
            rows, timeline = catalogue.segments(known), Timeline(*catalogue.clocks(known))
        history = History(self.directory)
        history.show(rows, timeline)
        return history


def make(directory: Path, days: int, meters: int = 300, change_ms: int = 300_000) -> Made:
    """Make a data directory. A word of progress for each segment goes to standard error."""
    made = Made(directory, days, meters, change_ms)
    (directory / HISTORY).mkdir(parents=True)
    with contextlib.closing(create(directory / CATALOGUE, "catalogue")) as known:
        known.execute("BEGIN")
        _write_clock(known, days * DAY_MS)
        last_at = _stamp(days * DAY_MS - 1)
        rows = known.execute(METER, {"meters": meters}).fetchall()
        known.executemany(
            "INSERT INTO meter (number, protocol, meter_id, simulated, commodity, endpoint_type, first_at, last_at, "
            "consumption, tamper_phy, tamper_enc, snr_cdb) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 3, 1500)",
            [(*row, last_at - row[0] * 50, made.register(row[0], made.end_ms)) for row in rows],
        )
        known.executemany("INSERT INTO event VALUES (NULL, ?, ?, ?, ?)", sorted(_events(made)))
        known.execute("COMMIT")
        waiting_from = _seal(made, known)
    _fill_live(made, waiting_from)
    return made


def _write_clock(connection: sqlite3.Connection, until_ms: int) -> None:
    for n in range(-(-until_ms // BOOT_MS)):
        boot = Boot(n + 1, f"00000000-0000-4000-8000-{n:012d}", min(until_ms - n * BOOT_MS, BOOT_MS) - 1, 0)
        connection.execute(catalogue.BOOT, (boot.number, boot.boot_id, boot.last_ms, boot.system_offset_ms))
        fix = Fix(boot.number, FIX_MS, START_MS + n * BOOT_MS + FIX_MS, 20, "ntp")
        connection.execute(catalogue.FIX, (fix.boot, fix.ms, fix.utc_ms, fix.uncertainty_ms, fix.source))


def _events(made: Made) -> Iterator[tuple[int, str, int | None, str]]:
    for n in range(made.days * DAY_MS // BOOT_MS):
        yield _stamp(n * BOOT_MS), "boot", None, json.dumps({"number": n + 1})
        told = {"source": "ntp", "uncertainty_ms": 20, "moved_ms": 41, "system_moved_ms": 0}
        yield _stamp(n * BOOT_MS + FIX_MS), "clock_set", None, json.dumps(told)
    for n in range(made.days * made.meters // TAMPER_DAYS):
        at = _stamp(n * TAMPER_DAYS * DAY_MS // made.meters)
        yield at, "tamper", n % made.meters + 1, json.dumps(_TAMPER)


def _stamp(ms: int) -> int:
    return (ms // BOOT_MS + 1) << BOOT_SHIFT | ms % BOOT_MS


def _seal(made: Made, known: sqlite3.Connection) -> int:
    """Make the segments that the running store would have by the end; returns up to when they reach."""
    day_rows = made.meters * (DAY_MS // made.change_ms + DAY_MS // QUARTER_MS)
    sealed = int(made.days * day_rows // SEAL_ROWS)
    if day_rows < SEAL_ROWS:
        sealed = made.days
    # Three times eight is what stays below `LARGEST_SEGMENT_BYTES`; beyond, a segment rises in rank alone.
    rest, ranks = sealed, []
    for rank in (2, 1, 0):
        count, rest = divmod(rest, JOIN**rank)
        ranks += [rank] * count
    span_ms = min(DAY_MS, SEAL_ROWS * DAY_MS // day_rows)
    begin = spans = 0
    for number, rank in enumerate(ranks, 1):
        spans += JOIN**rank
        end = spans * span_ms // QUARTER_MS * QUARTER_MS
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
        _write_clock(segment, end)
        first, last = begin // made.change_ms, end // made.change_ms - 1
        quarters = {"first": begin // QUARTER_MS, "last": end // QUARTER_MS - 1}
        for meter in range(1, made.meters + 1):
            values = {"meter": meter, "change": made.change_ms, "first": max(0, first - 1), "last": last}
            reading = _reading(f"CASE WHEN n < {first} THEN {CARRIED} ELSE 0 END")
            segment.execute(f"INSERT INTO reading {reading}", values)
            segment.execute(f"INSERT INTO reception {_reception()}", {"meter": meter, **quarters})
        at = _STAMP.format(t=f"n * {QUARTER_MS}")
        segment.execute(
            f"INSERT INTO coverage {_TICK} SELECT {at}, :meters, :meters * {HEARD} FROM tick",
            {**quarters, "meters": made.meters},
        )

    return segments.build(made.directory, number, fill, rank=rank, live_to=number)


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
    """What waits to be sealed, in the order in which it was heard; the last quarter of an hour is not over."""
    end = made.days * DAY_MS
    with contextlib.closing(create(made.directory / LIVE, "live")) as writer:
        writer.execute("BEGIN")
        readings = _live_rows(writer, made, _reading("0"), made.change_ms, begin, end)
        receptions = _live_rows(writer, made, _reception(), QUARTER_MS, begin, end)
        running = [row for row in receptions if row[1] >= _stamp(end - QUARTER_MS)]
        over = receptions[: len(receptions) - len(running)]
        counts = [(at, made.meters, made.meters * HEARD) for at in sorted({row[1] for row in over})]
        row_id = FIRST_LIVE_ID
        for statement, rows in ((live.READING, readings), (live.RECEPTION, over), (live.COVERAGE, counts)):
            writer.executemany(statement, ((row_id + n, *row) for n, row in enumerate(rows)))
            row_id += len(rows)
        numbers = {made.meter(number): number for number in range(1, made.meters + 1)}
        packed = live.pack([Reception(made.meter(row[0]), *row[1:]) for row in running], numbers)
        writer.execute(live.RUNNING, (packed,))
        writer.execute("COMMIT")


def _live_rows(
    writer: sqlite3.Connection, made: Made, statement: str, step_ms: int, begin: int, end: int
) -> list[tuple[int, ...]]:
    """Rows of all meters by their time."""
    rows: list[tuple[int, ...]] = []
    for meter in range(1, made.meters + 1):
        values = {"meter": meter, "change": made.change_ms, "first": begin // step_ms, "last": end // step_ms - 1}
        if values["first"] <= values["last"]:
            rows += writer.execute(statement, values)
    return sorted(rows, key=lambda row: row[1])
