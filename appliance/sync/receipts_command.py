"""`appliance receipts import`: takes in what an aggregator has put on a USB stick.

The running appliance holds its data directory, so it is handed the lines over its page, as any program on the network
might: they are signed. Where it does not run, they are taken in here.
"""

import argparse
import asyncio
import errno
import http.client
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance import config
from appliance.config import Config, Web
from appliance.errors import AlreadyRunning, ConfigError, InputError, NotRunning, StoreError
from appliance.progress import Progress
from appliance.store.assign import keep
from appliance.store.assigned import Assigned
from appliance.store.lock import sole_user
from appliance.store.repair.soundness import refuse_later
from appliance.sync.gate import RECEIPTS_PATH
from appliance.sync.identity import Identity, open_identity, seen_identity
from appliance.sync.outbox import Outbox
from appliance.sync.returned import addressed, find
from appliance.sync.taking import Taking, Tally, keys_of

T = TypeVar("T")

ANSWER_S = 120.0
MOST_ANSWER_BYTES = 65_536
# A request is well within what the page takes.
PORTION_BYTES, PORTION_LINES = 262_144, 200
HINT = "What was taken in stays; do it again."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    importing = actions.add_parser("import", help="take in the receipts that an aggregator put on a USB stick")
    importing.add_argument("place", type=Path, metavar="DIR|FILE", help="where the stick is mounted, or a file")
    importing.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")


def run(arguments: argparse.Namespace) -> int:
    """Take in receipts; returns the exit code. Raises InputError, NotRunning, StoreError, ConfigError."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = config.load(arguments.config)
    keys = keys_of(settings.sync.aggregator_key)
    if not keys:
        hint = "Set it to what 'appliance aggregator init' printed, and start the appliance anew."
        raise ConfigError("[sync] aggregator_key is not set, so nothing can be verified", hint)
    tally = Tally()
    try:
        identity = seen_identity(settings.store.directory)
        found = find(arguments.place, identity.appliance)
        _take_in(settings, keys, addressed(found.files, identity.appliance, tally), tally)
    except PermissionError as fault:
        hint = "Run this as the user of the appliance, such as by: sudo -u meter …"
        raise StoreError(f"{fault.filename} is another user's", hint) from fault
    except OSError as fault:
        raise StoreError(f"{fault.filename}: {fault.strerror}", HINT) from fault
    if found.is_cut:
        sys.stderr.write(f"{arguments.place} holds more files than are looked at: name the folder of the receipts\n")
    sys.stdout.write(_verdict(tally, arguments.place, identity) + "\n")
    return 0


def _take_in(settings: Config, keys: dict[str, Ed25519PublicKey], lines: Iterable[bytes], tally: Tally) -> None:
    directory = settings.store.directory
    progress = Progress(sys.stderr, 1, unit="lines")
    try:
        with sole_user(directory):
            refuse_later(directory)
            if os.geteuid() != directory.stat().st_uid:
                # What another user writes there, the appliance could not write to later.
                raise PermissionError(errno.EPERM, "not the user of the appliance", str(directory))
            outbox = Outbox(directory, open_identity(directory))
            outbox.open()
            asyncio.run(_accept(Taking(_Alone(directory, outbox), keys), lines, tally, progress))
    except AlreadyRunning:
        done = 0
        for portion in _portions(lines):
            _hand_over(settings.web, portion, tally)
            done += len(portion)
            progress(done, None)
            if tally.refused["too_many"]:
                break
    finally:
        progress.end()


class _Alone:
    """Has the data directory for itself."""

    def __init__(self, directory: Path, outbox: Outbox) -> None:
        self._directory = directory
        self._outbox = outbox

    async def of(self, work: Callable[[Outbox], T]) -> T:
        return work(self._outbox)

    async def assign(self, assigned: Assigned) -> bool:
        return keep(self._directory, assigned)


async def _accept(taking: Taking, lines: Iterable[bytes], tally: Tally, progress: Progress) -> None:
    done = 0
    for portion in _portions(lines):
        tally.add(*await taking.take(portion))
        done += len(portion)
        progress(done, None)


def _portions(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    portion: list[bytes] = []
    size = 0
    for line in lines:
        if portion and (size + len(line) > PORTION_BYTES or len(portion) == PORTION_LINES):
            yield portion
            portion, size = [], 0
        portion.append(line)
        size += len(line)
    if portion:
        yield portion


def _hand_over(web: Web, lines: list[bytes], tally: Tally) -> None:
    """Give lines to the running appliance. Raises NotRunning, StoreError, ConfigError."""
    if web.port == 0:
        hint = "Stop the appliance first, or set [web] port to a number."
        raise NotRunning("[web] port is 0, so it is not known where the running appliance's page is", hint)
    host = f"[{web.near_host}]" if ":" in web.near_host else web.near_host
    address = f"http://{host}:{web.port}{RECEIPTS_PATH}"
    status, body = _post(address, b"\n".join(lines) + b"\n")
    try:
        said = json.loads(body)
        if status == 200:
            tally.taken += int(said["taken"])
            tally.known += int(said["known"])
            tally.refused += Counter({str(reason): int(count) for reason, count in said["refused"].items()})
            tally.words = tally.words or str(said["words"])
            return
        words = str(said["words"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        hint = "Set [web] port in the configuration to that of the appliance, or stop the appliance first."
        raise NotRunning(f"what answers at {address} takes no receipts (status {status})", hint) from None
    if status == 404:
        raise ConfigError(f"the running appliance says: {words}", "Correct the configuration, and start it anew.")
    raise StoreError(f"the running appliance says: {words}", HINT)


def _post(address: str, body: bytes) -> tuple[int, bytes]:
    """Status and answer. Raises NotRunning."""
    # A proxy that is set for the outside has no business between two programs of one machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(address, body, {"Content-Type": "application/x-ndjson"})  # noqa: S310 - http
    try:
        with opener.open(request, timeout=ANSWER_S) as answer:
            return answer.status, answer.read(MOST_ANSWER_BYTES)
    except urllib.error.HTTPError as fault:
        with fault:
            return fault.code, fault.read(MOST_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as fault:
        reason = getattr(fault, "reason", fault)
        words = getattr(reason, "strerror", None) or reason
        hint = "It runs, for it holds the data directory: see that [web] is what it was started with, or stop it first."
        raise NotRunning(f"the running appliance does not answer at {address}: {words}", hint) from None


def _verdict(tally: Tally, place: Path, identity: Identity) -> str:
    """What became of all, in words. Raises InputError when nothing was believed."""
    others = tally.refused["not_its_own"]
    bad = tally.refused.total() - others
    if not tally.is_good:
        if not others + bad:
            hint = "Name the folder where the stick is mounted, after 'appliance aggregator ingest' was run on it."
            raise InputError(f"{place} holds no receipts", hint)
        if not bad:
            raise InputError(f"all in {place} is for other appliances", f"This one is {identity.fingerprint}.")
        hint = "Check that [sync] aggregator_key is the key of the aggregator that they come from."
        raise InputError(f"nothing in {place} is believed: {tally.words}", hint)
    parts = [f"{tally.taken} taken in", f"{tally.known} known already"]
    if others:
        parts.append(f"{others} for other appliances")
    if bad:
        parts.append(f"{bad} refused: {tally.words}")
    return ", ".join(parts)
