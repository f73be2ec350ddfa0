"""`/system/log`: what happened, in plain words, page by page; and the same as files under `/api/v1/events`.

Who logged in from where stands in it, so that it needs a log-in even where the site is open to readers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from appliance.errors import StoreError
from appliance.store.asked import asked
from appliance.store.event_log import Logged, logged
from appliance.store.queries import MOST_EVENTS
from appliance.store.rows import MeterKey
from appliance.web import table_file
from appliance.web.frame.guard import anybody
from appliance.web.frame.language import language_of
from appliance.web.frame.rendering import html
from appliance.web.openapi.tables import EVENT, columns
from appliance.web.parts import PARTS, Parts
from appliance.web.views.meter.one_meter import At, at_of, at_stamp
from appliance.web.views.meters.rows import name_of
from appliance.web.views.system.log_words import GROUPS, group_of, tell

PER_PAGE = 50
COLUMNS = columns(EVENT)


@dataclass(frozen=True, slots=True)
class Told:
    """For _log.html: an event. `path` leads to the meter that it is about, "" where it is about none."""

    at: At
    group: str
    label: str
    words: str
    meter_id: int | None
    path: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """For log.html. `older` is the number of the event after which the next page begins, 0 on the last."""

    events: Sequence[Told]
    groups: Sequence[tuple[str, str]]
    group: str
    before: int
    older: int
    made: At

    def query(self, before: int = 0) -> str:
        """What an address asks for."""
        asked_for = [f"group={self.group}"] if self.group else []
        asked_for += [f"before={before}"] if before else []
        return f"?{'&'.join(asked_for)}" if asked_for else ""


@anybody
async def view(request: web.Request) -> web.Response:
    """The page."""
    parts, group, before = request.app[PARTS], _group(request), _before(request)
    try:
        found = await asked(parts.store, logged, _kinds(group), before=before, limit=PER_PAGE + 1)
    except StoreError:
        raise web.HTTPServiceUnavailable from None
    language = language_of(request)
    page = LogPage(
        events=[told(parts, event, language) for event in found[:PER_PAGE]],
        groups=[(name, label) for name, (label, _) in GROUPS.items()],
        group=group,
        before=before or 0,
        older=found[PER_PAGE - 1].number if len(found) > PER_PAGE else 0,
        made=at_of(parts.times.moment),
    )
    return html(request, "log.html", page)


@anybody
async def export(request: web.Request) -> web.StreamResponse:
    """The last events as a file, with the sentence of each; `before` and `group` as on the page."""
    parts, language = request.app[PARTS], language_of(request)
    try:
        found = await asked(parts.store, logged, _kinds(_group(request)), before=_before(request), limit=MOST_EVENTS)
    except StoreError:
        raise web.HTTPServiceUnavailable from None
    as_text = request.match_info["kind"] == "csv"
    rows = [_row(parts, event, language, as_text=as_text) for event in found]
    return table_file.answer(request, "events", rows, COLUMNS)


def told(parts: Parts, event: Logged, language: str) -> Told:
    """An event as the pages show it."""
    meter, group = meter_of(event), group_of(event.kind)
    # Notes and comparisons are of meters that may never have been heard, and have no page then.
    has_page = meter is not None and parts.store.ledger.get(meter) is not None
    return Told(
        at=at_stamp(parts, event.at),
        group=group,
        label=GROUPS[group][0] if group else "",
        words=tell(event, language),
        meter_id=meter.meter_id if meter else None,
        path=f"/meters/{name_of(meter)}" if meter and has_page else "",
    )


def meter_of(event: Logged) -> MeterKey | None:
    """The meter that an event is about, as the catalogue or its detail names it."""
    if event.meter is not None:
        return event.meter
    told_of = event.detail.get("of", [event.detail.get(name) for name in ("protocol", "meter_id", "simulated")])
    if not isinstance(told_of, list) or [type(one) for one in told_of] != [str, int, bool]:
        return None
    return MeterKey(*told_of)


def _row(parts: Parts, event: Logged, language: str, *, as_text: bool) -> dict[str, Any]:
    at, meter = at_stamp(parts, event.at), meter_of(event)
    return {
        "number": event.number,
        "time": at.iso,
        "is_estimate": at.is_unsure,
        "kind": event.kind,
        "protocol": meter.protocol if meter else None,
        "meter_id": meter.meter_id if meter else None,
        "simulated": meter.simulated if meter else None,
        "words": tell(event, language),
        "detail": json.dumps(event.detail, ensure_ascii=False) if as_text else event.detail,
    }


def _group(request: web.Request) -> str:
    return group if (group := request.query.get("group", "")) in GROUPS else ""


def _kinds(group: str) -> Sequence[str]:
    return GROUPS[group][1] if group else ()


def _before(request: web.Request) -> int | None:
    text = request.query.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
