"""Commands: what may be asked, within which limits, and what is said of one that cannot be."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.control.commands import (
    LONGEST_SURVEY_S,
    MOST_CENTERS,
    BadCommand,
    Command,
    Recording,
    Surveying,
    Watching,
    from_json,
    tuned,
)
from appliance.errors import UsageError
from appliance.model import Tuning

NOW = Tuning(center_hz=912_600_155, gain_db=None, ppm=0, bias_tee=False)


@pytest.mark.parametrize(
    ("record", "details"),
    [
        ({"set": {"center_hz": 911_000_000, "gain_db": "auto"}}, {"center_hz": 911_000_000, "gain_db": "auto"}),
        ({"spectrum": {}}, Watching()),
        ({"spectrum": {"rate_hz": 10, "bins": 64}}, Watching(rate_hz=10.0, bins=64)),
        ({"spectrum": None}, None),
        ({"record": {"seconds": 3}}, Recording(seconds=3.0)),
        ({"survey": {"centers_hz": [911_000_000], "dwell_s": 5}}, Surveying(centers_hz=(911_000_000,), dwell_s=5.0)),
        (
            {"survey": {"from_hz": 910_000_000, "to_hz": 914_000_000, "step_hz": 2_000_000}},
            Surveying(centers_hz=(910_000_000, 912_000_000, 914_000_000)),
        ),
    ],
)
def test_a_command_is_read_and_comes_back_as_written(record: dict[str, Any], details: Any) -> None:
    command = from_json(json.dumps(record | {"id": 7}))
    assert (command.id, command.details) == (7, details)
    assert from_json(command.to_json()) == command


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({}, "one of set, spectrum, record, survey"),
        ({"set": {"ppm": 1}, "record": None}, "one of set"),
        ({"reboot": {}}, "one of set"),
        ({"set": {}}, "needs an object"),
        ({"set": None}, "needs an object"),
        ({"set": {"sample_rate_hz": 1}}, "set.sample_rate_hz cannot be set"),
        ({"set": {"center_hz": 1}}, "set.center_hz = 1 must be a whole number from 24_000_000"),
        ({"set": {"gain_db": 99}}, "set.gain_db = 99 must be"),
        ({"set": {"ppm": 1.5}}, "set.ppm"),
        ({"set": {"bias_tee": 1}}, "set.bias_tee"),
        ({"spectrum": []}, "spectrum needs an object"),
        ({"spectrum": {"rate_hz": 11}}, "rate_hz = 11 must be a number from 1 to 10"),
        ({"spectrum": {"bins": True}}, "bins"),
        ({"spectrum": {"colour": 1}}, "spectrum.colour is not known"),
        ({"record": {}}, "seconds = None"),
        ({"record": {"seconds": 61}}, "from 0.1 to 60"),
        ({"survey": {}}, "from_hz"),
        ({"survey": {"centers_hz": []}}, "1 to 64"),
        ({"survey": {"centers_hz": [911_000_000] * (MOST_CENTERS + 1)}}, "1 to 64"),
        ({"survey": {"centers_hz": [1]}}, "centers_hz = 1"),
        ({"survey": {"centers_hz": [911_000_000], "step_hz": 1}}, "either"),
        ({"survey": {"from_hz": 900_000_000, "to_hz": 930_000_000, "step_hz": 1}}, "must make 1 to 64"),
        ({"survey": {"centers_hz": [911_000_000] * 64, "dwell_s": 600}}, f"{LONGEST_SURVEY_S:g}"),
    ],
)
def test_what_cannot_be_is_named(record: dict[str, Any], said: str) -> None:
    with pytest.raises(BadCommand) as refused:
        from_json(json.dumps(record | {"id": 3}))
    assert said in str(refused.value)
    assert refused.value.id == 3


@given(
    st.binary(max_size=300)
    | st.text(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["id", "set", "spectrum", "record", "survey", "bins"]), inner)
        ),
    ).map(json.dumps)
)
def test_nothing_but_a_refusal_comes_of_rubbish(line: bytes | str) -> None:
    with suppress(BadCommand):
        from_json(line)


def test_settings_are_changed_one_by_one() -> None:
    assert tuned(NOW, {"ppm": -3}) == Tuning(center_hz=912_600_155, gain_db=None, ppm=-3, bias_tee=False)
    by_hand = tuned(NOW, {"gain_db": 40})
    assert by_hand.gain_db == 40.0
    assert tuned(by_hand, {"gain_db": None}) == NOW
    with pytest.raises(UsageError, match="center_hz"):
        tuned(NOW, {"center_hz": "high"})


def test_automatic_gain_is_written_as_the_configuration_writes_it() -> None:
    line = Command(name="set", details={"gain_db": None}).to_json()
    assert json.loads(line)["set"] == {"gain_db": "auto"}
