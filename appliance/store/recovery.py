"""Brings a data directory into order before the writer opens it, whatever happened to it since.

Each step may be cut short by a power cut and is then simply done again. In this order:

1. unfinished files are removed; a verified restore that waits in `handover/` is taken up;
2. the catalogue is checked; one that is damaged is set aside and its last copy takes its place;
3. the live database is checked; of a damaged one all that can be read becomes a segment;
4. segments that the catalogue does not list are entered, those whose file is gone or has the wrong size are looked
   after, and what the catalogue lost is filled in from segments and live database;
5. live rows that a segment already holds are deleted.
"""

import contextlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from appliance.store import catalogue, restore, salvage
from appliance.store.live import TABLES
from appliance.store.rows import EventKind, SegmentRow
from appliance.store.schema import (
    BUSY_TIMEOUT_S,
    CATALOGUE,
    COPY,
    DAMAGED,
    HISTORY,
    LIVE,
    LIVE_PAGE_BYTES,
    Kind,
    check_version,
    migrate,
    read_only,
    segment_path,
    sums_path,
)
from appliance.store.segments import PART, describe, digest, sync
from appliance.timeline import BOOT_SHIFT, CALENDAR, boot_of, ms_of

log = logging.getLogger(__name__)

Finding = tuple[EventKind, dict[str, object]]
SIDE_FILES = ("-wal", "-shm", "-journal")
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def prepare(directory: Path) -> list[Finding]:
    """Do all of the above; returns what should be recorded.

    Raises StoreTooNew, before anything is changed, when a later version wrote the databases; sqlite3.Error or OSError
    when the card does not let us.
    """
    (directory / HISTORY).mkdir(parents=True, exist_ok=True)
    for path in directory.glob(f"**/*{PART}"):
        if "handover" not in path.relative_to(directory).parts:
            path.unlink(missing_ok=True)
    findings: list[Finding] = []
    restore.take_up(directory)
    if note := restore.restored(directory):
        findings.append(("restored", note))
    if not sound(directory / CATALOGUE, "catalogue"):
        findings.append(_restore_catalogue(directory))
    made_anew = not (directory / CATALOGUE).exists()
    live_sound = sound(directory / LIVE, "live")
    with contextlib.closing(create(directory / CATALOGUE, "catalogue")) as writer:
        if live_sound:
            create(directory / LIVE, "live").close()
        _enter_strays(directory, writer)
        findings += _look_after_missing(directory, writer)
        if not live_sound:
            findings.append(_restore_live(directory, writer))
        _fill_in(directory, writer, catalogue.segments(writer) if findings or made_anew else ())
        _extend_boots(directory, writer)
        live_to = max((row.live_to for row in catalogue.segments(writer)), default=0)
    if _has_rows(directory / LIVE, live_to):
        with contextlib.closing(create(directory / LIVE, "live")) as live:
            forget(live, live_to)
    return findings


def sound(path: Path, kind: Kind) -> bool:
    """Whether a database is missing or in order. Raises StoreTooNew; sqlite3.Error for faults that are no damage."""
    if not path.exists():
        return True
    if not path.is_file():
        return False
    try:
        with contextlib.closing(read_only(path)) as connection:
            check_version(connection, kind, path)
            return connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
    except sqlite3.Error as fault:
        if is_damage(fault):
            return False
        raise


def is_damage(fault: sqlite3.Error) -> bool:
    """Whether SQLite complains of the content of a file, not of the card or of a lock."""
    return getattr(fault, "sqlite_errorname", "SQLITE_CORRUPT").startswith(DAMAGE)


def forget(live: sqlite3.Connection, live_to: int) -> None:
    """Delete the rows that a segment holds."""
    live.execute("BEGIN IMMEDIATE")
    for table in TABLES:
        live.execute(f"DELETE FROM {table} WHERE id <= ?", (live_to,))
    live.execute("COMMIT")


def set_aside(directory: Path, path: Path) -> Path:
    """Move a file and what belongs to it into `damaged/`; returns where it is now."""
    away = directory / DAMAGED
    away.mkdir(exist_ok=True)
    taken = {p.name for p in away.iterdir()}
    prefix = next(f"{n}-" for n in range(1, 10**9) if not any(name.startswith(f"{n}-") for name in taken))
    # The file itself first: SQLite deletes a log without a database, but believes a database without its log.
    for side in (str(path), str(sums_path(path)), *(f"{path}{suffix}" for suffix in SIDE_FILES)):
        with contextlib.suppress(FileNotFoundError):
            Path(side).rename(away / (prefix + Path(side).name))
    sync(away)
    sync(path.parent)
    log.error("store=%s damaged file=%s set aside as %s%s", directory, path.name, prefix, path.name)
    return away / (prefix + path.name)


def create(path: Path, kind: Kind) -> sqlite3.Connection:
    """Open a database for writing, made or brought to today's version where needed."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        if kind == "live":
            connection.execute(f"PRAGMA page_size = {LIVE_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, kind)
    except BaseException:
        connection.close()
        raise
    return connection


def _restore_catalogue(directory: Path) -> Finding:
    set_aside(directory, directory / CATALOGUE)
    copy = directory / COPY
    if not copy.is_file() or not sound(copy, "catalogue"):
        return "catalogue_restored", {"from": "segments"}
    part = directory / (CATALOGUE + PART)
    shutil.copyfile(copy, part)
    sync(part)
    part.rename(directory / CATALOGUE)
    sync(directory)
    return "catalogue_restored", {"from": "copy"}


def _restore_live(directory: Path, writer: sqlite3.Connection) -> Finding:
    known = catalogue.segments(writer)
    live_to = max((row.live_to for row in known), default=0)
    most_boot = writer.execute("SELECT coalesce(max(number), 0) + 1 FROM boot").fetchone()[0]
    made, saved = salvage.live(directory, next_number(directory, known), live_to, most_boot)
    if made:
        writer.execute(catalogue.SEGMENT, catalogue.segment_values(made))
    # Only now: cut short before this, what is left is found again, and nothing beyond `live_to` is left.
    set_aside(directory, directory / LIVE)
    create(directory / LIVE, "live").close()
    return "live_restored", saved.told()


def next_number(directory: Path, known: Sequence[SegmentRow]) -> int:
    """A number that no segment has or had."""
    found = [int(p.stem) for p in (directory / HISTORY).glob("[0-9]*.db") if p.stem.isdigit()]
    return max([*found, *(row.number for row in known)], default=0) + 1


def _enter_strays(directory: Path, writer: sqlite3.Connection) -> None:
    """Enter segments that were finished but not listed yet, or that a restored catalogue does not know."""
    strays = {int(p.stem): p for p in (directory / HISTORY).glob("[0-9]*.db") if p.stem.isdigit()}
    listed = {row.number for row in catalogue.segments(writer)}
    if not strays.keys() - listed:
        return
    replaced: set[int] = set()
    # Later ones first: a segment says which others it replaces.
    for number in sorted(strays, reverse=True):
        path = strays[number]
        try:
            row, replaces = _described(path)
        except sqlite3.Error as fault:
            if not is_damage(fault):
                raise
            continue
        if number not in listed and number not in replaced:
            writer.execute(catalogue.SEGMENT, catalogue.segment_values(row))
            log.info("store=%s segment=%d entered again", directory, number)
        replaced |= set(replaces)
    for number in replaced:
        writer.execute("DELETE FROM segment WHERE number = ?", (number,))
        remove(directory, number)
    listed = {row.number for row in catalogue.segments(writer)}
    for number in sorted(strays.keys() - listed - replaced):
        # A damaged one that nobody lists: enter what is left of it.
        mend(directory, SegmentRow(number, 0, 0, 0, 0, 0, 0, "", 0), writer)


def _described(path: Path) -> tuple[SegmentRow, list[int]]:
    with contextlib.closing(read_only(path, immutable=True)) as connection:
        check_version(connection, "segment", path)
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError(f"{path.name} is damaged")
        replaces = connection.execute("SELECT value FROM about, json_each(about.replaces)").fetchall()
    return describe(path, digest(path)[0]), [n for (n,) in replaces if isinstance(n, int)]


def _look_after_missing(directory: Path, writer: sqlite3.Connection) -> list[Finding]:
    findings: list[Finding] = []
    for row in catalogue.segments(writer):
        path = segment_path(directory, row.number)
        if path.is_file() and path.stat().st_size == row.bytes:
            continue
        findings.append(mend(directory, row, writer))
    return findings


def mend(directory: Path, row: SegmentRow, writer: sqlite3.Connection) -> Finding:
    """Enter what is left of a damaged segment under a new number, and set it aside."""
    path = segment_path(directory, row.number)
    detail: dict[str, object] = {"segment": row.number, "readings": row.readings}
    made = None
    if path.is_file():
        made, saved = salvage.segment(directory, next_number(directory, catalogue.segments(writer)), row)
        detail |= saved.told()
    else:
        detail["missing"] = True
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM segment WHERE number = ?", (row.number,))
    if made:
        writer.execute(catalogue.SEGMENT, catalogue.segment_values(made))
    writer.execute("COMMIT")
    if path.exists():
        set_aside(directory, path)
    return "segment_damaged", detail


def remove(directory: Path, number: int) -> None:
    """Unlink a segment that is no longer listed."""
    path = segment_path(directory, number)
    path.unlink(missing_ok=True)
    sums_path(path).unlink(missing_ok=True)


def _fill_in(directory: Path, writer: sqlite3.Connection, known: Sequence[SegmentRow]) -> None:
    """Give the catalogue whatever these segments and the live database know and it does not."""
    began_s = time.monotonic()
    sources = [(segment_path(directory, row.number), True) for row in reversed(known)]
    writer.execute("BEGIN IMMEDIATE")
    for path, immutable in [(directory / LIVE, False), *sources]:
        with contextlib.closing(read_only(path, immutable=immutable)) as source:
            for table, columns in (("boot", "*"), ("fix", "*"), ("event", "number, at, kind, meter, detail")):
                if not (rows := source.execute(f"SELECT {columns} FROM {table}").fetchall()):
                    continue
                marks = ", ".join("?" * len(rows[0]))
                writer.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)
            writer.executemany(_METER, source.execute(_LAST_KNOWN).fetchall())
    writer.execute("COMMIT")
    log.info(
        "store=%s catalogue filled in files=%d seconds=%.1f", directory, len(sources) + 1, time.monotonic() - began_s
    )


def _extend_boots(directory: Path, writer: sqlite3.Connection) -> None:
    """A boot lasted at least until the last thing that is kept of it: the catalogue is told so but now and then."""
    found: list[int] = []
    with contextlib.closing(read_only(directory / LIVE)) as live:
        for query in ("max(at) FROM reading", "max(last) FROM reception", "max(at) FROM event"):
            # One row a boot: several boots may wait in the live database.
            column = query.partition("(")[2].partition(")")[0]
            found += [at for (at,) in live.execute(f"SELECT {query} GROUP BY {column} >> {BOOT_SHIFT}")]
    found += [row.to_at for row in catalogue.segments(writer)]
    for at in found:
        if boot_of(at) != CALENDAR:
            writer.execute("UPDATE boot SET last_ms = max(last_ms, ?) WHERE number = ?", (ms_of(at), boot_of(at)))


_LAST_KNOWN = """
SELECT m.number, m.protocol, m.meter_id, m.simulated, m.commodity, m.endpoint_type, m.first_at,
       coalesce(r.at, m.first_at), coalesce(r.consumption, 0), r.tamper_phy, r.tamper_enc
FROM meter AS m LEFT JOIN reading AS r ON r.meter = m.number AND r.at = (
    SELECT max(at) FROM reading WHERE meter = m.number AND NOT flags & 1)
"""
_METER = """
INSERT OR IGNORE INTO meter (number, protocol, meter_id, simulated, commodity, endpoint_type, first_at, last_at,
                             consumption, tamper_phy, tamper_enc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def _has_rows(path: Path, live_to: int) -> bool:
    with contextlib.closing(read_only(path)) as live:
        return any(live.execute(f"SELECT 1 FROM {t} WHERE id <= ? LIMIT 1", (live_to,)).fetchone() for t in TABLES)
