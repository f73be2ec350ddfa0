"""The database file: its schema, and how it is opened for the one writer and for readers.

| table     | a row is                                                                                        |
|-----------|-------------------------------------------------------------------------------------------------|
| meter     | a meter that was heard; `quarter_s` is the quarter of an hour it was last heard in              |
| reading   | a meter's register and tamper fields from `time_ms` on, until its next row                      |
| reception | how a meter was heard within the quarter of an hour that begins at `start_s`                    |

Times are UTC, Unix seconds (`_s`) or milliseconds (`_ms`). A simulated meter is another meter than a real one
with the same number, so what belongs to it is marked through it. `reception` is clustered by time because all
meters of a quarter are written together: a page of the file a minute instead of one for each meter.
"""

import sqlite3
from pathlib import Path

import aiosqlite

from appliance.errors import StoreTooNew

FILE_NAME = "readings.db"
VERSION = 1
BUSY_TIMEOUT_S = 5.0

SCHEMA = """
CREATE TABLE meter (
    key INTEGER PRIMARY KEY,
    protocol TEXT NOT NULL,
    meter_id INTEGER NOT NULL,
    simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    endpoint_type INTEGER NOT NULL,
    commodity TEXT NOT NULL,
    first_heard_ms INTEGER NOT NULL,
    quarter_s INTEGER NOT NULL,
    tamper_changed_ms INTEGER,
    UNIQUE (meter_id, protocol, simulated)
) STRICT;

CREATE TABLE reading (
    key INTEGER PRIMARY KEY,
    meter INTEGER NOT NULL REFERENCES meter,
    time_ms INTEGER NOT NULL,
    consumption INTEGER NOT NULL,
    tamper_phy INTEGER,
    tamper_enc INTEGER
) STRICT;
CREATE INDEX reading_by_meter ON reading (meter, time_ms);

CREATE TABLE reception (
    start_s INTEGER NOT NULL,
    meter INTEGER NOT NULL REFERENCES meter,
    count INTEGER NOT NULL,
    corrected INTEGER NOT NULL,
    levels INTEGER NOT NULL,
    snr_sum_cdb INTEGER NOT NULL,
    snr_best_cdb INTEGER,
    frequency_min_hz INTEGER,
    frequency_max_hz INTEGER,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (start_s, meter)
) STRICT, WITHOUT ROWID;
"""


async def open_writer(directory: Path) -> aiosqlite.Connection:
    """The one connection that writes and checkpoints; the file is made if missing.

    Raises StoreTooNew, and leaves the file as it is, when a later version wrote it; sqlite3.Error when it
    cannot be used.
    """
    path = directory / FILE_NAME
    if path.exists():
        async with open_reader(directory) as reader:
            await _version(reader, path)
    writer = await aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        # FULL: a commit is on the card when it returns; NORMAL would put off that until a checkpoint.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
            await writer.execute(f"PRAGMA {pragma}")
        if await _version(writer, path) < VERSION:
            await writer.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    except (sqlite3.Error, StoreTooNew):
        await writer.close()
        raise
    return writer


def open_reader(directory: Path) -> aiosqlite.Connection:
    """A read-only connection, to be entered with `async with`."""
    uri = f"{(directory / FILE_NAME).absolute().as_uri()}?mode=ro"
    return aiosqlite.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)


async def _version(connection: aiosqlite.Connection, path: Path) -> int:
    async with connection.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    version = int(row[0]) if row else 0
    if version > VERSION:
        raise StoreTooNew(f"{path} has the format {version} of a later version; this one knows up to {VERSION}")
    return version


def in_words(fault: sqlite3.Error) -> str:
    """What went wrong, from a small set of phrases that the page can translate, else SQLite's own text."""
    name = getattr(fault, "sqlite_errorname", "")
    for start, words in _WORDS.items():
        if name.startswith(start):
            return words
    return str(fault)


_WORDS = {
    "SQLITE_FULL": "the card is full",
    "SQLITE_READONLY": "the card is read-only",
    "SQLITE_IOERR": "the card reports errors",
    "SQLITE_CANTOPEN": "the database cannot be opened",
    "SQLITE_PERM": "the database cannot be opened",
    "SQLITE_CORRUPT": "the database is damaged",
    "SQLITE_NOTADB": "the database is damaged",
    "SQLITE_BUSY": "another program holds the database",
}
PHRASES = tuple(dict.fromkeys(_WORDS.values()))
