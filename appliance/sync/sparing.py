"""What is left out of batches when the card is full: how often meters were heard, then all readings but one a day.

Registers are cumulative, so that one a day of each meter still tells all that was used; events are told always. It is
left out only once the shortage has lasted: what another program fills the card with for some minutes costs nothing.
"""

from dataclasses import replace

from appliance.store.outgoing import Outgoing, Row
from appliance.store.retention import DIRE, PLENTY, SCARCE, local_day
from appliance.timeline import Timeline

LASTS_MS = 3_600_000
LEFT_OUT = {PLENTY: "nothing", SCARCE: "receptions", DIRE: "readings"}
IN_WORDS = {
    PLENTY: "",
    SCARCE: "the card is full: how often meters are heard is not delivered any more",
    DIRE: "the card is full: only a reading a day of each meter and events are delivered any more",
}


class Sparing:
    """How little is to be told. `note` each look at the card."""

    def __init__(self) -> None:
        self.scarcity = PLENTY
        self._short_since_ms: int | None = None
        self._told_day: dict[int, int] = {}

    def note(self, scarcity: int, now_ms: int) -> bool:
        """How short of room the card is at a millisecond of this run; returns whether that changes what is left out."""
        before = self.scarcity
        if scarcity == PLENTY:
            self._short_since_ms, self.scarcity = None, PLENTY
        elif self._short_since_ms is None:
            self._short_since_ms = now_ms
        elif now_ms - self._short_since_ms >= LASTS_MS:
            self.scarcity = scarcity
        return self.scarcity != before

    def left(self, rows: Outgoing, timeline: Timeline) -> Outgoing:
        """What is left of rows."""
        if self.scarcity == PLENTY:
            self._told_day.clear()
            return rows
        readings = rows.readings
        if self.scarcity == DIRE:
            readings = [row for row in sorted(readings, key=_at) if self._is_first(row, timeline)]
        told = {row[0] for row in readings} | {row[3] for row in rows.events if row[3] is not None}
        meters = {number: meter for number, meter in rows.meters.items() if number in told}
        return replace(rows, readings=readings, receptions=[], meters=meters)

    def _is_first(self, row: Row, timeline: Timeline) -> bool:
        """Whether a reading is the first of its meter on its day."""
        day = local_day(timeline.utc_ms(row[1])).toordinal()
        is_first = self._told_day.get(row[0], 0) < day
        if is_first:
            self._told_day[row[0]] = day
        return is_first


def _at(row: Row) -> int:
    return int(row[1])
