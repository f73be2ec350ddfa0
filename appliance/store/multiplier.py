"""What a register counts, worked out from what the meter's dial shows.

Nothing on the air says whether a count is 10 Wh or 1 kWh. Whoever stands before the meter reads the dial; register
times multiplier is what it shows, if nothing else has happened. Of the multipliers that there are, those are taken for
which that holds as exactly as both can be read:

    dial   12345.6      somewhere from 12345.5 to 12345.7: the last digit may be read high or low
    counts 1234560      the register was brought up to date at some time in the last minutes: 0 to 25 counts ago

A dial begins at zero again beyond its digits, a register beyond its bits: up to three times each are tried.
A dial that was not set to what the register said fits none; the differences between two comparisons do all the same.

Multipliers: powers of ten, and the ratios of current transformers. Rated primary currents are 10, 12.5, 15, 20, 25, 30,
40, 50, 60, 75 A and their decimal multiples at 1 A and 5 A (IEC 61869-2), 80 and 120 A in IEEE C57.13.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from appliance.errors import InputError

Sure = Literal["sure", "likely", "ambiguous", "too_early", "none_fits", "disputed"]

SURES: tuple[Sure, ...] = ("sure", "likely", "ambiguous", "too_early", "none_fits", "disputed")
MOST_DIGITS, MOST_DECIMALS = 10, 3
# All is reckoned in millionths of the dial's unit, in whole numbers.
ONE = 1_000_000
_MANTISSAS = (100, 120, 125, 150, 160, 200, 240, 250, 300, 400, 500, 600, 750, 800)
LEAST, MOST = ONE // 1000, 1000 * ONE
CANDIDATES = tuple(sorted(m * 10**n for m in _MANTISSAS for n in range(1, 8) if LEAST <= m * 10**n <= MOST))
TENS = frozenset(10**n for n in range(3, 10))
# A register is brought up to date every five minutes: at 3 kW and 10 Wh a count, 25 counts behind its dial.
BEHIND = 25
ROUNDS = 3
# Of what is shown, what is uncertain may be no larger a share for a multiplier to be believed: two are 4 % apart.
SURE_SHARE, LIKELY_SHARE = 1000, 100
DIFFERENCE_SHARE = 50
SHOWN = 5


class Dial(NamedTuple):
    """What a dial shows: in millionths, and one unit of its last digit; and where it begins at zero again."""

    shown: int
    unit: int
    modulus: int


class Compared(NamedTuple):
    """A dial, and the register at the same time."""

    dial: Dial
    register: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comparisons say. `multiplier` is None unless they are `sure` or `likely`.

    `ambiguous`: several fit, which are named, the most usual first; `too_early`: too little is shown, or was used
    since, to tell; `none_fits`: not even the differences do. In all three another comparison helps, once more was used.
    `disputed`: the last one by itself tells one, which is named, and those before say another or none: one is wrong.
    `apart` says that dial and register fit in what they move, and not in where they began.
    """

    sure: Sure
    multiplier: Decimal | None = None
    candidates: tuple[Decimal, ...] = ()
    apart: bool = False


def dial(typed: str) -> Dial:
    """What somebody typed of a dial, with all of its digits. Raises InputError.

    >>> dial("012345,6")
    Dial(shown=12345600000, unit=100000, modulus=1000000000000)
    """
    whole, _, decimals = typed.strip().replace(",", ".").partition(".")
    digits = whole + decimals
    if not (digits.isascii() and digits.isdecimal() and whole and len(digits) <= MOST_DIGITS):
        hint = f"Type all of its digits as they stand there, at most {MOST_DIGITS}, such as 012345.6"
        raise InputError(f"{typed[:20]!r} is no reading of a dial", hint)
    if len(decimals) > MOST_DECIMALS:
        raise InputError(f"{typed[:20]!r} has more than {MOST_DECIMALS} decimals", "Leave out the last digits.")
    unit = ONE // 10 ** len(decimals)
    return Dial(int(digits) * unit, unit, 10 ** len(whole) * ONE)


def fitting(compared: Compared, register_modulus: int) -> set[int]:
    """The multipliers, in millionths, by which a register is what a dial shows; each as often rolled over as may be."""
    (shown, unit, modulus), register = compared
    ways = [(shown + n * modulus, register) for n in range(ROUNDS + 1)]
    ways += [(shown, register + n * register_modulus) for n in range(1, ROUNDS + 1)]
    return {found for quantity, counts in ways for found in _between(quantity - unit, quantity + unit, counts)}


def _between(low: int, high: int, counts: int) -> Sequence[int]:
    """The candidates c for which c·counts to c·(counts + 1 + BEHIND) meets low to high."""
    if counts <= 0 or high <= 0:
        return ()
    begin = bisect_left(CANDIDATES, -(-max(low, 0) // (counts + 1 + BEHIND)))
    return CANDIDATES[begin : bisect_right(CANDIDATES, high // counts)]


def work_out(comparisons: Sequence[Compared], register_modulus: int) -> Verdict:
    """The multiplier that comparisons of one meter, in the order of time, tell."""
    last = comparisons[-1]
    fits = fitting(last, register_modulus)
    for earlier in comparisons[:-1]:
        fits &= fitting(earlier, register_modulus)
    together = _together(comparisons, fits, register_modulus)
    alone = _of_one(last, fitting(last, register_modulus))
    if alone.multiplier and not fits and (alone.sure == "sure" or together.sure == "none_fits"):
        return Verdict("disputed", None, (alone.multiplier,))
    return together


def _together(comparisons: Sequence[Compared], fits: set[int], register_modulus: int) -> Verdict:
    """What they tell if none is wrong; `fits` are the multipliers that fit each of them."""
    last = comparisons[-1]
    verdict = _of_one(last, fits)
    if len(comparisons) < 2:
        return verdict
    moved = [_moved(comparisons[0], last, register_modulus), _moved(comparisons[-2], last, register_modulus)]
    told = [found for found in moved if found is not None]
    if not told:
        return verdict if verdict.multiplier or not verdict.candidates else Verdict("too_early", None, named(fits))
    by_moves = set.intersection(*told)
    if both := fits & by_moves:
        if len(both) == 1:
            return Verdict("sure", _decimal(*both))
        return Verdict("ambiguous", None, named(both))
    if len(by_moves) == 1:
        return Verdict("likely", _decimal(*by_moves), apart=True)
    return Verdict("ambiguous" if by_moves else "none_fits", None, named(by_moves))


def _of_one(compared: Compared, fits: set[int]) -> Verdict:
    """What fits, and how far that is to be believed by itself."""
    shown, unit, _ = compared.dial
    if compared.register <= BEHIND or (fits and shown <= LIKELY_SHARE // 10 * unit):
        return Verdict("too_early", None, named(fits))
    if not fits:
        return Verdict("none_fits")
    if len(fits) > 1:
        return Verdict("ambiguous", None, named(fits))
    (only,) = fits
    slack = 2 * unit + only * (1 + BEHIND)
    if slack * SURE_SHARE <= shown and only in TENS:
        return Verdict("sure", _decimal(only))
    if slack * LIKELY_SHARE <= shown:
        return Verdict("likely", _decimal(only))
    return Verdict("too_early", None, named(fits))


def _moved(earlier: Compared, later: Compared, register_modulus: int) -> set[int] | None:
    """The multipliers by which both moved from one comparison to the other; None if that was too little to tell."""
    unit, modulus = max(earlier.dial.unit, later.dial.unit), later.dial.modulus
    counts = (later.register - earlier.register) % register_modulus
    used = (later.dial.shown - earlier.dial.shown) % modulus
    if counts == 0 or used == 0 or 2 * unit * DIFFERENCE_SHARE > used or counts < BEHIND * DIFFERENCE_SHARE:
        return None
    low = -(-(used - 2 * unit) // (counts + 1 + BEHIND))
    high = (used + 2 * unit) // max(1, counts - 1 - BEHIND)
    return set(CANDIDATES[bisect_left(CANDIDATES, low) : bisect_right(CANDIDATES, high)])


def named(fits: Iterable[int]) -> tuple[Decimal, ...]:
    """Some multipliers, the most usual first: powers of ten, those nearest to one before."""
    usual = sorted(fits, key=lambda c: (c not in TENS, max(c, ONE) * ONE // min(c, ONE), c))
    return tuple(map(_decimal, usual[:SHOWN]))


def _decimal(millionths: int) -> Decimal:
    """As it is written down.

    >>> _decimal(10_000), _decimal(40_000_000)
    (Decimal('0.01'), Decimal('40'))
    """
    whole, rest = divmod(millionths, ONE)
    decimals = f"{rest:06d}".rstrip("0")
    return Decimal(f"{whole}.{decimals}" if decimals else str(whole))
