"""The street of the simulation: registers, tampers, channels, levels and the order of what is sent."""

from collections import Counter
from datetime import UTC, datetime
from itertools import islice, pairwise, takewhile

import numpy as np
import pytest

from appliance.radio import neighbourhood
from appliance.radio.neighbourhood import (
    CHANNEL_STEP_HZ,
    CHANNELS_HZ,
    DAY_S,
    EPOCH,
    MONTH_S,
    TAMPER_EVERY_S,
    Transmission,
    street,
    transmissions,
)

NOW_S = (datetime(2026, 6, 1, 12, tzinfo=UTC) - EPOCH).total_seconds()
ALL_HZ = (900e6, 930e6)


def sent_within(seconds: float, meters: int = 60, band_hz: tuple[float, float] = ALL_HZ) -> list[Transmission]:
    coming = transmissions(5, street(5, meters), NOW_S, band_hz)
    return list(takewhile(lambda sent: sent.time_s < NOW_S + seconds, coming))


def test_the_fifty_channels_are_those_of_the_real_hop_set() -> None:
    assert len(set(CHANNELS_HZ)) == 50
    assert CHANNELS_HZ[0] == 909_586_000
    assert CHANNELS_HZ[-1] == pytest.approx(921_773_000, abs=1000)
    assert all((b - a) % CHANNEL_STEP_HZ == 0 for a, b in pairwise(CHANNELS_HZ))


def test_same_seed_same_street_other_seed_another() -> None:
    assert street(3, 40) == street(3, 40)
    assert not {m.meter_id for m in street(3, 40)} & {m.meter_id for m in street(4, 40)}


def test_ids_are_unique_and_fit_the_field() -> None:
    ids = [m.meter_id for m in street(9, 1000)]
    assert len(set(ids)) == 1000
    assert max(ids) < 1 << 26


@pytest.mark.parametrize("meters", [0, 1, 2, 3, 7])
def test_small_streets(meters: int) -> None:
    assert len(street(1, meters)) == meters


def test_registers_never_run_backwards_over_two_years_of_hours() -> None:
    for home in street(2, 30):
        counts = [home.register_at(NOW_S + hour * 3600.0) for hour in range(0, 2 * 8766, 7)]
        assert all(later >= earlier for earlier, later in pairwise(counts)), home


def test_a_household_uses_about_220_kwh_a_month_most_in_the_evening() -> None:
    homes = [m for m in street(2, 300) if m.endpoint_type == 8 and m.day == "household"]
    year = 12 * MONTH_S
    kwh = [(m.register_at(NOW_S + year) - m.register_at(NOW_S)) / 100 / 12 for m in homes]
    assert 180 < np.median(kwh) < 270
    midnight_s = NOW_S - NOW_S % DAY_S - neighbourhood.LOCAL_TIME_S
    evening, night = (
        sum(m.register_at(midnight_s + (hour + 3) * 3600) - m.register_at(midnight_s + hour * 3600) for m in homes)
        for hour in (19, 2)
    )
    assert evening > 3 * night


def test_the_solar_house_feeds_in_by_day_only() -> None:
    delivered, received = street(1, 10)[1:3]
    assert received.meter_id == delivered.meter_id + 1
    midnight_s = NOW_S - NOW_S % DAY_S - neighbourhood.LOCAL_TIME_S
    assert received.register_at(midnight_s + 600) == received.register_at(midnight_s + 5 * 3600)
    assert received.register_at(midnight_s + 15 * 3600) > received.register_at(midnight_s + 9 * 3600) + 200


def test_an_electric_register_is_brought_up_to_date_every_five_minutes() -> None:
    home = next(m for m in street(2, 30) if m.endpoint_type == 7)
    start_s = NOW_S - NOW_S % 300
    assert len({home.register_at(start_s + s) for s in range(0, 300, 10)}) == 1


def test_every_half_hour_one_of_four_meters_is_tampered_with() -> None:
    homes = street(6, 40)
    before = [m.tampers_at(NOW_S) for m in homes]
    touched = Counter[int]()
    for turn in range(1, 9):
        after = [m.tampers_at(NOW_S + turn * TAMPER_EVERY_S) for m in homes]
        changed = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
        assert len(changed) == 1
        old, new = before[changed[0]], after[changed[0]]
        assert sorted(((n - o) % 4 for o, n in zip(old, new, strict=True))) == [0, 1]
        touched.update(changed)
        before = after
    assert sorted(touched.values()) == [2, 2, 2, 2]


def test_each_meter_sends_at_its_interval_on_all_channels() -> None:
    sent = sent_within(1600 * 2)
    for home in street(5, 60):
        mine = [s for s in sent if s.meter_id == home.meter_id]
        gaps = np.diff([s.time_s for s in mine])
        assert np.mean(gaps) == pytest.approx(home.period_s, rel=0.02)
        assert 15 <= home.period_s <= 60
        assert gaps.min() > 0.85 * home.period_s
        first_50 = [round((s.frequency_hz - home.offset_hz - CHANNELS_HZ[0]) / CHANNEL_STEP_HZ) for s in mine[:50]]
        assert len(set(first_50)) == 50


def test_all_is_sent_in_order_and_a_band_is_a_part_of_the_whole() -> None:
    sent = sent_within(300)
    assert all(a.time_s <= b.time_s for a, b in pairwise(sent))
    band_hz = (911.5e6, 913.7e6)
    inside = sent_within(300, band_hz=band_hz)
    assert 0.1 < len(inside) / len(sent) < 0.35
    assert set(inside) <= set(sent)


def test_nothing_is_sent_where_no_channel_is() -> None:
    assert list(transmissions(1, street(1, 10), NOW_S, (868e6, 869e6))) == []


def test_a_simulation_that_starts_later_goes_on_where_the_street_would_be() -> None:
    homes = street(5, 60)
    later = list(islice(transmissions(5, homes, NOW_S + 100, ALL_HZ), 50))
    assert [s for s in sent_within(300) if s.time_s >= NOW_S + 100][:50] == later


def test_levels_and_oscillators_are_a_streets() -> None:
    homes = street(8, 1000)
    levels = [m.level_db for m in homes]
    assert np.mean(levels) == pytest.approx(24, abs=1)
    assert np.std(levels) == pytest.approx(8, abs=1)
    assert min(levels) >= 6
    assert max(levels) == 48
    kinds = Counter(m.oscillator for m in homes)
    assert 0.25 < kinds["pulled"] / 1000 < 0.45
    assert min(kinds["steady"], kinds["drifting"]) > 200
    assert all((m.wobble_hz > 0) == (m.oscillator == "pulled") for m in homes)
    assert {m.endpoint_type for m in homes} == {4, 5, 7, 8, 11, 12, 13}


def test_a_clock_that_was_never_set() -> None:
    from_s = (datetime(1970, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()
    sent = list(islice(transmissions(5, street(5, 60), from_s, ALL_HZ), 50))
    assert len(sent) == 50
    assert all(later.time_s >= earlier.time_s >= from_s for earlier, later in pairwise(sent))
    assert all(0 <= one.consumption < 1 << 24 for one in sent)
