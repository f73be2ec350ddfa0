"""Brings a data directory into order before the writer opens it, whatever happened to it since.

Each step may be cut short by a power cut and is then simply done again. In this order:

1. what a later version wrote is refused, before anything is touched;
2. unfinished files are removed; a verified restore that waits in `handover/` is taken up;
3. the catalogue is checked; one that is damaged or gone is made anew (`rebuild.py`);
4. segments that the catalogue does not list are entered, those that are not what it lists are looked after;
5. the live database is checked; of a damaged one all that can be read becomes a segment; what the catalogue lacks is
   filled in from a sound one;
6. live rows that a segment already holds are deleted.
"""

import contextlib
import errno
import json
import logging
import os
import shutil
import sqlite3
from pathlib import Path

from appliance.durable import PART
from appliance.errors import AlreadyRunning, StoreError
from appliance.store import catalogue
from appliance.store.backup import restore
from appliance.store.files import create, next_number, remove, set_aside
from appliance.store.live import TABLES
from appliance.store.lock import sole_bringer
from appliance.store.repair import rebuild, salvage
from appliance.store.repair.soundness import DAMAGE_TOLD, is_damage, refuse_later, sound
from appliance.store.rows import EventKind, SegmentRow
from appliance.store.schema import CATALOGUE, HANDOVER, HISTORY, LIVE, check_version, read_only, segment_path, sums_path
from appliance.store.segments import describe, digest, intact
from appliance.timeline import BOOT_SHIFT, CALENDAR, boot_of, ms_of

log = logging.getLogger(__name__)

Finding = tuple[EventKind, dict[str, object]]


def prepare(directory: Path) -> list[Finding]:
    """Do all of the above; returns what should be recorded.

    Raises StoreTooNew, before anything is changed, when a later version wrote the databases; sqlite3.Error, OSError or
    Unsound when the card does not let us.
    """
    refuse_later(directory)
    (directory / HISTORY).mkdir(parents=True, exist_ok=True)
    if os.statvfs(directory).f_flag & os.ST_RDONLY:
        # SQLite would only say that it cannot open this or that.
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(directory))
    _sweep(directory)
    findings: list[Finding] = []
    restore.take_up(directory)
    if note := restore.restored(directory):
        findings.append(("restored", note))
    if was_lost := rebuild.is_lost(directory):
        findings.append(("catalogue_restored", {"from": rebuild.restore_catalogue(directory)}))
    with contextlib.closing(create(directory / CATALOGUE, "catalogue")) as writer:
        findings += _enter_strays(directory, writer)
        findings += _look_after_listed(directory, writer, may_be_gone=was_lost)
        if (directory / LIVE).exists() and not sound(directory / LIVE, "live"):
            findings.append(_restore_live(directory, writer))
        create(directory / LIVE, "live").close()
        rebuild.fill_in(writer, directory / LIVE, ())
        _extend_boots(directory, writer)
        live_to = max((row.live_to for row in catalogue.segments(writer)), default=0)
    if _has_rows(directory / LIVE, live_to):
        with contextlib.closing(create(directory / LIVE, "live")) as live:
            forget(live, live_to)
    return findings


def _sweep(directory: Path) -> None:
    """Remove unfinished files; in `handover/` those of a restore or an import that nobody works on any more."""
    for path in directory.glob(f"**/*{PART}"):
        if HANDOVER not in path.relative_to(directory).parts and path.is_file():
            path.unlink(missing_ok=True)
    handover = directory / HANDOVER
    left = [*handover.glob(f"import-{'[0-9a-f]' * 16}.db*{PART}"), *handover.glob(restore.PART)]
    left += handover.glob(f"account-{'[0-9a-f]' * 16}.json{PART}")
    # They may be root's, who alone can remove them then.
    with contextlib.suppress(AlreadyRunning, StoreError, OSError):
        if left:
            with sole_bringer(directory):
                for path in left:
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def forget(live: sqlite3.Connection, live_to: int) -> None:
    """Delete the rows that a segment holds."""
    live.execute("BEGIN IMMEDIATE")
    for table in TABLES:
        live.execute(f"DELETE FROM {table} WHERE id <= ?", (live_to,))
    live.execute("COMMIT")


def _restore_live(directory: Path, writer: sqlite3.Connection) -> Finding:
    known = catalogue.segments(writer)
    made, saved = salvage.live(directory, next_number(directory, known), known)
    if made:
        writer.execute(catalogue.SEGMENT, catalogue.segment_values(made))
    # Only now: cut short before this, what is left is found again, and nothing beyond `live_to` is left.
    set_aside(directory, directory / LIVE)
    return "live_restored", saved.told()


def _enter_strays(directory: Path, writer: sqlite3.Connection) -> list[Finding]:
    """Enter segments that were finished but not listed yet, or that a restored catalogue does not know."""
    files = {int(p.stem): p for p in (directory / HISTORY).glob("[0-9]*.db") if p.stem.isdigit()}
    listed = {row.number for row in catalogue.segments(writer)}
    if not files.keys() - listed:
        return []
    entered: list[SegmentRow] = []
    replaced: set[int] = set()
    damaged: set[int] = set()
    # Later ones first: a segment says which others it replaces.
    for number in sorted(files, reverse=True):
        try:
            replaces = _replaces(files[number])
            row = _sealed(files[number]) if number not in listed | replaced else None
        except DAMAGE_TOLD as fault:
            if not is_damage(fault):
                raise
            damaged |= {number} - listed
            continue
        if row is not None:
            entered.append(row)
            log.info("store=%s segment=%d entered again", directory, number)
        replaced |= replaces
    # At once: listed beside what it replaces, a segment would be no stray the next time, and its rows there twice.
    writer.execute("BEGIN IMMEDIATE")
    writer.executemany(catalogue.SEGMENT, [catalogue.segment_values(row) for row in entered])
    writer.executemany("DELETE FROM segment WHERE number = ?", [(number,) for number in replaced])
    writer.execute("COMMIT")
    for number in replaced:
        remove(directory, number)
    # A damaged one that nobody lists: enter what is left of it.
    strays = [SegmentRow(number, 0, 0, 0, 0, 0, 0, "", 0) for number in sorted(damaged - replaced)]
    return [mend(directory, row, writer) for row in strays]


def _replaces(path: Path) -> set[int]:
    """Which segments this one was made of. Raises sqlite3.DatabaseError when it is damaged."""
    if not path.is_file():
        raise sqlite3.DatabaseError(f"{path.name} is no file")
    with contextlib.closing(read_only(path, immutable=True)) as connection:
        check_version(connection, "segment", path)
        row = connection.execute("SELECT replaces FROM about").fetchone()
    try:
        return {number for number in json.loads(row[0]) if isinstance(number, int)}
    except (TypeError, ValueError):
        raise sqlite3.DatabaseError(f"{path.name} does not say what it is") from None


def _sealed(path: Path) -> SegmentRow:
    """What a segment that nobody lists says of itself. Raises sqlite3.DatabaseError when it is damaged."""
    sha256, checksums = digest(path)
    sums = sums_path(path)
    if sums.is_file() and sums.read_bytes() != checksums:
        raise sqlite3.DatabaseError(f"{path.name} is not what was sealed")
    if not sums.is_file() and not sound(path, "segment"):
        raise sqlite3.DatabaseError(f"{path.name} is damaged")
    return describe(path, sha256)


def _look_after_listed(directory: Path, writer: sqlite3.Connection, *, may_be_gone: bool) -> list[Finding]:
    """See that each listed segment is there and says of itself what the list says; what is in it is seen to later.

    What is in the newest is needed now. Of a list that was restored from an old copy some may be gone with good reason.
    """
    findings: list[Finding] = []
    known = catalogue.segments(writer)
    for row in known:
        path = segment_path(directory, row.number)
        if may_be_gone and not path.exists():
            writer.execute("DELETE FROM segment WHERE number = ?", (row.number,))
        elif (said := _said(path, row)) is None:
            findings.append(mend(directory, row, writer))
        elif said != row or row == known[-1]:
            if intact(directory, row):
                writer.execute(catalogue.SEGMENT, catalogue.segment_values(said))
            else:
                findings.append(mend(directory, row, writer))
    return findings


def _said(path: Path, row: SegmentRow) -> SegmentRow | None:
    """What a segment says of itself, None if it cannot; its rank is the catalogue's to say."""
    if not path.is_file() or path.stat().st_size != row.bytes:
        return None
    try:
        return describe(path, row.sha256, row.rank)
    except DAMAGE_TOLD as fault:
        if not is_damage(fault):
            raise
        return None


def mend(directory: Path, row: SegmentRow, writer: sqlite3.Connection) -> Finding:
    """Enter what is left of a damaged segment under a new number, and set it aside. Raises as `prepare` does."""
    path = segment_path(directory, row.number)
    detail: dict[str, object] = {
        "segment": row.number, "readings": row.readings, "from_at": row.from_at, "to_at": row.to_at,
    }  # fmt: skip
    made = None
    if path.is_file():
        known = catalogue.segments(writer)
        made, saved = salvage.segment(directory, next_number(directory, known), row, known)
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


def _extend_boots(directory: Path, writer: sqlite3.Connection) -> None:
    """A boot lasted at least until the last thing that is kept of it: the catalogue is told so but now and then."""
    found: list[int] = []
    with contextlib.closing(read_only(directory / LIVE)) as live:
        for table, column in (("reading", "at"), ("reception", "last"), ("event", "at")):
            # One row a boot: several boots may wait in the live database.
            query = f"SELECT max({column}) FROM {table} GROUP BY {column} >> {BOOT_SHIFT}"
            found += [at for (at,) in live.execute(query)]
    found += [row.to_at for row in catalogue.segments(writer)]
    writer.execute("BEGIN IMMEDIATE")
    for at in found:
        if boot_of(at) != CALENDAR:
            later = "UPDATE boot SET last_ms = ?1 WHERE number = ?2 AND last_ms < ?1"
            writer.execute(later, (ms_of(at), boot_of(at)))
    writer.execute("COMMIT")


def _has_rows(path: Path, live_to: int) -> bool:
    with contextlib.closing(read_only(path)) as live:
        return any(live.execute(f"SELECT 1 FROM {t} WHERE id <= ? LIMIT 1", (live_to,)).fetchone() for t in TABLES)
