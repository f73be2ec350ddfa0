"""Bytes that a reading takes on the wire: bodies of requests as the courier makes them, a batch each, of 300 meters.

All that a batch tells is in: how meters were heard, events, envelope and signature. HTTP and TLS come on top of it,
once a request: some 400 bytes and, with a new connection, 5 kB.
"""

import asyncio
import tempfile
from pathlib import Path

from appliance.sync.envelope import read
from appliance.sync.transport import body_of
from appliance.sync.unpack import unpack
from benchmarks.writing import Street, live

METERS, HEARD_EVERY_S, CHANGE_S = 300, 30.0, 300.0


def measure(hours: float = 6.0) -> float:
    """Bytes a reading in so many hours of the street that `writing.py` measures, its first hour included."""
    with tempfile.TemporaryDirectory(prefix="wire-") as name:
        directory = Path(name)
        asyncio.run(live(directory, Street(METERS, HEARD_EVERY_S, CHANGE_S), hours))
        lines = [path.read_bytes() for path in sorted((directory / "outbox").glob("*.batch"))]
    sent = sum(len(body_of([line])) for line in lines)
    readings = sum(len(part.readings.meter) for line in lines for part in unpack(read(line).payload).parts)
    return sent / readings


if __name__ == "__main__":
    print(f"{measure():.2f} bytes a reading")
