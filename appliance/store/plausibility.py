"""Whether a register can have moved so: what is usual, and a name for what is not.

Registers count up to their last digit or bit, those of net meters also down, and no faster than the service can carry.
What is otherwise is flagged and kept raw: it counts only once a second transmission agrees with it.

    register_rolled_over   it began at zero again, and the way over its end is short enough
    meter_exchanged        it is lower than the service could have turned it back, and no roll-over explains it
    register_jumped        it is higher than the service could have carried

The limit is 10,000 counts an hour. The fastest common counts: electricity at 10 Wh a count and three phases of 100 A
at 240 V, 7,200 an hour; gas at a cubic foot a count and a class 1000 meter, 1,000 an hour; water at a gallon a count
and a 2-inch meter of 160 gallons a minute, 9,600 an hour.
"""

from typing import Literal

from appliance.timeline import HOUR_MS

Break = Literal["register_rolled_over", "meter_exchanged", "register_jumped"]

MOST_PER_HOUR = 10_000
# Two readings a second apart may lie on both sides of an update of the register.
LEAST = 200
# Where registers begin again: at the width of the field, 24 bits in SCM and 32 in others, or of the display.
MODULI = (10**4, 10**5, 10**6, 10**7, 2**24, 10**8, 10**9, 2**32)


def judge(before: int, after: int, elapsed_ms: int) -> Break | None:
    """The name of what is unusual about a register that goes from `before` to `after`; None if nothing is.

    >>> judge(31160, 31163, 300_000), judge(9_999_998, 1, 300_000), judge(31160, 12, 300_000), judge(5, 90_000, 1)
    (None, 'register_rolled_over', 'meter_exchanged', 'register_jumped')
    """
    if abs(after - before) <= LEAST + MOST_PER_HOUR * max(0, elapsed_ms) // HOUR_MS:
        return None
    if after > before:
        return "register_jumped"
    return "register_rolled_over" if modulus(before, after, elapsed_ms) else "meter_exchanged"


def modulus(before: int, after: int, elapsed_ms: int) -> int:
    """The count at which the register began again, 0 if no roll-over leads from `before` to `after`.

    >>> modulus(16_777_215, 4, 60_000), modulus(99_990, 12, 60_000), modulus(31_160, 12, 60_000)
    (16777216, 100000, 0)
    """
    limit = LEAST + MOST_PER_HOUR * max(0, elapsed_ms) // HOUR_MS
    return next((m for m in MODULI if before < m and m - before + after <= limit), 0)
