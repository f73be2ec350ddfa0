"""The passphrase of a backup: asked for at the terminal without showing it, or read from a file."""

import argparse
import getpass
import os
import stat
import sys
from pathlib import Path

from appliance.errors import InputError, UsageError

LEAST_CHARACTERS = 12
_LONGEST_BYTES = 4096


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Say what the commands with a passphrase take."""
    words = "file whose first line is the passphrase (default: ask)"
    parser.add_argument("--passphrase-file", metavar="F", type=Path, help=words)


def new(file: Path | None) -> str:
    """A passphrase for a new backup, asked for twice. Raises UsageError when it is too short, InputError."""
    if file is not None:
        passphrase = first_line(file)
    else:
        passphrase = asked(f"Passphrase for the backup (at least {LEAST_CHARACTERS} characters): ")
        if len(passphrase) >= LEAST_CHARACTERS and asked("The same again: ") != passphrase:
            raise UsageError("the two passphrases differ", "Start again and type the same twice.")
    if len(passphrase) < LEAST_CHARACTERS:
        raise UsageError(
            f"the passphrase has {len(passphrase)} characters, {LEAST_CHARACTERS} are the least",
            "Take four or five words that do not belong together, and keep them where the backup is not.",
        )
    return passphrase


def known(file: Path | None) -> str:
    """The passphrase of a backup that exists. Raises UsageError, InputError."""
    return asked("Passphrase of the backup: ") if file is None else first_line(file)


def asked(question: str, what: str = "passphrase") -> str:
    """What somebody types at the terminal, unseen. Raises UsageError."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"there is no terminal to ask for the {what}", f"Give it with --{what}-file.")
    try:
        return getpass.getpass(question, sys.stderr)
    except (EOFError, UnicodeDecodeError):
        raise UsageError(f"no {what} was typed", "Type it and end it with Enter.") from None


def first_line(file: Path, what: str = "passphrase") -> str:
    """The first line of a file that only its owner reads. Raises InputError."""
    try:
        with file.open("rb") as opened:
            about = os.fstat(opened.fileno())
            if stat.S_ISREG(about.st_mode) and about.st_mode & 0o077:
                hint = f"Make it yours alone (chmod 600 {file}), and choose another {what} if it was read."
                raise InputError(f"{file} with the {what} can be read by others", hint)
            line = opened.readline(_LONGEST_BYTES)
        return line.decode().rstrip("\r\n")
    except OSError as fault:
        raise InputError(f"{file} with the {what} cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} with the {what} is not UTF-8 text", "Save it as UTF-8.") from None
