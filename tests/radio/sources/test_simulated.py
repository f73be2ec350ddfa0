"""The simulated source: paced like a dongle, by a clock that the test turns."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

import numpy as np
import pytest

from appliance.errors import UsageError
from appliance.radio.simulate import BLOCK_SAMPLES, Neighbourhood
from appliance.radio.sources import SourceSettings, open_source
from appliance.radio.sources.simulated import AUTOMATIC_DB, SimulatedSource

RATE_HZ = 1_048_576
SETTINGS = SourceSettings("simulated", sample_rate_hz=RATE_HZ, seed=4)
START = datetime(2026, 6, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


def source(clock: Clock) -> SimulatedSource:
    return SimulatedSource(SETTINGS, clock, clock.sleep, lambda: START)


def test_it_is_what_open_source_opens_and_says_what_it_is() -> None:
    opened = open_source(SETTINGS)
    assert isinstance(opened, SimulatedSource)
    assert opened.simulated
    assert "simulated" in opened.description
    assert (opened.rate_hz, opened.center_hz, opened.gain_db) == (RATE_HZ, SETTINGS.center_hz, None)
    opened.close()


def test_blocks_come_at_the_rate_of_the_samples() -> None:
    clock = Clock()
    for count, block in enumerate(islice(source(clock).blocks(), 20), 1):
        assert block.lost == 0
        assert len(block.iq) == BLOCK_SAMPLES
        assert abs(clock.now_s - 1000 - count * BLOCK_SAMPLES / RATE_HZ) < 1e-6


def test_a_slow_reader_catches_up_without_loss() -> None:
    clock = Clock()
    blocks = source(clock).blocks()
    next(blocks)
    clock.now_s += 0.9
    assert sum(block.lost for block in islice(blocks, 30)) == 0


def test_a_reader_that_slept_gets_the_present_and_is_told_what_it_missed() -> None:
    clock = Clock()
    blocks = source(clock).blocks()
    next(blocks)
    clock.now_s += 3600.0
    block = next(blocks)
    assert abs(block.lost / RATE_HZ - 3600) < 0.2
    number = 1 + block.lost // BLOCK_SAMPLES
    whole = Neighbourhood(4, RATE_HZ, SETTINGS.center_hz, START).blocks(number)
    np.testing.assert_array_equal(block.iq, next(whole))
    assert next(blocks).lost == 0


def test_it_is_received_as_it_is_set() -> None:
    opened = source(Clock())
    blocks = opened.blocks()
    next(blocks)
    opened.tune(replace(SETTINGS, center_hz=915_000_000, gain_db=39))
    assert (opened.center_hz, opened.gain_db) == (915_000_000, 38.6)
    block = next(blocks)
    assert block.lost == 0
    there = Neighbourhood(4, RATE_HZ, 915_000_000, START, gain_db=38.6 - AUTOMATIC_DB).blocks(1)
    np.testing.assert_array_equal(block.iq, next(there))
    opened.tune(SETTINGS)
    here = Neighbourhood(4, RATE_HZ, SETTINGS.center_hz, START).blocks(2)
    np.testing.assert_array_equal(next(blocks).iq, next(here))


def test_gain_changes_what_reaches_the_converter_up_to_its_limits() -> None:
    def level(gain_db: float | None) -> tuple[float, float]:
        opened = open_source(replace(SETTINGS, gain_db=gain_db))
        iq = next(opened.blocks()).iq
        return float(np.mean(np.abs(iq) ** 2)), float(np.mean(np.abs(iq.view(np.float32)) >= 1))

    (automatic, _), (less, _), (most, clipped) = level(None), level(16.6), level(49.6)
    assert automatic / less == pytest.approx(10 ** ((AUTOMATIC_DB - 16.6) / 10), rel=0.2)
    assert most > 3 * automatic
    assert clipped > 0.01


def test_close_ends_it() -> None:
    opened = source(Clock())
    blocks = opened.blocks()
    next(blocks)
    opened.close()
    opened.close()
    assert list(blocks) == []


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_named(seed: int) -> None:
    with pytest.raises(UsageError, match=str(seed)):
        open_source(SourceSettings("simulated", seed=seed))
