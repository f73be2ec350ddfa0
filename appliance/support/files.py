"""What lies in the data directory: names and sizes, nothing of what is in the files."""

from pathlib import Path

MOST_FILES = 3_000


def listing(directory: Path) -> str:
    """A line for each file, up to a bound, and the sum of all."""
    lines, number, total = [], 0, 0
    try:
        for path in sorted(directory.rglob("*")):
            try:
                if path.is_symlink() or not path.is_file():
                    continue
                size = path.stat().st_size
            except OSError:
                # Files come and go meanwhile.
                continue
            number, total = number + 1, total + size
            if number <= MOST_FILES:
                lines.append(f"{size:>12} {path.relative_to(directory)}")
    except OSError as fault:
        lines.append(f"cannot be read on: {fault.strerror}")
    if number > MOST_FILES:
        lines.append(f"… and {number - MOST_FILES} more")
    return "\n".join([*lines, f"{total:>12} in {number} files"])
