"""A real capture of 0.11 s, decoded: every message another receiver finds in it, two more, and nothing else.

`expected/ert-scm-2555904sps.known.jsonl` is what came with the capture: the 14 messages that a receiver finds that
takes the whole band's power as one signal. `expected/ert-scm-2555904sps.jsonl` is what this one prints, with two more.
Why those are genuine:

17556727  Type 8, register 0, at 250265. Its siblings 17556726 and 17556728 are in the same capture, and all three are
          on the same carrier to within a few hertz and at the same level: three registers of one electric meter, which
          has consecutive IDs. Clean checksum. The capture is spliced from stretches of some 19,000 samples, each around
          a message, and this is the only one of them that would otherwise have none.
48180892  Type 12, gas, register 990674, at 379, on the air together with 17580293 but 416 kHz above it: a receiver of
          the whole band hears the stronger one only. Clean checksum and all 21 bits of the preamble right, at 15 dB,
          where a wrong bit is rare: a chance of one in 2^37 for bits that are noise.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from appliance.model import parse_time
from appliance.radio.demodulate import Demodulator
from appliance.radio.geometry import Geometry
from appliance.radio.protocols import scm
from appliance.radio.receiver import Receiver
from appliance.radio.sources.samples import CU8, Converter

ROOT = Path(__file__).parents[2]
CAPTURE = Path("..", "shared", "recordings", "ert-scm-2555904sps.cu8")
EXPECTED = Path("tests", "radio", "expected", "ert-scm-2555904sps.jsonl")
REMAKE = (
    "if what has changed is right, remake what is expected from the root of the repository: .venv/bin/appliance decode "
    f"{CAPTURE} --sample-rate 2555904 | grep meter_id > {EXPECTED}"
)
RATE_HZ = 2_555_904
CENTER_HZ = 912_600_155
CHIP = 78
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SAID = ("protocol", "meter_id", "endpoint_type", "tamper_phy", "tamper_enc", "consumption", "checksum")
FURTHER = {17556727, 48180892}


def lines(path):
    return [json.loads(line) for line in (ROOT / path).read_text().splitlines()]


def said(message):
    return tuple(message[name] for name in SAID)


@pytest.fixture(scope="module")
def iq():
    if not (ROOT / CAPTURE).exists():
        pytest.skip(f"the recordings are not at {CAPTURE.parent} beside the repository")
    return Converter(CU8).to_complex((ROOT / CAPTURE).read_bytes()).copy()


def decode(pieces):
    receiver = Receiver(RATE_HZ, CENTER_HZ, EPOCH)
    messages = [message for piece in pieces for message in receiver.feed(piece)] + receiver.flush()
    return [json.loads(message.to_json()) for message in messages]


@pytest.fixture(scope="module")
def heard(iq):
    return decode([iq])


def test_all_that_is_expected_and_nothing_else(heard):
    expected = lines(EXPECTED)
    assert [said(one) for one in heard] == [said(one) for one in expected], REMAKE
    for one, other in zip(heard, expected, strict=True):
        assert one["corrected_bits"] <= other["corrected_bits"], REMAKE
        assert one["sample"] == pytest.approx(other["sample"], abs=CHIP / 8), REMAKE
        assert one["frequency_hz"] == pytest.approx(other["frequency_hz"], abs=200), REMAKE
        assert one["snr_db"] == pytest.approx(other["snr_db"], abs=1), REMAKE
        assert one["commodity"] == other["commodity"], REMAKE
        since_start_s = (parse_time(one["time"]) - EPOCH).total_seconds()
        assert since_start_s == pytest.approx(one["sample"] / RATE_HZ, abs=2e-6)


def test_the_14_of_the_other_receiver_are_among_them(heard):
    by_id = {one["meter_id"]: one for one in heard}
    known = lines("tests/radio/expected/ert-scm-2555904sps.known.jsonl")
    assert len(known) == 14
    for one in known:
        assert said(by_id[one["meter_id"]]) == said(one)
        assert by_id[one["meter_id"]]["sample"] == pytest.approx(one["sample"], abs=CHIP)
    assert set(by_id) == {one["meter_id"] for one in known} | FURTHER


def test_what_is_said_of_the_two_further_ones_is_true(iq, heard):
    by_id = {one["meter_id"]: one for one in heard}
    siblings = [by_id[17556726 + n] for n in range(3)]
    assert all(abs(one["frequency_hz"] - siblings[0]["frequency_hz"]) < 10 for one in siblings)
    assert all(abs(one["snr_db"] - siblings[0]["snr_db"]) < 1 for one in siblings)
    gas, beside = by_id[48180892], by_id[17580293]
    assert abs(gas["sample"] - beside["sample"]) < 192 * CHIP
    assert gas["frequency_hz"] - beside["frequency_hz"] == pytest.approx(416e3, abs=1e3)
    assert all(by_id[meter_id]["corrected_bits"] == 0 for meter_id in FURTHER)
    demodulator = Demodulator(Geometry(RATE_HZ))
    window = np.zeros((1, demodulator.window), np.complex64)
    before = 2_000
    window[0, before:] = iq[: demodulator.window - before]
    (burst,) = demodulator.demodulate(window, np.array([gas["frequency_hz"] - CENTER_HZ], float))
    assert burst.sample - before == pytest.approx(gas["sample"], abs=CHIP / 8)
    sent = scm.encode(gas["meter_id"], gas["endpoint_type"], 0, 0, gas["consumption"])
    best = min((((soft > 0) != sent) for soft in burst.soft), key=np.count_nonzero)
    assert not best.any()


@pytest.mark.parametrize("block_samples", [1000, 16_384, 65_536])
def test_blocks_as_a_source_gives_them_change_nothing(iq, heard, block_samples):
    assert decode(iq[at : at + block_samples] for at in range(0, len(iq), block_samples)) == heard


def test_the_capture_again_is_heard_again(iq):
    """Meters that are known by now, and a border between that is no multiple of anything."""
    ids = [one["meter_id"] for one in decode([iq, iq[: len(iq) // 2], iq])]
    once = [one["meter_id"] for one in lines(EXPECTED)]
    assert ids[:16] == once
    assert ids[-16:] == once
