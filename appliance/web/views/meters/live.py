"""`/meters/events`: what changed in the list, as server-sent events, at most one a second to each page.

An event carries the rendered rows of the meters that changed after the page's cursor, so a slow or sleeping
page gets fewer and larger events instead of a backlog; and which of them are not among those wanted any more. The
cursor travels as the event's id, and comes back in `Last-Event-ID` or in the address; one of another edition gets all
rows, as does a page whose edition ends.
"""

import json
import math
from dataclasses import dataclass
from itertools import islice

from aiohttp import web

from appliance.web.frame.cldr import count
from appliance.web.frame.guard import readers
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import render
from appliance.web.parts import PACKAGE, PARTS, Parts
from appliance.web.streams import HEARTBEAT_S, stream
from appliance.web.views.meters.page import MOST_ROWS, day_ago
from appliance.web.views.meters.rows import MeterRow, dom_id, meter_row
from appliance.web.views.meters.sparks import SPARKS, Sparks
from appliance.web.views.meters.wanted import Wanted

# Rates fall and meters fall silent without any message, and pictures change: all rows are compared again so often.
REFRESH_S = 60.0


@readers
async def view(request: web.Request) -> web.StreamResponse:
    """Events until the page leaves or the site stops."""
    app = request.app
    page = _Page(app[PARTS], app[SPARKS], language_of(request), Wanted.of(request.query), _cursor(request))
    return await stream(request, page.event)


def _cursor(request: web.Request) -> tuple[str, int]:
    text = request.headers.get("Last-Event-ID") or request.query.get("cursor", "")
    edition, _, revision = text.partition("-")
    return edition, int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 18 else 0


@dataclass(frozen=True, slots=True)
class Changed:
    """For _rows.html."""

    rows: list[MeterRow]


class _Page:
    """What one open page has been told."""

    def __init__(self, parts: Parts, sparks: Sparks, language: str, wanted: Wanted, cursor: tuple[str, int]) -> None:
        self._parts = parts
        self._sparks = sparks
        self._language = language
        self._wanted = wanted
        self._edition, self._revision = cursor
        self._told: dict[str, tuple[int, str]] = {}
        self._drawn: object = sparks.of
        self._beat_at_s = 0.0
        self._refresh_at_s = math.inf

    async def event(self, now_s: float) -> bytes:
        """The next event, empty if there is nothing to tell yet."""
        parts, ledger = self._parts, self._parts.store.ledger
        if full := self._edition != parts.edition:
            self._edition, self._revision = parts.edition, 0
        self._refresh_at_s = min(self._refresh_at_s, now_s + REFRESH_S)
        since, everything = self._revision, now_s >= self._refresh_at_s
        if everything:
            self._refresh_at_s = now_s + REFRESH_S
            await self._sparks.refresh()
        everything |= self._drawn is not self._sparks.of
        self._drawn = self._sparks.of
        revision = ledger.revision
        rows, gone = self._changed(since, everything)
        if not (rows or gone or full) and now_s < self._beat_at_s:
            return b""
        times = parts.times
        self._beat_at_s, self._revision = now_s + HEARTBEAT_S, revision
        told = {
            **times.stand,
            "full": full,
            "estimates": times.doubt is not None,
            "listening": times.ago(parts.uptime_s).iso if full else None,
            "rows": render(PACKAGE, self._language, "_rows.html", Changed(rows)),
            "gone": gone,
            "heard": count(len(ledger), self._language),
        }
        return f"id: {self._edition}-{revision}\nevent: update\ndata: {json.dumps(told)}\n\n".encode()

    def _changed(self, since: int, everything: bool) -> tuple[list[MeterRow], list[str]]:
        """The rows that changed since a revision, and the names of those that are not wanted any more."""
        parts, times, assigned = self._parts, self._parts.times, self._parts.store.assigned
        ago = day_ago(parts, times)
        rows: list[MeterRow] = []
        gone: list[str] = []
        for meter in islice(parts.store.ledger.since(0 if everything else since), MOST_ROWS):
            of = assigned.of(meter.key)
            if not self._wanted.takes(meter, of, ago):
                gone.append(dom_id(meter.key))
                self._told.pop(gone[-1], None)
                continue
            row = meter_row(parts, meter, of, self._sparks.of.get(meter.key), times)
            if meter.revision > since or self._told.get(row.dom_id) != (row.per_hour, row.spark):
                self._told[row.dom_id] = (row.per_hour, row.spark)
                rows.append(row)
        return rows, gone
