"""Files that a power cut leaves whole or not at all: written under another name, put on the disk, then named."""

import os
from pathlib import Path

PART = ".part"
"""End of the names of files that are not finished."""


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Make or replace a file, by default one that only its owner reads; it is on the disk for certain then.

    Raises OSError.
    """
    write_one(path, content, mode)
    sync(path.parent)


def write_one(path: Path, content: bytes, mode: int) -> None:
    """The same for one of many in a folder: which of them have their names is certain once that is `sync`ed.

    Raises OSError.
    """
    part = path.with_name(f"{path.name}{PART}")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    sync(part)
    part.rename(path)


def sync(path: Path) -> None:
    """Put a file, or the names in a directory, on the disk for certain. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
