"""`appliance account …`: who may log in at the appliance's page, from its console, whether it runs or not."""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance import config
from appliance.account import account_name
from appliance.console_accounts import DONE, add_actions, new_password, print_account, print_generated
from appliance.errors import AlreadyRunning, InputError, StoreError, UsageError
from appliance.store.account_handover import Wanted, What, accounts_of, adopt_alone, hand_over
from appliance.store.accounts import LIST
from appliance.store.history import opened
from appliance.store.lock import sole_bringer, sole_user
from appliance.store.people import AccountRow, usable
from appliance.store.schema import CATALOGUE, in_words
from appliance.web.frame.passwords import kept

POLL_S, PATIENCE_S = 0.5, 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""

    def add_place(one: argparse.ArgumentParser) -> None:
        one.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")

    add_actions(parser, add_place)


def run(arguments: argparse.Namespace, sleep: Callable[[float], None] = time.sleep) -> int:
    """Do what was asked; returns the exit code. Raises UsageError, InputError, StoreError, ConfigError."""
    directory = config.load(arguments.config).store.directory
    if arguments.account_action == "list":
        _list(directory)
        return 0
    what, name = arguments.account_action, account_name(arguments.account)
    _refuse(what, name, usable(_known(directory).values()))
    password = "" if what == "remove" else new_password(name, arguments)
    wanted = Wanted(what, name, kept(password) if password else "")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise StoreError(f"data directory {directory}: {in_words(fault)}") from fault
    with sole_bringer(directory):
        path = hand_over(directory, wanted)
    is_done = _wait(directory, path, sleep)
    if is_done and not _is_as_wanted(_known(directory).get(name), wanted):
        raise InputError(f"the account {name} was not changed", "Look into the log of the appliance for the reason.")
    print_generated(password, arguments)
    _say(_verdict(wanted, is_done))
    return 0


def _refuse(what: What, name: str, known: Sequence[AccountRow]) -> None:
    """Raises UsageError when that cannot be, as things are now; whoever does it looks again."""
    names = [account.name for account in known]
    if what == "add" and name in names:
        raise UsageError(f"{name} has an account already", "Set a new password, or choose another name.")
    if what != "add" and name not in names:
        raise UsageError(f"{name} has no account", LIST)
    if what == "remove" and names == [name]:
        raise UsageError(f"{name} is the last who can log in", "Add another account first.")


def _known(directory: Path) -> dict[str, AccountRow]:
    if not (directory / CATALOGUE).is_file():
        return {}
    with opened(directory) as history:
        return {account.name: account for account in accounts_of(history)}


def _wait(directory: Path, path: Path, sleep: Callable[[float], None]) -> bool:
    """Until the running appliance has taken a change over, or if none runs, do it here; whether it is done.

    Where none runs and the data is another user's, it stays for the next start. Raises StoreError.
    """
    for _ in range(round(PATIENCE_S / POLL_S)):
        if not path.exists():
            return True
        with contextlib.ExitStack() as held, contextlib.suppress(AlreadyRunning):
            held.enter_context(sole_user(directory))
            if os.geteuid() != directory.stat().st_uid:
                # What another user writes there, the appliance could not write to later.
                return False
            asyncio.run(adopt_alone(directory))
            return True
        sleep(POLL_S)
    hint = "It is not lost: the appliance takes it over as soon as it can write."
    raise StoreError("the appliance runs and has not taken over the change", hint)


def _is_as_wanted(account: AccountRow | None, wanted: Wanted) -> bool:
    if wanted.what == "remove":
        return account is None or account.disabled_at is not None
    return account is not None and account.disabled_at is None and account.kept == wanted.kept


def _verdict(wanted: Wanted, is_done: bool) -> str:
    if not is_done:
        return "It is taken over when the appliance starts."
    return DONE[wanted.what].format(name=wanted.name)


def _list(directory: Path) -> None:
    with opened(directory) as history:
        timeline = history.timeline
        for one in accounts_of(history):
            disabled = None if one.disabled_at is None else timeline.utc_ms(one.disabled_at)
            print_account(one.name, timeline.utc_ms(one.changed_at), disabled)


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
