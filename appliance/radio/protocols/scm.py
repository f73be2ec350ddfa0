"""SCM, the Standard Consumption Message of Itron ERT endpoints: 96 bits, Manchester coded.

| bits  | width | field                                                                       |
|-------|-------|-----------------------------------------------------------------------------|
| 0–20  | 21    | sync bit and preamble 111110010101001100000                                 |
| 21–22 | 2     | endpoint ID, the two most significant bits                                  |
| 23    | 1     | reserved: both values occur in real captures                                |
| 24–25 | 2     | physical tamper counter                                                     |
| 26–29 | 4     | endpoint type                                                               |
| 30–31 | 2     | encoder tamper counter                                                      |
| 32–55 | 24    | consumption register                                                        |
| 56–79 | 24    | endpoint ID, the other bits                                                 |
| 80–95 | 16    | BCH checksum over bits 16–79 (`appliance.radio.protocols.bch`)              |

Registers roll over at 2^24, some meters earlier, at the digits of their display. Tamper fields are
counters that wrap at 4: a change means something, a value does not.

Source: published descriptions of the format, checked against real captures (`docs/protocols.md`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.radio.protocols import bch

NAME = "scm"
MESSAGE_BITS = 96
REGISTER_BITS = 24
PREAMBLE = np.array([int(c) for c in "111110010101001100000"], np.uint8)
PROTECTED = slice(16, 96)
RESERVED_BIT = 23


class Scm(NamedTuple):
    """The fields of one message."""

    meter_id: int
    endpoint_type: int
    tamper_phy: int
    tamper_enc: int
    consumption: int
    checksum: int = 0
    reserved: int = 0


def encode(
    meter_id: int, endpoint_type: int, tamper_phy: int, tamper_enc: int, consumption: int, reserved: int = 0
) -> NDArray[np.uint8]:
    """The 96 bits of a message: uint8 0/1 (96,), first sent first.

    Raises ValueError when a field does not fit its width.

    >>> decode(encode(60243827, 4, 0, 3, 31160)).checksum
    40837
    """
    widths = ((meter_id, 26), (endpoint_type, 4), (tamper_phy, 2), (tamper_enc, 2), (consumption, 24), (reserved, 1))
    if any(not 0 <= value < 1 << width for value, width in widths):
        raise ValueError(f"an SCM field does not fit its width: {widths}")
    state = (meter_id >> 24, 2), (reserved, 1), (tamper_phy, 2), (endpoint_type, 4), (tamper_enc, 2)
    body = *state, (consumption, 24), (meter_id & 0xFFFFFF, 24)
    data = "".join(f"{value:0{width}b}" for value, width in body)
    head = np.concatenate([PREAMBLE, np.array([int(c) for c in data], np.uint8)])
    check = bch.checksum(head[PROTECTED])
    return np.concatenate([head, np.array([check >> (15 - i) & 1 for i in range(16)], np.uint8)])


def decode(bits: NDArray[np.uint8] | NDArray[np.bool_]) -> Scm:
    """The fields of 96 bits; the checksum is read, not checked."""
    word = int.from_bytes(np.packbits(bits).tobytes())

    def number(start: int, stop: int) -> int:
        return word >> (MESSAGE_BITS - stop) & (1 << (stop - start)) - 1

    return Scm(
        meter_id=number(21, 23) << 24 | number(56, 80),
        endpoint_type=number(26, 30),
        tamper_phy=number(24, 26),
        tamper_enc=number(30, 32),
        consumption=number(32, 56),
        checksum=number(80, 96),
        reserved=number(23, 24),
    )
