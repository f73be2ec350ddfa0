"""`appliance aggregator pull`: fetches what waits at appliances, one address after the other."""

import argparse
import re
import sys
from pathlib import Path

from appliance.aggregator.api import utc_ms
from appliance.aggregator.keys import open_key
from appliance.aggregator.names import grouped
from appliance.aggregator.pulling import Fetched, Puller
from appliance.aggregator.server import opened
from appliance.aggregator.visiting import Visitor, check_address
from appliance.errors import NotDelivered, UsageError
from appliance.sync.identity import NAME_DIGITS

HINT = "What waits there stays there. See to these, and pull again."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes, beside the aggregator's directory."""
    words = (
        "address of an appliance's page, such as http://10.8.0.7:8080; followed by = and its identity where that is"
        " known: what is assigned to it is sent only there, by https"
    )
    parser.add_argument("places", nargs="+", metavar="URL[=IDENTITY]", help=words)
    words = "file (PEM) with the certificates to trust in place of those that the system knows"
    parser.add_argument("--certificate", type=Path, metavar="FILE", help=words)


async def run(arguments: argparse.Namespace) -> None:
    """Pull. Raises UsageError, NotDelivered, sqlalchemy.exc.SQLAlchemyError, OSError."""
    places = [_place(place) for place in arguments.places]
    if any(address.startswith("http://") for address, _ in places):
        sys.stderr.write("Over plain http whoever is on the way can read what comes; what is assigned is not sent.\n")
    failed = []
    async with opened(arguments.directory) as database:
        key = open_key(arguments.directory)
        async with Visitor(arguments.certificate) as visitor:
            puller = Puller(database, key, visitor, utc_ms)
            try:
                for address, expected in places:
                    fetched = await puller.pull(address, expected)
                    sys.stdout.write(f"{address}: {_printable(in_words(fetched))}\n")
                    sys.stdout.flush()
                    if fetched.words or fetched.standing == "revoked":
                        failed.append(address)
            finally:
                await puller.ingest.refusals.write()
    if failed:
        some = ", ".join(failed[:5]) + (", …" if len(failed) > 5 else "")
        words = f"{len(failed)} of {len(places)} addresses are not done: {some}"
        raise NotDelivered(words, HINT)


def _place(text: str) -> tuple[str, str]:
    """An address, and the identity of who is there, "" if that is not said. Raises UsageError."""
    address, _, identity = text.partition("=")
    check_address(address)
    if identity and not re.fullmatch(f"[0-9a-f]{{{NAME_DIGITS}}}", identity):
        hint = f"Copy it from 'appliance aggregator list', as {NAME_DIGITS} digits without spaces."
        raise UsageError(f"{identity!r:.60} is no identity of an appliance", hint)
    return address, identity


def in_words(fetched: Fetched) -> str:
    """What came from an address."""
    parts = [grouped(fetched.identity)] if fetched.identity else []
    if fetched.standing == "approved":
        parts.append(f"{fetched.stored} batches stored")
    elif fetched.standing == "waiting":
        parts.append("waits for your approval; nothing was fetched")
    elif fetched.standing == "revoked":
        parts.append("is revoked; nothing was fetched")
    if fetched.refused:
        parts.append(f"{fetched.refused} refused")
    if fetched.words:
        parts.append(fetched.words)
    return ", ".join(parts)


def _printable(text: str) -> str:
    """A stranger's words in a line."""
    return "".join(char if char.isprintable() else "?" for char in text)
