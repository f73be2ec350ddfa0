"""`appliance outbox`: what waits to be delivered, listed, or put on a USB stick; and a new key to sign it with.

The outbox is only read, and a new key is only asked for: it makes no difference whether the appliance runs meanwhile.
"""

import argparse
import contextlib
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from appliance import __version__, config
from appliance.errors import StoreError
from appliance.progress import Progress
from appliance.sync.envelope import Refused, read
from appliance.sync.identity import ask_new_key, seen_identity
from appliance.sync.outbox import OUTBOX, Name
from appliance.sync.stick import Exported, export, folder_of, shelf_of, waiting_in
from appliance.sync.unpack import unpack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    listing = actions.add_parser("list", help="say how much waits, since when, and whose it is")
    exporting = actions.add_parser("export", help="put what waits on a USB stick, for 'appliance aggregator ingest'")
    exporting.add_argument("folder", type=Path, metavar="DIR", help="folder where the stick is mounted")
    renewing = actions.add_parser("new-key", help="sign what comes from now on with a new key")
    for one in (listing, exporting, renewing):
        one.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; returns the exit code. Raises InputError, StoreError, ConfigError."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = config.load(arguments.config)
    directory = settings.store.directory
    try:
        if arguments.action == "list":
            _list(directory)
        elif arguments.action == "new-key":
            _ask_new_key(directory)
        else:
            _export(directory, settings.site.name, arguments.folder)
    except PermissionError as fault:
        hint = "Run this as the user of the appliance, such as by: sudo -u meter …"
        raise StoreError(f"{fault.filename}: this user may not read it", hint) from fault
    except OSError as fault:
        raise StoreError(f"{fault.filename}: {fault.strerror}") from fault
    return 0


def _list(directory: Path) -> None:
    names = waiting_in(directory)
    size = sum(_size(directory / OUTBOX / name.file) for name in names)
    _say(f"{_amount(names, size)}{_span([directory / OUTBOX / name.file for name in names])}")
    identity = seen_identity(directory)
    _say(f"appliance {identity.fingerprint}, code for the operator {identity.claim_code}")


def _ask_new_key(directory: Path) -> None:
    identity = seen_identity(directory)
    ask_new_key(directory)
    _say(
        f"A new key begins with the next batch, in a quarter of an hour at the latest, or at the next start. If that of"
        f" now, number {identity.epoch}, may be in other hands, have it revoked once the next one has delivered:"
        f" appliance aggregator revoke {identity.appliance} --epoch {identity.epoch}"
    )


def _export(directory: Path, site_name: str, root: Path) -> None:
    identity = seen_identity(directory)
    progress = Progress(sys.stderr, 1, unit="batches")
    try:
        done = export(directory, identity, identity.introduction(site_name, __version__), root, progress)
    finally:
        progress.end()
    folder = folder_of(root, identity.appliance)
    _say(f"{folder}: {_told(done)}{_span([folder / shelf_of(name) / name.file for name in done.names])}")
    if root.stat().st_dev == directory.stat().st_dev:
        sys.stderr.write(f"{root} is on the same file system as the data. Is the stick mounted there?\n")
    if done.damaged:
        some = ", ".join(f"{name.epoch}-{name.sequence}" for name in done.damaged[:5])
        sys.stderr.write(f"{len(done.damaged)} damaged batches are left out: {some}\n")


def _told(done: Exported) -> str:
    parts = [f"{_amount(done.names, done.size)}, {done.written} of them new on the stick"]
    if done.removed:
        parts.append(f"{done.removed} receipted ones removed from it")
    return "; ".join(parts)


def _amount(names: Sequence[Name], size: int) -> str:
    """How much waits.

    >>> _amount([Name(1, 1)], 5300)
    '1 batch waits, 5.3 kB'
    """
    unit = f"{size / 1e6:.1f} MB" if size >= 1_000_000 else f"{size / 1e3:.1f} kB"
    return f"{len(names)} {'batch waits' if len(names) == 1 else 'batches wait'}, {unit}"


def _span(batches: Sequence[Path]) -> str:
    """When the first and the last were sealed."""
    if not batches:
        return ""
    sealed = [_sealed(path) for path in (batches[0], batches[-1])]
    return f"; sealed from {sealed[0]} to {sealed[1]}"


def _sealed(path: Path) -> str:
    try:
        knot = unpack(read(path.read_bytes()).payload).sealed
        moment = datetime.fromtimestamp(knot.utc_ms / 1000, UTC)
    except (OSError, Refused, ValueError, OverflowError):
        return "?"
    return f"{moment:%Y-%m-%d %H:%M} UTC{' (estimated)' if knot.source == 'estimate' else ''}"


def _size(path: Path) -> int:
    """Of a file, which may have gone meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
