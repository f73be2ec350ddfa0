"""The captures that are kept: what is there, and room for the next one. No more than `BUDGET_BYTES` of each receiver.

A capture is two files, samples and SigMF metadata; the metadata comes last and goes first, so what has it is whole.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import StoreError

# The minute that one may last at the usual rate, twice.
BUDGET_BYTES = 600_000_000
NAME = re.compile(r"\d{8}T\d{6}Z-\d{1,11}Hz(-\d{1,3})?\.sigmf-data")
META_SUFFIX = ".sigmf-meta"


@dataclass(frozen=True, slots=True)
class Kept:
    """A capture: its name tells when (by the appliance's clock) and at which centre it was made."""

    name: str
    data: Path
    meta: Path
    bytes: int


class Captures:
    """The captures in `folder`, which need not be there yet."""

    def __init__(self, folder: Path, budget_bytes: int = BUDGET_BYTES) -> None:
        self._folder = folder
        self._budget_bytes = budget_bytes

    def list(self) -> list[Kept]:
        """What is there, whole, the newest first. Raises StoreError."""
        try:
            names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        except OSError as fault:
            raise StoreError(f"the captures cannot be listed: {fault.strerror}") from None
        return sorted((kept for name in names if (kept := self.get(name))), key=lambda kept: kept.name, reverse=True)

    def get(self, name: str) -> Kept | None:
        """The capture of this name; None if there is none, or it is no name of one."""
        if not NAME.fullmatch(name):
            return None
        data = self._folder / name
        meta = data.with_suffix(META_SUFFIX)
        try:
            return Kept(name, data, meta, data.stat().st_size) if meta.is_file() else None
        except OSError:
            return None

    def delete(self, name: str) -> bool:
        """Delete a capture; whether it was there. Raises StoreError."""
        kept = self.get(name)
        if kept is None:
            return False
        try:
            kept.meta.unlink(missing_ok=True)
            kept.data.unlink(missing_ok=True)
        except OSError as fault:
            raise StoreError(f"{name} cannot be deleted: {fault.strerror}") from None
        return True

    def make_room(self, needed_bytes: int) -> None:
        """Delete the oldest until so much more keeps within the budget. Raises StoreError."""
        kept = self.list()
        while kept and sum(one.bytes for one in kept) + needed_bytes > self._budget_bytes:
            self.delete(kept.pop().name)
