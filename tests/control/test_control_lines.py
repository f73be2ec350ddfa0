"""Lines of the control channel: written and read back, each field checked."""

import json
import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.control.lines import (
    MOST_BURSTS,
    Accepted,
    Burst,
    Line,
    Recorded,
    Refused,
    Set,
    Spectrum,
    Survey,
    Surveyed,
    from_json,
    is_line,
    to_json,
)
from appliance.radio.lines import LONGEST_LINE_BYTES

COMMANDS = Path(__file__).parents[2] / "docs" / "commands.md"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BURST = Burst(
    frequency_hz=1_766_000_000,
    start_s=-0.1234,
    length_s=0.0059,
    snr_db=-100.5,
    outcome="unconfirmed",
    meter_id=4_294_967_295,
)
SPECTRUM = Spectrum(
    time=NOW,
    center_hz=912_600_155,
    span_hz=2_359_296,
    seconds=0.2222,
    noise_floor_dbfs=-24.8,
    mean_dbfs=(-24.8, -20.0),
    peak_dbfs=(-20.5, -1.0),
    bursts=(BURST, replace(BURST, meter_id=None)),
    bursts_left_out=0,
)
LINES: list[Line] = [
    Accepted(id=None, command="record"),
    Refused(id=3, reason="no. Do something else."),
    Set(id=1, center_hz=911_000_000, gain_db=None, ppm=-3, bias_tee=True),
    SPECTRUM,
    Recorded(state="done", name="a", seconds=1.5, of_s=2.0, bytes=7, lost_samples=0, detail="stopped by hand"),
    Surveyed(
        center_hz=911_000_000,
        seconds=60.0,
        messages=9,
        meters={"scm": (1, 2), "scm+": (3,)},
        meters_left_out=4,
        noise_floor_dbfs=None,
    ),
    Survey(state="running", position=1, of=2, center_hz=911_000_000, left_s=3.5, messages=1, meters=1, detail=""),
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: type(line).__name__)
def test_what_is_written_is_read_back(line: Line) -> None:
    text = to_json(line)
    assert is_line(text.encode())
    assert text.isascii()
    assert from_json(text) == from_json(text.encode()) == line


@pytest.mark.parametrize("line", LINES, ids=lambda line: type(line).__name__)
def test_each_field_is_checked(line: Line) -> None:
    record = json.loads(to_json(line))
    for field in fields(line):
        wrong: tuple[Any, ...] = ([1], {"scm": 1}, True) if field.name != "bias_tee" else (1, "on")
        for value in wrong:
            with pytest.raises(ValueError, match=r"."):
                from_json(json.dumps(record | {field.name: value}))
        without = {key: value for key, value in record.items() if key != field.name}
        with pytest.raises(ValueError, match=field.name):
            from_json(json.dumps(without))
    with pytest.raises(ValueError, match="colour"):
        from_json(json.dumps(record | {"colour": 1}))


@given(st.binary(max_size=200) | st.sampled_from(["[]", "{}", '{"type": []}', '{"type": "set"}', "[" * 100_000]))
def test_nothing_but_a_value_error_comes_of_rubbish(line: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(line)


def test_bins_match_and_bursts_are_bounded() -> None:
    wrongs: list[dict[str, Any]] = [{"mean_dbfs": [1.0]}, {"bursts": [{}] * (MOST_BURSTS + 1)}, {"bursts": [7]}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"."):
            from_json(json.dumps(json.loads(to_json(SPECTRUM)) | wrong))


def test_the_largest_frame_fits_into_a_line() -> None:
    largest = replace(SPECTRUM, mean_dbfs=(-120.5,) * 512, peak_dbfs=(-120.5,) * 512, bursts=(BURST,) * MOST_BURSTS)
    assert len(to_json(largest)) < LONGEST_LINE_BYTES


def test_the_distinct_meters_are_counted() -> None:
    surveyed = LINES[5]
    assert isinstance(surveyed, Surveyed)
    assert surveyed.distinct_meters == 7


def test_the_documented_fields_are_those_of_the_lines() -> None:
    section = COMMANDS.read_text(encoding="utf-8").partition("\n## The control channel\n")[2].partition("\n## ")[0]
    for line in LINES:
        kind = type(line)
        (row,) = [row for row in section.splitlines() if row.startswith(f"| `{kind.__name__.lower()}` |")]
        cell = re.sub(r"\(.*?\)", "", row.split("|")[3])
        assert re.findall(r"`([a-z_]+)`", cell) == [field.name for field in fields(kind)]
    burst = re.sub(r"\(.*?\)", "", section.partition("A burst in `bursts`")[2], flags=re.S)
    assert re.findall(r"`([a-z_]+)`", burst) == [field.name for field in fields(Burst)]
