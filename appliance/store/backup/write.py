"""A backup in the making: an encrypted archive of all that the appliance keeps, piece by piece.

    backup.json            when it was made, of which appliance, by which version
    catalogue.db, history/…  the databases and segments, as they were at one moment
    identity/…, outbox/…   the other files of the appliance, as `names.py` says

It is made as fast as it is taken, and takes constant memory. The databases are copied into the system's folder for
temporary files first, not beside the backup: the copies are not encrypted. A segment that is damaged, or that the card
cannot read in places, goes in as far as it can be read; what is known of its other pages is still true, and the store
that gets it back takes care of it.
"""

import contextlib
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from appliance import __version__
from appliance.archive import tar
from appliance.archive.container import USUAL, Cost, Sealer
from appliance.model import format_time
from appliance.store.backup.names import ABOUT
from appliance.store.backup.restore import FORMAT
from appliance.store.backup.snapshot import Snapshot, others, sealed, snapshot
from appliance.store.schema import CATALOGUE, LIVE, SEGMENT_PAGE_BYTES

PIECE_BYTES = 1 << 18


def about_now(name: str) -> dict[str, object]:
    """What a backup that is made now says of itself; `name` is the appliance's."""
    return {"format": FORMAT, "program": __version__, "made": format_time(datetime.now(UTC))[:19] + "Z", "name": name}


def estimate(directory: Path) -> int:
    """About how many bytes a backup has. Raises OSError."""
    paths = [directory / CATALOGUE, directory / LIVE, *sealed(directory), *(path for _, path in others(directory))]
    size = 0
    for path in paths:
        # Files are delivered, joined and dropped meanwhile.
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


class Backup:
    """Of a data directory; `about` is what it says of itself. `damaged` names the segments that were found so."""

    def __init__(
        self,
        directory: Path,
        secret: str,
        about: dict[str, object],
        progress: Callable[[int, int | None], None] = lambda done, total: None,
        cost: Cost = USUAL,
    ) -> None:
        self._directory = directory
        self._secret = secret
        self._about = about
        self._progress = progress
        self._cost = cost
        self._done = self._total = 0
        self.damaged: list[str] = []

    def pieces(self) -> Generator[bytes, None, None]:
        """The file; all from one thread. Before the first piece everything was copied that changes.

        Raises StoreError, OSError.
        """
        with (
            tempfile.TemporaryDirectory(prefix="appliance-backup-") as folder,
            snapshot(self._directory, Path(folder)) as taken,
        ):
            out = io.BytesIO()
            sealer = Sealer(out, self._secret, self._cost)
            for plain in self._archive(taken):
                sealer.write(plain)
                if out.tell() >= PIECE_BYTES:
                    yield _emptied(out)
            sealer.close()
            yield _emptied(out)

    def _archive(self, taken: Snapshot) -> Iterator[bytes]:
        self._total = sum(path.stat().st_size for path in taken.databases.values())
        self._total += sum(os.fstat(segment.fileno()).st_size for segment in taken.segments.values())
        description = json.dumps(self._about).encode()
        yield from tar.packed(ABOUT, len(description), 0o600, io.BytesIO(description))
        for name, path in taken.databases.items():
            yield from self._file(name, path)
        for name, segment in taken.segments.items():
            yield from self._segment(name, segment, taken.sha256.get(name))
        for name, path in others(self._directory):
            # What was delivered and put away meanwhile is not missed.
            with contextlib.suppress(FileNotFoundError):
                yield from self._file(name, path)
        yield tar.END

    def _file(self, name: str, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            yield from tar.packed(name, about.st_size, about.st_mode, file, self._count)

    def _segment(self, name: str, file: BinaryIO, sha256: str | None) -> Iterator[bytes]:
        about = os.fstat(file.fileno())
        whole = hashlib.sha256()

        def watch(piece: bytes) -> None:
            whole.update(piece)
            self._count(piece)

        source = Lenient(file)
        yield from tar.packed(name, about.st_size, about.st_mode, source, watch)
        if source.unreadable or sha256 not in (None, whole.hexdigest()):
            self.damaged.append(name)

    def _count(self, piece: bytes) -> None:
        self._done += len(piece)
        self._progress(min(self._done, self._total), self._total)


def _emptied(out: io.BytesIO) -> bytes:
    content = out.getvalue()
    out.seek(0)
    out.truncate()
    return content


class Lenient:
    """A file of a failing card: pages that cannot be read are zeros, which their checksums tell from content."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.unreadable = 0

    def read(self, size: int, /) -> bytes:
        start = self._file.tell()
        try:
            return self._file.read(size)
        except OSError:
            pages = [
                self._page(at, min(SEGMENT_PAGE_BYTES, start + size - at))
                for at in range(start, start + size, SEGMENT_PAGE_BYTES)
            ]
            self._file.seek(start + size)
            return b"".join(pages)

    def _page(self, start: int, size: int) -> bytes:
        try:
            self._file.seek(start)
            return self._file.read(size)
        except OSError:
            self.unreadable += 1
            return bytes(size)
