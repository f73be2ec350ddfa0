"""What a backup held takes the place of what the data directory holds, crash-safe at every step.

    handover/restore.part    being unpacked and checked
    handover/restore         whole and checked: `take_up` begins
    handover/replaced        the present files, being moved out of the data directory
    handover/restored        what is restored, being moved in; the present files are all out
    replaced-<time>          the files that were replaced; for a person to delete
    handover/restored.json   what was restored, until the store has told of it (`restored`)

Each step is one rename, which happens or does not; what is to be done next is seen from the names that are there.
"""

import contextlib
import json
import logging
import os
import secrets
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.durable import sync, write
from appliance.errors import InputError, StoreTooNew
from appliance.store.backup.names import ABOUT, IDENTITY, REPLACED, SEGMENT
from appliance.store.schema import (
    CAPTURES,
    CATALOGUE,
    DAMAGED,
    FIRST,
    HANDOVER,
    HISTORY,
    LIVE,
    Kind,
    check_version,
    is_as_made,
    read_only,
)
from appliance.store.segments import digest

log = logging.getLogger(__name__)

FORMAT = 1
PART, READY, OLD, NEW = "restore.part", "restore", "replaced", "restored"
NOTE = "restored.json"
NEW_KEY = "new-key"
"""In a restored identity: the machine that it was backed up from may go on, so this one needs a key of its own.

In it stands how many epochs ahead that key is. It is drawn, for the same backup may be restored any number of times, or
one of before a restore, and none of these machines knows of the others: each key must have a number of its own. A
person who asks for a new key gets the next one, without a number in here.
"""
EPOCHS_AHEAD = 1_000_000


def waiting(directory: Path) -> bool:
    """Whether a restore is to be taken up."""
    return (directory / HANDOVER / READY).is_dir() or (directory / HANDOVER / NEW).is_dir()


def take_up(directory: Path) -> bool:
    """Put what is restored in the place of what is there; False when nothing waits. No database may be open.

    Only whoever holds the lock of the directory may call it. It may be cut short at any instant: the next call goes
    on. Raises OSError.
    """
    if not waiting(directory):
        return False
    handover = directory / HANDOVER
    old, new = handover / OLD, handover / NEW
    if (handover / READY).is_dir():
        old.mkdir(exist_ok=True)
        for path in _belonging(directory):
            path.rename(_free(old, path.name))
        # The card may put off renames, but not past this.
        for folder in (old, directory, handover):
            sync(folder)
        if (identity := handover / READY / IDENTITY).is_dir():
            ahead = 2 + secrets.randbelow(EPOCHS_AHEAD - 1)
            # Root may restore for the user that runs the appliance.
            write(identity / NEW_KEY, str(ahead).encode(), 0o644)
        (handover / READY).rename(new)
        sync(handover)
    for path in sorted(new.iterdir()):
        target = handover / NOTE if path.name == ABOUT else directory / path.name
        if _stays(path.name):
            target = _free(_made(old), path.name)
        elif path.name != ABOUT and os.path.lexists(target):
            # Since the first attempt the appliance may have gone on in the half-empty directory.
            target.rename(_free(_made(old), path.name))
        path.rename(target)
    for folder in (directory, handover):
        sync(folder)
    if old.is_dir():
        _set_aside(old, directory)
    new.rmdir()
    sync(handover)
    log.info("store=%s restored from a backup", directory)
    return True


def restored(directory: Path) -> dict[str, Any] | None:
    """What the last restore brought, which nobody has told of yet; then `told(directory)`."""
    try:
        note = json.loads((directory / HANDOVER / NOTE).read_bytes())
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def told(directory: Path) -> None:
    """The event of the restore is written."""
    (directory / HANDOVER / NOTE).unlink(missing_ok=True)


def _belonging(directory: Path) -> list[Path]:
    """What a restore replaces."""
    return sorted(path for path in directory.iterdir() if not _stays(path.name))


def _stays(name: str) -> bool:
    return name in (CAPTURES, DAMAGED, HANDOVER) or name.startswith(REPLACED)


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _free(folder: Path, name: str) -> Path:
    """Where something of that name goes in a folder that may have one already."""
    number, path = 1, folder / name
    while os.path.lexists(path):
        number += 1
        path = folder / f"{name}-{number}"
    return path


def _set_aside(old: Path, directory: Path) -> None:
    if any(old.iterdir()):
        old.rename(_free(directory, f"{REPLACED}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"))
        sync(directory)
    else:
        old.rmdir()


def verify(folder: Path) -> list[str]:
    """Check an unpacked backup; returns what was amiss with files when it was made, which the store sees to.

    Raises InputError when a database does not hold together, StoreTooNew when a later version wrote it.
    """
    _check(folder, folder / CATALOGUE, "catalogue")
    with contextlib.closing(read_only(folder / CATALOGUE, immutable=True)) as connection:
        sha256 = dict(connection.execute("SELECT number, sha256 FROM segment").fetchall())
    _check(folder, folder / LIVE, "live")
    amiss = []
    if (first := folder / FIRST).exists() and _damage(folder, first, "first"):
        _check_damaged(folder, first)
        amiss.append(f"{FIRST} was damaged")
    for path in sorted((folder / HISTORY).glob("*.db")):
        if not SEGMENT.fullmatch(path.name):
            continue
        expected = sha256.pop(int(path.stem), None)
        if expected is not None and digest(path)[0] != expected:
            _check_damaged(folder, path)
            amiss.append(f"{HISTORY}/{path.name} was damaged")
        else:
            # What has its checksum is as it was when it was sealed, and was checked in full then.
            _check(folder, path, "segment", thorough=expected is None)
    return amiss + [f"{HISTORY}/{number:06d}.db was missing" for number in sorted(sha256)]


_OTHER = "Use another backup."
_STRANGE = "{} in the backup holds what no version of the program puts there"
_DOES_SOMETHING = "SELECT count(*) FROM sqlite_schema WHERE type IN ('trigger', 'view')"


def _check(folder: Path, path: Path, kind: Kind, *, thorough: bool = True) -> None:
    name = path.relative_to(folder).as_posix()
    if not path.exists():
        if kind == "catalogue":
            raise InputError(f"the backup has no {name}", _OTHER)
        return
    if fault := _damage(folder, path, kind, thorough=thorough):
        raise InputError(f"{name} in the backup is damaged: {fault}", _OTHER)


def _damage(folder: Path, path: Path, kind: Kind, *, thorough: bool = True) -> str:
    """What keeps a database from holding together, "" if nothing does. Raises InputError, StoreTooNew."""
    name = path.relative_to(folder).as_posix()
    try:
        with contextlib.closing(read_only(path, immutable=True)) as connection:
            check_version(connection, kind, Path(name))
            if not is_as_made(connection, kind):
                raise InputError(_STRANGE.format(name), _OTHER)
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if thorough else "ok"
    except sqlite3.DatabaseError as fault:
        return str(fault)
    except StoreTooNew as fault:
        raise StoreTooNew(f"the backup cannot be used: {fault}", "Restore it with the version that made it.") from None
    return "" if found == "ok" else str(found)


def _check_damaged(folder: Path, path: Path) -> None:
    """Chance makes nothing of a database that does something when it is read."""
    with (
        contextlib.suppress(sqlite3.DatabaseError),
        contextlib.closing(read_only(path, immutable=True)) as connection,
    ):
        if connection.execute(_DOES_SOMETHING).fetchone()[0]:
            raise InputError(_STRANGE.format(path.relative_to(folder).as_posix()), _OTHER)
