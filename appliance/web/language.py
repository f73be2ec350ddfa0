"""Texts that reach the technician's pages by way of a variable; the others stand in the templates."""

from appliance.store.retention import FULL, OVER
from appliance.store.schema import PHRASES
from appliance.sync.sparing import IN_WORDS

DYNAMIC = (
    *PHRASES,
    *(FULL, OVER),
    *(words for words in IN_WORDS.values() if words),
    *("electric", "gas", "water", "unknown"),
    *("starting", "running", "retrying", "ended"),
    *("meter ID", "last heard", "last changed", "level", "messages an hour"),
    *("not JSON", "too long", "not a message", "another message", "time in the future"),
    *("no preamble", "checksum", "unconfirmed", "contradicted", "empty", "duplicate"),
    "the recording has ended",
)
