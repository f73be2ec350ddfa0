import csv
import io
import json
import logging
import os
from datetime import UTC, datetime

import pytest

from appliance.errors import StoreError
from appliance.model import Message, RadioStatus, from_json
from appliance.radio.output import FORMATS, Output

MESSAGE = Message(
    time=datetime(2016, 4, 1, 15, 24, 59, 25050, tzinfo=UTC),
    protocol="scm",
    meter_id=60243827,
    endpoint_type=4,
    commodity="electric",
    tamper_phy=0,
    tamper_enc=3,
    consumption=31160,
    checksum=40837,
    frequency_hz=912_600_155,
    snr_db=12.34,
    corrected_bits=1,
    sample=1000,
)
STATUS = RadioStatus(
    time=MESSAGE.time,
    state="running",
    source="rtlsdr",
    simulated=False,
    sample_rate_hz=2_359_296,
    center_hz=912_600_155,
    gain_db=None,
    samples=1,
    dropped_samples=0,
    noise_floor_dbfs=None,
    level_dbfs=None,
    clipped=0.0,
    messages=0,
    candidates=0,
    skipped_candidates=0,
    refused={},
)


def printed(form, *messages):
    stream = io.StringIO()
    output = Output(stream, form, live=True)
    output.status(STATUS)
    for message in messages:
        output.message(message)
    return stream.getvalue().splitlines()


def test_json_is_the_model_and_has_the_statuses():
    assert [from_json(line) for line in printed("json", MESSAGE)] == [STATUS, MESSAGE]


def test_csv_has_a_header_once_and_every_field():
    rows = list(csv.DictReader(printed("csv", MESSAGE, MESSAGE)))
    assert len(rows) == 2
    assert rows[0] == {
        "time": "2016-04-01T15:24:59.025050Z",
        "protocol": "scm",
        "meter_id": "60243827",
        "endpoint_type": "4",
        "commodity": "electric",
        "tamper_phy": "0",
        "tamper_enc": "3",
        "consumption": "31160",
        "checksum": "40837",
        "frequency_hz": "912600155",
        "snr_db": "12.34",
        "corrected_bits": "1",
        "sample": "1000",
    }
    assert set(json.loads(MESSAGE.to_json())) - {"type"} == set(rows[0])


def test_rtlamr_is_what_the_thesis_logged():
    (line,) = printed("rtlamr", MESSAGE)
    assert line == (
        '{"Time":"2016-04-01T15:24:59.025050Z","Offset":2000,"Length":27648,"Type":"SCM","Message":'
        '{"ID":60243827,"Type":4,"TamperPhy":0,"TamperEnc":3,"Consumption":31160,"ChecksumVal":40837}}'
    )


def test_plain_is_one_aligned_line():
    from dataclasses import replace

    other = replace(
        MESSAGE, meter_id=1, endpoint_type=12, commodity="gas", snr_db=None, frequency_hz=None, corrected_bits=0
    )
    first, second = printed("plain", MESSAGE, other)
    assert "60243827" in first
    assert "1 bit corrected" in first
    assert first.index("MHz") == second.index("MHz")


def test_a_protocol_that_rtlamr_has_no_form_for_is_reported_once(caplog):
    from dataclasses import replace

    other = replace(MESSAGE, protocol="idm")
    assert printed("rtlamr", other, other) == []
    assert caplog.text.count("protocol has no form") == 1


@pytest.mark.parametrize("form", ["csv", "plain", "rtlamr"])
def test_tables_stay_tables_and_changes_of_state_go_to_the_log(form, caplog):
    with caplog.at_level(logging.INFO):
        assert len(printed(form)) == (form == "csv")
    assert "state=running" in caplog.text


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_said_plainly(form):
    with open("/dev/full", "w") as full, open(os.devnull, "w") as nowhere:
        with pytest.raises(StoreError, match="No space left"):
            Output(full, form, live=True).message(MESSAGE)
        # For what is still buffered when it is closed.
        os.dup2(nowhere.fileno(), full.fileno())
