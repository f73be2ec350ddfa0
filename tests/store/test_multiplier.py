"""A multiplier that is told is the true one, whatever the dial's digits, rounding and delay; else it is not told."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from appliance.errors import InputError
from appliance.store.multiplier import (
    BEHIND,
    CANDIDATES,
    ONE,
    ROUNDS,
    SURES,
    Compared,
    Verdict,
    dial,
    fitting,
    work_out,
)

MODULUS = 1 << 24


def told(*pairs: tuple[str, int], modulus: int = MODULUS) -> Verdict:
    return work_out([Compared(dial(shown), register) for shown, register in pairs], modulus)


@pytest.mark.parametrize(
    ("pairs", "sure", "multiplier", "apart"),
    [
        # 10 Wh a count, with a decimal and without.
        ([("12345.6", 1_234_560)], "sure", "0.01", False),
        ([("012345", 1_234_560)], "sure", "0.01", False),
        # 1 kWh a count.
        ([("31160", 31_160)], "sure", "1", False),
        # A current transformer of 200/5.
        ([("080000", 2_000)], "too_early", None, False),
        ([("8000000", 200_000)], "likely", "40", False),
        # The dial has begun at zero again: 5 digits, a count 1 kWh.
        ([("12345", 112_345)], "likely", "1", False),
        # The register has: 24 bits of 10 Wh are 167,772 kWh.
        ([("170000.0", 17_000_000 - MODULUS)], "sure", "0.01", False),
        # Too little is shown to tell.
        ([("5", 5)], "too_early", None, False),
        ([("00000", 0)], "too_early", None, False),
        # An old dial, or a module that was not set to it: how both move tells.
        ([("00500.0", 77_777)], "none_fits", None, False),
        ([("00500.0", 77_777), ("00700.0", 97_780)], "likely", "0.01", True),
        ([("00500.0", 77_777), ("00500.3", 77_800)], "none_fits", None, False),
        # Something else was typed of it before: the last one is right, and says so at once or weeks later.
        ([("1", 11_231_799)], "none_fits", None, False),
        ([("1", 11_231_799), ("112318", 11_231_800)], "disputed", None, False),
        ([("1", 11_231_799), ("112400.5", 11_240_050)], "disputed", None, False),
        ([("112317", 11_231_799), ("1", 11_231_799), ("112318", 11_231_800)], "disputed", None, False),
        # The last one is not.
        ([("112318", 11_231_799), ("1", 11_231_800)], "none_fits", None, False),
        # Both fit; after some consumption one does.
        ([("250000", 1_250_000)], "ambiguous", None, False),
        ([("250000", 1_250_000), ("260000", 1_300_000)], "sure", "0.2", False),
        ([("250000", 1_250_000), ("300000", 1_300_000)], "sure", "1", False),
        # The dial begins at zero again between two comparisons.
        ([("99950.0", 5), ("00050.0", 10_005)], "likely", "0.01", True),
    ],
)
def test_examples(pairs: list[tuple[str, int]], sure: str, multiplier: str | None, apart: bool) -> None:
    found = told(*pairs)
    assert (found.sure, found.multiplier and str(found.multiplier), found.apart) == (sure, multiplier, apart)


def test_what_is_ambiguous_or_disputed_names_what_fits() -> None:
    assert told(("250000", 1_250_000)).candidates == (Decimal(1), Decimal("0.2"))
    assert told(("1", 11_231_799), ("112318", 11_231_800)).candidates == (Decimal("0.01"),)


@st.composite
def compared(
    draw: st.DrawFn, multiplier: int, registers: tuple[int, int], digits: int, decimals: int
) -> tuple[str, int]:
    """A dial of so many digits, and a register that is some counts behind it, of a meter that counts so."""
    counts = draw(st.integers(*registers))
    behind = draw(st.integers(0, BEHIND))
    quantity = Fraction(multiplier, ONE) * (counts + behind)
    rounding = draw(st.sampled_from([Fraction(0), Fraction(1, 2)]))
    shown = int(quantity * 10**decimals + rounding) % 10 ** (digits + decimals)
    text = f"{shown:0{digits + decimals}d}"
    return (f"{text[:digits]}.{text[digits:]}" if decimals else text), counts


METERS = st.tuples(st.sampled_from(CANDIDATES), st.integers(4, 7), st.integers(0, 2))


@given(st.data(), METERS, st.integers(1, 1 << 24))
def test_the_true_multiplier_always_fits_and_no_other_is_told(
    data: st.DataObject, meter: tuple[int, int, int], most: int
) -> None:
    multiplier, digits, decimals = meter
    # A dial that rolled over more than three times is no longer thought of.
    limit = (ROUNDS + 1) * 10**digits * ONE // multiplier - BEHIND - 1
    assume(limit > 1)
    registers = (1, min(most, limit, (1 << 24) - 1))
    shown, counts = data.draw(compared(multiplier, registers, digits, decimals))
    pair = Compared(dial(shown), counts)
    assert multiplier in fitting(pair, MODULUS) or pair.dial.shown == 0
    found = work_out([pair], MODULUS)
    if found.multiplier is not None:
        assert found.multiplier == Decimal(multiplier) / ONE
    assert (found.multiplier is not None) == (found.sure in ("sure", "likely"))


@given(st.data(), METERS, st.integers(0, 10**7), st.integers(1300, 40_000))
def test_two_comparisons_tell_it_wherever_dial_and_register_began(
    data: st.DataObject, meter: tuple[int, int, int], apart: int, used: int
) -> None:
    multiplier, digits, decimals = meter
    moved = Fraction(multiplier, ONE) * used
    # Not once around the dial, and more than its last digits.
    assume(moved * 10**decimals > 120 and moved < Fraction(9, 10) * 10**digits)
    first, counts = data.draw(compared(multiplier, (1, 1 << 20), digits, decimals))
    begun = int(Fraction(first)) if decimals == 0 else int(Fraction(first) * 10**decimals)
    shown = (begun + apart) % 10 ** (digits + decimals)
    later = (shown + int(moved * 10**decimals)) % 10 ** (digits + decimals)
    texts = [f"{value:0{digits + decimals}d}" for value in (shown, later)]
    texts = [f"{text[:digits]}.{text[digits:]}" if decimals else text for text in texts]
    found = told((texts[0], counts), (texts[1], counts + used))
    assert found.multiplier in (None, Decimal(multiplier) / ONE)
    # By chance the second may be what another multiplier would show.
    assert found.sure in ("sure", "likely", "ambiguous", "disputed")


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 2**32)), min_size=1, max_size=8))
def test_whatever_is_typed_there_is_a_verdict(pairs: list[tuple[int, int]]) -> None:
    found = told(*((str(shown), register) for shown, register in pairs))
    assert found.sure in SURES
    assert len(found.candidates) <= 5


@pytest.mark.parametrize(
    "typed", ["", " ", ".", ".5", "-5", "1e5", "12 3", "12345678901", "٣", "1.2.3", "1,2.3", "nan", "0x1"]
)
def test_what_is_no_dial(typed: str) -> None:
    with pytest.raises(InputError, match="is no reading of a dial"):
        dial(typed)
    with pytest.raises(InputError, match="more than 3 decimals"):
        dial("1.2345")
