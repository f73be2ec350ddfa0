"""The sizes hang together at any sample rate."""

import pytest
import scipy.fft
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.radio.geometry import CHIP_RATE_HZ, MESSAGE_S, SAMPLES_PER_CHIP_OUT, Geometry

rates = st.floats(1e6, 3.2e6) | st.integers(1_000_000, 3_200_000).map(float)


@pytest.mark.parametrize(("rate_hz", "frame"), [(1e6, 256), (1.6e6, 256), (1.7e6, 512), (3.2e6, 512)])
def test_a_frame_is_near_a_fifth_of_a_millisecond(rate_hz, frame):
    assert Geometry(rate_hz).frame == frame
    assert 0.15e-3 < frame / rate_hz < 0.33e-3


@given(rates)
@example(1e6)
@example(3.2e6)
def test_a_message_is_several_groups_and_fits_into_a_window_wherever_it_begins_in_a_group(rate_hz):
    geometry = Geometry(rate_hz)
    message = MESSAGE_S * rate_hz
    assert geometry.groups_per_message >= 4
    assert geometry.groups_per_message * geometry.group <= message < (geometry.groups_per_message + 1) * geometry.group
    assert geometry.block % geometry.group == 0
    # Detection may take the group before or after for the one in which the message begins.
    assert geometry.lead >= 2 * geometry.group
    assert geometry.window >= geometry.lead - geometry.group + 2 * geometry.group + message


@given(rates)
def test_a_window_is_little_longer_than_needed_and_its_fft_is_fast(rate_hz):
    geometry = Geometry(rate_hz)
    assert geometry.window <= 1.1 * (MESSAGE_S * rate_hz + 4 * geometry.group)
    assert scipy.fft.next_fast_len(geometry.window) == geometry.window


@given(rates)
def test_decimation_leaves_very_nearly_eight_samples_a_chip(rate_hz):
    """The steps of a chip are rounded to whole samples: over a message they may drift by less than one."""
    geometry = Geometry(rate_hz)
    out_hz = rate_hz * geometry.decimated(geometry.window) / geometry.window
    assert out_hz / CHIP_RATE_HZ == pytest.approx(SAMPLES_PER_CHIP_OUT, abs=0.005)


@given(rates, st.integers(0, 511))
def test_bins_and_offsets_are_inverse_and_around_the_centre(rate_hz, number):
    geometry = Geometry(rate_hz)
    bin_ = number % geometry.frame
    offset_hz = geometry.offset_hz(bin_)
    assert -rate_hz / 2 <= offset_hz < rate_hz / 2
    assert geometry.bin_of(offset_hz) == bin_
    assert geometry.bin_of(offset_hz + 0.4 * geometry.bin_hz) == bin_


def test_offsets_beyond_the_band_fall_where_they_alias():
    geometry = Geometry(2_359_296)
    assert geometry.offset_hz(0) == 0
    assert geometry.bin_of(geometry.rate_hz / 2) == geometry.frame // 2
    assert geometry.bin_of(geometry.rate_hz * 0.6) == geometry.bin_of(-geometry.rate_hz * 0.4)


@given(rates)
def test_a_window_fits_into_the_guard(rate_hz):
    geometry = Geometry(rate_hz)
    earliest = geometry.guard - geometry.groups_per_message - 1
    assert earliest * geometry.group >= geometry.lead
    assert geometry.window - geometry.lead <= geometry.guard * geometry.group
