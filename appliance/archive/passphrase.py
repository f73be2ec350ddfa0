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
        passphrase = _from(file)
    else:
        passphrase = _asked(f"Passphrase for the backup (at least {LEAST_CHARACTERS} characters): ")
        if len(passphrase) >= LEAST_CHARACTERS and _asked("The same again: ") != passphrase:
            raise UsageError("the two passphrases differ", "Start again and type the same twice.")
    if len(passphrase) < LEAST_CHARACTERS:
        raise UsageError(
            f"the passphrase has {len(passphrase)} characters, {LEAST_CHARACTERS} are the least",
            "Take four or five words that do not belong together, and keep them where the backup is not.",
        )
    return passphrase


def known(file: Path | None) -> str:
    """The passphrase of a backup that exists. Raises UsageError, InputError."""
    return _asked("Passphrase of the backup: ") if file is None else _from(file)


def _asked(question: str) -> str:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("there is no terminal to ask for the passphrase", "Give it with --passphrase-file.")
    try:
        return getpass.getpass(question, sys.stderr)
    except (EOFError, UnicodeDecodeError):
        raise UsageError("no passphrase was typed", "Type it and end it with Enter.") from None


def _from(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            about = os.fstat(opened.fileno())
            if stat.S_ISREG(about.st_mode) and about.st_mode & 0o077:
                hint = f"Make it yours alone (chmod 600 {file}), and choose another passphrase if it was read."
                raise InputError(f"{file} with the passphrase can be read by others", hint)
            line = opened.readline(_LONGEST_BYTES)
        return line.decode().rstrip("\r\n")
    except OSError as fault:
        raise InputError(f"{file} with the passphrase cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} with the passphrase is not UTF-8 text", "Save it as UTF-8.") from None
