"""Numbers that somebody types, as the pages write them in either language, and never taken a thousand times off.

912,6   12345.6   0.345   012.345    decimals, whichever the mark: a group of thousands has three digits behind
it, and no zero leads the first
12.345,6   1,234,567                 two kinds of marks, or one twice: thousands, and the last kind may be decimals
12.345                               one mark and three digits: either, so that who asked has to know
"""

import re
from decimal import Decimal
from typing import NamedTuple

from appliance.errors import InputError
from appliance.store.multiplier import dial
from appliance.web.frame.cldr import MINUS, pointed

LONGEST_NUMBER, LONGEST_READING = 24, 40
HINT_DIAL = "Type all of its digits as they stand there."

_NUMBER = re.compile(r"-?[0-9]*(?:[.,][0-9]*)*")
_GROUPS = re.compile(r"-?[0-9]{1,3}(?:[.,][0-9]{3})+")
_EITHER = re.compile(r"-?[1-9][0-9]{0,2}[.,][0-9]{3}")
_READING = re.compile(r"\s*([0-9][0-9\s.,]*?)\s*(kwh|m3|m³)?\s*", re.IGNORECASE)


class Typed(NamedTuple):
    """Digits with a point before the decimals; `is_either`: these may be thousands as well."""

    digits: str
    is_either: bool = False


class Either(InputError):
    """What was typed may have decimals or thousands: `whole` is the one, `parted` the other, as the language has it."""

    def __init__(self, digits: str, language: str) -> None:
        super().__init__("that has decimals or thousands", "Type it without the mark, or with the other one.")
        self.whole, self.parted = digits.replace(".", ""), pointed(digits, language)


def typed(text: str) -> Typed | None:
    """What digits and marks are meant; None for what is no number.

    >>> [typed(text).digits for text in ("12.345,6", "1,234,567", "012,345")]
    ['12345.6', '1234567', '012.345']
    >>> typed("12.345"), typed("1.2.3"), typed("1.234,5,6")
    (Typed(digits='12.345', is_either=True), None, None)
    """
    if not (text.isascii() and _NUMBER.fullmatch(text)):
        return None
    marks = [letter for letter in text if letter in ".,"]
    if len(marks) < 2:
        return Typed(text.replace(",", "."), _EITHER.fullmatch(text) is not None)
    whole, rest = text, ""
    if marks.count(marks[-1]) == 1:
        whole, _, rest = text.rpartition(marks[-1])
    if not _GROUPS.fullmatch(whole) or len(set(marks) - ({marks[-1]} if rest else set())) > 1:
        return None
    digits = re.sub("[.,]", "", whole)
    return Typed(f"{digits}.{rest}" if rest else digits)


def number(text: str) -> Decimal | None:
    """A number of which no group of thousands is expected; None for what is none.

    >>> [number(text) for text in ("912,6", " −3 ", "1,090.5", "1e9", "", "nan", "1.2.3", "-")]
    [Decimal('912.6'), Decimal('-3'), Decimal('1090.5'), None, None, None, None, None]
    """
    plain = text.strip().replace(MINUS, "-")
    found = typed(plain) if len(plain) <= LONGEST_NUMBER else None
    return Decimal(found.digits) if found and any(digit.isdecimal() for digit in found.digits) else None


def reading(text: str, language: str) -> tuple[str, str]:
    """What was typed of a dial, with a point, and the unit: "kwh", "m" or "".

    The language's own mark of decimals parts decimals. Raises InputError, and `Either` if they may be thousands.

    >>> [reading(text, "es") for text in ("012 345,6 kWh", "12,345", "1.234.567 m³", "00012.345")]
    [('012345.6', 'kwh'), ('12.345', ''), ('1234567', 'm'), ('00012.345', '')]
    """
    match = _READING.fullmatch(text) if len(text) <= LONGEST_READING else None
    plain = re.sub(r"\s", "", match[1]) if match else ""
    found = typed(plain)
    if match is None or found is None:
        raise InputError("that is no reading of a dial", HINT_DIAL)
    dial(found.digits)
    if found.is_either and plain != pointed(plain, language):
        raise Either(found.digits, language)
    return found.digits.rstrip("."), (match[2] or "").lower().rstrip("3³")
