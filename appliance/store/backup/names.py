"""What a backup holds, by the names of its files: those that are the appliance's own, and no others.

    catalogue.db  settings.toml      files of the data directory
    readings.db                      as the first version kept all, until the store has taken it over
    history/live.db  history/000001.db  history/000001.sums
    identity/…  outbox/…  tls/…      whatever lies in these folders, not below

What an earlier version put in besides is left where it is. A name that no version ever wrote is no oversight: SQLite,
for one, believes a journal beside a database, and does to files elsewhere what stands in it.
"""

import re
from enum import Enum

from appliance.store.schema import CAPTURES, CATALOGUE, COPY, DAMAGED, FIRST, HANDOVER, HISTORY, LIVE

ABOUT = "backup.json"
"""First file of a backup: the format, when it was made, by which version, and of which appliance."""
IDENTITY, OUTBOX, TLS = "identity", "outbox", "tls"
REPLACED = "replaced-"
"""Begin of the names of folders with what a restore replaced."""
SEGMENT = re.compile(r"[0-9]{6,18}\.(db|sums)")
# Left of unfinished work, or SQLite's own beside a database.
UNFINISHED = (".part", ".tmp", "-wal", "-shm", "-journal")

_FILES = frozenset({CATALOGUE, FIRST, "settings.toml"})
_FOLDERS = frozenset({IDENTITY, OUTBOX, TLS})


class Membership(Enum):
    """What is done with a file in a backup."""

    OWN = "taken"
    OTHER = "left out"
    FORBIDDEN = "refused"


def membership(name: str) -> Membership:
    """What a file of the data directory, or of a backup, is.

    >>> [membership(name).value for name in ("catalogue.db", "history/000001.sums", "history/x", "notes", "tls/a/b")]
    ['taken', 'taken', 'left out', 'left out', 'left out']
    >>> [membership(name).value for name in ("catalogue.db-wal", "catalogue.db/x", "history", "handover/x")]
    ['refused', 'refused', 'refused', 'refused']
    """
    top, *below = name.split("/")
    is_ours = top in (DAMAGED, HANDOVER) or top.startswith(REPLACED)
    is_beside = name.endswith(UNFINISHED) or top.startswith(f"{CATALOGUE}-")
    is_swapped = top in (_FILES | {ABOUT, COPY} if below else _FOLDERS | {HISTORY, CAPTURES})
    if is_ours or is_beside or is_swapped:
        return Membership.FORBIDDEN
    if top == HISTORY:
        is_own = name == LIVE or (len(below) == 1 and SEGMENT.fullmatch(below[0]) is not None)
    else:
        is_own = top in _FOLDERS and len(below) == 1 and name.isascii() if below else top in _FILES
    return Membership.OWN if is_own else Membership.OTHER
