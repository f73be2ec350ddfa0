"""What a meter's tamper counters count, as far as that is known, for pages and mails to say in words.

A counter wraps; its value says nothing, a change does: that something happened, at least so many times. Which model a
meter is nobody says on the air, so what is known of some models is told as that. Sources: `docs/protocols.md`.
"""

from typing import Literal, NamedTuple

from appliance.model import Commodity

Counter = Literal["phy", "enc"]

INVERSION = "Centron C1SR and R300: energy flowed backwards or, with a tilt switch, the meter was turned over."
REMOVAL = "Centron C1SR and R300: the meter was tilted while its power failed, as it is when it is pulled out."
GAS = "Gas modules count tilting, a magnet and a cut cable; which counter is which is not documented."
UNKNOWN = "What this counter counts is not documented for meters of this kind."
TEXTS = (INVERSION, REMOVAL, GAS, UNKNOWN)

# Where the counters of a protocol begin at zero again.
MODULI = {"scm": 4}


class Meaning(NamedTuple):
    """What a counter counts, in words, and where it begins at zero again; None where that is not known."""

    words: str
    modulus: int | None


def meaning(protocol: str, commodity: Commodity, counter: Counter) -> Meaning:
    """What is known of a counter of such a meter.

    >>> meaning("scm", "electric", "phy").modulus
    4
    """
    modulus = MODULI.get(protocol)
    if modulus is None:
        return Meaning(UNKNOWN, None)
    if commodity == "electric":
        return Meaning(INVERSION if counter == "phy" else REMOVAL, modulus)
    return Meaning(GAS if commodity == "gas" else UNKNOWN, modulus)


def happened(protocol: str, before: int | None, after: int | None) -> int | None:
    """How many times it happened at least, of what a counter was before and after; None where that cannot be told.

    >>> happened("scm", 3, 1), happened("scm", 2, 2), happened("r900", 1, 2)
    (2, 0, None)
    """
    modulus = MODULI.get(protocol)
    if modulus is None or before is None or after is None:
        return None
    return (after - before) % modulus
