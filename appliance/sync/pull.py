"""A pull: the aggregator asks an appliance for what waits, with a request that it has signed for this one time.

    GET  /sync/pull    {"appliance": …, "nonce": …}                     anybody may ask; it costs nothing
    POST /sync/pull    a PULL, then what is to be taken in, a line each
                       answered by batches, a line each, and a last line: {"nonce": …, "waiting": …, …}

A request names the appliance and a nonce of it, so that it is worth nothing at another one, a minute later, or a second
time. A nonce says when it was made, authenticated by a secret of this run of the program: nothing is remembered of
those that are given away, only those that the aggregator has spent, until they are too old.
"""

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from appliance.sync.batch import LIMIT
from appliance.sync.envelope import Refused

PATH = "/sync/pull"
GOOD_FOR_S = 60.0
MOST_REQUEST_BYTES = 4_096
MOST_PULLED_BYTES = 4 << 20
"""An answer has no more batches than fit into this, or one."""
_TIME_DIGITS, _CHANCE_DIGITS, _MAC_DIGITS = 12, 12, 32
_NONCE = re.compile(f"[0-9a-f]{{{_TIME_DIGITS + _CHANCE_DIGITS + _MAC_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Pull:
    """Of which appliance, with which nonce of it; how much is wanted, 0 for none; whether it is to say who it is."""

    appliance: str
    nonce: str
    most_bytes: int
    introduce: bool


def pack_pull(pull: Pull) -> bytes:
    """The payload of its envelope."""
    return json.dumps(asdict(pull), separators=(",", ":")).encode()


def unpack_pull(payload: bytes) -> Pull:
    """What a payload says. Raises Refused."""
    try:
        pull = Pull(**json.loads(payload.decode()))
    except (ValueError, TypeError, RecursionError) as fault:
        raise Refused("bad_content", f"no pull: {fault}"[:200]) from None
    if not isinstance(pull.appliance, str) or not re.fullmatch("[0-9a-f]{32}", pull.appliance):
        raise Refused("bad_content", f"no pull: the appliance is {pull.appliance!r:.40}")
    if not isinstance(pull.nonce, str) or not is_pull_nonce(pull.nonce):
        raise Refused("bad_content", "no pull: its nonce is none")
    if type(pull.most_bytes) is not int or not 0 <= pull.most_bytes < LIMIT:
        raise Refused("bad_content", f"no pull: most_bytes is {pull.most_bytes!r:.40}")
    if type(pull.introduce) is not bool:
        raise Refused("bad_content", f"no pull: introduce is {pull.introduce!r:.40}")
    return pull


def is_pull_nonce(text: str) -> bool:
    """Whether it could be one."""
    return _NONCE.fullmatch(text) is not None


class Nonces:
    """Made, and spent once within a minute. `monotonic` in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._secret = secrets.token_bytes(32)
        self._spent: dict[str, float] = {}

    def make(self) -> str:
        """A new one."""
        begin = f"{self._now_ms():0{_TIME_DIGITS}x}{secrets.token_hex(_CHANCE_DIGITS // 2)}"
        return begin + self._mac(begin)

    def spend(self, nonce: str) -> None:
        """Use one, for the first and only time. Raises Refused."""
        begin, mac = nonce[:-_MAC_DIGITS], nonce[-_MAC_DIGITS:]
        if not hmac.compare_digest(self._mac(begin), mac):
            raise Refused("stale", "the nonce is none of this appliance, or of an earlier run of it")
        now_ms = self._now_ms()
        if now_ms - int(begin[:_TIME_DIGITS], 16) > 1000 * GOOD_FOR_S:
            raise Refused("stale", f"the nonce is older than {GOOD_FOR_S:g} s")
        if nonce in self._spent:
            raise Refused("stale", "the nonce was used before")
        self._spent = {known: at for known, at in self._spent.items() if now_ms - at <= 1000 * GOOD_FOR_S}
        self._spent[nonce] = now_ms

    def _now_ms(self) -> int:
        return round(1000 * self._monotonic())

    def _mac(self, begin: str) -> str:
        return hmac.new(self._secret, begin.encode(), hashlib.sha256).hexdigest()[:_MAC_DIGITS]
