"""SCM: fields to bits and back, against messages that others decoded."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.radio.protocols import PROTOCOLS, bch, scm

CAPTURED = Path(__file__).parents[1] / "expected" / "ert-scm-2555904sps.jsonl"
WIDTHS = {
    "meter_id": 26,
    "endpoint_type": 4,
    "tamper_phy": 2,
    "tamper_enc": 2,
    "consumption": 24,
    "reserved": 1,
}
FIELDS = {"meter_id": 60243827, "endpoint_type": 4, "tamper_phy": 0, "tamper_enc": 3, "consumption": 31160}

messages = st.fixed_dictionaries({name: st.integers(0, (1 << width) - 1) for name, width in WIDTHS.items()})


def test_the_published_message():
    bits = scm.encode(**FIELDS)
    assert (bits.dtype, bits.shape) == (np.uint8, (96,))
    assert scm.decode(bits) == scm.Scm(**FIELDS, checksum=40837, reserved=0)
    published = (
        "111110010101001100000"  # sync and preamble
        "11" + "0" + "00" + "0100" + "11"  # ID's top bits, reserved, physical tamper, type, encoder tamper
        "000000000111100110111000"  # 31160
        "100101110011111101110011"  # ID's other bits
        "1001111110000101"  # 40837
    )
    assert "".join(map(str, bits)) == published


@pytest.mark.parametrize("line", CAPTURED.read_text().splitlines())
def test_checksums_of_real_messages(line):
    sent = json.loads(line)
    fields = [sent[name] for name in ("meter_id", "endpoint_type", "tamper_phy", "tamper_enc", "consumption")]
    assert sent["checksum"] in {scm.decode(scm.encode(*fields, reserved)).checksum for reserved in (0, 1)}


@given(messages)
def test_what_is_encoded_is_decoded(message):
    bits = scm.encode(**message)
    read = scm.decode(bits)
    assert {name: getattr(read, name) for name in WIDTHS} == message
    assert scm.decode(bits.astype(bool)) == read
    assert bch.syndrome(bits[scm.PROTECTED]) == 0
    assert bits[: len(scm.PREAMBLE)].tolist() == scm.PREAMBLE.tolist()


@given(st.integers(0, 2**96 - 1))
def test_any_96_bits_have_fields_and_are_what_they_encode_but_for_preamble_and_checksum(word):
    bits = np.array([word >> i & 1 for i in range(95, -1, -1)], np.uint8)
    read = scm.decode(bits)
    again = scm.encode(*read[:5], read.reserved)
    assert (again[21:80] == bits[21:80]).all()
    assert read.checksum == word & 0xFFFF


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize("beyond", ["below", "above"])
def test_a_field_that_does_not_fit_is_refused(name, beyond):
    value = -1 if beyond == "below" else 1 << WIDTHS[name]
    with pytest.raises(ValueError, match="does not fit"):
        scm.encode(**FIELDS | {name: value})


@pytest.mark.parametrize("name", WIDTHS)
def test_the_largest_value_fits(name):
    largest = (1 << WIDTHS[name]) - 1
    assert getattr(scm.decode(scm.encode(**FIELDS | {name: largest})), name) == largest


def test_the_reserved_bit_changes_no_field():
    clear, set_ = scm.encode(**FIELDS), scm.encode(**FIELDS, reserved=1)
    assert np.flatnonzero(clear[:80] != set_[:80]).tolist() == [scm.RESERVED_BIT]
    assert scm.decode(set_)[:5] == scm.decode(clear)[:5]
    assert bch.syndrome(set_[scm.PROTECTED]) == 0


def test_the_table_of_protocols_names_it():
    assert PROTOCOLS[scm.NAME] is scm
