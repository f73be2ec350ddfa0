"""The simulated I/Q: reproducible, true to its levels, and holding the messages it says it holds."""

import hashlib
import tracemalloc
from datetime import UTC, datetime
from itertools import islice, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.radio import neighbourhood, simulate
from appliance.radio.protocols import scm
from appliance.radio.simulate import BLOCK_SAMPLES, CHIP_RATE_HZ, NOISE_CODES, Heard, Neighbourhood, wobble
from appliance.radio.sources.samples import CU8, Converter

RATE_HZ = 2_359_296
CENTER_HZ = 912_600_155
START = datetime(2026, 6, 1, 12, tzinfo=UTC)


def street(seed: int = 1, meters: int = 48, rate_hz: int = RATE_HZ) -> Neighbourhood:
    return Neighbourhood(seed, rate_hz, CENTER_HZ, START, meters)


def digest(neighbourhood: Neighbourhood, blocks: int = 40) -> str:
    return hashlib.sha256(b"".join(block.codes.tobytes() for block in islice(neighbourhood.cu8(), blocks))).hexdigest()


def recorded(neighbourhood: Neighbourhood, seconds: float) -> tuple[NDArray[np.complex64], list[Heard]]:
    blocks = list(islice(neighbourhood.cu8(), int(seconds * neighbourhood.rate_hz / BLOCK_SAMPLES)))
    iq = np.concatenate([Converter(CU8).to_complex(block.codes) for block in blocks]) * np.float32(127.5)
    length = 192 * neighbourhood.rate_hz // CHIP_RATE_HZ
    return iq, [heard for block in blocks for heard in block.heard if heard.sample + length < len(iq)]


def chips(iq: NDArray[np.complex64], heard: Heard, rate_hz: int) -> NDArray[np.float32]:
    """The energy of each of the 192 chips of a message, in a band of 40 kHz around its carrier."""
    spc = rate_hz / CHIP_RATE_HZ
    piece = iq[heard.sample : heard.sample + round(192 * spc)]
    piece = piece * np.exp(-2j * np.pi * (heard.sent.frequency_hz - CENTER_HZ) / rate_hz * np.arange(len(piece)))
    edges = np.round(np.arange(193) * spc).astype(int)
    return np.array([abs(piece[a:b].sum()) ** 2 / (b - a) for a, b in pairwise(edges)])


def test_same_seed_same_bytes() -> None:
    assert digest(street(7)) == digest(street(7))
    assert digest(street(7)) != digest(street(8))


def test_blocks_are_the_codes_as_a_source_gives_them() -> None:
    codes = [block.codes for block in islice(street().cu8(), 3)]
    for iq, code in zip(street().blocks(), codes, strict=False):
        np.testing.assert_array_equal(iq, Converter(CU8).to_complex(code))
        assert iq.dtype == np.complex64


def test_a_start_in_the_middle_gives_the_blocks_of_the_middle() -> None:
    """But for what began before: 100 blocks on, nothing is on the air at the border with this seed."""
    whole = list(islice(street(3).blocks(), 106))[100:]
    for late, block in zip(street(3).blocks(100), whole, strict=False):
        np.testing.assert_array_equal(late, block)


@pytest.mark.parametrize("block_samples", [4096, 1 << 15])
def test_bursts_do_not_depend_on_the_block_size(block_samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise is drawn block by block, so it is switched off here; what is left must be the same."""
    monkeypatch.setattr(Neighbourhood, "_quiet", lambda self, number: np.zeros(simulate.BLOCK_SAMPLES, np.complex64))
    whole = np.concatenate([block.codes for block in islice(street(2).cu8(), 128)])
    monkeypatch.setattr(simulate, "BLOCK_SAMPLES", block_samples)
    pieces = islice(street(2).cu8(), 128 * BLOCK_SAMPLES // block_samples)
    np.testing.assert_array_equal(np.concatenate([block.codes for block in pieces]), whole)


@pytest.mark.parametrize("rate_hz", [1_048_576, RATE_HZ, 2_555_904, 2_400_000])
def test_the_truth_is_what_the_samples_hold(rate_hz: int) -> None:
    """Steady carriers, demodulated by the simplest means there are: which chip of a bit has more energy."""
    iq, heard = recorded(street(2, 900, rate_hz), 4)
    read = 0
    for one in heard:
        if one.sent.oscillator != "steady" or not 20 < one.sent.level_db < 44:
            continue
        if any(other is not one and abs(other.sample - one.sample) < rate_hz * 0.007 for other in heard):
            continue
        energy = chips(iq, one, rate_hz)
        bits = (energy[0::2] > energy[1::2]).astype(np.uint8)
        sent = one.sent
        true = scm.encode(sent.meter_id, sent.endpoint_type, sent.tamper_phy, sent.tamper_enc, sent.consumption)
        # Another system's burst may cover a part; a wrong truth would leave half of the bits wrong.
        assert (bits != true).sum() <= 12
        read += bool((bits == true).all())
    assert read >= 2


def test_levels_are_eb_n0(monkeypatch: pytest.MonkeyPatch) -> None:
    """Energy of an on chip over the variance of a sample, of steady carriers in nothing but noise."""
    monkeypatch.setattr(simulate, "_CARRIERS", ())
    iq, heard = recorded(street(2, 900), 4)
    noise = np.median(np.abs(iq - iq.mean()) ** 2) / np.log(2)
    off_by = []
    for one in heard:
        if one.sent.oscillator == "steady" and 14 < one.sent.level_db < 44:
            energy = chips(iq, one, RATE_HZ).reshape(96, 2)
            off_by.append(10 * np.log10(np.median(energy.max(axis=1)) / noise) - one.sent.level_db)
    assert len(off_by) >= 5
    assert np.median(off_by) == pytest.approx(0, abs=1)


def test_noise_is_gaussian_white_and_of_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "_CARRIERS", ())
    quiet = street(1, 0)._quiet(5) - np.complex64(simulate._DC_CODES)
    rails = quiet.view(np.float32)
    assert np.std(rails) == pytest.approx(NOISE_CODES, rel=0.02)
    assert np.mean(rails**4) / np.mean(rails**2) ** 2 == pytest.approx(3, abs=0.1)
    assert abs(np.vdot(quiet[1:], quiet[:-1])) / np.vdot(quiet, quiet).real < 0.02
    assert abs(np.vdot(street(1, 0)._quiet(6), quiet)) / np.vdot(quiet, quiet).real < 0.02


def test_the_converter_saturates_leaks_dc_and_mirrors() -> None:
    homes = neighbourhood.street(1, 48)
    band_hz = (CENTER_HZ - 0.4 * RATE_HZ, CENTER_HZ + 0.4 * RATE_HZ)
    start_s = (START - neighbourhood.EPOCH).total_seconds()
    nearest = next(
        sent
        for sent in neighbourhood.transmissions(1, homes, start_s, band_hz)
        if sent.meter_id == homes[0].meter_id and abs(sent.frequency_hz - CENTER_HZ) > 0.1 * RATE_HZ
    )
    sample = round((nearest.time_s - start_s) * RATE_HZ)
    first = sample // BLOCK_SAMPLES
    iq = np.concatenate(list(islice(street(1).blocks(first), 2))) * np.float32(127.5)
    heard = Heard(sample - first * BLOCK_SAMPLES, nearest)
    on_air = iq[heard.sample : heard.sample + 192 * 72]
    assert (np.abs(on_air.view(np.float32)) == 127.5).mean() > 0.001
    before = iq[: heard.sample] if heard.sample > 20_000 else iq[heard.sample + 192 * 72 :]
    assert before.mean() == pytest.approx(0.6 - 0.4j, abs=0.2)
    mirrored = np.median(chips(np.conj(iq), heard, RATE_HZ).reshape(96, 2).max(axis=1))
    direct = np.median(chips(iq, heard, RATE_HZ).reshape(96, 2).max(axis=1))
    assert -42 < 10 * np.log10(mirrored / direct) < -30


def test_wobble_has_its_rms_and_correlation_time() -> None:
    pulled = np.concatenate([wobble(13_824, 30e3, RATE_HZ, np.random.default_rng(n)) for n in range(30)])
    assert np.std(pulled) == pytest.approx(30e3, rel=0.03)
    lag = round(8e-6 * RATE_HZ)
    assert np.mean(pulled[lag:] * pulled[:-lag]) / np.var(pulled) == pytest.approx(np.exp(-1), abs=0.05)


def test_memory_does_not_grow() -> None:
    blocks = street(1, 300).blocks()
    for _ in islice(blocks, 40):
        pass
    tracemalloc.start()
    for _ in islice(blocks, 40):
        pass
    after_a_second = tracemalloc.get_traced_memory()[0]
    for _ in islice(blocks, 400):
        pass
    after_ten = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after_ten < after_a_second + 2_000_000


def test_a_street_heard_for_years_costs_what_a_new_one_costs() -> None:
    """The schedule is computed, not remembered: a start ten years on asks for nothing in between."""
    late = Neighbourhood(1, RATE_HZ, CENTER_HZ, datetime(2036, 1, 1, tzinfo=UTC))
    assert len(next(late.blocks(10**9))) == BLOCK_SAMPLES
