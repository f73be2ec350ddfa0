"""`GET /events`: what changed, as server-sent events, at most one a second to each page.

An event carries the rendered rows of the meters that changed after the page's cursor, so a slow or sleeping
page gets fewer and larger events instead of a backlog. The cursor travels as the event's id, and comes back in
`Last-Event-ID` or in the address; one of another edition gets all rows, as does a page whose edition ends.
"""

import json
import math
from dataclasses import dataclass
from itertools import islice

from aiohttp import web

from appliance.web.frame.guard import readers
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import count, render
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.streams import stream
from appliance.web.views.live import MOST_ROWS, MeterRow, meter_row, status_area

# A page that hears nothing for longer than this takes the line for dead.
HEARTBEAT_S = 5.0
# Rates fall without any message: all rows are compared again so often.
REFRESH_S = 60.0


@readers
async def view(request: web.Request) -> web.StreamResponse:
    """Events until the page leaves or the site stops."""
    page = _Page(request.app[PARTS], language_of(request), _cursor(request))
    return await stream(request, page.event)


def _cursor(request: web.Request) -> tuple[str, int]:
    text = request.headers.get("Last-Event-ID") or request.query.get("cursor", "")
    edition, _, revision = text.partition("-")
    return edition, int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 18 else 0


@dataclass(frozen=True, slots=True)
class Changed:
    """For _meters.html."""

    rows: list[MeterRow]


class _Page:
    """What one open page has been told."""

    def __init__(self, parts: Parts, language: str, cursor: tuple[str, int]) -> None:
        self._parts = parts
        self._language = language
        self._edition, self._revision = cursor
        self._status = ""
        self._rates: dict[str, int] = {}
        self._beat_at_s = 0.0
        self._refresh_at_s = math.inf

    async def event(self, now_s: float) -> bytes:
        """The next event, empty if there is nothing to tell yet."""
        parts, ledger = self._parts, self._parts.store.ledger
        times = parts.times
        if full := self._edition != parts.edition:
            self._edition, self._revision = parts.edition, 0
        self._refresh_at_s = min(self._refresh_at_s, now_s + REFRESH_S)
        since, everything = self._revision, now_s >= self._refresh_at_s
        if everything:
            self._refresh_at_s = now_s + REFRESH_S
        rows = []
        for meter in islice(ledger.since(0 if everything else since), MOST_ROWS):
            row = meter_row(parts, meter, times)
            if meter.revision > since or self._rates.get(row.dom_id) != row.per_hour:
                self._rates[row.dom_id] = row.per_hour
                rows.append(row)
        status = render(PACKAGE, self._language, "_status.html", status_area(parts, times))
        changed = rows or status != self._status or full
        if not changed and now_s < self._beat_at_s:
            return b""
        self._beat_at_s = now_s + HEARTBEAT_S
        self._revision = ledger.revision
        told = {
            "now": times.moment.utc_ms,
            "full": full,
            "listening": times.ago(parts.uptime_s).iso if full else None,
            "rows": render(PACKAGE, self._language, "_meters.html", Changed(rows)),
            "count": count(len(ledger)),
            "status": status if status != self._status else None,
        }
        self._status = status
        return f"id: {self._edition}-{self._revision}\nevent: update\ndata: {json.dumps(told)}\n\n".encode()
