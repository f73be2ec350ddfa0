"""Whether a database can be worked with: what SQLite itself notices, and what it does not.

SQLite looks at the structure of its pages. Bits that flip within a row are noticed only where they make something
that was never written there; of sealed segments each page has its checksum besides (`segments.py`).
"""

import contextlib
import errno
import sqlite3
from pathlib import Path

from appliance.durable import PART, sync
from appliance.fixes import SOURCES
from appliance.store import assigned, catalogue, people
from appliance.store.schema import (
    BUSY_TIMEOUT_S,
    CATALOGUE,
    COPY,
    HISTORY,
    LIVE,
    MIGRATIONS,
    Kind,
    check_version,
    read_only,
)

# Faults of the card, of memory or of other programs; all others are about what is in the file.
_NO_DAMAGE = ("FULL", "READONLY", "IOERR", "CANTOPEN", "PERM", "BUSY", "LOCKED", "NOMEM", "INTERRUPT", "AUTH")
# SQLite's words about damage may hold a damaged name, which then is no text.
DAMAGE_TOLD = (sqlite3.Error, UnicodeDecodeError)
_MAGIC = b"SQLite format 3\0"
# Where the header says which version of the file format is needed to write and to read it, and the user's version.
_FORMATS, _USER_VERSION = slice(18, 20), slice(60, 64)


def sound(path: Path, kind: Kind) -> bool:
    """Whether a database is in order. Raises StoreTooNew; sqlite3.Error for faults that are no damage."""
    if not _looks_sound(path):
        return False
    try:
        if path.with_name(path.name + "-journal").exists():
            # A change of its form that the power cut short: undone by whoever opens it, if that one may write.
            with contextlib.closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        with contextlib.closing(read_only(path)) as connection:
            check_version(connection, kind, path)
            check = "integrity_check" if kind == "catalogue" else "quick_check"
            if connection.execute(f"PRAGMA {check}(1)").fetchone()[0] != "ok":
                return False
            if kind == "catalogue":
                _read_all(connection)
            return True
    except DAMAGE_TOLD as fault:
        if is_damage(fault) or _is_unreadable(path):
            return False
        raise


def _is_unreadable(path: Path) -> bool:
    """Whether there is a place in the file that the card does not give back, while it still takes what is written."""
    with path.open("rb", buffering=0) as file:
        try:
            while file.read(1 << 20):
                pass
        except OSError as fault:
            if fault.errno != errno.EIO:
                raise
        else:
            return False
    probe = path.with_name(path.name + PART)
    try:
        probe.write_bytes(bytes(4096))
        sync(probe)
    finally:
        probe.unlink(missing_ok=True)
    return True


def is_damage(fault: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Whether SQLite complains of the content of a file, not of the card or of a lock."""
    return not getattr(fault, "sqlite_errorname", "").removeprefix("SQLITE_").startswith(_NO_DAMAGE)


def refuse_later(directory: Path) -> None:
    """Raises StoreTooNew when a later version wrote any of the databases; touches nothing."""
    kinds: list[tuple[Path, Kind]] = [(directory / CATALOGUE, "catalogue"), (directory / COPY, "catalogue")]
    kinds += [(directory / LIVE, "live")]
    kinds += [(path, "segment") for path in sorted((directory / HISTORY).glob("[0-9]*.db"))]
    for path, kind in kinds:
        if not _looks_sound(path):
            continue
        with path.open("rb") as file:
            version = int.from_bytes(file.read(64)[_USER_VERSION])
        # Only what claims to be later is opened: opening one that is logged ahead makes files beside it.
        if version > len(MIGRATIONS[kind]):
            try:
                with contextlib.closing(read_only(path, immutable=True)) as connection:
                    check_version(connection, kind, path)
            except DAMAGE_TOLD:
                continue


def _looks_sound(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.read(64)
    return header.startswith(_MAGIC) and header[_FORMATS] in (b"\1\1", b"\2\2")


def _read_all(connection: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError when something was never written so."""
    catalogue.meters(connection)
    catalogue.segments(connection)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > 1:
        assigned.read(connection)
    if version > 2:
        people.read(connection)
    _, fixes = catalogue.clocks(connection)
    strange = connection.execute("SELECT count(*) FROM event WHERE NOT json_valid(detail)").fetchone()[0]
    if strange or any(fix.source not in SOURCES for fix in fixes):
        raise sqlite3.DatabaseError("the database is damaged")
