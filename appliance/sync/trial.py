"""Tries an address of an aggregator, and says what became of it: for whoever sets one up, before anything is kept.

It asks which batches of none are stored there, which changes nothing on either side; what counts is the signed answer
to a nonce of ours. What else the other side says is not repeated.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Literal

from appliance.errors import NotDelivered
from appliance.sync.courier import RECEIPTS
from appliance.sync.transport import HINT_CERTIFICATE, HINT_KEY, Link, Told

TRIAL_S = 15.0

# Of "unknown" on: how the aggregator regards the appliance.
Verdict = Literal[
    "unreachable", "late", "certificate", "key", "no aggregator", "unknown", "waiting", "approved", "revoked"
]


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of it; `told` are the words of this program, in English, where something failed.

    `cause` is one of `transport.CAUSES`, or "".
    """

    address: str
    verdict: Verdict
    told: str = ""
    cause: str = ""

    @property
    def state(self) -> Literal["good", "fair", "bad"]:
        """Good where it takes what is sent; fair where it is yet to know or to approve who sends."""
        return "good" if self.verdict == "approved" else "fair" if self.verdict in ("unknown", "waiting") else "bad"


async def trial(link: Link, appliance: str) -> Trial:
    """Try one way, as this appliance; takes 15 s at most."""
    told = Told()
    question = json.dumps({"appliance": appliance, "batches": []}).encode()
    try:
        async with asyncio.timeout(TRIAL_S):
            await link.post(RECEIPTS, [question], appliance, told)
    except TimeoutError:
        return Trial(link.address, "late", "no answer in time")
    except NotDelivered as fault:
        verdict = _verdict(fault, told.status)
        # Why an answer is not believed may have in it what somebody put there.
        words = "" if verdict == "key" else str(fault).removeprefix(link.address).lstrip(": ")
        return Trial(link.address, verdict, words, fault.cause)
    finally:
        await link.close()
    if told.answer is None:
        return Trial(link.address, "key")
    return Trial(link.address, told.answer.standing)


def _verdict(fault: NotDelivered, status: int) -> Verdict:
    if fault.hint in (HINT_CERTIFICATE, HINT_KEY):
        return "certificate" if fault.hint == HINT_CERTIFICATE else "key"
    return "no aggregator" if status not in (0, 200) else "unreachable"
