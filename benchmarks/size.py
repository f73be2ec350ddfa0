"""How long a card lasts: what the store keeps in a day, and how many years of that 8 GB hold.

The store itself runs on a clock that the feed moves, until it has joined eight segments into one; that one, with its
checksums, is divided by the days it spans. A history lies in such segments or in larger ones. Boots are numbered from
1,000, as after a year and a half of two power cuts a day: a small number takes less room.

Electric meters bring their register up to date every 5 minutes (`docs/protocols.md`), so most messages of the thesis'
50 meters with 3 messages a second repeat what is known. The worst case is a register that changes with each message;
of those the store keeps a reading of each meter every 25 s (`docs/security.md`).
"""

import asyncio
import contextlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from appliance.store import catalogue
from appliance.store.files import create
from appliance.store.rows import SegmentRow
from appliance.store.schema import CATALOGUE, HISTORY, segment_path, sums_path
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store
from appliance.timeline import Boot, ms_of
from benchmarks.writing import Street

DAY_MS = 24 * 3_600_000
# Once in a quarter of an hour is enough: how often is committed makes no difference to what is sealed.
STEP_S = 900.0
BOOTS_BEFORE = 1_000
# A card of 8 GB, less 3 GB for two slots of the system and the boot partition, less what the store leaves free.
CARD_BYTES = 8_000_000_000 - 3_000_000_000 - 250_000_000


@dataclass(frozen=True)
class Size:
    """What a day takes, and what a reading does that is not a copy, all else included."""

    bytes_a_day: float
    readings_a_day: float
    receptions_a_day: float

    @property
    def years(self) -> float:
        """How long the card lasts without that anything is thinned."""
        return CARD_BYTES / (self.bytes_a_day * 365.25)

    def __str__(self) -> str:
        rows = self.readings_a_day + self.receptions_a_day
        return (
            f"{self.bytes_a_day * 365.25 / 1e6:.0f} MB a year, {self.years:.1f} years on 8 GB "
            f"({self.readings_a_day:.0f} readings and {self.receptions_a_day:.0f} receptions a day, "
            f"{self.bytes_a_day / rows:.1f} B a row)"
        )


THESIS = "50 meters, 3 messages/s"
STREETS = {
    THESIS: (50, 50 / 3, 300.0),
    "300 meters, every 30 s": (300, 30.0, 300.0),
    "50 meters, 3 messages/s, each another register": (50, 50 / 3, 50 / 3),
}


def measure(*, quick: bool = False) -> dict[str, Size]:
    """What each of these streets takes; `quick` looks at the first segment, which is not joined yet."""
    sizes = {}
    for name, (meters, every_s, change_s) in STREETS.items():
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="size-") as directory:
            street = Street(meters, every_s, change_s)
            made = asyncio.run(_until_sealed(Path(directory), street, 0 if quick else 1, name))
            sizes[name] = _size(Path(directory), made)
        print(f"  {name}: {sizes[name]}")
    return sizes


async def _until_sealed(directory: Path, street: Street, rank: int, name: str) -> SegmentRow:
    """Run a store until it has a segment of this rank."""
    (directory / HISTORY).mkdir()
    with contextlib.closing(create(directory / CATALOGUE, "catalogue")) as known:
        earlier = Boot(BOOTS_BEFORE, "earlier", 1, 0)
        values = (earlier.number, earlier.boot_id, earlier.last_ms, earlier.system_offset_ms)
        known.execute(catalogue.BOOT, values)
    store = Store(directory, STEP_S, street.clock())
    await store.open()
    upkeep = Upkeep(store, monotonic=lambda: street.now_ms / 1000)
    while not (found := [row for row in store.segments if row.rank == rank]):
        for message in street.messages(STEP_S):
            store.hear(message, False)
        if trouble := await store.commit():
            raise SystemExit(f"the store says: {trouble}")
        await upkeep.tend()
        print(f"\r  {name}: day {street.now_ms / DAY_MS:.1f} ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    await store.close()
    return found[0]


def _size(directory: Path, row: SegmentRow) -> Size:
    path = segment_path(directory, row.number)
    size = path.stat().st_size + sums_path(path).stat().st_size
    days = (ms_of(row.to_at) - ms_of(row.from_at)) / DAY_MS
    return Size(size / days, row.readings / days, row.receptions / days)


if __name__ == "__main__":
    measure(quick="--quick" in sys.argv[1:])
