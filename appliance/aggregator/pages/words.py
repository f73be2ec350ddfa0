"""Texts that reach the operator's pages by way of a variable, and what each refusal means in plain words."""

from appliance.aggregator.audit import KINDS
from appliance.aggregator.pages.fleet_words import FILTERS, ORDERS, STATES

# By reason: what it means, and what to do.
REASONS = {
    "malformed": (
        "The line is no envelope: garbage, or cut off on its way.",
        "Nothing while it is rare: what an appliance sealed is sent again. If it goes on, look at the link.",
    ),
    "wrong_type": (
        "The envelope is of another kind than what is taken in there.",
        "Compare the versions of the program on the appliance and here.",
    ),
    "unknown_key": (
        "It is signed with a key that belongs to no appliance known here.",
        "If it is one of yours: it has not enrolled here, or is meant for another aggregator.",
    ),
    "bad_signature": (
        "The content does not fit its signature: it was changed after it was sealed.",
        "Once: a bad link. Again and again: a failing card or memory, or somebody in between.",
    ),
    "not_approved": (
        "The appliance is not approved yet.",
        "Compare its fingerprint, then approve it. What it has sealed waits there and is sent again.",
    ),
    "revoked": (
        "The appliance, or the key that it used, is revoked.",
        "Nothing if that is meant. The audit says who revoked it.",
    ),
    "not_its_own": (
        "It names another appliance or another key than the one that signed it.",
        "Keep the evidence: it is a fault of the program, or somebody who speaks for another.",
    ),
    "too_large": (
        "It is larger than anything that an appliance sends.",
        "Nothing if a stranger sent it. If it is one of yours, keep the evidence and update its program.",
    ),
    "too_many": (
        "As many appliances wait for approval, or keys of one are good, as there can be.",
        "Approve or revoke those that wait, or revoke old keys on the appliance's page; it is tried again by itself.",
    ),
    "bad_content": (
        "It is signed rightly, but what is in it breaks the rules of its format.",
        "Compare the versions of the program on the appliance and here, and update the older one; what it has waits.",
    ),
    "fork": (
        "Two different batches claim the same place among those of one appliance.",
        "Find out whether two devices use one identity, as after copying a card. If so, revoke that key.",
    ),
    "contradiction": (
        "The batch is stored, but some of it differs from what was told before of the same moment, which stands.",
        "Nothing if a backup was restored and the machine of before went on for a while. Else look at the evidence.",
    ),
    "broken_chain": (
        "The batch follows one that nobody has seen.",
        "A part of its outbox was lost or exchanged: look at its gaps.",
    ),
}
UNEXPLAINED = ("A reason that these pages do not know.", "Look at the evidence and into docs/batch-format.md.")

DYNAMIC = (
    *KINDS,
    *FILTERS.values(),
    *ORDERS.values(),
    *STATES,
    *(text for texts in REASONS.values() for text in texts),
    *UNEXPLAINED,
    *("this machine", "claim code"),
)
