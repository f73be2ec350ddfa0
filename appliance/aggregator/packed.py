"""What waited at an appliance as one file, as its page hands it out: a tar archive with the folders of a stick.

It may come from anybody. It is unpacked into a folder of its own before anything in it is looked at: plain files with
plain names, no more bytes than the archive has. The receipts go into one file beside it, to be brought back.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from appliance.archive.tar import members
from appliance.durable import write
from appliance.errors import InputError, StoreError

ENDING = ".receipts.jsonl"


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """A folder with what the archive holds, while entered. Raises InputError, StoreError."""
    with tempfile.TemporaryDirectory(prefix="batches-") as made:
        folder = Path(made)
        try:
            with path.open("rb") as file:
                for member in members(file, path.stat().st_size):
                    target = folder / member.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("xb") as into:
                        for piece in member.pieces():
                            into.write(piece)
        except InputError as fault:
            # The reader is that of backups, and says so.
            words = str(fault).replace("the backup", str(path)).removesuffix(", which no backup has")
            raise InputError(words, "Name the .tar as the appliance's page gave it; download it again.") from fault
        except OSError as fault:
            raise StoreError(f"{path} cannot be unpacked: {fault.strerror}") from fault
        yield folder


def beside(path: Path, files: Sequence[Path]) -> Path:
    """All lines of some files, in one beside the archive. Raises OSError."""
    lines = dict.fromkeys(line for file in files for line in file.read_bytes().splitlines())
    target = path.with_name(path.name.removesuffix(".tar") + ENDING)
    # Whoever carries it on is another user.
    write(target, b"".join(line + b"\n" for line in lines), 0o644)
    return target
