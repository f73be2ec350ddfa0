"""What `appliance account` wants changed, left as a file in `handover/` for whoever holds the data directory.

The appliance looks there every few seconds; where it does not run, the command takes the directory and does it itself.
A file that could be put there could also be a restore, so what it says is believed; but not that it is well formed.
"""

import json
import logging
import os
import secrets
import sqlite3
import stat
from pathlib import Path
from typing import Any, Literal, NamedTuple

from appliance.account import account_name
from appliance.durable import write
from appliance.errors import InputError, StoreError, UsageError
from appliance.store.accounts import CONSOLE, Accounts
from appliance.store.history import History
from appliance.store.people import AccountRow, read
from appliance.store.schema import HANDOVER, in_words
from appliance.store.writer import Store

log = logging.getLogger(__name__)

What = Literal["add", "password", "remove"]
LONGEST_BYTES = 4096
PATTERN = f"account-{'[0-9a-f]' * 16}.json"


class Wanted(NamedTuple):
    """A change of an account; `kept` is the password in the form in which it is kept, "" where none is needed."""

    what: What
    name: str
    kept: str = ""


def hand_over(directory: Path, wanted: Wanted) -> Path:
    """Leave a change for the appliance; whoever runs it is to read it, also where root leaves it. Raises StoreError."""
    folder = directory / HANDOVER
    path = folder / f"account-{secrets.token_hex(8)}.json"
    try:
        folder.mkdir(exist_ok=True)
        write(path, json.dumps(wanted._asdict()).encode())
        if os.geteuid() == 0:
            owner = directory.stat()
            for made in (folder, path):
                os.chown(made, owner.st_uid, owner.st_gid)
    except OSError as fault:
        raise StoreError(f"{folder}: {in_words(fault)}") from fault
    return path


def waiting(directory: Path) -> list[Path]:
    """What was left, in the order of time. Raises OSError."""
    found = (directory / HANDOVER).glob(PATTERN)
    return sorted(found, key=lambda path: (path.lstat().st_mtime_ns, path.name))


async def adopt(store: Store) -> None:
    """Do what was left to be done. Raises OSError when the card does not let us; it is due again then."""
    for path in waiting(store.directory):
        wanted = _read(path)
        try:
            if wanted is not None:
                await _do(Accounts(store), wanted)
        except UsageError as fault:
            log.warning("store=%s account change refused: %s", store.directory, fault)
        except StoreError as fault:
            raise fault.__cause__ if isinstance(fault.__cause__, OSError) else OSError(str(fault)) from fault
        path.unlink(missing_ok=True)


async def adopt_alone(directory: Path) -> None:
    """The same where no appliance runs, by who holds the directory. Raises StoreError."""
    store = Store(directory, commit_interval_s=60)
    await store.open()
    try:
        if store.trouble:
            raise StoreError(f"{directory}: {store.trouble}")
        await adopt(store)
    except (sqlite3.Error, OSError) as fault:
        raise StoreError(f"{directory}: {in_words(fault)}") from None
    finally:
        await store.close()


async def _do(accounts: Accounts, wanted: Wanted) -> None:
    if wanted.what == "add":
        await accounts.add(wanted.name, wanted.kept, CONSOLE)
    elif wanted.what == "password":
        await accounts.set_password(wanted.name, wanted.kept, accounts.now_ms(), CONSOLE)
    else:
        await accounts.disable(wanted.name, CONSOLE)


def _read(path: Path) -> Wanted | None:
    """What a file wants; None for one that nobody here made. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(handle, "rb") as file:
        content = file.read(LONGEST_BYTES) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    try:
        told: dict[str, Any] = json.loads(content)
        wanted = Wanted(told["what"], account_name(told["name"]), told["kept"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, InputError):
        wanted = None
    is_whole = wanted is not None and isinstance(wanted.kept, str) and bool(wanted.kept) == (wanted.what != "remove")
    if wanted is None or not is_whole or wanted.what not in ("add", "password", "remove"):
        log.warning("file=%s is no change of an account, removed", path)
        return None
    return wanted


def accounts_of(history: History) -> list[AccountRow]:
    """All accounts, also those that are disabled, by name. Raises sqlite3.Error."""
    return history.answer(lambda view: sorted(read(view.catalogue).accounts.values()))
