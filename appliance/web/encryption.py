"""HTTPS for an appliance's page, with a certificate of its own that is made at the first start.

Nobody else vouches for it, so a browser warns; once that is accepted, who only listens hears nothing. Whoever has a
better one for the machine's name puts it in the place of the two files, as `appliance/certificate.py` names them.
"""

import hashlib
import logging
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from appliance.certificate import CERTIFICATE, KEY, make_certificate
from appliance.errors import UsageError
from appliance.store.backup.restore import waiting

log = logging.getLogger(__name__)

BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
# A machine that nobody told the time may start in 1970.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)


class Encryption(NamedTuple):
    """What HTTPS needs, and the certificate's SHA-256 as browsers show it."""

    context: ssl.SSLContext
    fingerprint: str


def encryption(directory: Path, names: tuple[str, ...] = ()) -> Encryption | None:
    """By the certificate in a data directory, made if there is none; None, with a word in the log, if it cannot be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if not (directory / CERTIFICATE).exists() or not (directory / KEY).exists():
            if waiting(directory):
                raise UsageError("a restored backup is not in its place yet")
            host = socket.gethostname().partition(".")[0]
            reached_by = dict.fromkeys((f"{host}.local", host, "localhost", *names))
            make_certificate(directory, *reached_by, now=max(EARLIEST, datetime.now(UTC)))
        # Without a password it would ask at the terminal.
        context.load_cert_chain(directory / CERTIFICATE, directory / KEY, password=lambda: b"")
        # The first one, of a chain that somebody put there.
        _, begin, rest = (directory / CERTIFICATE).read_text().partition(BEGIN)
        binary = ssl.PEM_cert_to_DER_cert(begin + rest.partition(END)[0] + END)
    except (OSError, UsageError, ValueError) as fault:
        log.warning("no HTTPS: certificate=%s: %s", directory / CERTIFICATE, fault)
        return None
    digest = hashlib.sha256(binary).hexdigest().upper()
    return Encryption(context, ":".join(digest[i : i + 2] for i in range(0, len(digest), 2)))
