"""Stamps in UTC: a made-up truth, what sources said of it, and what is concluded."""

import random
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.boot_order import FLOOR_UTC_MS
from appliance.clock import BOOT_SHIFT, CALENDAR, Boot, Fix, Moment, Source, Timeline, boot_of, ms_of, stamp
from appliance.fixes import SOURCES, drift_ms

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOON_MS = FLOOR_UTC_MS + 500 * DAY_MS + DAY_MS // 2


# --- A truth -----------------------------------------------------------------------------------------------------


@dataclass
class World:
    """Boots with their true beginnings and crystals; `moments` are stamps of which the truth is known."""

    boots: list[Boot]
    fixes: list[Fix]
    start_ms: dict[int, int]
    ppm: dict[int, int]

    def true_utc_ms(self, at: int) -> Fraction:
        return self.start_ms[boot_of(at)] + Fraction(ms_of(at) * 1_000_000, 1_000_000 + self.ppm[boot_of(at)])

    def stamps(self) -> list[int]:
        """The first, the last and some stamps in between of every boot, and those beside each fix."""
        found = set()
        for boot in self.boots:
            places = {0, 1, boot.last_ms // 3, boot.last_ms // 2, boot.last_ms - 1, boot.last_ms}
            places |= {fix.ms + beside for fix in self.fixes if fix.boot == boot.number for beside in (-1, 0, 1)}
            found |= {stamp(boot.number, ms) for ms in places if 0 <= ms <= boot.last_ms}
        return sorted(found)


LENGTHS_MS = st.one_of(st.integers(0, 2000), st.integers(0, 400 * DAY_MS))


@st.composite
def worlds(draw: st.DrawFn, honest: bool = True) -> World:
    world = World([], [], {}, {})
    now_ms = FLOOR_UTC_MS + draw(LENGTHS_MS)
    for number in range(1, draw(st.integers(1, 8)) + 1):
        now_ms += draw(LENGTHS_MS)
        last_ms, world.ppm[number] = draw(LENGTHS_MS), draw(st.integers(-50, 50))
        world.start_ms[number] = now_ms
        hint_ms = draw(st.one_of(st.just(0), st.integers(-DAY_MS, DAY_MS).map(now_ms.__add__), st.integers(0, 2**42)))
        world.boots.append(Boot(number, f"boot {number}", last_ms, hint_ms))
        for _ in range(draw(st.sampled_from([0, 0, 1, 2, 5]))):
            at = stamp(number, draw(st.integers(0, last_ms)))
            uncertainty_ms = draw(st.one_of(st.integers(2, 1000), st.integers(2, DAY_MS)))
            error_ms = draw(st.integers(1 - uncertainty_ms, uncertainty_ms - 1))
            if not honest and draw(st.booleans()):
                error_ms = draw(st.integers(-800 * DAY_MS, 800 * DAY_MS))
            utc_ms = round(world.true_utc_ms(at) + error_ms)
            world.fixes.append(Fix(number, ms_of(at), utc_ms, uncertainty_ms, draw(st.sampled_from(SOURCES))))
        # The power may have gone before it was noted that the machine still ran; then time passes without it.
        now_ms = int(world.true_utc_ms(stamp(number, last_ms))) + 1 + draw(st.sampled_from([0, 1, HOUR_MS]))
    return world


def monotone(line: Timeline, stamps: list[int]) -> bool:
    resolved = [line.utc_ms(at) for at in stamps]
    return resolved == sorted(resolved)


@given(worlds())
def test_the_truth_lies_within_the_uncertainty_that_is_stated(world: World) -> None:
    line = Timeline(world.boots, world.fixes)
    fixed = {fix.boot for fix in world.fixes}
    for at in world.stamps():
        moment = line.moment(at)
        if boot_of(at) in fixed:
            assert moment.source != "estimate"
            assert moment.uncertainty_ms is not None
        else:
            assert moment.source == "estimate"
            assert (moment.uncertainty_ms is None) == (boot_of(at) > max(fixed, default=0))
        if moment.uncertainty_ms is not None:
            assert abs(moment.utc_ms - world.true_utc_ms(at)) <= moment.uncertainty_ms + 1


@given(worlds())
def test_an_estimate_lies_between_the_boots_beside_it(world: World) -> None:
    line = Timeline(world.boots, world.fixes)
    for boot in world.boots:
        moments = [line.moment(stamp(boot.number, ms)) for ms in (0, boot.last_ms)]
        assert moments[0].utc_ms >= FLOOR_UTC_MS or moments[0].source != "estimate"
        for fix in world.fixes:
            moment = line.moment(stamp(fix.boot, fix.ms))
            if fix.boot < boot.number:
                assert moment.utc_ms <= moments[0].utc_ms
            if fix.boot > boot.number:
                assert moments[1].utc_ms <= moment.utc_ms


@given(worlds(honest=False))
def test_times_never_decrease_whatever_sources_say(world: World) -> None:
    assert monotone(Timeline(world.boots, world.fixes), world.stamps())


@given(worlds(honest=False), st.sets(st.integers(1, 8)), st.randoms(use_true_random=False))
def test_boots_and_fixes_more_or_less_change_no_order(world: World, left_out: set[int], chance: random.Random) -> None:
    known = [boot for boot in world.boots if boot.number not in left_out]
    stamps = [at for at in world.stamps() if boot_of(at) not in left_out]
    assert monotone(Timeline(known, world.fixes), stamps)
    assert monotone(Timeline(world.boots, chance.sample(world.fixes, len(world.fixes) // 2)), world.stamps())


@given(worlds(honest=False), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(world: World, chance: random.Random) -> None:
    boots, fixes = list(world.boots), list(world.fixes) * 2
    chance.shuffle(boots)
    chance.shuffle(fixes)
    first, second = Timeline(world.boots, world.fixes), Timeline(boots, fixes)
    assert [first.moment(at) for at in world.stamps()] == [second.moment(at) for at in world.stamps()]


@given(worlds(honest=False), st.data())
def test_stamp_at_is_the_inverse(world: World, data: st.DataObject) -> None:
    line = Timeline(world.boots, world.fixes)
    for at in world.stamps():
        found = line.stamp_at(line.utc_ms(at))
        assert found <= at
        assert line.utc_ms(found) == line.utc_ms(at)
    first, last = world.boots[0], world.boots[-1]
    low, high = line.utc_ms(stamp(first.number, 0)), line.utc_ms(stamp(last.number, last.last_ms))
    asked = data.draw(st.integers(low - DAY_MS, high + DAY_MS))
    found = line.stamp_at(asked)
    assert line.utc_ms(found) >= asked
    if ms_of(found):
        assert line.utc_ms(found - 1) < asked
    elif boot_of(found) > 1:
        before = world.boots[boot_of(found) - 2]
        assert line.utc_ms(stamp(before.number, before.last_ms)) < asked


# --- Within one boot ---------------------------------------------------------------------------------------------


def one_boot(*fixes: Fix, last_ms: int = DAY_MS, hint_ms: int = 0) -> Timeline:
    return Timeline([Boot(1, "a", last_ms, hint_ms)], fixes)


def said(ms: int, utc_ms: int, uncertainty_ms: int, source: Source, boot: int = 1) -> Fix:
    return Fix(boot, ms, utc_ms, uncertainty_ms, source)


def test_one_fix_places_the_whole_boot() -> None:
    line = one_boot(said(HOUR_MS, NOON_MS, 250, "ntp"))
    assert line.moment(stamp(1, HOUR_MS)) == Moment(NOON_MS, 250, "ntp")
    assert line.moment(stamp(1, 0)) == Moment(NOON_MS - HOUR_MS, 250 + 360, "ntp")
    assert line.moment(stamp(1, 11 * HOUR_MS)) == Moment(NOON_MS + 10 * HOUR_MS, 250 + 3600, "ntp")


def test_between_fixes_time_follows_the_crystal_that_they_show() -> None:
    day = said(DAY_MS, NOON_MS + DAY_MS + 4000, 250, "ntp")
    line = one_boot(said(0, NOON_MS, 250, "ntp"), day)
    middle = line.moment(stamp(1, DAY_MS // 2))
    assert middle.utc_ms == NOON_MS + DAY_MS // 2 + 2000
    assert middle.uncertainty_ms == 250 + drift_ms(DAY_MS) // 2 + 1
    assert line.moment(stamp(1, DAY_MS)) == Moment(day.utc_ms, 250, "ntp")


def test_a_vague_fix_bends_no_line() -> None:
    sharp = [said(0, NOON_MS, 250, "receipt"), said(DAY_MS, NOON_MS + DAY_MS, 250, "receipt")]
    vague = said(HOUR_MS, NOON_MS + HOUR_MS + 500_000, 600_000, "rtc")
    line = one_boot(*sharp, vague)
    assert line.utc_ms(stamp(1, HOUR_MS)) == NOON_MS + HOUR_MS
    assert line.moment(stamp(1, HOUR_MS)).source == "rtc", "it agrees, so the more trusted vouches for both"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_server_that_was_wrong_and_then_right(order: tuple[int, ...]) -> None:
    right = NOON_MS
    fixes = [
        said(1000, right + 1000, 250, "ntp"),
        said(HOUR_MS, right + 9 * DAY_MS, 250, "ntp"),
        said(2 * HOUR_MS, right + 2 * HOUR_MS, 250, "ntp"),
    ]
    line = one_boot(*(fixes[place] for place in order))
    assert line.utc_ms(stamp(1, HOUR_MS)) == right + HOUR_MS
    # Until it is put right, the later word counts.
    assert one_boot(*fixes[:2]).utc_ms(stamp(1, HOUR_MS)) == right + 9 * DAY_MS


@pytest.mark.parametrize(("trusted", "less"), [("ntp", "rtc"), ("rtc", "receipt"), ("receipt", "browser")])
@pytest.mark.parametrize("ms", [500, 2000])
@pytest.mark.parametrize("error_ms", [-DAY_MS, DAY_MS])
def test_the_more_trusted_source_is_believed(trusted: Source, less: Source, ms: int, error_ms: int) -> None:
    line = one_boot(said(1000, NOON_MS, 5000, trusted), said(ms, NOON_MS + error_ms, 10, less))
    assert line.moment(stamp(1, 1000)) == Moment(NOON_MS, 5000, trusted)


def test_a_receipt_corrected_by_ntp() -> None:
    receipt = said(HOUR_MS, NOON_MS + 7000, 2000, "receipt")
    assert one_boot(receipt).utc_ms(stamp(1, 0)) == NOON_MS + 7000 - HOUR_MS
    assert one_boot(receipt, said(2 * HOUR_MS, NOON_MS + HOUR_MS, 250, "ntp")).utc_ms(stamp(1, 0)) == NOON_MS - HOUR_MS


def test_a_later_fix_that_goes_back_is_not_believed_though_its_uncertainty_would_allow_it() -> None:
    line = one_boot(said(1000, NOON_MS, 2000, "ntp"), said(1500, NOON_MS - 100, 2000, "receipt"))
    assert line.moment(stamp(1, 1500)).utc_ms == NOON_MS + 500


# --- Over boots --------------------------------------------------------------------------------------------------


def test_without_any_source_the_system_clock_is_the_guess_and_nothing_bounds_it() -> None:
    line = one_boot(hint_ms=NOON_MS)
    assert line.moment(stamp(1, HOUR_MS)) == Moment(NOON_MS + HOUR_MS, None, "estimate")
    assert line.moment(stamp(1, 30 * DAY_MS)) == Moment(NOON_MS + 30 * DAY_MS, None, "estimate")


def test_a_system_clock_that_was_never_set_counts_from_the_floor() -> None:
    line = Timeline([Boot(1, "a", HOUR_MS, 0), Boot(2, "b", HOUR_MS, 0)], [])
    assert line.utc_ms(stamp(1, 0)) == FLOOR_UTC_MS
    assert line.utc_ms(stamp(2, 0)) == FLOOR_UTC_MS + HOUR_MS


def test_fixes_may_lie_before_the_floor() -> None:
    line = Timeline([Boot(1, "a", HOUR_MS, 0), Boot(2, "b", HOUR_MS, 0)], [said(0, DAY_MS, 100, "ntp", boot=2)])
    assert line.utc_ms(stamp(2, 0)) == DAY_MS
    assert line.moment(stamp(1, 0)).uncertainty_ms is None


def test_a_year_of_two_power_cuts_a_day_and_one_sync_at_the_end() -> None:
    # The image of the card is of the day it was installed, and each boot takes up where the last one ended.
    boots, truth = [], {}
    now_ms, system_ms = NOON_MS, NOON_MS - 90 * DAY_MS
    for number in range(1, 731):
        truth[number] = now_ms
        boots.append(Boot(number, str(number), 11 * HOUR_MS, system_ms))
        now_ms, system_ms = now_ms + 12 * HOUR_MS, system_ms + 11 * HOUR_MS
    before = Timeline(boots, [])
    assert before.moment(stamp(400, 0)).uncertainty_ms is None
    sync = said(HOUR_MS, truth[730] + HOUR_MS, 250, "ntp", boot=730)
    line = Timeline(boots, [sync])
    assert line.moment(stamp(730, HOUR_MS)) == Moment(sync.utc_ms, 250, "ntp")
    for number, start_ms in truth.items():
        moment = line.moment(stamp(number, 0))
        assert moment.uncertainty_ms is not None
        assert abs(moment.utc_ms - start_ms) <= moment.uncertainty_ms
    # 729 boots of 11 hours leave room for their gaps and for the time before the first: no more than that.
    room_ms = truth[730] - FLOOR_UTC_MS - 729 * 11 * HOUR_MS
    assert all((line.moment(stamp(n, 0)).uncertainty_ms or 0) <= room_ms + HOUR_MS for n in range(1, 730))
    assert monotone(line, [stamp(n, ms) for n in range(1, 731) for ms in (0, 11 * HOUR_MS)])


def test_boots_between_two_that_are_known_are_bounded_by_them() -> None:
    boots = [Boot(n, str(n), HOUR_MS, hint) for n, hint in ((1, 0), (2, 0), (3, NOON_MS + 90 * DAY_MS), (4, 0))]
    fixes = [said(0, NOON_MS, 100, "ntp"), said(0, NOON_MS + 6 * HOUR_MS, 100, "ntp", boot=4)]
    line = Timeline(boots, fixes)
    second, third = line.moment(stamp(2, 0)), line.moment(stamp(3, 0))
    assert abs(second.utc_ms - (NOON_MS + HOUR_MS)) < 1000, "its clock says 1970: as early as can be"
    assert abs(third.utc_ms - (NOON_MS + 5 * HOUR_MS)) < 1000, "its clock is in the future: as late as can be"
    for moment in (second, third):
        assert moment.uncertainty_ms == pytest.approx(3 * HOUR_MS, abs=1500)


def test_a_fast_crystal_contradicts_nothing() -> None:
    # For a hundred days without a gap the boot's clock gained 50 ppm: 432 s more than there were.
    fast_ms = 100 * DAY_MS + 432_000
    boots = [Boot(1, "a", 0, 0), Boot(2, "b", fast_ms, 0), Boot(3, "c", 0, 0)]
    fixes = [said(0, NOON_MS, 100, "ntp"), said(0, NOON_MS + 100 * DAY_MS, 100, "ntp", boot=3)]
    line = Timeline(boots, fixes)
    assert [line.moment(stamp(n, 0)).source for n in (1, 2, 3)] == ["ntp", "estimate", "ntp"]
    for ms, utc_ms in ((0, NOON_MS), (fast_ms, NOON_MS + 100 * DAY_MS)):
        moment = line.moment(stamp(2, ms))
        assert moment.uncertainty_ms is not None
        assert abs(moment.utc_ms - utc_ms) <= moment.uncertainty_ms <= 2 * drift_ms(fast_ms)


def test_of_two_boots_in_the_wrong_order_the_more_trusted_stands() -> None:
    boots = [Boot(1, "a", HOUR_MS, 0), Boot(2, "b", HOUR_MS, 0), Boot(3, "c", HOUR_MS, 0)]
    first, third = said(0, NOON_MS, 100, "ntp"), said(0, NOON_MS + DAY_MS, 100, "ntp", boot=3)
    wrong = said(0, NOON_MS + 9 * DAY_MS, 10, "browser", boot=2)
    line = Timeline(boots, [first, wrong, third])
    assert line.moment(stamp(2, 0)).source == "estimate"
    assert NOON_MS + HOUR_MS - 1000 <= line.utc_ms(stamp(2, 0)) <= NOON_MS + DAY_MS - HOUR_MS + 1000


def test_one_boot_with_a_wrong_server_does_not_outvote_the_others() -> None:
    boots = [Boot(n, str(n), HOUR_MS, 0) for n in range(1, 101)]
    fixes = [said(0, NOON_MS + n * DAY_MS, 1000, "ntp", boot=n) for n in range(1, 101)]
    fixes[4] = said(0, NOON_MS + 3000 * DAY_MS, 10, "ntp", boot=5)
    line = Timeline(boots, fixes)
    assert line.moment(stamp(5, 0)).source == "estimate"
    assert all(line.moment(stamp(n, 0)).source == "ntp" for n in range(1, 101) if n != 5)


def test_of_two_equal_boots_the_smaller_uncertainty_stands_and_then_the_later() -> None:
    boots = [Boot(1, "a", HOUR_MS, 0), Boot(2, "b", HOUR_MS, 0)]
    late = said(0, NOON_MS + DAY_MS, 100, "ntp")
    assert Timeline(boots, [late, said(0, NOON_MS, 200, "ntp", boot=2)]).moment(stamp(1, 0)).source == "ntp"
    assert Timeline(boots, [late, said(0, NOON_MS, 100, "ntp", boot=2)]).moment(stamp(1, 0)).source == "estimate"


def test_a_small_overlap_is_shifted_and_the_shift_counted_as_uncertainty() -> None:
    boots = [Boot(1, "a", HOUR_MS, 0), Boot(2, "b", HOUR_MS, 0)]
    line = Timeline(boots, [said(HOUR_MS, NOON_MS, 1000, "ntp"), said(0, NOON_MS - 800, 1000, "ntp", boot=2)])
    assert line.utc_ms(stamp(1, HOUR_MS)) <= line.utc_ms(stamp(2, 0))
    assert line.moment(stamp(2, 0)) == Moment(NOON_MS, 1800, "ntp")
    assert line.moment(stamp(2, 800)) == Moment(NOON_MS, 1001, "ntp")
    assert line.stamp_at(NOON_MS + 1) == stamp(2, 801)


def test_ten_thousand_boots_with_twenty_thousand_fixes_of_which_some_lie() -> None:
    chance = random.Random(5)
    boots = [Boot(n, str(n), 11 * HOUR_MS, 0) for n in range(1, 10_001)]
    fixes = []
    for n in range(1, 10_001):
        start_ms = NOON_MS + n * 12 * HOUR_MS + (chance.randint(-900, 900) * DAY_MS if n % 7 == 0 else 0)
        fixes += [said(ms, start_ms + ms, 250, "ntp", boot=n) for ms in (HOUR_MS, 10 * HOUR_MS)]
    line = Timeline(boots, fixes)
    honest = [n for n in range(1, 10_001) if n % 7]
    assert all(line.moment(stamp(n, HOUR_MS)).source == "ntp" for n in honest)
    assert monotone(line, [stamp(n, ms) for n in range(1, 10_001) for ms in (0, 11 * HOUR_MS)])


# --- Stamps ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**21 - 1), st.integers(0, 2**42 - 1))
def test_a_stamp_holds_boot_and_milliseconds_and_fits_an_integer_of_sqlite(boot: int, ms: int) -> None:
    at = stamp(boot, ms)
    assert (boot_of(at), ms_of(at)) == (boot, ms)
    assert 0 <= at < 2**63


@pytest.mark.parametrize(("boot", "ms"), [(-1, 0), (1, -1), (1, 2**42), (2**21, 0)])
def test_what_fits_no_stamp_is_refused(boot: int, ms: int) -> None:
    with pytest.raises(ValueError, match=f"boot {boot}, {ms} ms"):
        stamp(boot, ms)


def test_the_calendar_is_exact() -> None:
    assert BOOT_SHIFT == 42
    assert Timeline([], []).moment(stamp(CALENDAR, NOON_MS)) == Moment(NOON_MS, 0, "calendar")
    assert Timeline([], []).utc_ms(stamp(CALENDAR, NOON_MS)) == NOON_MS


def test_what_is_known_of_the_calendar_is_no_boot() -> None:
    line = Timeline([Boot(0, "", 5, 5)], [said(0, NOON_MS, 1, "ntp", boot=0)])
    assert line.stamp_at(NOON_MS) == stamp(1, 0)


def test_a_boot_nobody_knows_lies_after_the_one_before() -> None:
    line = Timeline([Boot(1, "a", 0, 0), Boot(3, "c", 0, 0)], [said(0, NOON_MS, 1, "ntp", boot=b) for b in (1, 3)])
    assert line.moment(stamp(2, HOUR_MS)) == Moment(NOON_MS, None, "estimate")
    assert Timeline([Boot(3, "c", 0, NOON_MS)], []).utc_ms(stamp(2, HOUR_MS)) == NOON_MS
    assert Timeline([], []).moment(stamp(2, HOUR_MS)) == Moment(FLOOR_UTC_MS, None, "estimate")


def test_a_boot_told_of_twice_ran_as_long_as_the_later_telling_says() -> None:
    boots = [Boot(1, "a", DAY_MS, NOON_MS), Boot(1, "a", HOUR_MS, 0), Boot(2, "b", 0, 0)]
    assert Timeline(boots, []).utc_ms(stamp(2, 0)) == NOON_MS + DAY_MS
    assert Timeline(boots[::-1], []).utc_ms(stamp(2, 0)) == NOON_MS + DAY_MS


@settings(max_examples=20)
@given(st.integers(0, 200 * 365 * DAY_MS))
def test_the_last_boot_runs_on(utc_ms: int) -> None:
    line = one_boot(said(0, NOON_MS, 1, "ntp"))
    assert boot_of(line.stamp_at(utc_ms)) == 1
    assert ms_of(line.stamp_at(utc_ms)) == min(max(0, utc_ms - NOON_MS), 2**42 - 1)
