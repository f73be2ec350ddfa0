"""The tables of a meter's page as files: `/api/v1/meters/{protocol}/{id}/{table}.csv` and `.json`.

Times are RFC 3339; where one is an estimate a column says so. Registers are as they were sent, quantities beside.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from appliance.errors import StoreError
from appliance.store import queries
from appliance.store.asked import asked
from appliance.store.dials import comparisons
from appliance.store.history import History
from appliance.store.ledger import Meter
from appliance.store.notes import notes
from appliance.store.queries import MOST_EVENTS
from appliance.store.readings import MOST_READINGS, readings
from appliance.store.rows import Event
from appliance.web import table_file
from appliance.web.frame.guard import readers
from appliance.web.parts import PARTS, Parts
from appliance.web.quantities import scale_of
from appliance.web.views.consumption import heard_in, periods, span_of
from appliance.web.views.meter import breaks_of, tamper_row
from appliance.web.views.meter_rows import name_of
from appliance.web.views.one_meter import at_of, at_stamp, is_unsure, local, meter_of

Rows = list[dict[str, Any]]
Table = Callable[[Parts, Meter, web.Request], Awaitable[Rows]]


@readers
async def view(request: web.Request) -> web.Response:
    """One of the tables."""
    parts, meter = request.app[PARTS], meter_of(request)
    columns, table = TABLES[request.match_info["table"]]
    try:
        rows = await table(parts, meter, request)
    except StoreError:
        raise web.HTTPServiceUnavailable from None
    name = f"{name_of(meter.key).replace('/', '-')}-{request.match_info['table']}"
    return table_file.answer(request.match_info["kind"], name, rows, columns)


async def _consumption(parts: Parts, meter: Meter, request: web.Request) -> Rows:
    store, scale = parts.store, scale_of(parts.store, meter.key, meter.commodity)
    span = span_of(request.query, store.clock.utc_ms(store.clock.now()))
    return [
        {
            "from": local(one.from_ms).isoformat(),
            "to": local(one.to_ms).isoformat(),
            "is_estimate": is_unsure(parts, one.from_ms),
            "used": one.used,
            "register": one.register,
            "used_quantity": _text(scale.quantity(one.used)),
            "quantity": _text(scale.quantity(one.register)),
            "unit": scale.unit,
            "breaks": list(one.breaks),
        }
        for one in await asked(store, periods, meter.key, span)
    ]


async def _reception(parts: Parts, meter: Meter, request: web.Request) -> Rows:
    span = span_of(request.query, parts.store.clock.utc_ms(parts.store.clock.now()))

    def question(history: History) -> Rows:
        return [
            {
                "from": local(one.from_ms).isoformat(),
                "to": local(one.to_ms).isoformat(),
                "is_kept": one.is_kept,
                "messages": one.messages,
                "corrected": one.corrected,
                "snr_mean_db": None if one.snr_mean_db is None else round(one.snr_mean_db, 2),
                "snr_best_db": one.snr_best_db,
                "frequency_min_hz": one.frequency_min_hz,
                "frequency_max_hz": one.frequency_max_hz,
            }
            for one in heard_in(history, meter.key, periods(history, meter.key, span))
            if one is not None
        ]

    return await asked(parts.store, question)


async def _readings(parts: Parts, meter: Meter, request: web.Request) -> Rows:
    before = before_of(request)
    scale = scale_of(parts.store, meter.key, meter.commodity)
    return [
        {
            "stamp": str(kept.at),
            "time": at_of(kept.moment).iso,
            "is_estimate": at_of(kept.moment).is_unsure,
            "register": kept.consumption,
            "quantity": _text(scale.quantity(kept.consumption)),
            "unit": scale.unit,
            "tamper_phy": kept.tamper_phy,
            "tamper_enc": kept.tamper_enc,
            "is_suspect": kept.is_suspect,
        }
        for kept in await asked(parts.store, readings, meter.key, before=before, limit=MOST_READINGS)
    ]


async def _tamper(parts: Parts, meter: Meter, request: web.Request) -> Rows:
    rows = []
    for event in await asked(parts.store, queries.tamper_changes, meter.key, limit=MOST_EVENTS):
        row = tamper_row(parts, meter.key, event)
        rows.append(
            _when(parts, event)
            | {"phy_before": row.phy[0], "phy": row.phy[1], "enc_before": row.enc[0], "enc": row.enc[1]}
        )
    return rows


async def _breaks(parts: Parts, meter: Meter, request: web.Request) -> Rows:
    return [
        _when(parts, event) | {"what": event.kind, "before": event.detail["before"], "after": event.detail["after"]}
        for event in await asked(parts.store, breaks_of, meter.key, MOST_EVENTS)
    ]


async def _notes(parts: Parts, meter: Meter, request: web.Request) -> Rows:
    return [
        {"time": at.iso, "is_estimate": at.is_unsure, "who": note.who, "text": note.text}
        for note in await asked(parts.store, notes, meter.key)
        for at in [at_stamp(parts, note.at)]
    ]


async def _comparisons(parts: Parts, meter: Meter, request: web.Request) -> Rows:
    return [
        {
            "time": at.iso,
            "is_estimate": at.is_unsure,
            "who": one.who,
            "dial": one.shown,
            "register": one.register,
            "verdict": one.verdict,
            "multiplier": one.multiplier or None,
        }
        for one in await asked(parts.store, comparisons, meter.key)
        for at in [at_stamp(parts, one.at)]
    ]


def before_of(request: web.Request) -> int | None:
    """The stamp of the last reading of the page before, if an address names one."""
    text = request.query.get("before", "")
    # A stamp is below 2**63.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _when(parts: Parts, event: Event) -> dict[str, Any]:
    at = at_stamp(parts, event.at)
    return {"time": at.iso, "is_estimate": at.is_unsure}


def _text(quantity: object) -> str | None:
    return None if quantity is None else str(quantity)


_PERIOD, _TIME = ("from", "to"), ("time", "is_estimate")
TABLES: dict[str, tuple[tuple[str, ...], Table]] = {
    "consumption": (
        (*_PERIOD, "is_estimate", "used", "register", "used_quantity", "quantity", "unit", "breaks"),
        _consumption,
    ),
    "reception": (
        (
            *(*_PERIOD, "is_kept", "messages", "corrected", "snr_mean_db", "snr_best_db"),
            *("frequency_min_hz", "frequency_max_hz"),
        ),
        _reception,
    ),
    "readings": (
        ("stamp", *_TIME, "register", "quantity", "unit", "tamper_phy", "tamper_enc", "is_suspect"),
        _readings,
    ),
    "tamper": ((*_TIME, "phy_before", "phy", "enc_before", "enc"), _tamper),
    "breaks": ((*_TIME, "what", "before", "after"), _breaks),
    "notes": ((*_TIME, "who", "text"), _notes),
    "comparisons": ((*_TIME, "who", "dial", "register", "verdict", "multiplier"), _comparisons),
}
