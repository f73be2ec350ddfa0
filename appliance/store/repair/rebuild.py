"""Makes a lost catalogue anew: from its last copy, the segments and the live database.

Each segment knows all meters, boots and fixes up to its end and the events of its time; the live database what came
since. The new catalogue gets its name when it is whole, so that a power cut on the way changes nothing.
"""

import contextlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from appliance.durable import PART
from appliance.store.files import publish, set_aside
from appliance.store.repair.soundness import DAMAGE_TOLD, sound
from appliance.store.rows import SUSPECT
from appliance.store.schema import CATALOGUE, COPY, HISTORY, LIVE, migrate, read_only

log = logging.getLogger(__name__)

_BOOT = """
INSERT INTO boot VALUES (?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET last_ms = excluded.last_ms
WHERE excluded.last_ms > last_ms
"""
_KNOWN = """
SELECT m.number, m.protocol, m.meter_id, m.simulated, m.commodity, m.endpoint_type, m.first_at,
       coalesce(r.at, m.first_at), coalesce(r.consumption, 0), r.tamper_phy, r.tamper_enc
FROM meter AS m LEFT JOIN
"""
_SEALED = f"""{_KNOWN}
reading AS r ON r.meter = m.number AND r.at = (
    SELECT at FROM reading WHERE meter = m.number AND NOT flags & {SUSPECT} ORDER BY at DESC LIMIT 1)
"""
# The live database has no index by meter.
_RECENT = f"""{_KNOWN}
(SELECT meter, max(at) AS at, consumption, tamper_phy, tamper_enc FROM reading WHERE NOT flags & {SUSPECT}
 GROUP BY meter) AS r ON r.meter = m.number
"""
_TRANSFERS = (
    ("SELECT number, boot_id, last_ms, system_offset_ms FROM boot", _BOOT),
    ("SELECT boot, ms, source, utc_ms, uncertainty_ms FROM fix", "INSERT OR IGNORE INTO fix VALUES (?, ?, ?, ?, ?)"),
    (
        "SELECT number, at, kind, meter, detail FROM event",
        "INSERT OR IGNORE INTO event (number, at, kind, meter, detail) VALUES (?, ?, ?, ?, ?)",
    ),
)
_METER = """
INSERT OR IGNORE INTO meter (number, protocol, meter_id, simulated, commodity, endpoint_type, first_at, last_at,
                             consumption, tamper_phy, tamper_enc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def is_lost(directory: Path) -> bool:
    """Whether the catalogue is damaged, or gone though there was one. Raises sqlite3.Error, StoreTooNew."""
    if (directory / CATALOGUE).exists():
        return not sound(directory / CATALOGUE, "catalogue")
    return (directory / COPY).exists() or (directory / LIVE).exists() or bool(_segments(directory))


def restore_catalogue(directory: Path) -> str:
    """Make the catalogue anew and set the damaged one aside; returns what from. Raises sqlite3.Error, OSError."""
    part, copy = directory / (CATALOGUE + PART), directory / COPY
    part.unlink(missing_ok=True)
    has_copy = sound(copy, "catalogue")
    if has_copy:
        shutil.copyfile(copy, part)
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = OFF")
        migrate(writer, "catalogue")
        fill_in(writer, directory / LIVE, _segments(directory))
        # Of those that the copy has some may have ended since.
        writer.execute("DELETE FROM session")
    set_aside(directory, directory / CATALOGUE)
    publish(part, directory / CATALOGUE)
    return "copy" if has_copy else "segments"


def fill_in(writer: sqlite3.Connection, live: Path, segments: Sequence[Path]) -> None:
    """Give the catalogue what the live database and these segments, the newest first, know and it does not."""
    began_s = time.monotonic()
    writer.execute("BEGIN IMMEDIATE")
    # The segments first: where the live database is damaged, and has no checksums, they know better.
    for path in (*segments, live):
        if not path.is_file():
            continue
        with contextlib.closing(read_only(path, immutable=path != live)) as source:
            for question, statement in (*_TRANSFERS, (_RECENT if path == live else _SEALED, _METER)):
                _transfer(source, question, writer, statement)
    writer.execute("COMMIT")
    if segments:
        seconds = time.monotonic() - began_s
        log.warning("store=%s catalogue filled in segments=%d seconds=%.1f", live.parent, len(segments), seconds)


def _transfer(source: sqlite3.Connection, question: str, writer: sqlite3.Connection, statement: str) -> None:
    """What can be read, and can be: of a damaged file the rest is left out."""
    with contextlib.suppress(*DAMAGE_TOLD):
        for row in source.execute(question):
            with contextlib.suppress(sqlite3.IntegrityError):
                writer.execute(statement, row)


def _segments(directory: Path) -> list[Path]:
    files = (directory / HISTORY).glob("[0-9]*.db")
    return sorted((path for path in files if path.is_file() and path.stem.isdigit()), reverse=True)
