"""What the pages ask besides, against a made-up history of which the truth is known by counting (`test_queries.py`)."""

import contextlib
import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import InputError
from appliance.store import finding, queries, readings, reception
from appliance.store.finding import by_dial, by_load, registers_at, siblings
from appliance.store.last_day import HOURS, Day, LastDay
from appliance.store.reception import receptions
from appliance.store.rows import QUARTER_MS, SUSPECT, MeterKey
from appliance.timeline import Boot, Fix, stamp
from tests.store.made_history import METERS, START_MS, Happened, Heard, Made, Row, key, made
from tests.store.test_queries import ACTS, DAY_MS, HOUR_MS, KNOWN, lived, plain, rows

HISTORIES = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
ACT = list[tuple[str, int, int, int, str]]


def end_of(history: Made) -> int:
    """Some time after the last reading."""
    return max(history.timeline.utc_ms(history.lasts[meter]) for meter in history.lasts)


@HISTORIES
@given(ACTS, KNOWN, st.integers(0, 8), st.integers(0, 30))
def test_the_last_day(acts: ACT, fixed: list[bool], imported: int, hours: int) -> None:
    with lived(acts, fixed, imported) as history, contextlib.closing(history.history()) as asked:
        now_ms = end_of(history) + hours * HOUR_MS + 1
        first_ms = (now_ms // HOUR_MS - HOURS + 1) * HOUR_MS
        if first_ms < START_MS:
            return
        for day in LastDay().answer(asked, now_ms):
            assert_day(history, day, first_ms)


def assert_day(history: Made, day: Day, first_ms: int) -> None:
    meter = day.meter.key.meter_id - 1000
    heard_until = history.timeline.utc_ms(history.lasts[meter])
    for n in range(HOURS):
        begin, end = (counted(history, meter, first_ms + (n + m) * HOUR_MS) for m in (0, 1))
        is_known = begin is not None and end is not None and first_ms + n * HOUR_MS <= heard_until
        assert day.used[n] == (end - begin if is_known and begin is not None and end is not None else None)


def counted(history: Made, meter: int, utc_ms: int) -> int | None:
    """What a meter counted until before an instant."""
    known = [row.total for row in history.readings(meter) if history.timeline.utc_ms(row.at) < utc_ms]
    return known[-1] if known else None


@HISTORIES
@given(ACTS, KNOWN, st.integers(1, 6))
def test_the_last_day_goes_on_from_what_it_remembers(acts: ACT, fixed: list[bool], parts: int) -> None:
    with lived(acts, fixed, 0) as history, contextlib.closing(history.history()) as asked:
        days, now_ms = LastDay(), end_of(history) // HOUR_MS * HOUR_MS + HOUR_MS - 1
        boot = history.boots[-1].number
        at = history.timeline.stamp_at(now_ms)
        for n in range(parts):
            assert days.answer(asked, now_ms) == LastDay().answer(asked, now_ms)
            ms = (at & ((1 << 42) - 1)) - parts + n
            total = 10**6 + n
            counted = list(history.readings(1))
            begun = counted[-1] if counted else None
            if begun is None:
                continue
            history.put([begun._replace(at=stamp(boot, ms), consumption=begun.consumption + 1, total=total, flags=0)])
            if n % 3 == 2:
                history.seal()
                asked.show(history.segments, history.timeline)
        assert days.answer(asked, now_ms + HOUR_MS) == LastDay().answer(asked, now_ms + HOUR_MS)


def test_in_which_hours_a_meter_was_heard(tmp_path: Path) -> None:
    with plain(tmp_path) as history:
        for n in (0, 1, 4, 40, 41, 94):
            at = stamp(1, n * QUARTER_MS)
            history.put(rows(1, (n * QUARTER_MS, 100)), [Heard(1, at, at + 800_000, 5)])
            if n in (4, 40):
                history.seal()
        running = stamp(1, 95 * QUARTER_MS)
        history.put(rows(2, (0, 5)), [], [Heard(2, running, running + 1000, 1)])
        with contextlib.closing(history.history()) as asked:
            two, one = sorted(LastDay().answer(asked, START_MS + DAY_MS - 1), key=lambda day: day.meter.number)[::-1]
            assert [n for n, heard in enumerate(one.heard) if heard] == [0, 1, 10, 23]
            assert [n for n, heard in enumerate(two.heard) if heard] == [23]
            assert one.share_heard == pytest.approx(4 / 24)


@pytest.mark.parametrize(
    ("kind", "after", "used"),
    [
        ("register_rolled_over", 4, 100_000 - 99_990 + 4),
        ("meter_exchanged", 50_000, 0),
        ("register_jumped", 9_000_000, 0),
    ],
)
def test_what_was_used_where_a_register_began_anew(tmp_path: Path, kind: str, after: int, used: int) -> None:
    # The message that is doubted is of the hour before the one that confirms it.
    told = {"before": 99_990, "after": after} | ({"modulus": 100_000} if kind == "register_rolled_over" else {})
    with plain(tmp_path) as history:
        history.put(rows(1, (HOUR_MS, 99_980), (2 * HOUR_MS, 99_990)))
        history.tell([Happened(1, stamp(1, 3 * HOUR_MS - 10_000), kind, told)])
        history.put(rows(1, (3 * HOUR_MS + 10_000, after), (4 * HOUR_MS, after + 7)))
        with contextlib.closing(history.history()) as asked:
            (day,) = LastDay().answer(asked, START_MS + 5 * HOUR_MS)
            assert day.used[-6:] == (None, None, 10, used, 7, None)


def test_the_last_day_of_what_was_imported_and_then_heard_here(tmp_path: Path) -> None:
    """A log of the 20 hours before the first start, in which a register rolls over; another meter is heard no more."""
    with plain(tmp_path) as history:
        logged = [
            Row(meter, START_MS - hour * HOUR_MS, (99_900 - hour * 10) % 100_000, 0, 0)
            for meter in (1, 2)
            for hour in range(20, 0, -1)
        ]
        logged.append(Row(1, START_MS - HOUR_MS // 2, 50, 0, 0))
        told = {"before": 99_890, "after": 50, "modulus": 100_000}
        history.tell([Happened(1, START_MS - HOUR_MS // 2, "register_rolled_over", told)])
        history.log(logged, [Heard(1, row.at, row.at, 1) for row in logged if row.meter == 1])
        history.put(rows(1, (1, 60), (HOUR_MS, 75)))
        with contextlib.closing(history.history()) as asked:
            two, one = sorted(LastDay().answer(asked, START_MS + HOUR_MS + 1), key=lambda day: -day.meter.number)
    assert one.used == (None, None, None, *[10] * 18, 170, 10, 15)
    assert one.heard == (False, False, *[True] * 20, False, False)
    assert two.used == (None, None, None, *[10] * 19, None, None)


@HISTORIES
@given(ACTS, KNOWN, st.integers(0, 8), st.sampled_from([QUARTER_MS, HOUR_MS, DAY_MS, 3 * DAY_MS]))
def test_how_a_meter_was_heard(acts: ACT, fixed: list[bool], imported: int, step_ms: int) -> None:
    with lived(acts, fixed, imported) as history, contextlib.closing(history.history()) as asked:
        end = (end_of(history) // step_ms + 1) * step_ms
        for meter in range(1, METERS + 1):
            edges = [end - n * step_ms for n in range(30, -1, -1)]
            found = receptions(asked, key(meter), edges)
            assert [(one.from_ms, one.to_ms) for one in found] == list(pairwise(edges))
            for one in found:
                messages = history.messages(meter, one.from_ms, one.to_ms)
                assert one.messages == (messages or 0)
                if messages is None:
                    assert not one.is_kept


def test_levels_and_the_band_of_what_was_heard(tmp_path: Path) -> None:
    insert = "INSERT INTO reception VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    with plain(tmp_path) as history:
        history.put(rows(1, (0, 100)))
        for n, values in enumerate(
            [(10, 1, 8, 8 * 1500, 2100, 911_000_000, 912_000_000), (5, 5, 2, 2 * 500, 700, 910_000_000, 911_500_000),
             (3, 0, 0, 0, None, None, None)]
        ):  # fmt: skip
            at = stamp(1, n * QUARTER_MS)
            history._id += 1
            history.live.execute(insert, (history._id, at, *values, at + 800_000))
            if n == 0:
                history.waiting_heard.append(Heard(1, at, at + 800_000, 10))
                history.seal()
        with contextlib.closing(history.history()) as asked:
            (hour,) = receptions(asked, key(1), [START_MS, START_MS + HOUR_MS])
            assert (hour.messages, hour.corrected, hour.snr_mean_db, hour.snr_best_db) == (18, 6, 13.0, 21.0)
            assert (hour.frequency_min_hz, hour.frequency_max_hz, hour.is_kept) == (910_000_000, 912_000_000, True)
            last = receptions(asked, key(1), [START_MS + 2 * QUARTER_MS, START_MS + 3 * QUARTER_MS])[0]
            assert (last.messages, last.snr_mean_db, last.snr_best_db, last.frequency_min_hz) == (3, None, None, None)


@HISTORIES
@given(ACTS, KNOWN, st.integers(0, 8), st.integers(1, 7))
def test_pages_of_readings(acts: ACT, fixed: list[bool], imported: int, limit: int) -> None:
    with lived(acts, fixed, imported) as history, contextlib.closing(history.history()) as asked:
        utc_ms = history.timeline.utc_ms
        for meter in range(1, METERS + 1):
            found = page = readings.readings(asked, key(meter), limit=limit)
            while page:
                assert len(page) <= limit
                page = readings.readings(asked, key(meter), before=page[-1].at, limit=limit)
                found = found + page
            everything = [row for own_rows in history.rows.values() for row in own_rows] + history.waiting
            kept = {row.at: row for row in everything if row.meter == meter and not row.flags & 2}
            expected = sorted(kept.values(), key=lambda row: (utc_ms(row.at), row.at), reverse=True)
            assert [(one.at, one.consumption, one.is_suspect) for one in found] == [
                (row.at, row.consumption, bool(row.flags & SUSPECT)) for row in expected
            ]
            assert all(one.moment == history.timeline.moment(one.at) for one in found)


def test_what_is_asked_of_a_meter_never_heard(tmp_path: Path) -> None:
    stranger = MeterKey("scm", 1, True)
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        assert readings.readings(asked, stranger) == siblings(asked, stranger) == []
        assert LastDay().answer(asked, START_MS) == reception.quarters(asked, 0, START_MS) == []
        (none,) = receptions(asked, stranger, [START_MS - DAY_MS, START_MS])
        assert (none.messages, none.is_kept) == (0, True)
        assert receptions(asked, stranger, []) == receptions(asked, stranger, [5]) == []
        assert by_load(asked, 0, START_MS, {stranger: 5}, []) == by_dial(asked, "123", {stranger: 123}) == []


def test_no_question_is_too_long(tmp_path: Path) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        history.put(rows(1, *((n, n) for n in range(700))))
        assert len(readings.readings(asked, key(1), limit=10**9)) == readings.MOST_READINGS
        assert readings.readings(asked, key(1), limit=-5) == []
        many = receptions(asked, key(1), range(START_MS, START_MS + 4000 * HOUR_MS, HOUR_MS))
        assert len(many) == reception.MOST_BUCKETS
        far = receptions(asked, key(1), [0, START_MS, START_MS + 300 * DAY_MS, START_MS + 301 * DAY_MS])
        assert [one.from_ms for one in far] == [START_MS + 300 * DAY_MS]
        reception.quarters(asked, 0, 2**53)
        assert siblings(asked, key(1), 10**9) == []
        LastDay().answer(asked, 2**45)


def test_what_was_heard_by_the_quarter_of_an_hour(tmp_path: Path) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        for n in range(4):
            at = stamp(1, n * QUARTER_MS)
            history.put([], [Heard(m, at, at + 1, 10 + n) for m in range(1, 2 + n)][:3])
        found = reception.quarters(asked, START_MS + 1, START_MS + DAY_MS)
        expected = [(0, 1, 10), (1, 2, 22), (2, 3, 36), (3, 3, 39)]
        assert found == [queries.Coverage(START_MS + n * QUARTER_MS, *counts) for n, *counts in expected]


def test_siblings_by_id(tmp_path: Path) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        history.put(rows(1, (0, 1)) + rows(2, (0, 1)) + rows(3, (0, 1)))
        assert [row.key for row in siblings(asked, key(2), 1)] == [key(1), key(3)]
        assert [row.key for row in siblings(asked, key(1), 1)] == [key(2)]
        assert siblings(asked, key(2), 0) == []
        assert siblings(asked, key(2)._replace(simulated=True)) == []


def test_which_meter_has_this_dial(tmp_path: Path) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        history.put(rows(1, (0, 1)) + rows(2, (0, 1)) + rows(3, (0, 1)))
        now = {key(1): 1_234_567, key(2): 4_321_000, key(3): 12_345}
        found = by_dial(asked, "012345", now)
        assert [(fits.meter.key, list(map(str, fits.multipliers))) for fits in found] == [
            (key(3), ["1"]),
            (key(1), ["0.01"]),
        ]
        assert [fits.meter.key for fits in by_dial(asked, "012345", now, ["electric"])] == [key(3), key(1)]
        assert by_dial(asked, "012345", now, ["gas", "water"]) == []
        assert by_dial(asked, "77", {}) == []
        with pytest.raises(InputError):
            by_dial(asked, "-1", now)


def test_which_meter_a_load_was_switched_on_behind(tmp_path: Path) -> None:
    with made(tmp_path, [Boot(1, "one", DAY_MS, 0)], [Fix(1, 0, START_MS, 20, "ntp")]) as history:
        # Three meters that count 12, 60 and 600 an hour; in the last quarter the first counts 30.
        steps = {1: 1, 2: 5, 3: 50}
        for n in range(12 * 20):
            extra = 27 if n >= 12 * 20 - 2 else 0
            history.put(
                [r for m, by in steps.items() for r in rows(m, (n * 300_000, n * by + (extra if m == 1 else 0)))]
            )
            if n in (50, 130, 150):
                history.seal()
        now_ms = START_MS + 12 * 20 * 300_000
        registers = {key(m): (12 * 20 - 1) * by + (27 if m == 1 else 0) for m, by in steps.items()}
        with contextlib.closing(history.history()) as asked:
            days = LastDay().answer(asked, now_ms - 1)
            first, second, third = by_load(asked, now_ms - QUARTER_MS, now_ms, registers, days)
            assert (first.meter, first.counts, first.usually) == (key(1), 29, 3)
            assert first.score > 5
            assert abs(second.score) < 2
            assert abs(third.score) < 2
            history.seal()
            asked.show(history.segments, history.timeline)
            assert by_load(asked, now_ms - QUARTER_MS, now_ms, registers, days)[0] == first
            assert by_load(asked, 0, now_ms, registers, [])[0].usually is None
            assert not math.isnan(first.score)
            assert by_load(asked, now_ms, now_ms, registers, days) == []
            assert finding.MOST_FOUND == 50
            then_ms = now_ms - 600_000
            then = registers_at(asked, [key(1), key(2), key(9)], then_ms)
            assert then == {key(1): 12 * 20 - 2 + 27, key(2): (12 * 20 - 2) * 5}
