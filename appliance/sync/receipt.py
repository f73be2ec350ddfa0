"""A receipt: the aggregator's signed word that it has stored a batch. For one batch it is always the same."""

import json
import re
from dataclasses import asdict, dataclass, fields

from appliance.sync.batch import LIMIT
from appliance.sync.envelope import Refused


@dataclass(frozen=True, slots=True)
class Receipt:
    """Of which batch: appliance, epoch and sequence, and the SHA-256 of its payload; and when it was stored."""

    appliance: str
    epoch: int
    sequence: int
    batch: str
    stored_utc_ms: int


def pack_receipt(receipt: Receipt) -> bytes:
    """The payload of its envelope."""
    return json.dumps(asdict(receipt), separators=(",", ":")).encode()


def unpack_receipt(payload: bytes) -> Receipt:
    """What a payload says. Raises Refused."""
    try:
        record = json.loads(payload.decode())
        receipt = Receipt(**record)
    except (ValueError, TypeError, RecursionError) as fault:
        raise Refused("bad_content", f"no receipt: {fault}"[:200]) from None
    for field in fields(Receipt):
        value = record[field.name]
        if field.type is int:
            if type(value) is not int or not 0 <= value < LIMIT:
                raise Refused("bad_content", f"no receipt: {field.name} is {value!r:.40}")
        elif not isinstance(value, str) or not re.fullmatch("[0-9a-f]{32}|[0-9a-f]{64}", value):
            raise Refused("bad_content", f"no receipt: {field.name} is {value!r:.40}")
    return receipt
