"""`appliance aggregator backup FILE` and `appliance aggregator restore FILE DIR`."""

import argparse
import sys
from pathlib import Path

from appliance.aggregator.backup.restore import restore
from appliance.aggregator.backup.write import backup
from appliance.aggregator.server import opened
from appliance.archive import passphrase
from appliance.errors import InputError
from appliance.progress import Progress


def add_backup_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `backup` takes, beside the directory."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the backup to write; never overwrites")
    passphrase.add_argument(parser)


def add_restore_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `restore` takes."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a backup made by `appliance aggregator backup`")
    parser.add_argument("directory", type=Path, metavar="DIR", help="directory, empty or not there yet")
    address = "an empty PostgreSQL database, postgresql://…, for a backup of one"
    parser.add_argument("--database", default="", metavar="ADDRESS", help=address)
    passphrase.add_argument(parser)


async def run_backup(arguments: argparse.Namespace) -> None:
    """Write a backup. Raises ApplianceError."""
    file: Path = arguments.file
    progress = Progress(sys.stderr, 1e6, unit="MB")
    async with opened(arguments.directory) as database:
        secret = passphrase.new(arguments.passphrase_file)
        try:
            elsewhere = await backup(arguments.directory, database, file, secret, progress)
        finally:
            progress.end()
    for name in elsewhere:
        sys.stderr.write(f"{name} lies elsewhere, and is not in it: keep a copy of it yourself\n")
    sys.stderr.write(f"{file}: written, and read back\n")


async def run_restore(arguments: argparse.Namespace) -> None:
    """Make an aggregator of a backup. Raises ApplianceError, OSError."""
    file: Path = arguments.file
    # An absolute one has a name and a parent, whatever was said.
    directory = arguments.directory.absolute()
    progress = Progress(sys.stderr, 1e6, unit="MB")
    try:
        source = file.open("rb")
    except OSError as fault:
        raise InputError(f"{file} cannot be opened: {fault.strerror}") from None
    with source:
        secret = passphrase.known(arguments.passphrase_file)
        try:
            about = await restore(source, str(file), secret, directory, arguments.database, progress)
        finally:
            progress.end()
    sys.stderr.write(
        f"{arguments.directory} is the aggregator as it was backed up {about.made}. What was receipted after that is"
        " missing, and will show as gaps: docs/backup.md tells what to do about them.\n"
    )
