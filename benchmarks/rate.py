"""How many readings a second the store takes, from `Store.hear` to the card, sealing and joining included.

300 meters each of whose messages has another register, on a clock that the feed moves, so that no allowance of the
ledger (`docs/security.md`) is used up and all are kept; what was kept is counted at the end. Commits are those of a
store that is under load: whenever as many rows wait as make one due. Beside it, in the same run, the same rows go
into the same table by `executemany` of SQLite and nothing else, in transactions of the same size.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from appliance.model import Message
from appliance.store import live
from appliance.store.files import create
from appliance.store.rows import CARRIED
from appliance.store.schema import HISTORY, LIVE, read_only, segment_path
from appliance.store.upkeep import Upkeep
from appliance.store.writer import MANY_ROWS, Store
from benchmarks.writing import Street

METERS, EVERY_S = 300, 30.0
READINGS = 500_000


@dataclass(frozen=True)
class Rate:
    """Readings a second through the store, and rows a second by `executemany` alone."""

    readings: int
    store_per_s: float
    hear_per_s: float
    raw_per_s: float

    @property
    def ratio(self) -> float:
        """How many times as long the store takes."""
        return self.raw_per_s / self.store_per_s


def measure(*, quick: bool = False) -> Rate:
    """Feed a store on this directory's file system. Raises SystemExit when a reading is not there at the end."""
    messages = READINGS // 5 if quick else READINGS
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="rate-") as name:
        directory = Path(name) / "store"
        expected, heard_s, store_s = asyncio.run(_feed(directory, messages))
        rows = _kept(directory)
        if len(rows) != expected:
            raise SystemExit(f"{len(rows)} readings are on the card of {expected}")
        raw_s = _raw(Path(name) / "raw", rows)
    rate = Rate(expected, expected / store_s, expected / heard_s, expected / raw_s)
    print(
        f"  {rate.store_per_s:,.0f} readings/s to the card, {rate.hear_per_s:,.0f}/s into memory, "
        f"executemany of the same rows {rate.raw_per_s:,.0f}/s"
    )
    return rate


async def _feed(directory: Path, messages: int) -> tuple[int, float, float]:
    """How many readings these messages are; seconds spent in `hear`, and in all."""
    street = Street(METERS, EVERY_S, EVERY_S)
    store = Store(directory, 50.0, street.clock())
    await store.open()
    upkeep = Upkeep(store, monotonic=lambda: street.now_ms / 1000)
    stream = street.messages(messages * EVERY_S / METERS)
    registers: dict[int, int] = {}
    expected, heard_s, all_s = 0, 0.0, 0.0
    while chunk := [(street.now_ms, message) for message in islice(stream, MANY_ROWS)]:
        expected += _changes(chunk, registers)
        begin = time.perf_counter()
        for street.now_ms, message in chunk:
            store.hear(message, False)
        heard_s += time.perf_counter() - begin
        if trouble := await store.commit():
            raise SystemExit(f"the store says: {trouble}")
        await upkeep.tend()
        all_s += time.perf_counter() - begin
        print(f"\r  rate: {expected:,} readings ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if store.ledger.thinned_readings:
        raise SystemExit(f"{store.ledger.thinned_readings} readings were beyond an allowance")
    await store.close()
    return expected, heard_s, all_s


def _changes(chunk: list[tuple[int, Message]], registers: dict[int, int]) -> int:
    count = 0
    for _, message in chunk:
        count += registers.get(message.meter_id) != message.consumption
        registers[message.meter_id] = message.consumption
    return count


def _kept(directory: Path) -> list[tuple[object, ...]]:
    """All readings in the live database and the segments that it lists, as rows for the live table."""
    rows: list[tuple[object, ...]] = []
    for path in sorted((directory / HISTORY).glob("[0-9]*.db")):
        with contextlib.closing(read_only(segment_path(directory, int(path.stem)), immutable=True)) as segment:
            rows += segment.execute(f"SELECT * FROM reading WHERE NOT flags & {CARRIED}")
    with contextlib.closing(read_only(directory / LIVE)) as recent:
        rows += recent.execute("SELECT meter, at, consumption, tamper_phy, tamper_enc, flags FROM reading")
    return sorted(rows, key=lambda row: row[1])  # type: ignore[arg-type, return-value]


def _raw(directory: Path, rows: list[tuple[object, ...]]) -> float:
    """Seconds in which SQLite alone writes them."""
    (directory / HISTORY).mkdir(parents=True)
    with contextlib.closing(create(directory / LIVE, "live")) as writer:
        begin = time.perf_counter()
        for first in range(0, len(rows), MANY_ROWS):
            writer.execute("BEGIN")
            chunk = rows[first : first + MANY_ROWS]
            writer.executemany(live.READING, ((first + n, *row) for n, row in enumerate(chunk)))
            writer.execute("COMMIT")
        return time.perf_counter() - begin


if __name__ == "__main__":
    measure(quick="--quick" in sys.argv[1:])
