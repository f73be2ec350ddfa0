"""`appliance aggregator operator …`: who may log in at the aggregator's pages."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from appliance.aggregator.api import utc_ms
from appliance.aggregator.audit import CONSOLE
from appliance.aggregator.operators import Operators
from appliance.aggregator.server import opened
from appliance.console_accounts import DONE, add_actions, new_password, print_account, print_generated
from appliance.web.frame.accounts import account_name
from appliance.web.frame.passwords import kept


def add_arguments(parser: argparse.ArgumentParser, add_directory: Callable[[argparse.ArgumentParser], Any]) -> None:
    """Say what the commands take; `add_directory` says where the aggregator is."""
    add_actions(parser, add_directory)


async def run(arguments: argparse.Namespace) -> None:
    """Do what was asked. Raises ApplianceError, sqlalchemy.exc.SQLAlchemyError, OSError."""
    action = arguments.account_action
    name = "" if action == "list" else account_name(arguments.account)
    async with opened(arguments.directory) as database:
        operators = Operators(database)
        if action == "list":
            for one in await operators.all():
                print_account(one.name, one.changed_utc_ms, one.disabled_utc_ms)
            return
        if action == "remove":
            await operators.remove(name, utc_ms())
        else:
            password = new_password(name, arguments)
            if action == "add":
                await operators.add(name, kept(password), utc_ms())
            else:
                await operators.set_password(name, kept(password), utc_ms(), CONSOLE)
            print_generated(password, arguments)
    sys.stderr.write(DONE[action].format(name=name) + "\n")
