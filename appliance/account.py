"""Who may log in, and who has: the nouns that the log-in of both sites and their storages share.

Times are ms on the clock that the site gives its sessions.
"""

import unicodedata
from dataclasses import dataclass

from appliance.errors import InputError

LONGEST_NAME = 40
# What is written down of a log-in: that it was done, that it was ended, that an account's password is being guessed.
LOGGED_IN, LOGGED_OUT, LOCKED = "log-in", "log-out", "guesses"


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in. `kept` is the password in the form in which it is kept; `role` what they may do.

    `is_given`: the password is still the one that the account was made with, by somebody else as a rule.
    """

    name: str
    kept: str
    role: str
    is_given: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has logged in, known by the SHA-256 of the token that their browser has."""

    token_sha256: str
    name: str
    role: str
    made_ms: int
    used_ms: int


def is_account_name(name: object) -> bool:
    """Whether this is a name as accounts are kept by.

    >>> is_account_name("ana"), is_account_name("Ana"), is_account_name("a" * 41), is_account_name(b"ana")
    (True, False, False, False)
    """
    try:
        return isinstance(name, str) and account_name(name) == name
    except InputError:
        return False


def account_name(typed: str) -> str:
    """The name of an account as it is kept, of one as people type it. Raises InputError.

    >>> account_name(" Ana.Pérez ")
    'ana.pérez'
    """
    name = unicodedata.normalize("NFKC", typed).strip().casefold()
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or any(c.isspace() for c in name):
        raise InputError(
            f"{typed[:LONGEST_NAME]!r} is no name of an account",
            f"A name has at most {LONGEST_NAME} characters and no spaces.",
        )
    return name
