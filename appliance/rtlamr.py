"""The lines that `rtlamr -format=json` prints: read, live or from a log, and written for tools made for it.

    {"Time":"2016-04-01T12:24:59.02505069-03:00","Offset":0,"Length":35840,"Type":"SCM",
     "Message":{"ID":60243827,"Type":4,"TamperPhy":0,"TamperEnc":3,"Consumption":31160,"ChecksumVal":40837}}

Older versions print no "Type" beside "Message". `Offset` and `Length` are bytes of a cu8 recording. rtlamr tells
neither frequency nor level.
"""

import json
from datetime import datetime
from typing import Any

from appliance.model import Message, commodity_of, format_time, parse_time

START = b'{"Time"'
_POLYNOMIAL = 0x16F63


def from_rtlamr(line: str | bytes) -> Message:
    """The message of one line. Raises ValueError naming what is wrong; messages other than SCM are not read."""
    try:
        record: Any = json.loads(line)
        kind = record.get("Type", "SCM")
        if kind != "SCM":
            raise ValueError(f"rtlamr's {kind!r:.20} messages are not read")
        content = record["Message"]
        message = Message(
            time=parse_time(record["Time"]),
            protocol="scm",
            meter_id=content["ID"],
            endpoint_type=content["Type"],
            commodity=commodity_of(content["Type"]),
            tamper_phy=content["TamperPhy"],
            tamper_enc=content["TamperEnc"],
            consumption=content["Consumption"],
            checksum=content["ChecksumVal"],
            frequency_hz=None,
            snr_db=None,
            corrected_bits=0,
            sample=record.get("Offset", 0),
        )
        message.check()
        return message
    except KeyError as missing:
        raise ValueError(f"rtlamr line without {missing.args[0]!r}") from None
    except (AttributeError, TypeError, OverflowError, RecursionError) as wrong:
        raise ValueError(f"rtlamr line: {wrong}") from None


def to_rtlamr(
    time: datetime,
    meter_id: int,
    endpoint_type: int,
    tamper_phy: int,
    tamper_enc: int,
    consumption: int,
    *,
    checksum: int | None = None,
    offset: int = 0,
    length: int = 0,
) -> str:
    """The line of one SCM message, without its newline; a `checksum` that was not kept is worked out anew."""
    if checksum is None:
        checksum = scm_checksum(meter_id, endpoint_type, tamper_phy, tamper_enc, consumption)
    content = {
        "ID": meter_id,
        "Type": endpoint_type,
        "TamperPhy": tamper_phy,
        "TamperEnc": tamper_enc,
        "Consumption": consumption,
        "ChecksumVal": checksum,
    }
    record = {"Time": format_time(time), "Offset": offset, "Length": length, "Type": "SCM", "Message": content}
    return json.dumps(record, separators=(",", ":"))


def scm_checksum(meter_id: int, endpoint_type: int, tamper_phy: int, tamper_enc: int, consumption: int) -> int:
    """What an SCM message with these fields ends with (`appliance.radio.protocols.scm` has them bit by bit).

    The reserved bit is taken as 0. Here once more, and without arrays, since numpy is the radio's alone.

    >>> scm_checksum(60243827, 4, 0, 3, 31160)
    40837
    """
    word = (meter_id >> 24 & 3) << 1
    for value, width in ((tamper_phy, 2), (endpoint_type, 4), (tamper_enc, 2), (consumption, 24), (meter_id, 24)):
        word = word << width | value & (1 << width) - 1
    word <<= 16
    for bit in range(word.bit_length() - 1, 15, -1):
        if word >> bit & 1:
            word ^= _POLYNOMIAL << (bit - 16)
    return word
