"""Passwords: which are taken, how they are kept, and how one is checked without that the machine is taken along.

They are kept by Argon2id (RFC 9106) with m = 19 MiB, t = 2, p = 1: of the choices that OWASP's Password Storage Cheat
Sheet names as equally good the one with the least memory but two, for the same code runs on a computer of 512 MB. One
is worked out at a time, in a thread, whatever number of log-ins comes in: beyond a short queue they are turned away.
"""

import asyncio
import re
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from appliance.errors import InputError

MEMORY_KIB, ITERATIONS, LANES = 19_456, 2, 1
SALT_BYTES, HASH_BYTES = 16, 32
# NIST SP 800-63B asks for a least length and for no rule on kinds of characters.
LEAST, MOST = 12, 200
LEAST_DIFFERENT = 5
# One that is made is read aloud, or copied from a screen: nothing that looks like something else.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS, GROUP = 4, 4
# How many may wait for their turn: strangers, and with them those on a device that is known.
STRANGERS, ALL = 8, 16

TOO_SHORT, TOO_LONG = "the password has fewer than 12 characters", "the password has more than 200 characters"
TOO_SIMPLE, IS_NAME = "the password has too few different characters", "the password is hardly more than the name"
UNREADABLE = "the password has characters that cannot be typed"
ADVICE = "Three or four words that do not belong together are easy to remember and hard to guess."
MOST_WORK = 4 * MEMORY_KIB, 10, 4
_PHC = re.compile(r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}")
_TODAY = f"$argon2id$v=19$m={MEMORY_KIB},t={ITERATIONS},p={LANES}$"


class Overrun(Exception):
    """Too many wait to be checked already."""


class Verdict(NamedTuple):
    """Whether a password was right, and whether it is kept with less work than is used now."""

    is_right: bool
    is_outdated: bool


class Passwords:
    """Works passwords out, one at a time. `close` it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "password")
        self._waiting = 0
        # Checked where there is no account, so that a name that is unknown takes as long as one that is not.
        self._nobody = ""

    def close(self) -> None:
        """Wait for nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def kept(self, password: str) -> str:
        """The form in which a password is kept."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, kept, password)

    async def check(self, password: str, known: str | None, *, from_known_device: bool = False) -> Verdict:
        """Whether a password is the one that is `known`, which is None where there is no account. Raises Overrun."""
        if self._waiting >= (ALL if from_known_device else STRANGERS):
            raise Overrun
        self._waiting += 1
        try:
            is_right = await asyncio.get_running_loop().run_in_executor(self._thread, self._check, password, known)
        finally:
            self._waiting -= 1
        return Verdict(is_right, is_right and known is not None and not known.startswith(_TODAY))

    def _check(self, password: str, known: str | None) -> bool:
        if not self._nobody:
            self._nobody = kept(secrets.token_hex(16))
        return is_right(password, self._nobody if known is None else known) and known is not None


def generated() -> str:
    """A password of 79 bits to be copied by hand."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(GROUP)) for _ in range(GROUPS))


def kept(password: str) -> str:
    """The form in which a password is kept: a PHC string. Takes a tenth of a second and 19 MiB."""
    worked_out = Argon2id(
        salt=secrets.token_bytes(SALT_BYTES), length=HASH_BYTES, iterations=ITERATIONS, lanes=LANES,
        memory_cost=MEMORY_KIB,
    )  # fmt: skip
    return worked_out.derive_phc_encoded(_bytes(password))


def is_right(password: str, known: str) -> bool:
    """Whether a password is the one that is kept. Takes as long as `kept`.

    What is kept may have come in a backup that somebody made up: what asks for more than a few times the work of today
    is nobody's password.
    """
    asked = _PHC.fullmatch(known)
    if not asked or any(int(asks) > most for asks, most in zip(asked.groups(), MOST_WORK, strict=True)):
        return False
    try:
        Argon2id.verify_phc_encoded(_bytes(password[: MOST + 1]), known)
    except InvalidKey:
        return False
    return True


def check_new(password: str, name: str) -> None:
    """Raises InputError, in the words above, when an account of that name cannot have this password."""
    if len(password) < LEAST:
        raise InputError(TOO_SHORT, ADVICE)
    if len(password) > MOST:
        raise InputError(TOO_LONG, ADVICE)
    if not password.isprintable():
        raise InputError(UNREADABLE, ADVICE)
    if len(set(password.casefold())) < LEAST_DIFFERENT:
        raise InputError(TOO_SIMPLE, ADVICE)
    if name.casefold() in password.casefold() and len(password) - len(name) < LEAST:
        raise InputError(IS_NAME, ADVICE)


def _bytes(password: str) -> bytes:
    # One and the same however a keyboard composes an accent.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace")
