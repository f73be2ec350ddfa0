"""Assignments: an aggregator's word to one appliance which meters matter to it, and what they are called.

    {"appliance": …, "version": …, "made_utc_ms": …, "meters": [[meter_id, protocol, name, address, multiplier], …]}

The whole list each time, compressed, in an envelope of its own kind. A name is that of a service point; customers are
not named. A list counts only above the version that an appliance has: an older one, played again, changes nothing.

An appliance asks for its list in an envelope too, `{"appliance": …, "version": <the one it has>}`: addresses are told
to nobody but the appliance that they are for.
"""

import gzip
import json
import re
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.assignment import MOST_ASSIGNED, Assignment, listed
from appliance.sync.batch import LIMIT, MOST_BYTES, MOST_PAYLOAD_BYTES
from appliance.sync.envelope import ASSIGNMENTS_QUESTION, Refused, seal
from appliance.sync.unpack import unzipped

# Base64 of the payload, and the rest of the envelope.
MOST_LINE_BYTES = MOST_PAYLOAD_BYTES * 4 // 3 + 1_024
MOST_QUESTION_BYTES = 1_024
_IDENTITY = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Assignments:
    """The meters assigned to an appliance, in the order of their IDs. Each version is higher than those before it."""

    appliance: str
    version: int
    made_utc_ms: int
    meters: tuple[Assignment, ...]


def pack_assignments(assignments: Assignments) -> bytes:
    """The payload of their envelope. Raises ValueError when it is larger than an appliance takes in."""
    record = {
        "appliance": assignments.appliance,
        "version": assignments.version,
        "made_utc_ms": assignments.made_utc_ms,
        "meters": [meter.row() for meter in assignments.meters],
    }
    content = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
    # Without the time at which it was compressed: the same content is the same bytes.
    payload = gzip.compress(content, 9, mtime=0)
    if len(content) > MOST_BYTES or len(payload) > MOST_PAYLOAD_BYTES:
        raise ValueError(f"{len(assignments.meters)} meters with such long names and addresses are too many")
    return payload


def unpack_assignments(payload: bytes) -> Assignments:
    """What a payload says, all of it checked. Raises Refused."""
    try:
        record = json.loads(unzipped(payload).decode())
        if not isinstance(record, dict) or record.keys() != set(Assignments.__slots__):
            raise ValueError(f"not an object of {', '.join(Assignments.__slots__)}")
        if not isinstance(record["meters"], list) or len(record["meters"]) > MOST_ASSIGNED:
            raise ValueError(f"meters are no list of at most {MOST_ASSIGNED}")
        meters = tuple(Assignment.of(*row) for row in record["meters"])
        if listed(meters) != meters:
            raise ValueError("meters out of order")
        return Assignments(
            _identity(record["appliance"]), _whole(record["version"], 1), _whole(record["made_utc_ms"], 0), meters
        )
    except (ValueError, TypeError, RecursionError) as fault:
        raise Refused("bad_content", f"no assignments: {fault}"[:200]) from None


def question(appliance: str, version: int, key: Ed25519PrivateKey) -> bytes:
    """An appliance's envelope that asks for its list, if that is above a version."""
    content = json.dumps({"appliance": appliance, "version": version}, separators=(",", ":"))
    return seal(ASSIGNMENTS_QUESTION, content.encode(), key)


def unpack_question(payload: bytes) -> tuple[str, int]:
    """Which appliance asks, and the version that it has. Raises Refused."""
    try:
        match json.loads(payload.decode()):
            case {"appliance": appliance, "version": version, **others} if not others:
                return _identity(appliance), _whole(version, 0)
    except (ValueError, TypeError, RecursionError) as fault:
        raise Refused("bad_content", f"no question: {fault}"[:200]) from None
    raise Refused("bad_content", "no question: expected appliance and version")


def _identity(value: Any) -> str:
    if not isinstance(value, str) or not _IDENTITY.fullmatch(value):
        raise ValueError("appliance is no such name")
    return value


def _whole(value: Any, low: int) -> int:
    if type(value) is not int or not low <= value < LIMIT:
        raise ValueError(f"{value!r:.30}, expected a whole number from {low}")
    return value
