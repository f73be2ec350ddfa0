"""Batches for the tests: one small and plain, and any that Hypothesis thinks of."""

from hypothesis import strategies as st

from appliance.model import COMMODITIES
from appliance.sync.batch import (
    NO_BATCH,
    NO_READINGS,
    NO_RECEPTIONS,
    Batch,
    Happened,
    Knot,
    Meter,
    Part,
    Readings,
    Receptions,
    Restated,
)  # fmt: skip

HOUR_MS = 3_600_000
UTC_MS = 1_774_000_000_000
APPLIANCE = "0123456789abcdef" * 2


def batch(**changed: object) -> Batch:
    """Two meters in one boot: three readings, two receptions, a tamper."""
    meters = (Meter("scm", 17_000_001, 7, "electric", False), Meter("scm+", 70_000_002, 12, "gas", False))
    readings = Readings([0, 0, 1], [1000, 301_000, 2500], [31_160, 31_163, 7], [0, 0, None], [3, 3, None], [0, 0, 1])
    receptions = Receptions(
        [0, 1], [0, 0], [29, 1], [2, 0], [29, 0], [40_623, 0], [1875, None], [909_586_000, None], [921_000_000, None],
        [889_000, 2500],
    )  # fmt: skip
    tamper = Happened(5, 301_000, "tamper", 0, {"phy": [0, 1], "enc": [3, 3]})
    clock = (Knot(0, UTC_MS, 250, "ntp"), Knot(900_000, UTC_MS + 900_001, 250, "ntp"))
    values: dict[str, object] = {
        "appliance": APPLIANCE, "epoch": 1, "sequence": 1, "previous": NO_BATCH, "simulated": False,
        "assignments": 0, "sealed": Knot(900_500, UTC_MS + 900_501, 250, "ntp"), "sealed_boot": 3,
        "position": (5, 0, 0), "meters": meters,
        "parts": (Part(3, "boot three", clock, readings, receptions, (tamper,)),),
        "restated": (Restated(2, (Knot(0, UTC_MS - HOUR_MS, None, "estimate"),)),),
    }  # fmt: skip
    return Batch(**(values | changed))  # type: ignore[arg-type]


WHOLE = st.integers(0, 2**53 - 1)
SOURCES = st.sampled_from(["ntp", "rtc", "receipt", "browser", "estimate", "calendar"])
METERS = st.lists(
    st.builds(
        Meter,
        st.sampled_from(["scm", "scm+", "idm", "r900"]),
        st.integers(0, 2**32),
        st.integers(0, 15),
        st.sampled_from(COMMODITIES),
        st.booleans(),
    ),
    max_size=5,
    unique_by=lambda m: (m.protocol, m.meter_id, m.simulated),
)


@st.composite
def clocks(draw: st.DrawFn) -> tuple[Knot, ...]:
    """One to four knots."""
    ms = sorted(draw(st.sets(st.integers(0, 2**40), min_size=1, max_size=4)))
    utc = sorted(draw(st.lists(st.integers(0, 2**41), min_size=len(ms), max_size=len(ms))))
    return tuple(Knot(m, u, draw(st.none() | WHOLE), draw(SOURCES)) for m, u in zip(ms, utc, strict=True))


@st.composite
def parts(draw: st.DrawFn, boot: int, meters: int) -> Part:
    """What happened in a boot to so many meters."""
    places = st.tuples(st.integers(0, meters - 1), st.integers(0, 2**42 - 1)) if meters else st.nothing()
    kept = sorted(draw(st.sets(places, max_size=12))) if meters else []
    counter = st.none() | st.integers(0, 2**16 - 1)
    readings, receptions = NO_READINGS, NO_RECEPTIONS
    if kept:
        rows = [(m, ms, draw(WHOLE), draw(counter), draw(counter), draw(st.integers(0, 1))) for m, ms in kept]
        readings = Readings(*map(list, zip(*rows, strict=True)))
    heard = sorted(draw(st.sets(places, max_size=6))) if meters else []
    if heard:
        some = [(m, ms, *draw(counts()), draw(st.integers(ms, 2**42 - 1))) for m, ms in heard]
        receptions = Receptions(*map(list, zip(*some, strict=True)))
    numbers = sorted(draw(st.sets(st.integers(1, 2**40), max_size=3)))
    detail = st.dictionaries(st.text(max_size=8), st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=8))
    happened = tuple(
        Happened(n, draw(st.integers(0, 2**42 - 1)), draw(st.sampled_from(["tamper", "boot"])), None, draw(detail))
        for n in numbers
    )
    return Part(boot, draw(st.text(max_size=36)), draw(clocks()), readings, receptions, happened)


@st.composite
def counts(draw: st.DrawFn) -> tuple[int | None, ...]:
    """From how often a meter was heard to the highest frequency."""
    count = draw(st.integers(1, 1000))
    levels = draw(st.integers(0, count))
    total = draw(st.integers(-20_000 * levels, 20_000 * levels))
    best = draw(st.none() | st.integers(-20_000, 20_000))
    low = draw(st.none() | st.integers(0, 2**40))
    high = None if low is None else low + draw(st.integers(0, 2**30))
    return count, draw(st.integers(0, count)), levels, total, best, low, high


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Any batch."""
    meters = tuple(draw(METERS))
    boots = sorted(draw(st.sets(st.integers(0, 2**20), max_size=3)))
    told = sorted(draw(st.sets(st.integers(1, 2**20), max_size=3)))
    return batch(
        meters=meters,
        simulated=any(meter.simulated for meter in meters) or draw(st.booleans()),
        parts=tuple(draw(parts(boot, len(meters))) for boot in boots),
        restated=tuple(Restated(boot, draw(clocks())) for boot in told),
        position=tuple(draw(st.lists(WHOLE, max_size=8))),
        sequence=draw(st.integers(1, 2**53 - 1)),
        sealed=draw(clocks())[0],
    )
