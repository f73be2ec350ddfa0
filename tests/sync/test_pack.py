"""Batches come back as they were; whatever else arrives is refused by name."""

import base64
import contextlib
import copy
import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.sync.batch import MOST_BYTES, MOST_KNOTS, MOST_PAYLOAD_BYTES, Batch, Knot, Meter, utc_ms
from appliance.sync.envelope import Refused
from appliance.sync.pack import pack
from appliance.sync.unpack import unpack
from tests.sync.made_batch import UTC_MS, batch, batches


def refused(payload: bytes) -> str:
    with pytest.raises(Refused) as fault:
        unpack(payload)
    return fault.value.reason


def zipped(record: Any) -> bytes:
    return gzip.compress(json.dumps(record).encode())


@given(batches())
def test_a_batch_comes_back(any_batch: Batch) -> None:
    assert unpack(pack(any_batch)) == any_batch


def test_the_same_batch_is_the_same_bytes() -> None:
    assert pack(batch()) == pack(batch())
    assert unpack(pack(batch())) == batch()


def test_time_between_knots() -> None:
    (part,) = batch().parts
    assert utc_ms(part.clock, [0, 450_000, 900_000, 1_000_000]) == [
        UTC_MS, UTC_MS + 450_000, UTC_MS + 900_001, UTC_MS + 1_000_001,
    ]  # fmt: skip
    late = (Knot(100, 5000, 1, "ntp"),)
    assert utc_ms(late, [0, 100, 200]) == [4900, 5000, 5100]


def test_a_clock_has_so_many_knots_at_most() -> None:
    knots = tuple(Knot(ms, UTC_MS + ms, 1, "ntp") for ms in range(MOST_KNOTS + 1))
    (part,) = batch().parts
    assert unpack(pack(batch(parts=(replace(part, clock=knots[1:]),)))).parts[0].clock == knots[1:]
    assert refused(pack(batch(parts=(replace(part, clock=knots),)))) == "bad_content"


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(MOST_BYTES + 1))
    assert len(bomb) < 10_000
    assert refused(bomb) == "too_large"
    assert refused(bytes(MOST_PAYLOAD_BYTES + 1)) == "too_large"


def test_what_is_no_gzip() -> None:
    payload = pack(batch())
    assert refused(b"") == "bad_content"
    assert refused(b"{}") == "bad_content"
    assert refused(payload + b"x") == "bad_content"
    assert refused(payload + payload) == "bad_content"
    assert refused(zlib.compress(b"{}")) == "bad_content"
    assert {refused(payload[:length]) for length in range(len(payload))} == {"bad_content"}


@pytest.mark.parametrize("record", [None, [], {}, 5, "text", [[]], {"format": 1}])
def test_what_is_no_batch(record: Any) -> None:
    assert refused(zipped(record)) == "bad_content"


@pytest.mark.parametrize("text", [b"[" * 100_000, b"\xff", b"NaN", b"{" + b'"a":1,' * 9 + b'"a":1}', b"1e999"])
def test_what_is_no_json(text: bytes) -> None:
    assert refused(gzip.compress(text)) == "bad_content"


STRANGE = (None, True, -1, 2**53, 1.5, "text", [], {}, [[]], [1], [None, None], "0" * 64, [0, 1, "A"], [0, 10**9, ""])


def places(record: Any) -> list[tuple[Any, ...]]:
    """The way to each value in it."""
    entries = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    return [way for key, value in entries for way in [(key,), *((key, *rest) for rest in places(value))]]


@pytest.mark.parametrize("strange", STRANGE, ids=repr)
def test_each_value_in_turn_is_something_else(strange: Any) -> None:
    """It is refused, or else a batch that says just that."""
    whole = json.loads(gzip.decompress(pack(batch())))
    for way in places(whole):
        record = copy.deepcopy(whole)
        inner = record
        for key in way[:-1]:
            inner = inner[key]
        if inner[way[-1]] == strange and type(inner[way[-1]]) is type(strange):
            continue
        inner[way[-1]] = strange
        with contextlib.suppress(Refused):
            assert json.loads(gzip.decompress(pack(unpack(zipped(record))))) == record


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.pop("format"),
        lambda r: r.update(more=1),
        lambda r: r.update(format=2),
        lambda r: r.update(previous="0" * 63),
        lambda r: r.update(appliance="0" * 31 + "G"),
        lambda r: r.update(position=[1] * 9),
        lambda r: r["parts"].append(r["parts"][0]),
        lambda r: r["restated"].append(r["restated"][0]),
        lambda r: r["meters"]["protocol"].append("scm"),
        lambda r: r["meters"].update(simulated=[1, 0, ""]),
        lambda r: r["parts"][0].update(clock=[]),
        lambda r: r["parts"][0].update(clock=[[5, 5, 1, "ntp"], [5, 6, 1, "ntp"]]),
        lambda r: r["parts"][0].update(clock=[[5, 5, 1, "ntp"], [6, 4, 1, "ntp"]]),
        lambda r: r["parts"][0]["readings"].update(runs=[0, 3, "AAAAAA"]),
        lambda r: r["parts"][0]["readings"].update(runs=[50_000, 0, ""]),
        lambda r: r["parts"][0]["readings"]["ms"].reverse(),
        lambda r: r["parts"][0]["events"][0].__setitem__(3, 2),
        lambda r: r["parts"][0]["events"][0].__setitem__(4, {"why": "x" * 5000}),
    ],
)
def test_what_contradicts_itself(change: Callable[[dict[str, Any]], Any]) -> None:
    record = json.loads(gzip.decompress(pack(batch())))
    change(record)
    assert refused(zipped(record)) == "bad_content"


def test_a_meter_stands_once() -> None:
    twice = batch().meters[:1] * 2
    assert refused(pack(batch(meters=twice))) == "bad_content"


def test_rows_of_a_meter_follow_each_other() -> None:
    (part,) = batch().parts
    backwards = replace(part, readings=replace(part.readings, ms=[301_000, 1000, 2500]))
    assert refused(pack(batch(parts=(backwards,)))) == "bad_content"
    equal = replace(part, readings=replace(part.readings, ms=[1000, 1000, 2500]))
    assert refused(pack(batch(parts=(equal,)))) == "bad_content"


def test_what_is_made_up_cannot_pass_for_real() -> None:
    made_up = (Meter("scm", 1, 7, "electric", True), batch().meters[1])
    assert refused(pack(batch(meters=made_up))) == "bad_content"
    assert unpack(pack(batch(meters=made_up, simulated=True))).simulated


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_anything(content: bytes) -> None:
    assert refused(content) in ("bad_content", "too_large")
    assert refused(gzip.compress(content)) == "bad_content"
    assert refused(gzip.compress(base64.b64encode(content))) == "bad_content"
