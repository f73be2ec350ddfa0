"""A meter that matters to an appliance: what its service point is called, where it is, and what its register counts.

The noun, its bounds and its order are the same at the centre, on the way, and in the appliance's catalogue.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

MOST_ASSIGNED = 10_000
MOST_NAME, MOST_ADDRESS = 64, 160
MOST_MULTIPLIER, MOST_DECIMALS = 1_000_000, 6
# Beyond this numbers are not the same to every reader of JSON.
_LIMIT = 1 << 53
_PROTOCOL = re.compile("([a-z0-9+]{1,16})?")
_MULTIPLIER = re.compile(rf"(0|[1-9][0-9]{{0,6}})(\.[0-9]{{0,{MOST_DECIMALS - 1}}}[1-9])?")


class Assignment(NamedTuple):
    """One meter. The name is that of a service point; customers are not named.

    A `protocol` of "" is whichever the meter speaks. Register times `multiplier` is the quantity, in the meter's own
    unit; registers themselves are kept and sent as they are.
    """

    meter_id: int
    protocol: str
    name: str
    address: str
    multiplier: Decimal

    @classmethod
    def of(cls, meter_id: Any, protocol: Any, name: Any, address: Any, multiplier: Any) -> "Assignment":
        """One of the values that `row` gave, or that somebody claims it did. Raises ValueError naming what is wrong.

        >>> Assignment.of(60243827, "scm", "Calle 5, 12", "Calle 5 nº 12, Ñuñoa", "0.01").multiplier
        Decimal('0.01')
        """
        if type(meter_id) is not int or not 1 <= meter_id < _LIMIT:
            raise ValueError(f"meter_id is {meter_id!r:.40}, expected a whole number from 1")
        if not isinstance(protocol, str) or not _PROTOCOL.fullmatch(protocol):
            raise ValueError(f"protocol is {protocol!r:.40}, expected at most 16 of a-z, 0-9 and +")
        _check_text("name", name, MOST_NAME)
        _check_text("address", address, MOST_ADDRESS)
        if not isinstance(multiplier, str) or not _MULTIPLIER.fullmatch(multiplier):
            multiplier = f"{multiplier!r:.40}"
        elif 0 < (number := Decimal(multiplier)) <= MOST_MULTIPLIER:
            return cls(meter_id, protocol, name, address, number)
        expected = f"a number above 0, at most {MOST_MULTIPLIER}, of at most {MOST_DECIMALS} decimals"
        raise ValueError(f"multiplier is {multiplier}, expected {expected}")

    def row(self) -> tuple[int, str, str, str, str]:
        """Its values as they are written down: the multiplier as text, exactly as it is."""
        return *self[:4], str(self.multiplier)


def listed(meters: Iterable[Assignment]) -> tuple[Assignment, ...]:
    """Meters in the order in which they are listed. Raises ValueError when one stands twice, or there are too many."""
    ordered = tuple(sorted(meters))
    if len(ordered) > MOST_ASSIGNED:
        raise ValueError(f"{len(ordered)} meters, at most {MOST_ASSIGNED}")
    for one, other in pairwise(ordered):
        if one.meter_id == other.meter_id and one.protocol in ("", other.protocol):
            raise ValueError(f"meter {one.meter_id} stands twice")
    return ordered


def _check_text(field: str, text: Any, most: int) -> None:
    if not isinstance(text, str) or not text.isprintable() or text != text.strip():
        raise ValueError(f"{field} is {text!r:.60}, expected printable text")
    if len(text) > most:
        raise ValueError(f"{field} is {len(text)} characters long, at most {most}")
