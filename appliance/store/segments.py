"""Sealed history segments: made once from sorted rows, checked, then never written again.

A segment is built under another name, checked in full, put on the card for certain (fsync) and only then given its
name, so that a numbered file is always whole. Beside it lies a file with a checksum of each page, by which damage is
found and confined: what lies on the other pages is still known to be true (`salvage.py`).

    seal    rows of the live database, up to an id            -> a segment of rank 0
    join    neighbours of one rank                            -> one segment of the next rank
    thin    one segment                                       -> the last reading of each meter and day

Each segment also carries a copy of the last reading of every meter before it, so that no question about a register
has to be taken further back.
"""

import contextlib
import errno
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from appliance.durable import PART, sync
from appliance.store.rows import CARRIED, DAYS, SUSPECT, SegmentRow
from appliance.store.schema import (
    BUSY_TIMEOUT_S,
    CATALOGUE,
    LIVE,
    SEGMENT_PAGE_BYTES,
    migrate,
    read_only,
    segment_path,
    sums_path,
)

SUM_BYTES = 8

_LAST_READINGS = f"""
INSERT OR IGNORE INTO main.reading
SELECT r.meter, r.at, r.consumption, r.tamper_phy, r.tamper_enc, {CARRIED}
FROM before.meter AS m JOIN before.reading AS r ON r.meter = m.number AND r.at = (
    SELECT at FROM before.reading WHERE meter = m.number AND NOT flags & {SUSPECT} ORDER BY at DESC LIMIT 1)
ORDER BY r.meter
"""

# What is said late of a quarter of an hour, or of one that several segments share, adds up.
_RECEPTION = """
INSERT INTO main.reception SELECT {columns} FROM {source} ORDER BY meter, at
ON CONFLICT (meter, at) DO UPDATE SET
    count = count + excluded.count, corrected = corrected + excluded.corrected, levels = levels + excluded.levels,
    snr_sum_cdb = snr_sum_cdb + excluded.snr_sum_cdb,
    snr_best_cdb = coalesce(max(snr_best_cdb, excluded.snr_best_cdb), snr_best_cdb, excluded.snr_best_cdb),
    frequency_min_hz = coalesce(
        min(frequency_min_hz, excluded.frequency_min_hz), frequency_min_hz, excluded.frequency_min_hz),
    frequency_max_hz = coalesce(
        max(frequency_max_hz, excluded.frequency_max_hz), frequency_max_hz, excluded.frequency_max_hz),
    last = max(last, excluded.last)
"""
_COVERAGE = """
INSERT INTO main.coverage SELECT at, meters, messages FROM {source} ORDER BY at
ON CONFLICT (at) DO UPDATE SET meters = max(meters, excluded.meters), messages = messages + excluded.messages
"""

# An event may tell of what was long before it was certain: it does not say when a segment begins.
_ABOUT = f"""
INSERT INTO about
SELECT :number, :rank,
    coalesce(:from_at, max(:after + 1, (SELECT min(at) FROM (
        SELECT min(at) AS at FROM reading WHERE NOT flags & {CARRIED} UNION ALL SELECT min(at) FROM reception
        UNION ALL SELECT min(at) FROM coverage))),
        (SELECT min(at) FROM event), (SELECT max(at) FROM reading), 0),
    coalesce(:to_at, max(coalesce((SELECT max(at) FROM reading), 0), coalesce((SELECT max(last) FROM reception), 0),
        coalesce((SELECT max(at) FROM coverage), 0), coalesce((SELECT max(at) FROM event), 0))),
    (SELECT count(*) FROM reading WHERE NOT flags & {CARRIED}), (SELECT count(*) FROM reception),
    :live_to, :replaces
"""


class Unsound(OSError):
    """A segment that was just built does not hold together: the card, or the memory, is at fault."""


def seal(directory: Path, number: int, live_to: int, before: SegmentRow | None) -> SegmentRow:
    """Make a segment of the live rows with an id up to `live_to`; `before` is the segment that precedes them."""

    def fill(segment: sqlite3.Connection) -> None:
        _attach(segment, directory / LIVE, "live")
        _attach(segment, directory / CATALOGUE, "catalogue")
        if before is not None:
            carry(segment, directory, before)
        columns = _columns(segment, "reading")
        segment.execute(
            f"INSERT OR REPLACE INTO main.reading SELECT {columns} FROM live.reading WHERE id <= ? "
            "ORDER BY meter, at, id",
            (live_to,),
        )
        columns = _columns(segment, "reception")
        source = "live.{} WHERE id <= ?"
        segment.execute(_RECEPTION.format(columns=columns, source=source.format("reception")), (live_to,))
        segment.execute(_COVERAGE.format(source=source.format("coverage")), (live_to,))
        columns = _columns(segment, "event")
        segment.execute(f"INSERT INTO main.event SELECT {columns} FROM live.event WHERE id <= ?", (live_to,))
        segment.execute(f"INSERT INTO main.meter SELECT {_columns(segment, 'meter')} FROM catalogue.meter")
        segment.execute("INSERT INTO main.boot SELECT * FROM catalogue.boot")
        segment.execute("INSERT INTO main.fix SELECT * FROM catalogue.fix")

    after = -1 if before is None else before.from_at
    return build(directory, number, fill, rank=0, live_to=live_to, after=after)


def carry(segment: sqlite3.Connection, directory: Path, before: SegmentRow) -> None:
    """Copy into a segment that is being made the last reading of each meter from the one `before` it."""
    _attach(segment, segment_path(directory, before.number), "before", immutable=True)
    segment.execute(_LAST_READINGS)


def join(directory: Path, number: int, parts: Sequence[SegmentRow]) -> SegmentRow:
    """Make one segment of neighbours, at most eight of them, given in the order of time."""

    def fill(segment: sqlite3.Connection) -> None:
        names = [f"s{n}" for n in range(len(parts))]
        for name, part in zip(names, parts, strict=True):
            _attach(segment, segment_path(directory, part.number), name, immutable=True)
            for table in ("boot", "fix", "meter"):
                segment.execute(f"INSERT OR REPLACE INTO main.{table} SELECT * FROM {name}.{table}")
            segment.execute(f"INSERT OR IGNORE INTO main.event SELECT * FROM {name}.event")
            segment.execute(_COVERAGE.format(source=f"{name}.coverage WHERE true"))
        # Meter by meter, because each part is sorted: rows are only appended, and nothing is sorted again.
        for (meter,) in segment.execute("SELECT number FROM main.meter ORDER BY number").fetchall():
            for name in names:
                # What one part carries the part before it holds, flags and all.
                segment.execute(
                    f"INSERT OR IGNORE INTO main.reading SELECT * FROM {name}.reading WHERE meter = ? ORDER BY at",
                    (meter,),
                )
            for name in names:
                source = f"{name}.reception WHERE meter = ?"
                segment.execute(_RECEPTION.format(columns="*", source=source), (meter,))

    rank, live_to = parts[0].rank + 1, max(part.live_to for part in parts)
    span = (min(part.from_at for part in parts), max(part.to_at for part in parts))
    replaces = [part.number for part in parts]
    return build(directory, number, fill, rank=rank, live_to=live_to, replaces=replaces, span=span)


def thin(directory: Path, number: int, part: SegmentRow, day_of: Callable[[int], int]) -> SegmentRow:
    """Make a segment with the last reading of each meter and day of `part`; `day_of` tells the day of a stamp."""

    def fill(segment: sqlite3.Connection) -> None:
        _attach(segment, segment_path(directory, part.number), "whole", immutable=True)
        for table in ("boot", "fix", "meter", "event"):
            segment.execute(f"INSERT INTO main.{table} SELECT * FROM whole.{table}")
        rows = segment.execute(f"SELECT * FROM whole.reading WHERE NOT flags & {SUSPECT} ORDER BY meter, at")
        segment.executemany("INSERT INTO main.reading VALUES (?, ?, ?, ?, ?, ?)", _last_of_days(rows, day_of))

    span = (part.from_at, part.to_at)
    return build(directory, number, fill, rank=DAYS, live_to=part.live_to, replaces=[part.number], span=span)


def _last_of_days(
    rows: Iterator[tuple[int, int, int, int | None, int | None, int]], day_of: Callable[[int], int]
) -> Iterator[tuple[int, int, int, int | None, int | None, int]]:
    kept = None
    for row in rows:
        carried = row[5] & CARRIED
        if kept and (kept[0] != row[0] or kept[5] & CARRIED or carried or day_of(kept[1]) != day_of(row[1])):
            yield kept
        kept = row
    if kept:
        yield kept


def build(
    directory: Path,
    number: int,
    fill: Callable[[sqlite3.Connection], None],
    *,
    rank: int,
    live_to: int,
    replaces: Sequence[int] = (),
    span: tuple[int, int] | None = None,
    after: int = -1,
) -> SegmentRow:
    """Make segment `number` of what `fill` inserts. Raises sqlite3.Error, OSError.

    It begins and ends with its rows, but `after` the segment before it began; or it has the `span` that is given.
    """
    path = segment_path(directory, number)
    part = path.with_suffix(f".db{PART}")
    part.unlink(missing_ok=True)
    try:
        about = {"number": number, "rank": rank, "live_to": live_to, "replaces": json.dumps(list(replaces))}
        from_at, to_at = span or (None, None)
        _write(part, fill, about | {"from_at": from_at, "to_at": to_at, "after": after})
        return _publish(path, part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write(part: Path, fill: Callable[[sqlite3.Connection], None], about: dict[str, object]) -> None:
    uri = f"{part.absolute().as_uri()}?mode=rwc"
    segment = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    with contextlib.closing(segment):
        # Nobody else knows the file yet; should the power fail, it is made anew.
        settings = ("journal_mode = OFF", "synchronous = OFF", "temp_store = MEMORY", "cache_size = -8000")
        for pragma in (f"page_size = {SEGMENT_PAGE_BYTES}", *settings):
            segment.execute(f"PRAGMA {pragma}")
        migrate(segment, "segment")
        segment.execute("BEGIN")
        fill(segment)
        segment.execute(_ABOUT, about)
        segment.execute("COMMIT")
        if (found := segment.execute("PRAGMA main.integrity_check(1)").fetchone()[0]) != "ok":
            raise Unsound(f"{part.name}: {found}")


def _publish(path: Path, part: Path) -> SegmentRow:
    """Put the file on the card and give it its name, its checksums first."""
    sums = sums_path(path)
    sums_part = sums.with_suffix(f".sums{PART}")
    sha256, checksums = digest(part)
    try:
        sums_part.write_bytes(checksums)
        part.chmod(0o444)
        for file in (part, sums_part):
            sync(file)
        sums_part.rename(sums)
    finally:
        sums_part.unlink(missing_ok=True)
    part.rename(path)
    sync(path.parent)
    return describe(path, sha256)


def describe(path: Path, sha256: str, rank: int | None = None) -> SegmentRow:
    """What a segment says of itself, but for a `rank` it has risen to. Raises sqlite3.Error when it cannot be read."""
    with contextlib.closing(read_only(path, immutable=True)) as segment:
        columns = "number, rank, from_at, to_at, readings, receptions, live_to"
        row = segment.execute(f"SELECT {columns} FROM about").fetchone()
    if row is None:
        raise sqlite3.DatabaseError(f"{path.name} does not say what it is")
    number, made_as, from_at, to_at, readings, receptions, live_to = row
    now = made_as if rank is None else rank
    return SegmentRow(number, now, from_at, to_at, readings, receptions, path.stat().st_size, sha256, live_to)


def digest(path: Path) -> tuple[str, bytes]:
    """SHA-256 of a file, in hexadecimal, and the BLAKE2b of each of its pages, `SUM_BYTES` each. Raises OSError."""
    whole, sums = hashlib.sha256(), bytearray()
    with path.open("rb", buffering=0) as file:
        while page := file.read(SEGMENT_PAGE_BYTES):
            whole.update(page)
            sums += hashlib.blake2b(page, digest_size=SUM_BYTES).digest()
    return whole.hexdigest(), bytes(sums)


def intact(directory: Path, row: SegmentRow) -> bool:
    """Whether a segment is what it was when it was sealed; checksums that are not are made anew. Raises OSError."""
    path = segment_path(directory, row.number)
    if not path.is_file():
        return False
    try:
        sha256, checksums = digest(path)
    except OSError as fault:
        if fault.errno == errno.EIO:
            return False
        raise
    if sha256 != row.sha256:
        return False
    sums = sums_path(path)
    if not sums.is_file() or sums.read_bytes() != checksums:
        part = sums.with_suffix(f".sums{PART}")
        part.write_bytes(checksums)
        sync(part)
        part.rename(sums)
    return True


def _attach(segment: sqlite3.Connection, path: Path, name: str, *, immutable: bool = False) -> None:
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
    # Not inside a transaction: SQLite attaches only between them.
    segment.execute("COMMIT")
    segment.execute(f"ATTACH ? AS {name}", (uri,))
    segment.execute("BEGIN")


def _columns(segment: sqlite3.Connection, table: str) -> str:
    return ", ".join(row[1] for row in segment.execute(f"PRAGMA main.table_info({table})"))
