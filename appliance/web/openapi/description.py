"""The whole description, as `/api/v1/openapi.json` serves it."""

from collections.abc import Mapping
from typing import Any

from appliance import __version__
from appliance.model import COMMODITIES
from appliance.web.frame.problems import MEDIA_TYPE
from appliance.web.openapi import documents, tables
from appliance.web.openapi.kinds import Schema, listed, ref

VERSION = "/api/v1"
# UTC in ms from 1970 to 2100, between which the clock is believed.
MOST_MS = 4_102_444_800_000

SCHEMAS: Mapping[str, Schema] = {
    "Status": documents.STATUS,
    "Meter": tables.METER,
    "OneMeter": documents.ONE_METER,
    "Chart": documents.CHART,
    "Delivery": documents.DELIVERY,
    "Consumption": tables.CONSUMPTION,
    "Reception": tables.RECEPTION,
    "Reading": tables.READING,
    "TamperChange": tables.TAMPER,
    "Break": tables.BREAK,
    "Note": tables.NOTE,
    "Comparison": tables.COMPARISON,
    "Sibling": tables.SIBLING,
    "Quarter": tables.QUARTER,
    "Contact": tables.CONTACT,
    "Event": tables.EVENT,
    "Surveyed": tables.SURVEYED,
    **documents.PARTS_OF_DOCUMENTS,
    "Problem": documents.PROBLEM,
}


def _parameter(name: str, meaning: str, schema: Schema, example: str) -> Schema:
    return {"name": name, "in": "query", "description": meaning, "schema": schema, "example": example}


def _path(name: str, meaning: str, pattern: str, example: str) -> Schema:
    schema = {"type": "string", "pattern": f"^{pattern}$"}
    return {
        "name": name, "in": "path", "required": True, "description": meaning, "schema": schema, "example": example
    }  # fmt: skip


_INSTANT = {"type": "integer", "minimum": 0, "maximum": MOST_MS}
_METER = (
    _path("protocol", "Protocol of the meter, `any` for an assigned one that may speak any.", "[a-z0-9+]{1,16}", "scm"),
    _path(
        "meter", "Its ID, with `-simulated` behind it for one that is made up.", "[1-9][0-9]{0,15}(-simulated)?", "60"
    ),
)
_RECEIVER = _path("name", "Name of the receiver, as set.", "[A-Za-z0-9][A-Za-z0-9_. -]{0,31}", "radio")
_KIND = {
    "name": "kind", "in": "path", "required": True, "description": "What kind of file.",
    "schema": {"type": "string", "enum": ["csv", "json"]}, "example": "json",
}  # fmt: skip
_NUMBERS = _parameter(
    "numbers",
    "How a CSV file is written: `point` with decimal points and commas between cells (RFC 4180), `comma` with decimal "
    "commas and semicolons between cells, as spreadsheets set to Spanish read it. JSON has points always.",
    {"type": "string", "enum": ["point", "comma"], "default": "point"},
    "comma",
)
_SPAN = (
    _parameter("from", "Begin: UTC, in ms since 1970; a day before `to` unless said.", _INSTANT, "1772280000000"),
    _parameter("to", "End: UTC, in ms since 1970; now unless said.", _INSTANT, "1772452800000"),
    _parameter(
        "step",
        "How long a row is; unless said quarter hours up to 8 days, days up to 400 days, else months. Of more than can "
        "be told in that step (959 quarter hours, 1998 days) it is the last part.",
        {"type": "string", "enum": list(documents.STEPS)},
        "day",
    ),
)
_BEFORE = _parameter(
    "before",
    "The `stamp` of the last row of the page before: the 500 readings before it. The newest unless said.",
    {"type": "string", "pattern": "^[0-9]{1,18}$"},
    "281474976710656",
)
_WANTED = (
    _parameter("q", "Words that ID, name or address must have.", {"type": "string", "maxLength": 64}, "calle 5"),
    _parameter("commodity", "Only such meters.", {"type": "string", "enum": list(COMMODITIES)}, "electric"),
    _parameter(
        "assigned", "Only those that are assigned, or are not.", {"type": "string", "enum": ["yes", "no"]}, "yes"
    ),
    _parameter("silent", "Only those not heard for a day.", {"type": "string", "enum": ["1"]}, "1"),
    _parameter("tampered", "Only those of which a tamper counter changed.", {"type": "string", "enum": ["1"]}, "1"),
    _parameter(
        "sort",
        "In which order.",
        {"type": "string", "enum": ["id", "name", "heard", "changed", "strongest", "level", "rate"], "default": "id"},
        "level",
    ),
)
_LOG = (
    _parameter(
        "group",
        "Only such events.",
        {"type": "string", "enum": ["meters", "radio", "clock", "access", "changes", "delivery", "store"]},
        "clock",
    ),
    _parameter(
        "before",
        "The `number` of the last row of the page before: the 1000 events before it. The newest unless said.",
        {"type": "integer", "minimum": 1, "maximum": 2**53},
        "17",
    ),
)
_ERRORS = {
    "400": "A parameter that is not described, comes twice, or is not as it is described.",
    "401": "Nobody has logged in.",
    "403": "Who has logged in may not do this.",
    "404": "There is no such meter, receiver or file.",
    "405": "Another method than GET or HEAD.",
    "421": "The name in Host is not one of this machine's.",
    "503": "The data cannot be read just now.",
}


def _operation(
    name: str, tag: str, summary: str, parameters: tuple[Schema, ...], content: Schema, *, is_open: bool = False
) -> Schema:
    errors = [code for code in _ERRORS if not (is_open and code in ("401", "403", "503"))]
    if not any(one["in"] == "path" for one in parameters):
        errors.remove("404")
    told = {"200": {"description": summary, "content": content}}
    operation: Schema = {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "parameters": list(parameters),
        "responses": told | {code: {"$ref": f"#/components/responses/{code}"} for code in errors},
    }
    return operation | {"security": []} if is_open else operation


def _document(name: str, tag: str, summary: str, schema: str, parameters: tuple[Schema, ...] = ()) -> Schema:
    return _operation(name, tag, summary, parameters, {"application/json": {"schema": ref(schema)}})


def _table(name: str, tag: str, summary: str, schema: str, parameters: tuple[Schema, ...] = ()) -> Schema:
    content = {
        "application/json": {"schema": listed("The rows.", ref(schema))},
        "text/csv": {"schema": {"type": "string", "description": "The same, one row a line, its fields as columns."}},
    }
    return _operation(name, tag, summary, (*parameters, _KIND, _NUMBERS), content)


def _of_meter(name: str, summary: str, schema: str, parameters: tuple[Schema, ...] = ()) -> Schema:
    return _table(name, "meter", summary, schema, (*_METER, *parameters))


_ONE = f"{VERSION}/meters/{{protocol}}/{{meter}}"
OPERATIONS: Mapping[str, Schema] = {
    f"{VERSION}/status": _document("status", "appliance", "How the appliance is.", "Status"),
    f"{VERSION}/quarters.{{kind}}": _table("quarters", "appliance", "What was heard in the last day.", "Quarter"),
    f"{VERSION}/events.{{kind}}": _table("events", "appliance", "What happened, the latest first.", "Event", _LOG),
    f"{VERSION}/radio/{{name}}/survey.{{kind}}": _table(
        "survey", "radio", "What the last survey of a receiver found.", "Surveyed", (_RECEIVER,)
    ),
    f"{VERSION}/delivery": _document("delivery", "delivery", "How it stands with what is delivered.", "Delivery"),
    f"{VERSION}/delivery/contacts.{{kind}}": _table("contacts", "delivery", "The aggregator's addresses.", "Contact"),
    f"{VERSION}/meters.{{kind}}": _table("meters", "meters", "All meters, heard or assigned.", "Meter", _WANTED),
    _ONE: _document("meter", "meter", "One meter.", "OneMeter", _METER),
    f"{_ONE}/chart": _document("chart", "meter", "What its charts are drawn from.", "Chart", (*_METER, *_SPAN)),
    f"{_ONE}/consumption.{{kind}}": _of_meter("consumption", "What it used.", "Consumption", _SPAN),
    f"{_ONE}/reception.{{kind}}": _of_meter("reception", "How it was heard.", "Reception", _SPAN),
    f"{_ONE}/readings.{{kind}}": _of_meter("readings", "Its readings, the latest first.", "Reading", (_BEFORE,)),
    f"{_ONE}/tamper.{{kind}}": _of_meter("tamper", "Changes of its tamper counters.", "TamperChange"),
    f"{_ONE}/breaks.{{kind}}": _of_meter("breaks", "What happened to its register.", "Break"),
    f"{_ONE}/notes.{{kind}}": _of_meter("notes", "Notes about it.", "Note"),
    f"{_ONE}/comparisons.{{kind}}": _of_meter("comparisons", "Comparisons with its dial.", "Comparison"),
    f"{_ONE}/siblings.{{kind}}": _of_meter("siblings", "Meters with IDs near by.", "Sibling"),
    f"{VERSION}/openapi.json": _operation(
        "description", "appliance", "This description.", (), {"application/json": {"schema": {"type": "object"}}},
        is_open=True,
    ),
}  # fmt: skip

DESCRIPTION: Mapping[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "meter-appliance",
        "version": __version__,
        "summary": "What an appliance hears and how it is, for programs.",
        "description": "Everything is only read. Nobody is sent to a log-in page: without a session the answer is 401. "
        "Registers are counts as they were sent, exact; quantities are beside them. Times have their offset to UTC.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "servers": [{"url": "/", "description": "This appliance."}],
    "security": [{"session": []}, {"session_by_https": []}],
    "tags": [
        {"name": "appliance", "description": "The appliance itself."},
        {"name": "meters", "description": "All meters."},
        {"name": "meter", "description": "One meter."},
        {"name": "radio", "description": "The receivers."},
        {"name": "delivery", "description": "What is delivered to the aggregator."},
    ],
    "paths": {path: {"get": operation} for path, operation in OPERATIONS.items()},
    "components": {
        "schemas": SCHEMAS,
        "responses": {
            code: {"description": words, "content": {MEDIA_TYPE: {"schema": ref("Problem")}}}
            for code, words in _ERRORS.items()
        },
        "securitySchemes": {
            "session": {
                "type": "apiKey", "in": "cookie", "name": "session",
                "description": "The cookie that POST /login sets, by plain HTTP.",
            },
            "session_by_https": {
                "type": "apiKey", "in": "cookie", "name": "__Host-session",
                "description": "The same by HTTPS.",
            },
        },
    },
}  # fmt: skip
