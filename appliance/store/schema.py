"""The databases: what is in them, how each is opened, and how an older one becomes today's.

| file                | written                    | holds                                                           |
|---------------------|----------------------------|-----------------------------------------------------------------|
| `catalogue.db`      | by the writer, WAL         | boots, clock, meters, assignments, events, list of segments,    |
|                     |                            | accounts, and what people wrote down                            |
| `history/live.db`   | by the writer, WAL         | what was heard in the last hours, in the order of arrival       |
| `history/000001.db` | once, then never again     | a sealed segment: sorted by meter and time, sufficient by itself |
| `readings.db`       | by the first version       | all that it kept (`transfer/format1.py`)                         |

The live database has no index by meter on purpose: with one, each of the meters of a minute would have a page of
its own to be written, which is some ten times the bytes (measured: `docs/store.md`). Page size and `synchronous`
were chosen by the same measurement.

Migrations are numbered: `MIGRATIONS[kind][n]` takes a database of version n to n + 1, each in one transaction. Each
changes the text of a table: by that a later version, which is refused, is told from a number that a card made up.
"""

import contextlib
import errno
import sqlite3
from functools import cache
from pathlib import Path
from typing import Literal

from appliance.errors import StoreTooNew

Kind = Literal["catalogue", "live", "segment", "first"]

CATALOGUE = "catalogue.db"
COPY = "catalogue.copy.db"
HISTORY = "history"
LIVE = "history/live.db"
FIRST = "readings.db"
DAMAGED = "damaged"
HANDOVER = "handover"
# What the radio has recorded for a person, who deletes it.
CAPTURES = "captures"

BUSY_TIMEOUT_S = 5.0
# A page of the live database is written several times before it is full: small pages cost the card less.
LIVE_PAGE_BYTES = 1024
SEGMENT_PAGE_BYTES = 4096
# Frames of the logs before they are carried over into the databases, about 1 MB each.
LIVE_CHECKPOINT_PAGES = 1000
CATALOGUE_CHECKPOINT_PAGES = 256

_CLOCK_TABLES = """
CREATE TABLE boot (
    number INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL,
    last_ms INTEGER NOT NULL,
    system_offset_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE fix (
    boot INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    source TEXT NOT NULL,
    utc_ms INTEGER NOT NULL,
    uncertainty_ms INTEGER NOT NULL,
    PRIMARY KEY (boot, ms, source)
) STRICT, WITHOUT ROWID;
"""

_CATALOGUE = (
    _CLOCK_TABLES
    + """
CREATE TABLE meter (
    number INTEGER PRIMARY KEY,
    protocol TEXT NOT NULL,
    meter_id INTEGER NOT NULL,
    simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    commodity TEXT NOT NULL,
    endpoint_type INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    consumption INTEGER NOT NULL,
    tamper_phy INTEGER,
    tamper_enc INTEGER,
    changed_at INTEGER,
    tamper_changed_at INTEGER,
    snr_cdb INTEGER,
    UNIQUE (meter_id, protocol, simulated)
) STRICT;
CREATE TABLE event (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    meter INTEGER REFERENCES meter,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_time ON event (at);
CREATE INDEX event_by_meter ON event (meter, kind, at) WHERE meter IS NOT NULL;
CREATE INDEX event_by_kind ON event (kind, at);
CREATE TABLE segment (
    number INTEGER PRIMARY KEY,
    rank INTEGER NOT NULL,
    from_at INTEGER NOT NULL,
    to_at INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    receptions INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    live_to INTEGER NOT NULL
) STRICT;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
)

_CATALOGUE_2 = """
CREATE TABLE assigned (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    made_utc_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE assignment (
    meter_id INTEGER NOT NULL,
    protocol TEXT NOT NULL,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    multiplier TEXT NOT NULL,
    PRIMARY KEY (meter_id, protocol)
) STRICT, WITHOUT ROWID;
"""

# Notes and comparisons name their meter in full, since one that is assigned may never have been heard.
_CATALOGUE_3 = """
CREATE TABLE account (
    name TEXT PRIMARY KEY,
    kept TEXT NOT NULL,
    role TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
    token_sha256 TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE note (
    number INTEGER PRIMARY KEY,
    meter_id INTEGER NOT NULL,
    protocol TEXT NOT NULL,
    simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX note_by_meter ON note (meter_id, protocol, simulated);
CREATE TABLE dial (
    number INTEGER PRIMARY KEY,
    meter_id INTEGER NOT NULL,
    protocol TEXT NOT NULL,
    simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    shown TEXT NOT NULL,
    register INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    multiplier TEXT NOT NULL,
    assigned TEXT NOT NULL
) STRICT;
CREATE INDEX dial_by_meter ON dial (meter_id, protocol, simulated);
"""

_READING = """
    meter INTEGER NOT NULL,
    at INTEGER NOT NULL,
    consumption INTEGER NOT NULL,
    tamper_phy INTEGER,
    tamper_enc INTEGER,
    flags INTEGER NOT NULL
"""
_RECEPTION = """
    meter INTEGER NOT NULL,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    corrected INTEGER NOT NULL,
    levels INTEGER NOT NULL,
    snr_sum_cdb INTEGER NOT NULL,
    snr_best_cdb INTEGER,
    frequency_min_hz INTEGER,
    frequency_max_hz INTEGER,
    last INTEGER NOT NULL
"""
_METER = """
    number INTEGER PRIMARY KEY,
    protocol TEXT NOT NULL,
    meter_id INTEGER NOT NULL,
    simulated INTEGER NOT NULL,
    commodity TEXT NOT NULL,
    endpoint_type INTEGER NOT NULL,
    first_at INTEGER NOT NULL
"""
_COVERAGE = "at INTEGER NOT NULL, meters INTEGER NOT NULL, messages INTEGER NOT NULL"
_EVENT = """
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    meter INTEGER,
    detail TEXT NOT NULL
"""

# What the catalogue learnt since the last segment was sealed stands here too, should the catalogue be lost.
_LIVE = f"""
{_CLOCK_TABLES}
CREATE TABLE meter ({_METER}) STRICT;
CREATE TABLE reading (id INTEGER PRIMARY KEY, {_READING}) STRICT;
CREATE TABLE reception (id INTEGER PRIMARY KEY, {_RECEPTION}) STRICT;
CREATE TABLE coverage (id INTEGER PRIMARY KEY, {_COVERAGE}) STRICT;
CREATE TABLE event (id INTEGER NOT NULL, {_EVENT}) STRICT;
CREATE TABLE running (one INTEGER PRIMARY KEY CHECK (one = 1), receptions BLOB NOT NULL) STRICT;
"""

_SEGMENT = (
    _CLOCK_TABLES
    + f"""
CREATE TABLE meter ({_METER}) STRICT;
CREATE TABLE event ({_EVENT}) STRICT;
CREATE TABLE coverage ({_COVERAGE}, PRIMARY KEY (at)) STRICT, WITHOUT ROWID;
CREATE TABLE reading ({_READING}, PRIMARY KEY (meter, at)) STRICT, WITHOUT ROWID;
CREATE TABLE reception ({_RECEPTION}, PRIMARY KEY (meter, at)) STRICT, WITHOUT ROWID;
CREATE TABLE about (
    number INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    from_at INTEGER NOT NULL,
    to_at INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    receptions INTEGER NOT NULL,
    live_to INTEGER NOT NULL,
    replaces TEXT NOT NULL
) STRICT;
"""
)

# No more is written to it, and nothing is made of it by migration.
_FIRST = """
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

MIGRATIONS: dict[Kind, tuple[str, ...]] = {
    "catalogue": (_CATALOGUE, _CATALOGUE_2, _CATALOGUE_3),
    "live": (_LIVE,),
    "segment": (_SEGMENT,),
    "first": (_FIRST,),
}


def migrate(connection: sqlite3.Connection, kind: Kind) -> None:
    """Bring a database to today's version, one transaction a step; a new one begins at version 0."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, script in enumerate(MIGRATIONS[kind][version:], version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def check_version(connection: sqlite3.Connection, kind: Kind, path: Path) -> None:
    """Raises StoreTooNew when a later version of the program wrote it, sqlite3.DatabaseError when none did."""
    version, known = connection.execute("PRAGMA user_version").fetchone()[0], len(MIGRATIONS[kind])
    # A later version has other tables; a number alone that is not ours is one that a damaged card made up.
    if version > known and _tables(connection) != _tables_of(kind):
        raise StoreTooNew(f"{path} has the format {version} of a later version; this one knows up to {known}")
    if not 1 <= version <= known:
        raise sqlite3.DatabaseError(f"{path.name} is damaged: format {version}")


def is_as_made(connection: sqlite3.Connection, kind: Kind) -> bool:
    """Whether there are the tables and indexes of its version, and nothing else such as triggers."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return frozenset(connection.execute(_OBJECTS)) == _objects_of(kind, version)


_OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_schema"


@cache
def _objects_of(kind: Kind, version: int) -> frozenset[tuple[str, str, str, str | None]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in MIGRATIONS[kind][:version]:
            connection.executescript(script)
        return frozenset(connection.execute(_OBJECTS))


def _tables(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    """Names and definitions of what is in a database; what SQLite makes by itself has none."""
    return frozenset(connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


@cache
def _tables_of(kind: Kind) -> frozenset[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, kind)
        return _tables(connection)


def read_only(path: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """A connection that cannot write; `immutable` for sealed segments, which need no locks."""
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def segment_path(directory: Path, number: int) -> Path:
    """Where the sealed segment of that number lies."""
    return directory / HISTORY / f"{number:06d}.db"


def sums_path(segment: Path) -> Path:
    """Where the checksums of the pages of a segment lie."""
    return segment.with_suffix(".sums")


def in_words(fault: sqlite3.Error | OSError) -> str:
    """What went wrong, from a small set of phrases that the page can translate, else SQLite's own text."""
    if isinstance(fault, OSError):
        return _ERRNO_WORDS.get(fault.errno or 0, fault.strerror or str(fault))
    name = getattr(fault, "sqlite_errorname", "")
    for start, words in _WORDS.items():
        if name.startswith(start):
            return words
    return str(fault)


_WORDS = {
    "SQLITE_FULL": "the card is full",
    "SQLITE_READONLY": "the card is read-only",
    "SQLITE_IOERR_SHMSIZE": "the card is full",
    "SQLITE_IOERR": "the card reports errors",
    "SQLITE_CANTOPEN": "the database cannot be opened",
    "SQLITE_PERM": "the database cannot be opened",
    "SQLITE_CORRUPT": "the database is damaged",
    "SQLITE_NOTADB": "the database is damaged",
    "SQLITE_BUSY": "another program holds the database",
}
_ERRNO_WORDS = {
    errno.ENOSPC: "the card is full",
    errno.EDQUOT: "the card is full",
    errno.EROFS: "the card is read-only",
    errno.EIO: "the card reports errors",
}
PHRASES = tuple(dict.fromkeys(_WORDS.values()))
