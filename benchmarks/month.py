"""What the whole appliance has in memory over a month: each day, and whether it grows.

`benchmarks.hurried` runs the appliance, a street of 300 meters takes the place of the receiver, and each day the pages
are fetched. Of 30 days this makes minutes. Registers change every 5 minutes; each meter is heard every 150 s rather
than every 30 s, which makes as many readings and receptions, and five times less to parse. The receiver itself is
measured apart, by `benchmarks.cost`, and added: it is a process of its own, and what it has in memory hangs on the
band, not on the month.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from urllib.error import HTTPError

METERS, EVERY_S, CHANGE_S = 300, 150.0, 300.0
DAYS = 30
# Until then the meters are new, and not all that is done now and then has taken its memory yet.
SETTLED_DAYS = 11
PAGES = ("/", "/meters", "/delivery", "/healthz", "/metrics", "/static/site.css")
STREAMS = ("/events/overview", "/meters/events")


@dataclass(frozen=True)
class Memory:
    """Megabytes of the appliance without its receiver, each day."""

    daily_mb: list[float]

    @property
    def most_mb(self) -> float:
        """The most of any day."""
        return max(self.daily_mb)

    @property
    def growth_mb(self) -> float:
        """From the first settled days to as many last ones."""
        settled = self.daily_mb[min(SETTLED_DAYS, len(self.daily_mb) // 3) :]
        share = max(1, len(settled) // 4)
        return mean(settled[-share:]) - mean(settled[:share])


def measure(*, quick: bool = False) -> Memory:
    """Let a month go by, or 4 days. Raises SystemExit when the appliance does not last so long."""
    days = 4 if quick else DAYS
    daily_mb = []
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="month-") as name, _appliance(Path(name), days) as lines:
        port = ""
        for line in lines:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                port = found[1]
            elif line.startswith("day "):
                _, day, resident_kb = line.split()
                daily_mb.append(int(resident_kb) / 1024)
                print(f"\r  month: day {day}, {daily_mb[-1]:.0f} MB ", end="", file=sys.stderr, flush=True)
                if int(day) < days:
                    _look(port)
    print(file=sys.stderr)
    if len(daily_mb) < days:
        raise SystemExit(f"the appliance ended after {len(daily_mb)} days of {days}")
    print(f"  memory each day: {' '.join(f'{mb:.1f}' for mb in daily_mb)} MB")
    return Memory(daily_mb)


@contextlib.contextmanager
def _appliance(directory: Path, days: int) -> Iterator[Iterator[str]]:
    """The running appliance's lines; it is killed at the end if it did not stop."""
    fifo, config = directory / "go-on", directory / "appliance.toml"
    os.mkfifo(fifo)
    street = [sys.executable, "-m", "benchmarks.hurried", "street", str(fifo), str(METERS), str(EVERY_S), str(CHANGE_S)]
    config.write_text(
        '[web]\nhost = "127.0.0.1"\nport = 0\nopen_to_read = true\n'
        f"[store]\ndirectory = {json.dumps(str(directory / 'data'))}\n"
        f"[[receiver]]\ncommand = {json.dumps(street)}\nsilence_timeout_s = 86400\n"
    )
    command = [sys.executable, "-m", "benchmarks.hurried", str(config), str(fifo), str(days)]
    # Its log says only that the site is slow: to a loop whose seconds are milliseconds everything is.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        try:
            assert child.stdout is not None
            yield child.stdout
        finally:
            child.kill()


def _look(port: str) -> None:
    """Fetch the pages as a browser does, and the beginning of the stream of changes."""
    for page in PAGES:
        # /healthz says 503 when a part is not well.
        with contextlib.suppress(HTTPError), urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=30) as it:
            it.read()
    for stream in STREAMS:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{stream}", timeout=30) as it:
            it.readline()


if __name__ == "__main__":
    found = measure(quick="--quick" in sys.argv[1:])
    print(f"at most {found.most_mb:.0f} MB, grown by {found.growth_mb:.1f} MB")
