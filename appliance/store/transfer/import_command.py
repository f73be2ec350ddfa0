"""`appliance import LOG`: what `rtlamr -format=json` logged goes into the history, by the times in the log.

The log becomes a file in `handover/`, which whoever holds the lock of the data directory adopts: the appliance if it
runs, which looks every few seconds, else this command.
"""

import argparse
import asyncio
import contextlib
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from appliance import config
from appliance.errors import AlreadyRunning, InputError, StoreError
from appliance.progress import Progress
from appliance.store import queries
from appliance.store.history import opened
from appliance.store.lock import sole_bringer, sole_user
from appliance.store.schema import in_words
from appliance.store.transfer import import_file
from appliance.store.transfer.adopt import waiting
from appliance.store.transfer.logs import Log, Tally
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store

# A clock that says less was never set (`docs/time.md`).
CLOCK_SET = datetime(2025, 1, 1, tzinfo=UTC)
POLL_S = 0.5
PATIENCE_S = 600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "log", metavar="LOG", type=Path, help="log of `rtlamr -format=json`, also .gz; - for standard input"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")


def run(arguments: argparse.Namespace) -> int:
    """Import; returns the exit code. Raises InputError, StoreError, StoreTooNew, AlreadyRunning, ConfigError."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = config.load(arguments.config).store.directory
    tally = Tally()
    log = Log(arguments.log)
    # A log may take long to read: the appliance can be started meanwhile.
    with contextlib.closing(log), sole_bringer(directory):
        progress = Progress(sys.stderr, 1e3, unit="thousand lines")
        now = datetime.now(UTC)

        def look() -> None:
            progress(log.position if log.size else tally.lines, log.size)

        try:
            written = import_file.write(directory, log.messages(tally, look, now if now >= CLOCK_SET else None))
        finally:
            progress.end()
    _tell(tally)
    if written is None:
        raise InputError(f"{log.name} holds no message of rtlamr", "It is read as `rtlamr -format=json` writes it.")
    _say(f"{log.name}: {written.messages} messages of {written.meters} meters, {written.readings} readings\n")
    wait(directory, written.path)
    _say(_added(directory, written.path))
    return 0


def _locked(stack: contextlib.ExitStack, directory: Path) -> bool:
    try:
        stack.enter_context(sole_user(directory))
    except AlreadyRunning:
        return False
    return True


def _tell(tally: Tally) -> None:
    for number, refusal, text in tally.shown:
        _say(f"line {number}: {refusal.reason} ({refusal.detail}): {text!a:.120}\n")
    if total := sum(tally.refused.values()):
        reasons = ", ".join(f"{count} {reason}" for reason, count in tally.refused.most_common())
        _say(f"{total} of {tally.lines} lines are not taken: {reasons}\n")


async def _adopt(directory: Path) -> None:
    store = Store(directory, commit_interval_s=60)
    await store.open()
    try:
        if store.trouble:
            raise StoreError(f"{directory}: {store.trouble}")
        await Upkeep(store).adopt_imports()
    except (sqlite3.Error, OSError) as fault:
        raise StoreError(f"{directory}: {in_words(fault)}") from None
    finally:
        await store.close()


def wait(directory: Path, path: Path, sleep: Callable[[float], None] = time.sleep) -> None:
    """Until the appliance, or if it ends this process, has adopted the file. Raises StoreError."""
    for _ in range(round(PATIENCE_S / POLL_S)):
        if path not in waiting(directory):
            return
        with contextlib.ExitStack() as lock:
            if _locked(lock, directory):
                asyncio.run(_adopt(directory))
                return
        sleep(POLL_S)
    hint = "It is not lost: the appliance takes it over as soon as it can write."
    raise StoreError("the appliance runs and has not taken over the log", hint)


def _added(directory: Path, path: Path) -> str:
    with opened(directory) as history:
        for event in queries.events(history, "log_imported", limit=20):
            if event.detail.get("file") == path.stem:
                new = event.detail
                return f"new: {new['readings']} readings, {new['meters']} meters, {new['events']} events\n"
    return "nothing in it is new\n"


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
