"""`appliance aggregator …`: the commands of the centre, each an action on an aggregator's directory."""

import argparse
import asyncio
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from appliance import certificate
from appliance.aggregator import assignment_command, operator_command, pull_command, settings
from appliance.aggregator.api import utc_ms
from appliance.aggregator.appliances import Appliances
from appliance.aggregator.assignments import AssignmentLists
from appliance.aggregator.backup import commands as backup
from appliance.aggregator.chains import Gap
from appliance.aggregator.database import Database
from appliance.aggregator.fleet import Member, fleet
from appliance.aggregator.ingest import Ingest
from appliance.aggregator.keys import make_key, open_key
from appliance.aggregator.loadtest import command as loadtest
from appliance.aggregator.names import grouped, identity_of
from appliance.aggregator.packed import beside, unpacked
from appliance.aggregator.server import opened
from appliance.aggregator.server import run as serve
from appliance.aggregator.stick import Stick
from appliance.durable import write
from appliance.errors import InputError, StoreError

DAY_MS = 86_400_000
TOKEN_LASTS_MS = 30 * DAY_MS

Action = Callable[[argparse.Namespace], Awaitable[None]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the commands take."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")

    init = _action(actions, "init", _init, "make a directory ready, and print the public key that appliances are given")
    init.add_argument("directory", type=Path, metavar="DIR", help="directory, made if missing")
    name = "make a certificate for this host name or address, by which appliances reach it; may be repeated"
    init.add_argument("--name", dest="host_names", action="append", default=[], metavar="NAME", help=name)

    running = _action(actions, "run", _run, "serve appliances until stopped")
    listing = _action(actions, "list", _list, "list the appliances")
    approve = _action(actions, "approve", _approve, "believe an appliance from now on")
    revoke = _action(actions, "revoke", _revoke, "believe an appliance, or one of its keys, no more")
    for one in (approve, revoke):
        one.add_argument("identity", nargs="+", metavar="IDENTITY", help="as the appliance's page and `list` show it")
    approve.add_argument("--claim", metavar="CODE", help="only if this is the code that the appliance's page shows")
    revoke.add_argument("--epoch", type=int, metavar="N", help="only its key of this epoch")
    give_up = _action(actions, "give-up", _give_up, "store what waits behind batches that will never come")
    give_up.add_argument("identity", nargs="+", metavar="IDENTITY", help="as `list` shows it")
    give_up.add_argument("--epoch", type=int, required=True, metavar="N", help="of its key, as `list` shows the gap")
    token = _action(actions, "token", _token, "make a token that approves one appliance, within 30 days")
    ingest = _action(actions, "ingest", _ingest, "take in what came on a USB stick, and put the receipts there")
    words = "folder with the files, those below count too; or the .tar that an appliance's page gave"
    ingest.add_argument("folder", type=Path, metavar="FOLDER", help=words)
    pulling = _action(actions, "pull", pull_command.run, "fetch what waits at appliances that can be reached")
    pull_command.add_arguments(pulling)
    saving = _action(actions, "backup", backup.run_backup, "write all that the aggregator is into one encrypted file")
    backup.add_backup_arguments(saving)
    restoring = _action(actions, "restore", backup.run_restore, "make an aggregator of a backup")
    backup.add_restore_arguments(restoring)
    assigning = _action(actions, "assign", assignment_command.run_assign, "assign the meters of a list to an appliance")
    assignment_command.add_assign_arguments(assigning)
    words = "print the list of what is assigned to an appliance"
    assigned = _action(actions, "assignments", assignment_command.run_assignments, words)
    assignment_command.add_assignments_arguments(assigned)
    testing = _action(actions, "loadtest", loadtest.run, "how many appliances an aggregator on this machine serves")
    loadtest.add_arguments(testing)
    operators = _action(actions, "operator", operator_command.run, "say who may log in at the pages")
    operator_command.add_arguments(operators, _add_directory)
    for one in (running, listing, approve, revoke, give_up, token, ingest, pulling, saving, assigning, assigned):
        _add_directory(one)


def _add_directory(parser: argparse.ArgumentParser) -> None:
    words = "the aggregator's directory (default: here)"
    parser.add_argument("--directory", type=Path, default=Path(), metavar="DIR", help=words)


def _action(actions: Any, name: str, act: Action, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=summary, description=summary)
    parser.set_defaults(act=act)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; returns the exit code. Raises ApplianceError."""
    # What is migrated is told by the version; each step of it is nobody's news.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asyncio.run(arguments.act(arguments))
    except (SQLAlchemyError, OSError) as fault:
        if isinstance(fault, BrokenPipeError):
            raise
        if isinstance(fault, OSError) and fault.filename is not None:
            hint = "Name a folder that you may write to and that has room; then try again."
            raise StoreError(f"not done: {fault.filename}: {fault.strerror}", hint) from fault
        words = f"{fault.orig if isinstance(fault, DBAPIError) else fault}".partition("\n")[0]
        hint = "Check that the database is running and can be reached, and that there is room; then try again."
        raise StoreError(f"not done: {words}", hint) from fault
    return 0


async def _init(arguments: argparse.Namespace) -> None:
    directory, path = arguments.directory, arguments.directory / settings.FILE
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        changed: dict[str, dict[str, Any]] = {}
        if host_names := list(dict.fromkeys(arguments.host_names)):
            certificate.make_certificate(directory, *host_names)
            named = [name for name in host_names if _is_name(name)]
            web = {"host": "*"} | ({"names": named} if named else {})
            changed = {"web": web, "tls": {"certificate": certificate.CERTIFICATE, "key": certificate.KEY}}
        write(path, settings.written(**changed).encode())
    elif arguments.host_names:
        hint = f"Name certificate and key in its [tls], or remove {path} and run this again; the key stays."
        raise InputError(f"{path} is there already, and says which certificate counts", hint)
    key = make_key(directory)
    async with opened(directory):
        pass
    _say(
        f"{directory} is ready. Its settings are in {path}; appliances are given this key, as `[sync] aggregator_key`:"
    )
    _print(key.public_key().public_bytes_raw().hex())


def _is_name(host: str) -> bool:
    """Whether the pages must be told to answer to it: an address is always answered to."""
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


async def _run(arguments: argparse.Namespace) -> None:
    await serve(arguments.directory)


async def _list(arguments: argparse.Namespace) -> None:
    async with opened(arguments.directory) as database:
        members = await fleet(database)
    rows = [("APPLIANCE", "STATE", "LAST BATCH", "LAG", "MISSING", "NAME")]
    rows += [_row(member, utc_ms()) for member in members]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        _print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(member: Member, now_utc_ms: int) -> tuple[str, str, str, str, str, str]:
    last = "-" if member.last is None else "{}-{}".format(*member.last)
    lag = "-" if member.sealed_utc_ms is None else _span(now_utc_ms - member.sealed_utc_ms)
    missing = " ".join(_gap(gap) for gap in member.gaps) or "-"
    return (grouped(member.identity), member.state, last, lag, missing, member.name)


def _gap(gap: Gap) -> str:
    """The batches that are missing, as they are numbered; 0 for those of an earlier epoch."""
    first = f"{gap.epoch}-{gap.first_sequence}"
    return first if gap.first_sequence == gap.last_sequence else f"{first}..{gap.last_sequence}"


def _span(ms: int) -> str:
    """A time that has passed, roughly.

    >>> [_span(ms) for ms in (-5, 59_000, 3_600_000, 5 * 86_400_000)]
    ['0 s', '59 s', '60 min', '120 h']
    """
    s = max(0, ms) // 1000
    for most, unit_s, unit in ((120, 1, "s"), (7_200, 60, "min"), (7 * 86_400, 3_600, "h")):
        if s < most:
            return f"{s // unit_s} {unit}"
    return f"{s // 86_400} d"


async def _approve(arguments: argparse.Namespace) -> None:
    async with _appliances(arguments) as appliances:
        identity = identity_of(arguments.identity)
        await appliances.approve(identity, utc_ms(), arguments.claim)
    _say(f"{grouped(identity)} is approved.")


async def _revoke(arguments: argparse.Namespace) -> None:
    async with _appliances(arguments) as appliances:
        identity = identity_of(arguments.identity)
        await appliances.revoke(identity, utc_ms(), arguments.epoch)
    of_it = "" if arguments.epoch is None else f"The key of epoch {arguments.epoch} of "
    _say(f"{of_it}{grouped(identity)} is revoked.")


async def _give_up(arguments: argparse.Namespace) -> None:
    identity = identity_of(arguments.identity)
    async with opened(arguments.directory) as database:
        ingest = Ingest(database, open_key(arguments.directory))
        try:
            last = await ingest.give_up_gap(identity, arguments.epoch, utc_ms())
        finally:
            await ingest.refusals.write()
    which = f"The missing batches up to {last.epoch}-{last.sequence}"
    if not last.sequence:
        which = f"The missing batches before epoch {last.epoch}"
    _say(f"{which} of {grouped(identity)} are given up: what waited for them is stored.")


async def _token(arguments: argparse.Namespace) -> None:
    async with _appliances(arguments) as appliances:
        token = await appliances.make_token(utc_ms(), TOKEN_LASTS_MS)
    until = time.strftime("%Y-%m-%d", time.gmtime((utc_ms() + TOKEN_LASTS_MS) / 1000))
    _say(f"This token approves the first appliance that enrols with it, until {until}:")
    _print(token)


async def _ingest(arguments: argparse.Namespace) -> None:
    given = arguments.folder
    if given.is_file():
        with unpacked(given) as folder:
            await _ingest_folder(arguments.directory, folder, given)
    elif given.is_dir():
        await _ingest_folder(arguments.directory, given)
    else:
        raise InputError(f"{given} is no folder", "Name the folder on the stick that holds the batches, or the .tar.")


async def _ingest_folder(directory: Path, folder: Path, packed: Path | None = None) -> None:
    """Take in a folder; receipts for a file that was `packed` go beside it."""
    bad = []
    async with opened(directory) as database:
        key = open_key(directory)
        ingest = Ingest(database, key)
        stick = Stick(folder, ingest, Appliances(database))
        if not stick.files:
            raise InputError(f"{packed or folder} holds no batches", "Name what holds *.batch files.")
        try:
            async for outcome in stick.take_in(utc_ms()):
                name = _printable(str(outcome.path.relative_to(folder)))
                _print(f"{name}: {outcome.words}")
                if not outcome.is_good:
                    bad.append(name)
        finally:
            await ingest.refusals.write()
            await _write_back(stick, AssignmentLists(database, key), packed)
    if bad:
        some = ", ".join(bad[:5]) + (", …" if len(bad) > 5 else "")
        hint = "Have them exported again where they came from; the others are taken in."
        if stick.is_early:
            hint = "Approve their appliances by 'appliance aggregator approve', then ingest once more."
        raise InputError(f"{len(bad)} of {len(stick.files)} files are not taken in: {some}", hint)


async def _write_back(stick: Stick, lists: AssignmentLists, packed: Path | None) -> None:
    try:
        receipts = stick.write_receipts()
        assignments = await stick.write_assignments(lists)
        if packed and receipts:
            receipts, assignments = [beside(packed, receipts + assignments)], []
    except OSError as fault:
        hint = "What was taken in stays. Free the stick's write protection or make room, and run this again."
        raise StoreError(f"the stick cannot be written to: {fault.filename}: {fault.strerror}", hint) from fault
    for path in receipts:
        _say(f"{path}: the receipts. Carry them back to the appliance.")
    for path in assignments:
        _say(f"{path}: which meters are assigned. Carry it back, too.")


@asynccontextmanager
async def _appliances(arguments: argparse.Namespace) -> AsyncIterator[Appliances]:
    database: Database
    async with opened(arguments.directory) as database:
        yield Appliances(database)


def _print(line: str) -> None:
    sys.stdout.write(f"{_printable(line)}\n")


def _printable(words: str) -> str:
    """What someone else said, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in words)


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
