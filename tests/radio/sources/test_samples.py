import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from appliance.radio.sources.samples import CU8, FORMATS, Converter, to_cu8

ALL_CODES = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).astype(np.uint8).ravel()


def test_every_pair_of_codes_comes_back_exactly():
    iq = Converter(CU8).to_complex(ALL_CODES)
    assert iq.dtype == np.complex64
    np.testing.assert_array_equal(to_cu8(iq), ALL_CODES)


def test_full_scale_is_one():
    iq = Converter(CU8).to_complex(bytes([0, 255, 127, 128]))
    assert iq[0] == -1 + 1j
    assert iq[1].real == -iq[1].imag


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("cs8", np.array([-128, 64], "i1"), -1 + 0.5j),
        ("cs16", np.array([-32768, 16384], "<i2"), -1 + 0.5j),
        ("cf32", np.array([-1, 0.5], "<f4"), -1 + 0.5j),
    ],
)
def test_formats(name, raw, expected):
    assert Converter(FORMATS[name]).to_complex(raw.tobytes()).tolist() == [expected]


@pytest.mark.parametrize("name", FORMATS)
def test_a_torn_last_sample_is_left_out_and_nothing_is_no_error(name):
    converter = Converter(FORMATS[name])
    size = FORMATS[name].sample_bytes
    assert len(converter.to_complex(bytes(3 * size - 1))) == 2
    assert len(converter.to_complex(b"")) == 0


def test_numbers_that_are_none_become_silence_and_are_counted():
    converter = Converter(FORMATS["cf32"])
    raw = np.array([1, np.nan, np.inf, -np.inf, 3e38, 1e6], "<f4")
    iq = converter.to_complex(raw.tobytes())
    assert iq.tolist() == [1, 0, 1e6j]
    assert converter.bad_values == 4


@given(arrays(np.float32, st.integers(0, 64).map(lambda n: 2 * n), elements=st.floats(-4, 4, width=32)))
def test_what_is_beyond_full_scale_is_cut_off(rails):
    codes = to_cu8(rails.view(np.complex64))
    assert codes.tolist() == np.clip(np.rint(rails * np.float32(127.5) + np.float32(127.5)), 0, 255).tolist()
