"""`appliance aggregator assign` and `assignments`: which meters matter to an appliance."""

import argparse
import sys
from pathlib import Path

from appliance.aggregator.api import utc_ms
from appliance.aggregator.assignment_file import Wrong, read_list, written
from appliance.aggregator.assignments import AssignmentLists
from appliance.aggregator.keys import open_key
from appliance.aggregator.names import grouped, identity_of
from appliance.aggregator.server import opened

MOST_SAID = 100


def add_assign_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `assign` takes."""
    _add_identity(parser)
    words = "CSV file: columns meter_id, name, address, and protocol and multiplier where they are needed"
    parser.add_argument("list", type=Path, metavar="FILE", help=words)


def add_assignments_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `assignments` takes."""
    _add_identity(parser)


async def run_assign(arguments: argparse.Namespace) -> None:
    """Assign a list. Raises ApplianceError, sqlalchemy.exc.SQLAlchemyError, OSError."""
    try:
        meters = read_list(arguments.list)
    except Wrong as fault:
        for line, words in fault.lines[:MOST_SAID]:
            _say(f"line {line}: {words}")
        raise
    identity = identity_of(arguments.identity)
    async with opened(arguments.directory) as database:
        lists = AssignmentLists(database, open_key(arguments.directory))
        assigned = await lists.assign(identity, meters, utc_ms())
    count = {0: "No meters are", 1: "1 meter is"}.get(assigned.meters, f"{assigned.meters} meters are")
    if assigned.is_new:
        _say(f"{count} assigned to {grouped(identity)} now, as version {assigned.version}. Its next delivery tells it.")
    else:
        _say(f"{count} assigned to {grouped(identity)}, as before: version {assigned.version} stays.")


async def run_assignments(arguments: argparse.Namespace) -> None:
    """Print a list, in the form in which it is assigned; and say whether its appliance has it.

    Raises as `run_assign` does.
    """
    identity = identity_of(arguments.identity)
    async with opened(arguments.directory) as database:
        lists = AssignmentLists(database, open_key(arguments.directory))
        sys.stdout.write(written(await lists.assigned(identity)))
        assigned, told = await lists.versions(identity)
    reached = "it has it" if assigned == told else f"its last batch was sealed with version {told}"
    if not assigned:
        _say(f"Nothing was ever assigned to {grouped(identity)}.")
        return
    _say(f"Version {assigned} for {grouped(identity)}: {reached}.")


def _add_identity(parser: argparse.ArgumentParser) -> None:
    words = "as the appliance's page and `list` show it"
    parser.add_argument("identity", nargs="+", metavar="IDENTITY", help=words)


def _say(words: str) -> None:
    sys.stderr.write("".join(c if c.isprintable() else "?" for c in words) + "\n")
