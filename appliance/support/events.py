"""What happened, as far as it is nobody's secret: of each kind only the details that are named here.

Whom or which meter it was about is left out, and so is every kind of detail that a later version may add.
"""

from collections.abc import Iterator
from typing import Any

from appliance.store.event_log import Logged

TOLD = {
    "boot": ("number",),
    "clock_set": ("source", "uncertainty_ms", "moved_ms"),
    "clock_stepped": ("source", "uncertainty_ms", "moved_ms"),
    "radio_failed": ("receiver", "why"),
    "radio_recovered": ("receiver",),
    "history_thinned": ("segment", "from_utc_ms", "to_utc_ms"),
    "history_dropped": ("segment", "from_utc_ms", "to_utc_ms"),
    "segment_damaged": ("segment", "missing"),
    "catalogue_restored": ("from",),
    "storage_failed": ("why",),
    "storage_recovered": ("why",),
    "restored": ("format", "program", "made"),
    "replaced_removed": ("folder",),
    "delivery_reduced": ("left_out",),
    "changed": ("what",),
}
LONGEST_TEXT = 300


def told(event: Logged, time: str) -> dict[str, Any]:
    """One event, with its time in words."""
    return {"time": time, "kind": event.kind} | dict(_details(event))


def _details(event: Logged) -> Iterator[tuple[str, Any]]:
    for name in TOLD.get(event.kind, ()):
        value = event.detail.get(name)
        if isinstance(value, str):
            yield name, value[:LONGEST_TEXT]
        elif isinstance(value, int | float):
            yield name, value
