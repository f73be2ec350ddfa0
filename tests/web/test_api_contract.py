"""The description of the API is true: each address is in it, each answer is as it says, and each error happens."""

import csv
import io
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import jsonschema
import pytest
from aiohttp import web

from appliance.model import STATES
from appliance.web.frame.problems import MEDIA_TYPE
from appliance.web.openapi.description import DESCRIPTION, OPERATIONS
from appliance.web.routes import ROUTES
from tests.web.filled import METER, SIMULATED, UNHEARD, Answer, Filled, filled

FORMATS = jsonschema.FormatChecker()
METERS = (METER, "scm/61", SIMULATED)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled(tmp_path_factory.mktemp("site")) as one:
        yield one


def schema_of(operation: dict[str, Any], status: str, content_type: str) -> dict[str, Any]:
    response = operation["responses"][status]
    if "$ref" in response:
        response = DESCRIPTION["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema: dict[str, Any] = response["content"][content_type]["schema"]
    return schema


def check(value: Any, schema: dict[str, Any]) -> None:
    whole = schema | {"components": DESCRIPTION["components"]}
    faults = jsonschema.Draft202012Validator(whole, format_checker=FORMATS).iter_errors(value)
    assert [f"{fault.json_path}: {fault.message[:200]}" for fault in faults] == []


def address(path: str, meter: str = METER, kind: str = "json") -> str:
    protocol, _, number = meter.partition("/")
    return path.format(protocol=protocol, meter=number, kind=kind, name="street")


def paths() -> list[str]:
    return [path for path in OPERATIONS if path != "/api/v1/openapi.json"]


def test_each_address_is_described_and_no_other() -> None:
    routes = [one for one in ROUTES if isinstance(one, web.RouteDef) and one.path.startswith("/api/")]
    served = {re.sub(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}", r"{\1}", route.path) for route in routes}
    assert served == set(OPERATIONS)
    assert {route.method for route in routes} == {"GET"}
    for path, operation in OPERATIONS.items():
        named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), path


def test_it_is_an_openapi_description(site: Filled) -> None:
    answer = site.ask("GET", "/api/v1/openapi.json", Cookie="")
    assert json.loads(answer.body) == json.loads(json.dumps(DESCRIPTION))
    openapi = pytest.importorskip("schemathesis.openapi")
    assert {name.path for name in (one.ok() for one in openapi.from_dict(DESCRIPTION).get_all_operations())} == set(
        OPERATIONS
    )


def test_whatever_is_told_is_explained() -> None:
    def bare(schema: dict[str, Any], where: str) -> Iterator[str]:
        if "$ref" in schema:
            return
        if not schema.get("description"):
            yield where
        for name, one in schema.get("properties", {}).items():
            yield from bare(one, f"{where}.{name}")
        if isinstance(schema.get("items"), dict):
            yield from bare(schema["items"], f"{where}[]")

    schemas = DESCRIPTION["components"]["schemas"]
    assert [where for name, schema in schemas.items() for where in bare(schema, name)] == []
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DESCRIPTION)))
    assert used == set(schemas)


@pytest.mark.parametrize(
    ("path", "meter"), [(path, meter) for path in paths() for meter in (METERS if "{meter}" in path else METERS[:1])]
)
def test_each_answer_is_as_described(site: Filled, path: str, meter: str) -> None:
    operation = OPERATIONS[path]
    answer = site.ask("GET", address(path, meter))
    assert (answer.status, answer.content_type) == (200, "application/json"), answer.body
    assert answer.headers["cache-control"] == "no-store"
    told = json.loads(answer.body)
    check(told, schema_of(operation, "200", "application/json"))
    if "{kind}" in path:
        # A table without a row would prove nothing.
        assert told or meter != METER
        assert answer.headers["content-disposition"].startswith("attachment;")


@pytest.mark.parametrize("path", [path for path in paths() if "{kind}" in path])
def test_each_file_for_spreadsheets_says_the_same(site: Filled, path: str) -> None:
    told = json.loads(site.ask("GET", address(path)).body)
    for numbers, comma, point in (("point", ",", "."), ("comma", ";", ",")):
        answer = site.ask("GET", address(path, kind="csv") + f"?numbers={numbers}")
        assert answer.content_type == "text/csv"
        rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")), delimiter=comma))
        assert [list(row) for row in rows] == [list(row) for row in told]
        for row, said in zip(rows, told, strict=True):
            for column, cell in row.items():
                value = said[column]
                if isinstance(value, dict):
                    assert json.loads(cell) == value
                    continue
                assert not cell.startswith(("=", "+", "-", "@")) or isinstance(value, int | float)
                if isinstance(value, str) and value != cell:
                    is_number = re.fullmatch(r"-?[0-9.]+", value)
                    assert cell == (value.replace(".", point) if is_number else f"'{value}")
                elif isinstance(value, float):
                    assert float(cell.replace(point, ".")) == value


def test_a_meter_that_was_never_heard_has_the_same_fields(site: Filled) -> None:
    for name in (UNHEARD, "scm/90"):
        answer = site.ask("GET", address("/api/v1/meters/{protocol}/{meter}", name))
        told = json.loads(answer.body)
        check(told, DESCRIPTION["components"]["schemas"]["OneMeter"])
        assert (told["last_heard"], told["assigned"], told["name"]) == (None, True, "Pozo")


def refused(answer: Answer, status: int) -> dict[str, Any]:
    assert (answer.status, answer.content_type) == (status, MEDIA_TYPE), answer.body
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = json.loads(answer.body)
    check(told, DESCRIPTION["components"]["schemas"]["Problem"])
    assert (told["status"], told["title"]) == (status, HTTPStatus(status).phrase)
    assert len(told["detail"]) > 20
    return told


@pytest.mark.parametrize("path", OPERATIONS)
def test_each_error_that_is_described_happens(site: Filled, path: str) -> None:
    described = {code for code in OPERATIONS[path]["responses"] if code != "200"}
    here = address(path)
    happened = {
        "400": site.ask("GET", f"{here}?nonsense=1"),
        "405": site.ask("DELETE", here),
        "421": site.ask("GET", here, Host="evil.example"),
    }
    if "401" in described:
        happened["401"] = site.ask("GET", here, Cookie="")
        assert happened["401"].headers["www-authenticate"].startswith("Cookie ")
    if "404" in described:
        happened["404"] = site.ask("GET", address(path, "scm/99", kind="exe"))
    for code, answer in happened.items():
        refused(answer, int(code))
    # A history that does not answer, and a role that may not read, are elsewhere.
    assert described - happened.keys() <= {"403", "503"}
    assert happened.keys() <= described


PARAMETERS = [
    (path, one["name"]) for path in OPERATIONS for one in OPERATIONS[path]["parameters"] if one["in"] == "query"
]


@pytest.mark.parametrize(("path", "name"), PARAMETERS)
def test_each_parameter_is_read(site: Filled, path: str, name: str) -> None:
    schema = next(one["schema"] for one in OPERATIONS[path]["parameters"] if one["name"] == name)
    here = address(path, kind="csv" if name == "numbers" else "json")
    usual = site.ask("GET", here)
    assert usual.status == 200
    answers = {site.ask("GET", f"{here}?{name}={value}").body for value in read_as(name, schema, site)}
    assert len(answers | {usual.body}) > 1, "it changes nothing"
    for bad in ("", "no such thing" * 20, "-1", "\x00"):
        if name == "q" and len(bad) < 64:
            continue
        refused(site.ask("GET", f"{here}?{name}={bad.replace(' ', '%20')}".replace("\x00", "%00")), 400)
    good = str(read_as(name, schema, site)[0])
    refused(site.ask("GET", f"{here}?{name}={good}&{name}={good}"), 400)


def read_as(name: str, schema: dict[str, Any], site: Filled) -> list[Any]:
    if "enum" in schema:
        return list(schema["enum"])
    hour_ago = site.now_ms - 3_600_000
    return {"from": [hour_ago], "to": [hour_ago], "q": ["60"], "before": [1]}[name]


def test_the_states_of_a_receiver_are_those_of_the_model() -> None:
    assert DESCRIPTION["components"]["schemas"]["Receiver"]["properties"]["state"]["enum"] == list(STATES)
