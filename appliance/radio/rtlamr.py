"""Reads the lines that `rtlamr -format=json` prints, so that it can stand in for the receiver.

    {"Time":"2016-04-01T12:24:59.02505069-03:00","Offset":0,"Length":35840,"Type":"SCM",
     "Message":{"ID":60243827,"Type":4,"TamperPhy":0,"TamperEnc":3,"Consumption":31160,"ChecksumVal":40837}}

Older versions print no "Type" beside "Message". rtlamr tells neither frequency nor level.
"""

import json
from typing import Any

from appliance.model import Message, parse_time

START = b'{"Time"'


def from_rtlamr(line: bytes) -> Message:
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
            commodity=_commodity(content["Type"]),
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


def _commodity(endpoint_type: int) -> Any:
    # Here, since it brings numpy: only a program that reads rtlamr's lines pays for it.
    from appliance.radio.protocols.scm import commodity_of

    return commodity_of(endpoint_type)
