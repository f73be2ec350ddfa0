"""The one schema, in both directions: what is written is read back, and what is wrong is refused by name."""

import json
import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model import (
    COMMODITIES,
    EARLIEST,
    LATEST,
    STATES,
    Message,
    RadioStatus,
    commodity_of,
    format_time,
    from_json,
    parse_time,
)

COMMANDS = Path(__file__).parent.parent / "docs" / "commands.md"
MESSAGE = Message(
    time=datetime(2026, 3, 1, 12, 0, tzinfo=UTC), protocol="scm", meter_id=60243827, endpoint_type=4,
    commodity="electric", tamper_phy=0, tamper_enc=3, consumption=31160, checksum=40837, frequency_hz=912_345_678,
    snr_db=23.5, corrected_bits=1, sample=4711,
)  # fmt: skip
STATUS = RadioStatus(
    time=MESSAGE.time, state="retrying", source="RTL-SDR 00000001", simulated=False, sample_rate_hz=2_359_296,
    center_hz=912_600_155, gain_db=40.2, samples=10, dropped_samples=1, noise_floor_dbfs=-52.3, level_dbfs=-40.0,
    clipped=0.25, messages=2, candidates=3, skipped_candidates=0, refused={"checksum": 3}, detail="no dongle",
)  # fmt: skip

times = st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(UTC))
counts = st.integers(0, 2**53 - 1)
levels = st.none() | st.floats(-200, 200)
counters = st.none() | st.integers(0, 2**16 - 1)
texts = st.text(st.characters(codec="utf-8"))
names = st.text("abcxyz")
messages = st.builds(
    Message, time=times, protocol=st.from_regex(r"[a-z0-9+]{1,16}", fullmatch=True), meter_id=counts,
    endpoint_type=counts, commodity=st.sampled_from(COMMODITIES), tamper_phy=counters, tamper_enc=counters,
    consumption=counts, checksum=counts, frequency_hz=st.none() | counts, snr_db=levels, corrected_bits=counts,
    sample=counts, extra=st.dictionaries(names, counts | texts | st.none() | st.booleans()),
)  # fmt: skip
statuses = st.builds(
    RadioStatus, time=times, state=st.sampled_from(STATES), source=texts, simulated=st.booleans(),
    sample_rate_hz=counts, center_hz=counts, gain_db=levels, samples=counts, dropped_samples=counts,
    noise_floor_dbfs=levels, level_dbfs=levels, clipped=st.floats(0, 1), messages=counts, candidates=counts,
    skipped_candidates=counts, refused=st.dictionaries(texts, counts), detail=texts,
)  # fmt: skip

NUMBERS: tuple[Any, ...] = ("1", -1, 1.5, True, 2**53, 10**400, [1], {})
OF_MESSAGE: dict[str, tuple[Any, ...]] = {
    "time": (None, 5, "", "noon", "2026-03-01", "2026-03-01T12:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    "protocol": (None, 5, "", "SCM", "a" * 17, "<b>", "\ud800", "scm\n", ["scm"]),
    "commodity": (None, 5, "", "steam", ["gas"], {}),
    "tamper_phy": ("0", -1, 0.5, False, 2**16, []),
    "tamper_enc": ("0", -1, 0.5, False, 2**16, []),
    "frequency_hz": NUMBERS,
    "snr_db": ("1", True, 201, -201, float("nan"), float("inf"), 10**400, []),
} | dict.fromkeys(
    ("meter_id", "endpoint_type", "consumption", "checksum", "corrected_bits", "sample"), (None, *NUMBERS)
)
OF_STATUS: dict[str, tuple[Any, ...]] = {
    "time": OF_MESSAGE["time"],
    "state": (None, 5, "", "asleep", ["running"]),
    "source": (None, 5, ["x"]),
    "detail": (None, 5, ["x"]),
    "simulated": (None, 0, "no"),
    "gain_db": ("1", True, 1001, float("nan"), -float("inf"), 10**400, []),
    "noise_floor_dbfs": ("1", True, -1001, float("nan"), []),
    "level_dbfs": ("1", True, -1001, float("nan"), []),
    "clipped": (None, "0", True, -0.1, 1.1, float("nan")),
    "refused": (None, 5, [], {"checksum": -1}, {"checksum": None}, {"checksum": 1.5}),
} | dict.fromkeys(
    (
        *("sample_rate_hz", "center_hz", "samples", "dropped_samples", "messages", "candidates"),
        "skipped_candidates",
    ),
    (None, *NUMBERS),
)


@given(messages | statuses)
def test_what_is_written_is_read_back(one: Message | RadioStatus) -> None:
    line = one.to_json()
    assert line.isascii()
    assert "\n" not in line
    assert from_json(line) == one
    assert from_json(line.encode()) == one


@pytest.mark.parametrize(("one", "wrong"), [(MESSAGE, OF_MESSAGE), (STATUS, OF_STATUS)], ids=["message", "status"])
def test_each_field_is_checked(one: Message | RadioStatus, wrong: dict[str, tuple[Any, ...]]) -> None:
    record = json.loads(one.to_json())
    assert set(wrong) == set(record) - {"type"}, "every field has wrong values here"
    for name, values in wrong.items():
        for value in values:
            with pytest.raises(ValueError, match=r".") as refused:
                from_json(json.dumps(record | {name: value}))
            assert len(str(refused.value)) < 200
        del_one = {key: value for key, value in record.items() if key != name}
        if name != "detail":
            with pytest.raises(ValueError, match=f"without '{name}'|missing .*'{name}'"):
                from_json(json.dumps(del_one))


def test_a_status_has_no_other_fields_and_a_message_may() -> None:
    with pytest.raises(ValueError, match="colour"):
        from_json(STATUS.to_json()[:-1] + ', "colour": 1}')
    heard = from_json(MESSAGE.to_json()[:-1] + ', "interval": 7}')
    assert heard == replace(MESSAGE, extra={"interval": 7})


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{", b"\xff\xfe", b"null", b"[]", b'"x"', b"5", b"NaN", b"{}", b"[" * 100_000, b"9" * 10_000),
        *(b'{"type": "message"}', b'{"type": "status", "time": 5}', b'{"type": ["message"]}', b'{"time": null}'),
        b'{"type": "other", "time": "2026-03-01T12:00:00Z"}',
    ],
)
def test_what_is_neither_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(line)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_nothing_but_a_value_error_comes_of_rubbish(line: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(line)


@given(times)
def test_times(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-10:00", "1970-01-01T00:00:00+03:00", "2026-03-01T12:00:00"],
)
def test_a_time_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_time(text)


@pytest.mark.parametrize(("kind", "heading"), [(Message, "A message:"), (RadioStatus, "A status:")])
def test_the_documented_fields_are_those_of_the_model(kind: type, heading: str) -> None:
    section = COMMANDS.read_text(encoding="utf-8").partition(f"\n{heading}")[2]
    if kind is Message:
        cells = [row.split("|")[1] for row in section.lstrip().split("\n\n")[0].splitlines()[2:]]
        section = " ".join(cells)
    else:
        section = re.sub(r"\(.*?\)", "", section.split("\n\n")[0], flags=re.S)
    documented = re.findall(r"`([a-z_]+)`", section)
    # What says why a state is what it is stands with the states; the moment needs no word.
    model = [f.name for f in fields(kind) if f.name not in ("extra", "detail" if kind is RadioStatus else "")]
    assert set(documented) | {"time"} == set(model)
    assert len(documented) == len(set(documented))


def test_the_commodity_of_each_type_of_endpoint():
    table = [commodity_of(endpoint_type) for endpoint_type in range(16)]
    assert [n for n, name in enumerate(table) if name == "electric"] == [4, 5, 7, 8]
    assert [n for n, name in enumerate(table) if name == "gas"] == [0, 1, 2, 9, 12]
    assert [n for n, name in enumerate(table) if name == "water"] == [3, 11, 13]
    assert [n for n, name in enumerate(table) if name == "unknown"] == [6, 10, 14, 15]
    assert commodity_of(0xA8) == "electric"
