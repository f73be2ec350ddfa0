"""TLS by the files that the settings name, which are taken up anew when somebody renews them.

Certificate and key are two files, so there is a moment at which they are not of each other: a pair that cannot be used
is complained of when it is still there at the next look. Until then, and as long as it stays so, the one before serves.
Both are read before either is used: OpenSSL gets them from memory, as they were read.
"""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from appliance.aggregator.settings import FILE, Tls
from appliance.errors import ConfigError

log = logging.getLogger(__name__)

LOOKS_EVERY_S = 10.0
# Of looks in a row: between two files that are renewed, one may see the new one with the old.
COMPLAINS_AT = 2

_HINT = "Name the files of a certificate and of its key without a password, both PEM, that this user may read."


class _Pair(NamedTuple):
    """What the files held at one moment."""

    certificate: bytes
    key: bytes


class Certificate:
    """What the files say, in `context`; `look` whether they say something else by now. Raises ConfigError."""

    def __init__(self, files: Tls, directory: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._files = files
        self._directory = directory
        self._used = self._pair()
        self._faults = 0
        self._load(self.context, self._used)

    def look(self) -> bool:
        """Take up what was renewed; says whether something was."""
        try:
            found = self._pair()
            if found == self._used:
                self._faults = 0
                return False
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), found)
        except ConfigError as fault:
            self._faults += 1
            if self._faults == COMPLAINS_AT:
                log.warning("certificate not taken up, the one before stays: %s", fault)
            return False
        # New connections have it; those that are open stay as they are.
        self._load(self.context, found)
        self._used, self._faults = found, 0
        log.info("certificate taken up file=%s", self._directory / self._files.certificate)
        return True

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look again and again."""
        while True:
            await sleep(LOOKS_EVERY_S)
            self.look()

    def _pair(self) -> _Pair:
        paths = [self._directory / name for name in (self._files.certificate, self._files.key)]
        try:
            return _Pair(*(path.read_bytes() for path in paths))
        except OSError as fault:
            raise ConfigError(f"{fault.filename}: cannot be read: {fault.strerror}", _HINT) from fault

    def _load(self, context: ssl.SSLContext, pair: _Pair) -> None:
        try:
            with _in_memory(pair.certificate) as certificate, _in_memory(pair.key) as key:
                # Without a password it would ask at the terminal.
                context.load_cert_chain(certificate, key, password=lambda: b"")
        except ssl.SSLError as fault:
            words = "are not PEM, or not of each other"
            if fault.reason is not None:
                words = fault.reason.replace("_", " ").lower()
            where = self._directory / FILE
            raise ConfigError(f"{where}: tls.certificate and tls.key: {words}", _HINT) from fault


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file that is on no disk, by its path."""
    handle = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        with open(handle, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
