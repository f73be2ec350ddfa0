"""What a log says, brought into the form of a sealed segment for the store to adopt (`adopt.py`).

All messages go into a table first, in the order of their times: a log whose clock was set back in between is in none.
Then they pass through a ledger of their own, by the same rules as if they had just been heard: readings on change,
receptions by the quarter of an hour, events. Stamps are of the calendar: the log's times are taken as they are.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from appliance.durable import PART, sync
from appliance.errors import StoreError
from appliance.model import Message, commodity_of
from appliance.store import catalogue, live
from appliance.store.ledger import Batch, Ledger
from appliance.store.rows import QUARTER_MS, MeterKey
from appliance.store.schema import HANDOVER, in_words, migrate

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# An import is no reason to fill the card under the running appliance.
RESERVE_BYTES = 64 << 20
_LOOK_EVERY = 10_000

_HEARD = """
CREATE TABLE heard (
    at INTEGER, line INTEGER, meter_id INTEGER, endpoint_type INTEGER, consumption INTEGER, tamper_phy INTEGER,
    tamper_enc INTEGER, PRIMARY KEY (at, line)
) WITHOUT ROWID
"""
_METER = """
INSERT INTO meter VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET commodity = excluded.commodity, endpoint_type = excluded.endpoint_type
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What an import file holds."""

    path: Path
    messages: int
    readings: int
    meters: int


def write(directory: Path, heard: Iterable[Message]) -> Written | None:
    """Make `handover/import-….db` of messages in any order; None if there are none. Raises StoreError."""
    folder = directory / HANDOVER
    name = f"import-{os.urandom(8).hex()}.db"
    part, scratch = folder / f"{name}{PART}", folder / f"{name}.heard{PART}"
    try:
        folder.mkdir(exist_ok=True)
        try:
            with contextlib.closing(_open(scratch)) as sorting, contextlib.closing(_open(part)) as made:
                sorting.execute(_HEARD)
                count = _gather(sorting, heard, folder)
                if not count:
                    return None
                migrate(made, "segment")
                made.execute("BEGIN")
                meters = _fill(made, _in_order(sorting))
                readings = made.execute("SELECT count(*) FROM reading").fetchone()[0]
                made.execute("COMMIT")
            _hand_over(part, folder / name, directory)
        finally:
            for path in (part, scratch):
                path.unlink(missing_ok=True)
    except (sqlite3.Error, OSError) as fault:
        raise StoreError(f"{folder}: {in_words(fault)}") from None
    return Written(folder / name, count, readings, meters)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -8000"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _gather(sorting: sqlite3.Connection, heard: Iterable[Message], folder: Path) -> int:
    rows: list[tuple[int | None, ...]] = []
    count = 0
    sorting.execute("BEGIN")
    for count, m in enumerate(heard, 1):
        at = (m.time - EPOCH) // timedelta(milliseconds=1)
        rows.append((at, count, m.meter_id, m.endpoint_type, m.consumption, m.tamper_phy, m.tamper_enc))
        if len(rows) == _LOOK_EVERY:
            _insert(sorting, rows, folder)
    _insert(sorting, rows, folder)
    sorting.execute("COMMIT")
    return count


def _insert(sorting: sqlite3.Connection, rows: list[tuple[int | None, ...]], folder: Path) -> None:
    if (free := shutil.disk_usage(folder).free) < RESERVE_BYTES:
        hint = "Make room on the card; or import it where a backup of the appliance was restored, and bring that back."
        words = f"an import leaves {RESERVE_BYTES / 1e6:.0f} MB free on the card, and {free / 1e6:.0f} MB are free"
        raise StoreError(words, hint)
    sorting.executemany("INSERT INTO heard VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    rows.clear()


def _in_order(sorting: sqlite3.Connection) -> Iterator[tuple[int, Message]]:
    for at, line, meter_id, endpoint_type, consumption, tamper_phy, tamper_enc in sorting.execute(
        "SELECT * FROM heard"
    ):
        yield (
            at,
            Message(
                time=EPOCH + timedelta(milliseconds=at),
                protocol="scm",
                meter_id=meter_id,
                endpoint_type=endpoint_type,
                commodity=commodity_of(endpoint_type),
                tamper_phy=tamper_phy,
                tamper_enc=tamper_enc,
                consumption=consumption,
                checksum=0,
                frequency_hz=None,
                snr_db=None,
                corrected_bits=0,
                sample=line,
            ),
        )


def _fill(made: sqlite3.Connection, heard: Iterable[tuple[int, Message]]) -> int:
    ledger = Ledger(lambda at: at)
    numbers: dict[MeterKey, int] = {}
    quarter = at = 0
    events = 0
    for at, message in heard:
        if at // QUARTER_MS != quarter:
            quarter = at // QUARTER_MS
            events = _write(made, ledger.take(at), numbers, events)
        ledger.hear(message, False, at)
    _write(made, ledger.take(at + QUARTER_MS), numbers, events)
    return len(numbers)


def _write(made: sqlite3.Connection, batch: Batch, numbers: dict[MeterKey, int], events: int) -> int:
    """Write what is due; returns the number of the last event."""
    for key, meter in batch.meters.items():
        number = numbers.setdefault(key, len(numbers) + 1)
        made.execute(_METER, (number, *key, meter.commodity, meter.endpoint_type, meter.first_at))
    # Of more meters in a quarter than the ledger holds the first are not in the batch.
    readings = [(numbers[r.meter], *r[1:]) for r in batch.readings if r.meter in numbers]
    made.executemany("INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, ?, ?)", readings)
    known = [r for r in batch.receptions.values() if r.meter in numbers]
    receptions = [live.reception_values(numbers[r.meter], r) for r in known]
    made.executemany("INSERT OR IGNORE INTO reception VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", receptions)
    numbered = [event._replace(number=events + n) for n, event in enumerate(batch.events, 1)]
    values = [catalogue.event_values(event, numbers) for event in numbered]
    made.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", values)
    return events + len(numbered)


def _hand_over(part: Path, path: Path, directory: Path) -> None:
    if os.geteuid() == 0:
        # Root may import for the user that runs the appliance.
        owner = directory.stat()
        for made in (part.parent, part):
            os.chown(made, owner.st_uid, owner.st_gid)
    sync(part)
    part.rename(path)
    sync(path.parent)
