"""Takes over `readings.db`, in which the first version of the program kept everything.

What it holds becomes an import of the calendar (`adopt.py`): its times are plain UTC. The import file is on the card
before the old database goes; cut short in between, both are done again and nothing is there twice. Of a damaged one
what can be read is taken, and the file is set aside.
"""

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from appliance.durable import PART
from appliance.store import files
from appliance.store.repair import pages
from appliance.store.repair.pages import Value
from appliance.store.repair.soundness import DAMAGE_TOLD, is_damage
from appliance.store.schema import FIRST, HANDOVER, migrate, read_only
from appliance.timeline import MS_LIMIT

log = logging.getLogger(__name__)

IMPORT = "import-format1.db"
_OLD_PAGE_BYTES = 4096
# Old columns of each table, in their order.
_COLUMNS = {
    "meter": "key, protocol, meter_id, simulated, endpoint_type, commodity, first_heard_ms, quarter_s, "
    "tamper_changed_ms",
    "reading": "key, meter, time_ms, consumption, tamper_phy, tamper_enc",
    "reception": "start_s, meter, count, corrected, levels, snr_sum_cdb, snr_best_cdb, frequency_min_hz, "
    "frequency_max_hz, last_ms",
}
_GATHERED = "CREATE TABLE temp.{0} ({1}, PRIMARY KEY ({2})) WITHOUT ROWID"
_KEYS = {"meter": "key", "reading": "key", "reception": "start_s, meter"}

_FILL = f"""
INSERT INTO main.meter
SELECT key, protocol, meter_id, simulated, commodity, endpoint_type, first_heard_ms FROM temp.meter
WHERE key IN (SELECT meter FROM temp.reading);
INSERT OR REPLACE INTO main.reading
SELECT meter, time_ms, consumption, tamper_phy, tamper_enc, 0 FROM temp.reading
WHERE time_ms BETWEEN 0 AND {MS_LIMIT - 1} AND meter IN (SELECT number FROM main.meter) ORDER BY meter, time_ms, key;
INSERT INTO main.reception
SELECT meter, start_s * 1000, count, corrected, levels, snr_sum_cdb, snr_best_cdb, frequency_min_hz, frequency_max_hz,
       last_ms
FROM temp.reception
WHERE start_s BETWEEN 0 AND {MS_LIMIT // 1000 - 1} AND last_ms BETWEEN 0 AND {MS_LIMIT - 1}
    AND meter IN (SELECT number FROM main.meter) ORDER BY meter, start_s;
"""
_CHANGES = """
SELECT * FROM (
    SELECT meter, at, lag(tamper_phy) OVER before AS phy, tamper_phy, lag(tamper_enc) OVER before AS enc, tamper_enc,
           row_number() OVER before AS place
    FROM main.reading WINDOW before AS (PARTITION BY meter ORDER BY at)
) WHERE place > 1 AND (phy IS NOT tamper_phy OR enc IS NOT tamper_enc) ORDER BY at
"""


def convert(directory: Path) -> bool:
    """Make an import of the old database and remove it; False if there is none.

    Raises sqlite3.Error or OSError when the card does not let us.
    """
    old = directory / FIRST
    if not old.exists():
        return False
    made, part = directory / HANDOVER / IMPORT, directory / HANDOVER / (IMPORT + PART)
    made.parent.mkdir(exist_ok=True)
    part.unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as new:
            is_sound, has_readings = _fill(new, old)
        if has_readings:
            files.publish(part, made)
    finally:
        part.unlink(missing_ok=True)
    if not is_sound:
        files.set_aside(directory, old)
        return True
    # The file itself first: SQLite believes a database without its log.
    for path in (old, *(Path(f"{old}{suffix}") for suffix in files.SIDE_FILES)):
        path.unlink(missing_ok=True)
    log.info("store=%s %s taken over", directory, FIRST)
    return True


def _fill(new: sqlite3.Connection, old: Path) -> tuple[bool, bool]:
    """Returns whether the old database was sound, and whether there was anything in it."""
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
        new.execute(f"PRAGMA {pragma}")
    migrate(new, "segment")
    new.execute("BEGIN")
    for table, columns in _COLUMNS.items():
        new.execute(_GATHERED.format(table, columns, _KEYS[table]))
    is_sound = old.is_file() and _ask(new, old)
    if old.is_file() and not is_sound:
        for table, row in _search(old):
            _keep(new, table, row)
    for statement in _FILL.split(";"):
        new.execute(statement)
    events = [
        (number, at, "tamper", meter, json.dumps({"phy": [phy, now_phy], "enc": [enc, now_enc]}, separators=(",", ":")))
        for number, (meter, at, phy, now_phy, enc, now_enc, _) in enumerate(new.execute(_CHANGES).fetchall(), 1)
    ]
    new.executemany("INSERT INTO main.event VALUES (?, ?, ?, ?, ?)", events)
    for table in _COLUMNS:
        new.execute(f"DROP TABLE temp.{table}")
    new.execute("COMMIT")
    return is_sound, new.execute("SELECT count(*) FROM main.reading").fetchone()[0] > 0


def _ask(new: sqlite3.Connection, old: Path) -> bool:
    """Take all that SQLite can read; returns whether that is everything."""
    is_sound = True
    with contextlib.closing(read_only(old)) as source:
        try:
            is_sound = source.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        except DAMAGE_TOLD as fault:
            if not is_damage(fault):
                raise
            is_sound = False
        for table, columns in _COLUMNS.items():
            for order in ("ASC",) if is_sound else ("ASC", "DESC"):
                try:
                    for row in source.execute(f"SELECT {columns} FROM {table} ORDER BY {_KEYS[table]} {order}"):
                        _keep(new, table, row)
                except DAMAGE_TOLD as fault:
                    if not is_damage(fault):
                        raise
                    is_sound = False
    return is_sound


def _search(old: Path) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """The rows on its pages, where SQLite does not reach them any more."""
    for number, page in enumerate(pages.read(old, _OLD_PAGE_BYTES), 1):
        for row_id, values in pages.rows(page or b"", number):
            if row_id is None and len(values) == 10:
                yield "reception", values
            elif row_id is not None and values[:1] == (None,) and len(values) in (6, 9):
                yield ("reading" if len(values) == 6 else "meter"), (row_id, *values[1:])


_TEXT = {"meter": (1, 5), "reading": (), "reception": ()}


def _keep(new: sqlite3.Connection, table: str, row: tuple[Value, ...]) -> None:
    """Take a row, if it is one; what was taken before stays."""
    places = enumerate(row)
    if all(isinstance(v, str) if n in _TEXT[table] else v is None or isinstance(v, int) for n, v in places):
        with contextlib.suppress(OverflowError):
            new.execute(f"INSERT OR IGNORE INTO temp.{table} VALUES ({', '.join('?' * len(row))})", row)
