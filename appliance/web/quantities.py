"""What registers stand for: counts times the meter's multiplier, in the unit that its commodity is billed in.

A multiplier is the assignment's, or one that a comparison with the dial told; without any a count is just a count.
"""

from decimal import Decimal
from typing import NamedTuple

from appliance.model import Commodity
from appliance.store.dials import multiplier_of
from appliance.store.rows import MeterKey
from appliance.store.writer import Store

UNITS: dict[Commodity, str] = {"electric": "kWh", "gas": "m³", "water": "m³", "unknown": ""}


class Scale(NamedTuple):
    """How the counts of a meter are read: `whose` multiplier it is, "dial", "assigned" or "" for none."""

    multiplier: Decimal | None
    whose: str
    unit: str

    @property
    def decimals(self) -> int:
        """How many decimals a quantity has."""
        return 0 if self.multiplier is None else decimals_of(self.multiplier)

    def quantity(self, counts: int | None) -> Decimal | None:
        """Counts as a quantity; None where either is not known."""
        return None if counts is None or self.multiplier is None else counts * self.multiplier


def decimals_of(multiplier: Decimal) -> int:
    """How many decimals a count times a multiplier has.

    >>> decimals_of(Decimal("0.01")), decimals_of(Decimal(40))
    (2, 0)
    """
    exponent = multiplier.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def scale_of(store: Store, meter: MeterKey, commodity: Commodity) -> Scale:
    """How the counts of a meter are read."""
    multiplier, whose = multiplier_of(store, meter)
    return Scale(multiplier, whose, UNITS[commodity] if multiplier is not None else "")
