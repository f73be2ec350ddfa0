"""Columns of whole numbers as text that gzip compresses well.

As JSON's decimal numbers a column of random differences costs 1.5 times what it holds; written this way hardly more,
and a column that is constant costs nothing. A column is `[least, digits, text]`: what each row has above the least, in
so many digits to the base 64, most significant first; all first digits stand before all second ones:

    [300, 2, "AAABAz9A"]   four rows: 300 + A·64+A, 300 + A·64+z, 300 + A·64+9, 300 + B·64+A   = 300, 351, 361, 364

The digits are those of base64url (RFC 4648, section 5). In a column that may have gaps a gap is 0 and every number
one more than it has above the least. A column of runs, such as the registers of one meter after those of another, is
written as two: what each run begins with, and the steps within them.
"""

from collections.abc import Sequence
from itertools import accumulate, islice
from operator import sub
from typing import Any

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
MOST_DIGITS = 9
_DIGITS = ALPHABET.encode()
_VALUES = bytes(ALPHABET.find(chr(code)) % 256 for code in range(256))
_STRANGE = 255

Written = tuple[int, int, str]


def write(column: Sequence[int]) -> Written:
    """A column as it is sent.

    >>> write([327, 351, 361, 364]), write([7, 7]), write([])
    ((327, 1, 'AYil'), (7, 0, ''), (0, 0, ''))
    """
    least = min(column, default=0)
    return least, *_digits([value - least for value in column])


def write_sparse(column: Sequence[int | None]) -> Written:
    """A column with gaps as it is sent.

    >>> write_sparse([5, None, 9]), write_sparse([None])
    ((5, 1, 'BAF'), (0, 0, ''))
    """
    least = min((value for value in column if value is not None), default=0)
    return least, *_digits([0 if value is None else value - least + 1 for value in column])


def read(written: Any, rows: int, low: int, high: int) -> list[int]:
    """The column of so many rows, all of them from `low` to below `high`. Raises ValueError.

    >>> read((300, 2, "AAABAz9A"), 4, 0, 1000)
    [300, 351, 361, 364]
    """
    least, above = _read(written, rows)
    if min(above) if above else least:
        raise ValueError("a column whose least number is none of its own")
    column = [least + value for value in above]
    _bound(column, low, high)
    return column


def read_sparse(written: Any, rows: int, low: int, high: int) -> list[int | None]:
    """The same of a column with gaps. Raises ValueError."""
    least, above = _read(written, rows)
    if min(filter(None, above), default=1) != 1 or (least and not any(above)):
        raise ValueError("a column whose least number is none of its own")
    column = [least + value - 1 if value else None for value in above]
    _bound([value for value in column if value is not None], low, high)
    return column


def write_runs(column: Sequence[int], runs: Sequence[int]) -> tuple[Written, Written]:
    """A column that consists of runs: the first of each run that is not empty, and the steps within the runs.

    >>> write_runs([10, 13, 17, 2], [3, 0, 1])
    ((2, 1, 'IA'), (3, 1, 'AB'))
    """
    firsts: list[int] = []
    steps: list[int] = []
    start = 0
    for length in runs:
        run = column[start : start + length]
        firsts += run[:1]
        steps += map(sub, run[1:], run)
        start += length
    return write(firsts), write(steps)


def read_runs(written: Any, runs: Sequence[int], low: int, high: int) -> list[int]:
    """The column again. Raises ValueError.

    >>> read_runs(((2, 1, "IA"), (3, 1, "AB")), [3, 0, 1], 0, 100)
    [10, 13, 17, 2]
    """
    begun = len(runs) - runs.count(0)
    first_part, step_part = written
    firsts = iter(read(first_part, begun, low, high))
    steps = iter(read(step_part, sum(runs) - begun, -high, high))
    column: list[int] = []
    for length in runs:
        if length:
            column += accumulate(islice(steps, length - 1), initial=next(firsts))
    _bound(column, low, high)
    return column


def _digits(values: list[int]) -> tuple[int, str]:
    width = -(-max(values, default=0).bit_length() // 6)
    if width > MOST_DIGITS:
        raise ValueError("numbers too far apart for a column")
    planes = (bytes(_DIGITS[value >> shift & 63] for value in values) for shift in range(6 * width - 6, -1, -6))
    return width, b"".join(planes).decode()


def _read(written: Any, rows: int) -> tuple[int, list[int]]:
    least, width, text = written
    if type(least) is not int or abs(least) >= 1 << 53 or type(width) is not int or not 0 <= width <= MOST_DIGITS:
        raise ValueError(f"a column of {width!r:.20} digits above {least!r:.20}")
    if not isinstance(text, str) or len(text) != rows * width or not text.isascii():
        raise ValueError(f"a column that has not {width} digits for each of {rows} rows")
    digits = text.encode().translate(_VALUES)
    if _STRANGE in digits:
        raise ValueError("a column with other digits than those of base64url")
    if width and not any(digits[:rows]):
        raise ValueError("a column with more digits than it needs")
    values = [0] * rows
    for start in range(0, len(digits), rows or 1):
        values = [value << 6 | digit for value, digit in zip(values, digits[start : start + rows], strict=True)]
    return least, values


def _bound(column: list[int], low: int, high: int) -> None:
    if column and not (low <= min(column) and max(column) < high):
        raise ValueError(f"a column with {min(column)} to {max(column)}, expected {low} to {high - 1}")
