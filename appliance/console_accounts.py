"""What the commands for accounts have in common, those of the appliance's page and of the aggregator's.

That is what they take, the password that is asked for, and what is said when it is done.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.archive.passphrase import asked, first_line
from appliance.errors import UsageError
from appliance.web.frame.passwords import check_new, generated

DONE = {
    "add": "{name} can log in now.",
    "password": "{name} has a new password, and is logged out everywhere.",
    "remove": "{name} can log in no more, and is logged out everywhere.",
}


def add_actions(parser: argparse.ArgumentParser, add_place: Callable[[argparse.ArgumentParser], Any]) -> None:
    """Say what the commands take; `add_place` says where the accounts are."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="account_action")
    adding = actions.add_parser("add", help="let somebody log in, with a password that is asked for")
    setting = actions.add_parser("password", help="set another password, and log them out everywhere")
    removing = actions.add_parser("remove", help="let somebody log in no more, and log them out everywhere")
    listing = actions.add_parser("list", help="list the accounts")
    for one in (adding, setting, removing):
        one.add_argument("account", metavar="NAME", help="name to log in with, at most 40 characters without spaces")
    for one in (adding, setting):
        either = one.add_mutually_exclusive_group()
        words = "file whose first line is the password (default: ask)"
        either.add_argument("--password-file", type=Path, metavar="F", help=words)
        either.add_argument("--generate", action="store_true", help="make a password, and print it once")
    for one in (adding, setting, removing, listing):
        add_place(one)


def new_password(name: str, arguments: argparse.Namespace) -> str:
    """A new password: made, from a file, or typed twice. Raises UsageError, InputError."""
    if arguments.generate:
        return generated()
    if arguments.password_file is not None:
        password = first_line(arguments.password_file, "password")
        check_new(password, name)
        return password
    password = asked(f"Password for {name} (at least 12 characters): ", "password")
    check_new(password, name)
    if asked("The same again: ", "password") != password:
        raise UsageError("the two passwords differ", "Start again and type the same twice.")
    return password


def print_generated(password: str, arguments: argparse.Namespace) -> None:
    """Print a password that was made, now that it holds."""
    if arguments.account_action in ("add", "password") and arguments.generate:
        sys.stdout.write(f"{password}\n")


def print_account(name: str, changed_utc_ms: int, disabled_utc_ms: int | None) -> None:
    """A line of the list."""
    removed = "" if disabled_utc_ms is None else f"  removed {_day(disabled_utc_ms)}"
    sys.stdout.write(f"{name}  password of {_day(changed_utc_ms)}{removed}\n")


def _day(utc_ms: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(utc_ms / 1000))
