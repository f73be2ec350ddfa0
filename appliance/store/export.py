"""`appliance export`: the readings that are kept, raw, ordered by meter and time, to standard output or a file.

    csv, json   a row or an object a line for each reading: the meter, the register and tamper counters as received,
                what the store thinks of it (`flags`), and the time in UTC with its uncertainty and its source
    rtlamr      the lines of `rtlamr -format=json`, which `appliance import` reads back

The calendar's segments, the sealed and the live readings of a meter are each in order already; they are merged as they
are read, so that memory does not grow with the history. Every field is a number or one of a few known words: nothing
that came from the air can be a formula to a spreadsheet.
"""

import argparse
import contextlib
import csv
import heapq
import io
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TextIO

from appliance import config
from appliance.errors import InputError, StoreError, UsageError
from appliance.model import format_time, parse_time
from appliance.progress import Progress
from appliance.rtlamr import to_rtlamr
from appliance.store import catalogue
from appliance.store.history import History, View, opened
from appliance.store.rows import CARRIED, SUSPECT, MeterRow
from appliance.store.schema import in_words

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
_COLUMNS = "at, consumption, tamper_phy, tamper_enc, flags"


class Selection(NamedTuple):
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
        uncertainty_s = None if self.uncertainty_ms is None else self.uncertainty_ms / 1000
        meter = (key.protocol, key.meter_id, key.simulated, self.meter.endpoint_type, self.meter.commodity)
        register = (self.consumption, self.tamper_phy, self.tamper_enc, "suspect" if self.suspect else "")
        return (format_time(self.time), uncertainty_s, self.source, *meter, *register)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--from", dest="from_time", metavar="TIME", help="first time (RFC 3339); default: the beginning")
    parser.add_argument("--to", dest="to_time", metavar="TIME", help="time at which to end, exclusive; default: now")
    parser.add_argument("--meter", metavar="ID", help="only the meters of this number")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="default csv")
    parser.add_argument("--output", type=Path, metavar="FILE", help="file to write; default standard output")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")


def run(arguments: argparse.Namespace) -> int:
    """Export; returns the exit code. Raises UsageError, InputError, StoreError, StoreTooNew, ConfigError."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = Selection(_instant("--from", arguments.from_time), _instant("--to", arguments.to_time))
    if chosen.from_ms is not None and chosen.to_ms is not None and chosen.from_ms >= chosen.to_ms:
        raise UsageError("--from is not before --to", "Give the earlier time with --from.")
    meter_id = _number(arguments.meter)
    directory = config.load(arguments.config).store.directory
    progress = Progress(sys.stderr, 1)
    with opened(directory) as history, contextlib.ExitStack() as stack:
        try:
            with history.view() as view:
                meters = _meters(view, meter_id)
                target = stack.enter_context(_target(arguments.output))
                written, left_out = _export(view, meters, chosen, _writer(arguments.format, target), progress)
        except sqlite3.Error as fault:
            raise StoreError(f"{directory}: {in_words(fault)}") from fault
        finally:
            progress.end()
    if left_out:
        sys.stderr.write(f"{left_out} readings have no form in {arguments.format}: simulated, or of another protocol\n")
    if arguments.output:
        sys.stderr.write(f"{arguments.output}: {written} readings\n")
    return 0


def readings(view: View, meter: MeterRow, chosen: Selection) -> Iterator[Exported]:
    """The readings of a meter in the order of their stamps. Raises sqlite3.Error."""
    low, high = _stamps(view, chosen)
    past = _between(chosen.from_ms or 0, 2**42 if chosen.to_ms is None else chosen.to_ms)
    rows: list[Iterator[tuple[int, ...]]] = []
    for segments, (from_at, to_at) in ((view.past, past), (view.sealed, (low, high))):
        for row in segments:
            if row.from_at < to_at and row.to_at >= from_at:
                rows.append(_sealed(view, row.number, meter.number, from_at, to_at))
    query = f"SELECT {_COLUMNS} FROM reading WHERE meter = ? AND id > ? AND at >= ? AND at < ? ORDER BY at"  # noqa: S608
    live = view.live.execute(query, (meter.number, view.live_to, low, high))
    for at, consumption, tamper_phy, tamper_enc, flags in heapq.merge(*rows, live):
        moment = view.timeline.moment(at)
        time = EPOCH + timedelta(milliseconds=moment.utc_ms)
        suspect = bool(flags & SUSPECT)
        yield Exported(
            meter, time, moment.uncertainty_ms, moment.source, consumption, tamper_phy, tamper_enc, suspect
        )
