"""An answer: what the aggregator says freshly to one request, signed; so that an old one cannot be played again.

Receipts are the same for ever; the time of day, how the appliance is regarded, and which version of the assignments it
should have, are not. The request brings a nonce, which the answer repeats: only an answer to a nonce of its own is
believed by the appliance.
"""

import json
import re
import secrets
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from appliance.sync.batch import LIMIT
from appliance.sync.envelope import Refused

Standing = Literal["unknown", "waiting", "approved", "revoked"]


@dataclass(frozen=True, slots=True)
class Answer:
    """To which request; the aggregator's time then; how it regards the appliance; the version assigned, 0 for none."""

    nonce: str
    utc_ms: int
    standing: Standing
    assignments: int


def nonce() -> str:
    """A new one: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def is_nonce(text: str) -> bool:
    """Whether it could be one."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def pack_answer(answer: Answer) -> bytes:
    """The payload of its envelope."""
    return json.dumps(asdict(answer), separators=(",", ":")).encode()


def unpack_answer(payload: bytes) -> Answer:
    """What a payload says. Raises Refused."""
    try:
        answer = Answer(**json.loads(payload.decode()))
    except (ValueError, TypeError, RecursionError) as fault:
        raise Refused("bad_content", f"no answer: {fault}"[:200]) from None
    if not isinstance(answer.nonce, str) or not is_nonce(answer.nonce):
        raise Refused("bad_content", "no answer: its nonce is none")
    for name in ("utc_ms", "assignments"):
        value = getattr(answer, name)
        if type(value) is not int or not 0 <= value < LIMIT:
            raise Refused("bad_content", f"no answer: {name} is {value!r:.40}")
    if answer.standing not in get_args(Standing):
        raise Refused("bad_content", f"no answer: the standing is {answer.standing!r:.40}")
    return answer
