"""The tables of a meter's page as files: `/api/v1/meters/{protocol}/{id}/{table}.csv` and `.json`.

Times are RFC 3339; where one is an estimate a column says so. Registers are as they were sent, quantities beside.
"""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from aiohttp import web

from appliance.errors import StoreError
from appliance.store import queries
from appliance.store.asked import asked
from appliance.store.dials import comparisons
from appliance.store.finding import siblings
from appliance.store.history import History
from appliance.store.ledger import Meter
from appliance.store.notes import notes
from appliance.store.queries import MOST_EVENTS
from appliance.store.readings import MOST_READINGS, readings
from appliance.store.reception import Heard
from appliance.web import table_file
from appliance.web.frame.guard import Handled, readers
from appliance.web.openapi import tables
from appliance.web.openapi.kinds import Schema
from appliance.web.parts import PARTS, Parts
from appliance.web.quantities import scale_of
from appliance.web.views.meter.consumption import heard_in, periods, span_of, used_in
from appliance.web.views.meter.one_meter import At, at_of, at_stamp, is_unsure, local, meter_of
from appliance.web.views.meter.page import APART, breaks_of
from appliance.web.views.meter.shown import tamper_row
from appliance.web.views.meters.rows import name_of

Rows = list[dict[str, Any]]
Query = Mapping[str, str]


class Table(NamedTuple):
    """A table: what its rows are, and how they are had of a meter, as a query asks. That raises StoreError."""

    row: Schema
    of: Callable[[Parts, Meter, Query], Awaitable[Rows]]


def file_of(table: str) -> Handled:
    """What answers with a table of a meter."""

    @readers
    async def view(request: web.Request) -> web.StreamResponse:
        parts, meter = request.app[PARTS], meter_of(request)
        try:
            rows = await TABLES[table].of(parts, meter, request.query)
        except StoreError:
            raise web.HTTPServiceUnavailable from None
        name = f"{name_of(meter.key).replace('/', '-')}-{table}"
        return table_file.answer(request, name, rows, tables.columns(TABLES[table].row))

    return view


async def _consumption(parts: Parts, meter: Meter, query: Query) -> Rows:
    store, scale = parts.store, scale_of(parts.store, meter.key, meter.commodity)
    span = span_of(query, store.clock.utc_ms(store.clock.now()))
    return [
        {
            "from": local(one.from_ms).isoformat(),
            "to": local(one.to_ms).isoformat(),
            "is_estimate": is_unsure(parts, one.from_ms),
            "used": one.used,
            "register": one.register,
            "used_quantity": scale.quantity(one.used),
            "quantity": scale.quantity(one.register),
            "unit": scale.unit,
            "used_since": None if since_ms is None else local(since_ms).isoformat(),
            "breaks": list(one.breaks),
        }
        for one, since_ms in await asked(store, used_in, meter.key, span)
    ]


async def _reception(parts: Parts, meter: Meter, query: Query) -> Rows:
    span = span_of(query, parts.store.clock.utc_ms(parts.store.clock.now()))

    def question(history: History) -> list[Heard | None]:
        return heard_in(history, meter.key, periods(history, meter.key, span))

    return [
        {
            "from": local(one.from_ms).isoformat(),
            "to": local(one.to_ms).isoformat(),
            "is_estimate": is_unsure(parts, one.from_ms),
            "is_kept": one.is_kept,
            "messages": one.messages,
            "corrected": one.corrected,
            "snr_mean_db": None if one.snr_mean_db is None else round(one.snr_mean_db, 2),
            "snr_best_db": one.snr_best_db,
            "frequency_min_hz": one.frequency_min_hz,
            "frequency_max_hz": one.frequency_max_hz,
        }
        for one in await asked(parts.store, question)
        if one is not None
    ]


async def _readings(parts: Parts, meter: Meter, query: Query) -> Rows:
    scale = scale_of(parts.store, meter.key, meter.commodity)
    return [
        {
            "stamp": str(kept.at),
            **_time(at_of(kept.moment)),
            "register": kept.consumption,
            "quantity": scale.quantity(kept.consumption),
            "unit": scale.unit,
            "tamper_phy": kept.tamper_phy,
            "tamper_enc": kept.tamper_enc,
            "is_suspect": kept.is_suspect,
        }
        for kept in await asked(parts.store, readings, meter.key, before=before_of(query), limit=MOST_READINGS)
    ]


async def _tamper(parts: Parts, meter: Meter, query: Query) -> Rows:
    found = await asked(parts.store, queries.tamper_changes, meter.key, limit=MOST_EVENTS)
    return [
        {
            **_time(row.at),
            "phy_before": row.phy[0],
            "phy": row.phy[1],
            "phy_happened": row.phy_happened,
            "enc_before": row.enc[0],
            "enc": row.enc[1],
            "enc_happened": row.enc_happened,
        }
        for row in (tamper_row(parts, meter.key, event) for event in found)
    ]


async def _breaks(parts: Parts, meter: Meter, query: Query) -> Rows:
    return [
        {
            **_time(at_stamp(parts, event.at)),
            "what": event.kind,
            "before": event.detail["before"],
            "after": event.detail["after"],
        }
        for event in await asked(parts.store, breaks_of, meter.key, MOST_EVENTS)
    ]


async def _notes(parts: Parts, meter: Meter, query: Query) -> Rows:
    return [
        {**_time(at_stamp(parts, note.at)), "who": note.who, "text": note.text}
        for note in await asked(parts.store, notes, meter.key)
    ]


async def _comparisons(parts: Parts, meter: Meter, query: Query) -> Rows:
    return [
        {
            **_time(at_stamp(parts, one.at)),
            "who": one.who,
            "dial": one.shown,
            "register": one.register,
            "verdict": one.verdict,
            "multiplier": Decimal(one.multiplier) if one.multiplier else None,
        }
        for one in await asked(parts.store, comparisons, meter.key)
    ]


async def _siblings(parts: Parts, meter: Meter, query: Query) -> Rows:
    rows = []
    for one in await asked(parts.store, siblings, meter.key, APART):
        of, heard = parts.store.assigned.of(one.key), at_stamp(parts, one.last_at)
        rows.append(
            {
                **one.key._asdict(),
                "commodity": one.commodity,
                "endpoint_type": one.endpoint_type,
                "assigned": of is not None,
                "name": of.name if of else "",
                "address": of.address if of else "",
                "register": one.consumption,
                "last_heard": heard.iso,
                "last_heard_is_estimate": heard.is_unsure,
            }
        )
    return rows


def before_of(query: Query) -> int | None:
    """The stamp of the last reading of the page before, if a query names one."""
    text = query.get("before", "")
    # A stamp is below 2**63.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _time(at: At) -> dict[str, Any]:
    return {"time": at.iso, "is_estimate": at.is_unsure}


TABLES: Mapping[str, Table] = {
    "consumption": Table(tables.CONSUMPTION, _consumption),
    "reception": Table(tables.RECEPTION, _reception),
    "readings": Table(tables.READING, _readings),
    "tamper": Table(tables.TAMPER, _tamper),
    "breaks": Table(tables.BREAK, _breaks),
    "notes": Table(tables.NOTE, _notes),
    "comparisons": Table(tables.COMPARISON, _comparisons),
    "siblings": Table(tables.SIBLING, _siblings),
}
