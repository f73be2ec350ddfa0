"""`appliance aggregator operator …`: who may log in at the aggregator's pages."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.aggregator.api import utc_ms
from appliance.aggregator.audit import CONSOLE
from appliance.aggregator.operators import Operators
from appliance.aggregator.server import opened
from appliance.archive.passphrase import asked, first_line
from appliance.errors import UsageError
from appliance.web.frame.accounts import account_name
from appliance.web.frame.passwords import check_new, kept


def add_arguments(parser: argparse.ArgumentParser, add_directory: Callable[[argparse.ArgumentParser], Any]) -> None:
    """Say what the commands take; `add_directory` says where the aggregator is."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="operator_action")
    adding = actions.add_parser("add", help="let somebody log in, with a password that is asked for")
    setting = actions.add_parser("password", help="set another password, and log them out everywhere")
    removing = actions.add_parser("remove", help="let somebody log in no more, and log them out everywhere")
    listing = actions.add_parser("list", help="list the operators")
    for one in (adding, setting, removing):
        one.add_argument("operator", metavar="NAME", help="name to log in with, at most 40 characters without spaces")
    for one in (adding, setting):
        words = "file whose first line is the password (default: ask)"
        one.add_argument("--password-file", type=Path, metavar="F", help=words)
    for one in (adding, setting, removing, listing):
        add_directory(one)


async def run(arguments: argparse.Namespace) -> None:
    """Do what was asked. Raises ApplianceError, sqlalchemy.exc.SQLAlchemyError, OSError."""
    action = arguments.operator_action
    name = "" if action == "list" else account_name(arguments.operator)
    async with opened(arguments.directory) as database:
        operators = Operators(database)
        if action == "add":
            await operators.add(name, kept(_password(name, arguments.password_file)), utc_ms())
            _say(f"{name} can log in now.")
        elif action == "password":
            await operators.set_password(name, kept(_password(name, arguments.password_file)), utc_ms(), CONSOLE)
            _say(f"{name} has a new password, and is logged out everywhere.")
        elif action == "remove":
            await operators.remove(name, utc_ms())
            _say(f"{name} can log in no more, and is logged out everywhere.")
        else:
            for one in await operators.all():
                removed = "" if one.disabled_utc_ms is None else f"  removed {_day(one.disabled_utc_ms)}"
                sys.stdout.write(f"{one.name}  password of {_day(one.changed_utc_ms)}{removed}\n")


def _password(name: str, file: Path | None) -> str:
    """A new password, typed twice or from a file. Raises UsageError, InputError."""
    if file is not None:
        password = first_line(file, "password")
        check_new(password, name)
        return password
    password = asked(f"Password for {name} (at least 12 characters): ", "password")
    check_new(password, name)
    if asked("The same again: ", "password") != password:
        raise UsageError("the two passwords differ", "Start again and type the same twice.")
    return password


def _day(utc: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(utc / 1000))


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
