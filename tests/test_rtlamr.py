"""rtlamr's lines, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model import format_time
from appliance.radio.protocols import scm
from appliance.rtlamr import from_rtlamr, scm_checksum, to_rtlamr

LOGGED = (
    '{"Time":"2016-04-01T12:24:59.02505069-03:00","Offset":0,"Length":35840,"Message":'
    '{"ID":60243827,"Type":4,"TamperPhy":0,"TamperEnc":3,"Consumption":31160,"ChecksumVal":40837}}'
)
FIELDS = {
    "meter_id": st.integers(0, 2**26 - 1),
    "endpoint_type": st.integers(0, 15),
    "tamper_phy": st.integers(0, 3),
    "tamper_enc": st.integers(0, 3),
    "consumption": st.integers(0, 2**24 - 1),
}


def test_a_line_of_the_thesis_comes_back():
    message = from_rtlamr(LOGGED)
    assert (message.meter_id, message.commodity, message.frequency_hz) == (60243827, "electric", None)
    line = to_rtlamr(message.time, 60243827, 4, 0, 3, 31160, length=35840)
    assert from_rtlamr(line) == message
    assert format_time(message.time) in line


@given(**FIELDS)
def test_the_checksum_is_the_one_on_the_air(**fields):
    assert scm_checksum(**fields) == scm.decode(scm.encode(**fields)).checksum


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"Message"', '"Type":"IDM","Message"', "'IDM' messages are not read"),
        ('"ID":60243827,', "", "without 'ID'"),
        ("60243827", "-1", "meter_id is -1"),
        ("60243827", "true", "meter_id is True"),
        ('"Type":4', '"Type":"4"', "unsupported operand"),
        ("2016-04-01T12:24:59.02505069-03:00", "2016-04-01T12:24:59", "without a zone"),
        (LOGGED, "[1]", "rtlamr line"),
        (LOGGED, "[" * 100_000, "rtlamr line"),
        ("}}", "}", "delimiter"),
    ],
)
def test_what_is_wrong_is_said(old, new, complaint):
    with pytest.raises(ValueError, match=complaint):
        from_rtlamr(LOGGED.replace(old, new))
