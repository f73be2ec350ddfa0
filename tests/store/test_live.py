"""The quarter that is running, packed into one row and back."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.store.live import coverage, pack, unpack
from appliance.store.rows import MeterKey, Reception
from appliance.timeline import stamp

BEGIN = stamp(3, 900_000)
KEYS = {n: MeterKey("scm", 10_000_000 + n, n % 2 == 0) for n in range(1, 40)}
NUMBERS = {key: number for number, key in KEYS.items()}


@st.composite
def receptions(draw: st.DrawFn) -> Reception:
    key = KEYS[draw(st.integers(1, 39))]
    reception = Reception(key, BEGIN + 900_000 * draw(st.integers(-1, 2)))
    for _ in range(draw(st.integers(1, 5))):
        at = reception.at + 1000 * draw(st.integers(0, 900))
        snr_db = draw(st.none() | st.floats(-20, 60))
        reception.add(at, draw(st.booleans()), snr_db, draw(st.none() | st.integers(1, 2**53 - 1)))
    return reception


@given(st.lists(receptions(), max_size=30, unique_by=lambda r: (r.meter, r.at)))
def test_packed_receptions_come_back(given: list[Reception]) -> None:
    def place(r: Reception) -> tuple[MeterKey, int]:
        return r.meter, r.at

    assert sorted(unpack(pack(given, NUMBERS), KEYS), key=place) == sorted(given, key=place)


def test_meters_without_a_number_are_left_out() -> None:
    stranger = MeterKey("scm", 5, False)
    known, unknown = Reception(KEYS[1], BEGIN, 1, last=BEGIN), Reception(stranger, BEGIN, 1, last=BEGIN)
    assert unpack(pack([known, unknown], NUMBERS), KEYS) == [known]
    assert unpack(pack([known], NUMBERS), {}) == []


@given(st.binary(max_size=60))
def test_what_is_damaged_is_left_out(packed: bytes) -> None:
    assert unpack(packed, KEYS) == []
    whole = pack([Reception(KEYS[1], BEGIN, 1, last=BEGIN)], NUMBERS)
    assert unpack(whole[: len(whole) - 3], KEYS) == []


def test_300_meters_take_a_few_kilobytes() -> None:
    numbers = {MeterKey("scm", n, False): n for n in range(300)}
    street = []
    for n, key in enumerate(numbers):
        street.append(Reception(key, BEGIN))
        for m in range(7):
            street[-1].add(
                BEGIN + 30_000 * m + 97 * n, m == 3, 12 + (n * 7 + m) % 20, 909_586_000 + 196_568 * (n * m % 50)
            )
    assert len(pack(street, numbers)) < 4096


def test_coverage_adds_up_by_quarter() -> None:
    heard = [Reception(KEYS[n], BEGIN + 900_000 * (n % 2), n) for n in range(1, 5)]
    assert coverage(heard) == [(BEGIN, 2, 6), (BEGIN + 900_000, 2, 4)]
