"""The time that a person brings: what counts as one, and what the clock makes of it."""

from zoneinfo import ZoneInfo

import pytest

from appliance.clock import Boot, Fix, stamp
from appliance.web.views.system.told_time import PHONE_MS, TYPED_MS, Brought, TimeRefused, of_phone, tell, typed
from tests.machine import FREE, START, Machine

SANTIAGO = ZoneInfo("America/Santiago")
UTC = ZoneInfo("UTC")
TRUE_MS = Machine.utc_ms


def lost(**fields: int) -> Machine:
    """Nobody told it the time, and its own is ten years late."""
    return Machine(system_off_ms=-315_360_000_000, kernel=FREE, **fields)


def test_a_phone_counts_from_the_middle_of_the_round_trip() -> None:
    machine = lost()
    clock = machine.clock()
    fields = {"stamp": str(clock.now()), "utc_ms": str(TRUE_MS), "round_trip_ms": "301"}
    machine.pass_time(7)
    assert of_phone(fields, clock) == Brought(TRUE_MS + 7_000, PHONE_MS + 151)


@pytest.mark.parametrize(
    ("changed", "trouble"),
    [
        ({"utc_ms": ""}, "unread"),
        ({"utc_ms": "-1"}, "unread"),
        ({"utc_ms": "1e12"}, "unread"),
        ({"utc_ms": "١٢٣"}, "unread"),
        ({"utc_ms": "9" * 40}, "unread"),
        ({"stamp": "x"}, "unread"),
        ({"round_trip_ms": "1.5"}, "unread"),
        ({"round_trip_ms": "20001"}, "slow"),
        ({"utc_ms": "0"}, "impossible"),
        ({"utc_ms": "1735689599999"}, "impossible"),
        ({"utc_ms": "4102444800001"}, "impossible"),
        ({"utc_ms": "9" * 19}, "impossible"),
        ({"stamp": "0"}, "old"),
        ({"stamp": str(stamp(1, 3_600_001))}, "old"),
        ({"stamp": str(stamp(1, 3_539_999))}, "old"),
        ({"stamp": str(stamp(2, 3_600_000))}, "old"),
        ({"stamp": "9" * 19}, "old"),
    ],
)
def test_what_a_phone_cannot_say(changed: dict[str, str], trouble: str) -> None:
    clock = lost().clock()
    fields = {"stamp": str(clock.now()), "utc_ms": str(TRUE_MS), "round_trip_ms": "100"}
    with pytest.raises(TimeRefused) as refused:
        of_phone(fields | changed, clock)
    assert refused.value.trouble == trouble


def test_typed_in_a_zone() -> None:
    assert typed("2026-03-01T12:00:07", UTC) == Brought(TRUE_MS + 7_000, TYPED_MS)
    assert typed("2026-03-01T09:00", SANTIAGO) == Brought(TRUE_MS + 30_000, TYPED_MS)


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("", "unread"),
        ("yesterday", "unread"),
        ("2026-03-01T12:00+00:00", "unread"),
        ("2026-13-01T12:00", "unread"),
        ("0001-01-01T00:00", "unread"),
        ("9999-12-31T23:59", "unread"),
        ("2026-03-01T12:00" + " " * 99, "unread"),
        ("2024-12-31T12:00", "impossible"),
        ("2150-01-01T00:00", "impossible"),
        # Clocks go back at midnight, and forth at midnight.
        ("2026-04-04T23:30", "twice"),
        ("2026-09-06T00:30", "twice"),
    ],
)
def test_what_cannot_be_typed(text: str, trouble: str) -> None:
    with pytest.raises(TimeRefused) as refused:
        typed(text, SANTIAGO)
    assert refused.value.trouble == trouble


def test_it_is_taken_where_nobody_told_the_time() -> None:
    clock = lost().clock()
    before_ms = clock.utc_ms(clock.now())
    told = tell(clock, Brought(TRUE_MS, 2_100))
    assert (told.outcome, told.moved_ms) == ("taken", TRUE_MS - before_ms)
    moment = clock.moment(clock.now())
    assert (moment.utc_ms, moment.uncertainty_ms, moment.source) == (TRUE_MS, 2_100, "browser")
    assert tell(clock, Brought(TRUE_MS + 500, 2_100)).outcome == "agreed"


def test_a_wrong_phone_is_put_right_by_another_and_by_ntp() -> None:
    machine = lost()
    clock = machine.clock()
    assert tell(clock, Brought(TRUE_MS + 86_400_000, 2_100)).outcome == "taken"
    machine.pass_time(60)
    assert tell(clock, Brought(machine.utc_ms, 2_100)).outcome == "taken"
    assert clock.utc_ms(clock.now()) == machine.utc_ms
    assert tell(clock, Brought(machine.utc_ms + 86_400_000, 2_100)).outcome == "taken"
    machine.set_clock()
    clock.poll()
    assert clock.utc_ms(clock.now()) == machine.utc_ms


def test_who_is_trusted_more_is_not_overruled() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.poll()
    assert tell(clock, Brought(machine.utc_ms + 900, 2_100)).outcome == "agreed"
    assert tell(clock, Brought(machine.utc_ms + 3_600_000, 2_100)).outcome == "better"
    assert clock.utc_ms(clock.now()) == machine.utc_ms


def test_it_sharpens_what_agrees_with_it() -> None:
    machine = lost()
    clock = machine.clock()
    clock.offer("receipt", TRUE_MS + 30_000, 60_000)
    assert tell(clock, Brought(TRUE_MS, 2_100)).outcome == "taken"
    assert clock.moment(clock.now()).uncertainty_ms == 2_100


def test_no_start_begins_before_one_that_is_known_to_have_run() -> None:
    machine = lost(ms=60_000)
    clock = machine.clock()
    clock.begin([Boot(1, "before", 7_200_000, 0)], [Fix(1, 7_000_000, TRUE_MS, 250, "ntp")])
    assert tell(clock, Brought(TRUE_MS - 86_400_000, 2_100)).outcome == "contradicted"
    assert tell(clock, Brought(TRUE_MS + 86_400_000, 2_100)).outcome == "taken"


def test_it_cannot_be_told_without_end() -> None:
    machine = lost(ms=1_000)
    clock = machine.clock()
    outcomes = [tell(clock, Brought(TRUE_MS + n * 3_600_000, 2_100)).outcome for n in range(100)]
    assert set(outcomes[:60]) == {"taken"}
    assert set(outcomes[70:]) == {"too many"}
    assert START.timestamp() * 1000 == TRUE_MS
