"""`appliance export`: the readings that are kept, raw, ordered by meter and time, to standard output or a file.

    csv, json   a row or an object a line for each reading: the meter, the register and tamper counters as received,
                what the store thinks of it (`flags`), and the time in UTC with its uncertainty and its source
    rtlamr      the lines of `rtlamr -format=json`, which `appliance import` reads back

What the segments hold of a meter is in order already and is merged as it is read, so that memory does not grow with the
history. Every field is a number or one of a few known words: nothing
that came from the air can be a formula to a spreadsheet.
"""

import argparse
import contextlib
import csv
import heapq
import json
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import NamedTuple, TextIO

from appliance import config
from appliance.errors import StoreError, UsageError
from appliance.model import format_time, parse_time
from appliance.progress import Progress
from appliance.rtlamr import to_rtlamr
from appliance.store import catalogue
from appliance.store.history import History, opened
from appliance.store.rows import CARRIED, SUSPECT, MeterRow, SegmentRow
from appliance.store.schema import read_only, segment_path
from appliance.timeline import BOOT_SHIFT, Timeline

FORMATS = ("csv", "json", "rtlamr")
FIELDS = (
    "time",
    "time_uncertainty_s",
    "time_source",
    "protocol",
    "meter_id",
    "simulated",
    "endpoint_type",
    "commodity",
    "consumption",
    "tamper_phy",
    "tamper_enc",
    "flags",
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEALED = (
    "SELECT at, consumption, tamper_phy, tamper_enc, flags FROM reading "
    "WHERE meter = ? AND at >= ? AND at < ? AND NOT flags & ? ORDER BY at"
)
_LIVE = "SELECT at, consumption, tamper_phy, tamper_enc, flags FROM reading WHERE meter = ? AND id > ? ORDER BY at"
_TRIES = 20

Row = tuple[int, int, int | None, int | None, int]


class Span(NamedTuple):
    """From this instant on and before that one, in UTC milliseconds; None is no limit."""

    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """A reading with all that is known of it. `uncertainty_ms` is None where nothing bounds it."""

    meter: MeterRow
    time: datetime
    uncertainty_ms: int | None
    source: str
    consumption: int
    tamper_phy: int | None
    tamper_enc: int | None
    suspect: bool

    def fields(self) -> tuple[object, ...]:
        """The values of `FIELDS`."""
        key = self.meter.key
        # What stands in for a receiver names its protocols itself.
        protocol = key.protocol if key.protocol.isascii() and key.protocol[:1].isalpha() else "unknown"
        uncertainty_s = None if self.uncertainty_ms is None else self.uncertainty_ms / 1000
        meter = (protocol, key.meter_id, key.simulated, self.meter.endpoint_type, self.meter.commodity)
        register = (self.consumption, self.tamper_phy, self.tamper_enc, "suspect" if self.suspect else "")
        return (format_time(self.time), uncertainty_s, self.source, *meter, *register)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "--from", dest="from_time", metavar="TIME", help="first time (RFC 3339); default: the beginning"
    )
    parser.add_argument(
        "--to", dest="to_time", metavar="TIME", help="time before which to end (RFC 3339; default: all)"
    )
    parser.add_argument("--meter", metavar="ID", help="only the meters of this number")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="default csv")
    parser.add_argument("--output", type=Path, metavar="FILE", help="file to write; default standard output")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")


def run(arguments: argparse.Namespace) -> int:
    """Export; returns the exit code. Raises UsageError, StoreError, StoreTooNew, ConfigError."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    span = Span(_instant("--from", arguments.from_time), _instant("--to", arguments.to_time))
    if span.from_ms is not None and span.to_ms is not None and span.from_ms >= span.to_ms:
        raise UsageError("--from is not before --to", "Give the earlier time with --from.")
    meter_id = _number(arguments.meter)
    directory = config.load(arguments.config).store.directory
    progress = Progress(sys.stderr, 1)
    written = left_out = 0
    with opened(directory) as history, contextlib.closing(Reader(history)) as reader:
        meters = reader.meters(meter_id)
        if meter_id is not None and not meters:
            raise UsageError(f"meter {meter_id} was never heard", "Export without --meter to see which were.")
        try:
            with _target(arguments.output) as target:
                write = _writer(arguments.format, target)
                for number, meter in enumerate(meters):
                    progress(number, len(meters))
                    for reading in reader.readings(meter, span):
                        if write(reading):
                            written += 1
                        else:
                            left_out += 1
                target.flush()
        except BrokenPipeError:
            raise
        except OSError as fault:
            if arguments.output is None:
                raise StoreError(f"cannot write the output: {fault.strerror}") from None
            hint = "Name a file in a folder that exists, that you may write to and that has room."
            raise StoreError(f"{arguments.output}: cannot be written: {fault.strerror}", hint) from None
        finally:
            progress.end()
    if left_out:
        sys.stderr.write(f"{left_out} readings have no form in {arguments.format}: simulated, or of another protocol\n")
    if arguments.output:
        sys.stderr.write(f"{arguments.output}: {written} readings\n")
    return 0


class Reader:
    """Reads the history meter by meter, without holding up the writer: its databases are only asked in between."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._segments: dict[int, sqlite3.Connection] = {}

    def meters(self, meter_id: int | None) -> list[MeterRow]:
        """The meters, or those of one number; by number and protocol."""
        with self._history.view() as view:
            rows = [row for row in catalogue.meters(view.catalogue) if meter_id in (None, row.key.meter_id)]
        return sorted(rows, key=lambda row: (row.key.meter_id, row.key.protocol, row.key.simulated))

    def readings(self, meter: MeterRow, span: Span) -> Iterator[Exported]:
        """The readings of a meter in the order of their times. Raises sqlite3.Error."""
        timeline, live, sources = self._look(meter.number)
        low = 1 << BOOT_SHIFT if span.from_ms is None else timeline.stamp_at(span.from_ms)
        high = 2**63 - 1 if span.to_ms is None else timeline.stamp_at(span.to_ms)
        calendar = (span.from_ms or 0, 1 << BOOT_SHIFT if span.to_ms is None else min(span.to_ms, 1 << BOOT_SHIFT))
        past: list[Iterator[Row]] = []
        sealed: list[Iterator[Row]] = [iter([row for row in live if low <= row[0] < high])]
        for row, connection in sources:
            if row.from_at < 1 << BOOT_SHIFT:
                past.append(connection.execute(_SEALED, (meter.number, *calendar, CARRIED)))
            else:
                sealed.append(connection.execute(_SEALED, (meter.number, low, high, CARRIED)))
        lanes = [_exported(meter, timeline, heapq.merge(*rows, key=itemgetter(0))) for rows in (past, sealed)]
        return heapq.merge(*lanes, key=attrgetter("time"))

    def _look(self, number: int) -> tuple[Timeline, list[Row], list[tuple[SegmentRow, sqlite3.Connection]]]:
        """The live readings of a meter, and every segment, opened: it may then be joined or dropped."""
        for _ in range(_TRIES):
            with self._history.view() as view:
                # The live database is at one moment now: what is sealed meanwhile is in both, never in none.
                listed = catalogue.segments(view.catalogue)
                live_to = max((row.live_to for row in listed if row.from_at >= 1 << BOOT_SHIFT), default=0)
                live = view.live.execute(_LIVE, (number, live_to)).fetchall()
            try:
                sources = [(row, self._open(row.number)) for row in listed]
            except sqlite3.OperationalError:
                continue
            return view.timeline, live, sources
        hint = "Start the appliance, which finds out what is left of it."
        raise StoreError("a segment of the history is missing", hint)

    def _open(self, number: int) -> sqlite3.Connection:
        if (connection := self._segments.get(number)) is None:
            connection = read_only(segment_path(self._history.directory, number), immutable=True)
            connection.execute("PRAGMA cache_size = -64")
            self._segments[number] = connection
        return connection

    def close(self) -> None:
        """Let go of the segments."""
        for connection in self._segments.values():
            connection.close()
        self._segments.clear()


def _exported(meter: MeterRow, timeline: Timeline, rows: Iterable[Row]) -> Iterator[Exported]:
    for at, consumption, tamper_phy, tamper_enc, flags in rows:
        moment = timeline.moment(at)
        time = EPOCH + timedelta(milliseconds=moment.utc_ms)
        register = (consumption, tamper_phy, tamper_enc, bool(flags & SUSPECT))
        yield Exported(meter, time, moment.uncertainty_ms, moment.source, *register)


@contextlib.contextmanager
def _target(output: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that is named only when it is whole."""
    if output is None:
        yield sys.stdout
        return
    if output.is_symlink() or output.exists():
        raise UsageError(f"{output} is there already", "Choose another name, or move that file away.")
    part = output.with_name(output.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as target:
            yield target
        part.rename(output)
    finally:
        part.unlink(missing_ok=True)


def _writer(form: str, target: TextIO) -> Callable[[Exported], bool]:
    """What writes a reading in a format, and returns False where that has no form for it."""
    table = csv.writer(target, lineterminator="\n")

    def as_csv(reading: Exported) -> bool:
        table.writerow([str(value).lower() if isinstance(value, bool) else value for value in reading.fields()])
        return True

    def as_json(reading: Exported) -> bool:
        target.write(json.dumps(dict(zip(FIELDS, reading.fields(), strict=True))) + "\n")
        return True

    def as_rtlamr(reading: Exported) -> bool:
        key, phy, enc = reading.meter.key, reading.tamper_phy, reading.tamper_enc
        # Its lines cannot say that a meter is none.
        if key.simulated or key.protocol != "scm" or phy is None or enc is None:
            return False
        line = to_rtlamr(reading.time, key.meter_id, reading.meter.endpoint_type, phy, enc, reading.consumption)
        target.write(line + "\n")
        return True

    if form == "csv":
        table.writerow(FIELDS)
    return {"csv": as_csv, "json": as_json, "rtlamr": as_rtlamr}[form]


def _instant(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return (parse_time(text) - EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        example = "Write it like 2026-01-31T18:30:00Z or 2026-01-31T15:30:00-03:00."
        raise UsageError(f"{option} {text!r:.60} is no time", example) from None


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise UsageError(f"--meter {text!r:.60} is no number of a meter", "Give the number that is on the meter.")
    return int(text)
