"""Each question against a made-up history of which the truth is known by counting, however it was sealed and joined."""

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from appliance.store import queries
from appliance.store.history import History
from appliance.store.queries import Period
from appliance.store.rows import QUARTER_MS, SUSPECT, MeterKey
from appliance.timeline import Boot, Fix, Timeline, stamp
from tests.store.made_history import METERS, START_MS, Happened, Heard, Made, Row, key, made

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MODULI = (2**24, 10**5)


@dataclass
class Course:
    """How a meter's register goes: each step makes its next reading."""

    meter: int
    consumption: int
    total: int = 0

    def step(self, at: int, wait_ms: int, by: int, what: str) -> tuple[list[Row], list[Happened]]:
        """The rows of a step of so long that ends at `at`, and what is told about it."""
        suspect_at, before = at - min(wait_ms // 3, 20_000), self.consumption
        modulus = next(m for m in MODULI if m > before) if before < MODULI[0] else 2**32
        # A register that has not counted far does not roll over.
        if what == "creep" or (what == "roll" and before < modulus // 2):
            self.consumption += by
            self.total += by
            return [self._row(at)], []
        if what == "suspect":
            return [Row(self.meter, at, 7 * before + 5_000_000, SUSPECT, -1)], []
        after = {"roll": by, "exchange": by * 3, "jump": before + 900_000}[what]
        kind = {"roll": "register_rolled_over", "exchange": "meter_exchanged", "jump": "register_jumped"}[what]
        # What is implausible counts once a second message agrees; its event bears the time of the first.
        told: dict[str, object] = {"before": before, "after": after}
        if what == "roll":
            told["modulus"] = modulus
        self.consumption = after + by
        self.total += by + (modulus - before + after if what == "roll" else 0)
        doubted = Row(self.meter, suspect_at, after, SUSPECT, -1)
        return [doubted, self._row(at)], [Happened(self.meter, suspect_at, kind, told)]

    def _row(self, at: int) -> Row:
        return Row(self.meter, at, self.consumption, 0, self.total)


STEPS = st.tuples(
    st.sampled_from(["creep"] * 12 + ["suspect", "roll", "exchange", "jump"]),
    st.integers(1, METERS),
    st.sampled_from([1_000, 40_000, 400_000, 900_000, 7 * HOUR_MS, 30 * HOUR_MS]),
    st.integers(0, 300),
    st.sampled_from([""] * 12 + ["off", "off for long", "seal", "seal", "seal", "join", "thin", "drop"]),
)
ACTS = st.lists(STEPS, min_size=1, max_size=40)


@contextlib.contextmanager
def lived(acts: list[tuple[str, int, int, int, str]], fixed: list[bool], imported: int) -> Iterator[Made]:
    """A history as `acts` tell it: who did what, how long after the one before, and what became of the rows."""
    boots, fixes, times = [], [], []
    boot, ms, utc_ms = 1, 30_000, START_MS
    for _, _, wait_ms, _, then in acts:
        if then.startswith("off"):
            boots.append(Boot(boot, f"boot {boot}", ms, START_MS - 40 * DAY_MS))
            boot, ms = boot + 1, 30_000
            utc_ms += 3 * DAY_MS if then == "off for long" else 30_000
        else:
            ms, utc_ms = ms + wait_ms, utc_ms + wait_ms
        times.append((boot, ms, utc_ms))
    boots.append(Boot(boot, f"boot {boot}", ms, START_MS - 40 * DAY_MS))
    for known in boots:
        mine = [(m, u) for b, m, u in times if b == known.number]
        if mine and fixed[known.number % len(fixed)]:
            fixes.append(Fix(known.number, *mine[0], 1000, "ntp"))
    courses = {m: Course(m, 16_777_000 - 60_000 * (m - 1)) for m in range(1, METERS + 1)}
    with tempfile.TemporaryDirectory() as name, made(Path(name), boots, fixes) as history:
        logged, heard = [], []
        for n in range(imported):
            meter = n % METERS + 1
            at = START_MS - 60 * DAY_MS + n * 5 * HOUR_MS
            rows, told = courses[meter].step(at, HOUR_MS, 10, "roll" if n == 4 else "creep")
            logged += rows
            heard.append(Heard(meter, at // QUARTER_MS * QUARTER_MS, at, 1))
            history.tell(told)
        history.log(logged, heard)
        quarter: dict[int, Heard] = {}
        begun = (0, 0)
        for (what, meter, wait_ms, by, then), (number, now_ms, _) in zip(acts, times, strict=True):
            at = stamp(number, now_ms)
            if (number, now_ms // QUARTER_MS) != begun:
                history.put([], quarter.values())
                quarter, begun = {}, (number, now_ms // QUARTER_MS)
            rows, told = courses[meter].step(at, wait_ms, by, what)
            before = quarter.get(meter, Heard(meter, stamp(number, now_ms // QUARTER_MS * QUARTER_MS), at, 0))
            quarter[meter] = before._replace(last=at, count=before.count + 1)
            history.tell(told)
            history.put(rows, running=quarter.values())
            if then == "seal":
                history.seal()
            elif then == "join":
                history.join(max(0, len(history.own) - 3), len(history.own))
            elif then == "thin":
                history.thin()
            elif then == "drop" and len(history.own) > 2:
                history.drop()
        yield history


HISTORIES = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
KNOWN = st.lists(st.booleans(), min_size=1, max_size=4)


def instants(history: Made) -> list[int]:
    """Where something may be wrong: at each reading, just before and after, and far away."""
    at = {history.timeline.utc_ms(row.at) for meter in range(1, METERS + 1) for row in history.readings(meter)}
    near = {utc_ms + d for utc_ms in at for d in (-1, 0, 1, 10_000)}
    return sorted(near | {0, START_MS - 500 * DAY_MS, START_MS + 4000 * DAY_MS})


@HISTORIES
@given(ACTS, KNOWN, st.integers(0, 8))
def test_registers(acts: list[tuple[str, int, int, int, str]], fixed: list[bool], imported: int) -> None:
    with lived(acts, fixed, imported) as history, contextlib.closing(history.history()) as asked:
        utc_ms = history.timeline.utc_ms
        event(f"{len(history.segments)} segments")
        for meter in range(1, METERS + 1):
            at = instants(history)
            for found in queries.registers(asked, key(meter), at):
                row = history.register(meter, found.utc_ms)
                expected = (row.consumption, utc_ms(row.at)) if row else (None, None)
                assert (found.consumption, found.since_utc_ms) == expected


@HISTORIES
@given(ACTS, KNOWN, st.integers(0, 8), st.integers(1, 40), st.integers(-61 * DAY_MS, 10 * DAY_MS))
def test_what_was_used(
    acts: list[tuple[str, int, int, int, str]], fixed: list[bool], imported: int, points: int, from_ms: int
) -> None:
    with lived(acts, fixed, imported) as history, contextlib.closing(history.history()) as asked:
        begin = START_MS + from_ms
        end = max(begin + 1, max(instants(history)[:-1]) + 1)
        for meter in range(1, METERS + 1):
            periods = queries.series(asked, key(meter), begin, end, points)
            assert [p.from_ms for p in periods] == [p.from_ms for p in periods[:1]] + [p.to_ms for p in periods[:-1]]
            assert (periods[0].from_ms, periods[-1].to_ms, len(periods)) == (begin, end, min(points, end - begin))
            for period in periods:
                assert_used(history, meter, period)
        for meter in range(1, METERS + 1):
            for period in queries.intervals(asked, key(meter), end - 3 * DAY_MS, end):
                assert_used(history, meter, period)
                assert period.messages == history.messages(meter, period.from_ms, period.to_ms)


def assert_used(history: Made, meter: int, period: Period) -> None:
    begin, end = history.register(meter, period.from_ms), history.register(meter, period.to_ms)
    heard_until = history.timeline.utc_ms(history.lasts[meter]) if meter in history.lasts else -1
    if end is None or period.from_ms > heard_until:
        assert (period.register, period.used) == (None, None)
        return
    assert period.register == end.consumption
    assert period.used == (None if begin is None else end.total - begin.total)


# What came from the air, placed by hand: two meters, a power cut, a clock that is known from the start.
def plain(directory: Path) -> contextlib.AbstractContextManager[Made]:
    """A history of two boots whose times are known."""
    boots = [Boot(1, "one", DAY_MS, 0), Boot(2, "two", 10 * DAY_MS, 0)]
    fixes = [Fix(1, 0, START_MS, 20, "ntp"), Fix(2, 0, START_MS + 2 * DAY_MS, 20, "ntp")]
    return made(directory, boots, fixes)


def rows(meter: int, *readings: tuple[int, int], boot: int = 1) -> list[Row]:
    return [Row(meter, stamp(boot, ms), consumption, 0, consumption) for ms, consumption in readings]


def test_a_meter_first_heard_within_the_range(tmp_path: Path) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        history.put(rows(1, (HOUR_MS, 100), (3 * HOUR_MS - 1, 130)))
        found = queries.series(asked, key(1), START_MS, START_MS + 4 * HOUR_MS, 4)
        assert [(p.register, p.used) for p in found] == [(100, None), (100, 0), (130, 30), (None, None)]


def test_a_meter_never_heard(tmp_path: Path) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        stranger = MeterKey("scm", 1, True)
        assert queries.registers(asked, stranger, [START_MS])[0].consumption is None
        (period,) = queries.series(asked, stranger, START_MS, START_MS + 1, 400)
        assert (period.register, period.used, period.messages) == (None, None, None)
        assert queries.intervals(asked, stranger, START_MS, START_MS + QUARTER_MS)[0].messages == 0
        assert queries.tamper_changes(asked, stranger) == []
        assert queries.meters(asked) == queries.silent(asked, START_MS) == queries.coverage(asked, 0, START_MS) == []


@pytest.mark.parametrize("span", [(START_MS, START_MS), (START_MS, START_MS - 1), (2**60, 0)])
def test_no_time_at_all(tmp_path: Path, span: tuple[int, int]) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        history.put(rows(1, (HOUR_MS, 100)))
        assert queries.series(asked, key(1), *span) == queries.intervals(asked, key(1), *span) == []
        assert queries.coverage(asked, *span) == []
        assert queries.days(asked, key(1), date(2026, 3, 2), date(2026, 3, 1), UTC) == []
        assert queries.days(asked, key(1), date.max, date.min, UTC) == []
        assert queries.months(asked, key(1), date(2026, 4, 2), date(2026, 3, 1), UTC) == []


def test_no_question_is_too_long(tmp_path: Path) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        history.put(rows(1, (HOUR_MS, 100)))
        assert len(queries.series(asked, key(1), -(2**60), 2**60, 10**9)) == queries.MOST_POINTS
        assert len(queries.intervals(asked, key(1), 0, 2**60)) == queries.MOST_INTERVALS
        assert len(queries.days(asked, key(1), date.min, date.max, UTC)) == queries.MOST_POINTS
        assert len(queries.months(asked, key(1), date.min, date.max, UTC)) == 130 * 12 - 1
        assert len(queries.registers(asked, key(1), range(10**6))) == queries.MOST_POINTS
        assert len(queries.events(asked, "boot", limit=10**9)) == 0
        queries.coverage(asked, 0, 2**60)


def test_in_the_future_nothing_is_known(tmp_path: Path) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        history.put(rows(1, (HOUR_MS, 100), (2 * HOUR_MS, 107)))
        today, tomorrow = queries.days(asked, key(1), date(2026, 3, 1), date(2026, 3, 2), UTC)
        assert (today.register, today.used) == (107, None)
        assert (tomorrow.register, tomorrow.used) == (None, None)
        # What is known so far of the hour that is running.
        assert [p.used for p in queries.series(asked, key(1), START_MS + HOUR_MS, START_MS + 4 * HOUR_MS, 2)] == [
            7,
            None,
        ]


@pytest.mark.parametrize(
    ("day", "hours_before", "hours"),
    [(date(2026, 4, 4), 24, 25), (date(2026, 4, 5), 25, 24), (date(2026, 9, 5), 24, 24), (date(2026, 9, 6), 24, 23)],
)
def test_days_begin_and_end_where_the_zone_says(tmp_path: Path, day: date, hours_before: int, hours: int) -> None:
    zone = ZoneInfo("America/Santiago")
    with made(tmp_path, [Boot(1, "one", 400 * DAY_MS, 0)], [Fix(1, 0, START_MS, 20, "ntp")]) as history:
        begin_ms = round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000) - START_MS
        history.put(rows(1, *((begin_ms + n * HOUR_MS, n + 50) for n in range(-50, 75))))
        history.seal()
        with contextlib.closing(history.history()) as asked:
            before, own, after = queries.days(asked, key(1), day - timedelta(days=1), day + timedelta(days=1), zone)
            assert (before.used, own.used) == (hours_before, hours)
            assert before.to_ms == own.from_ms == START_MS + begin_ms
            assert after.from_ms == own.to_ms == own.from_ms + hours * HOUR_MS
            (month,) = queries.months(asked, key(1), day, day, zone)
            assert month.to_ms - month.from_ms == 30 * DAY_MS + (HOUR_MS if day.month == 4 else -HOUR_MS)


def test_stamps_that_resolve_to_one_instant(tmp_path: Path) -> None:
    # The second boot began before the first had ended, if both are believed: what overlaps is pressed together.
    boots = [Boot(1, "one", HOUR_MS, 0), Boot(2, "two", HOUR_MS, 0)]
    fixes = [Fix(1, 0, START_MS, 600_000, "ntp"), Fix(2, 0, START_MS + HOUR_MS - 300_000, 600_000, "ntp")]
    timeline = Timeline(boots, fixes)
    one, other = stamp(2, 1000), stamp(2, 2000)
    assert timeline.utc_ms(one) == timeline.utc_ms(other)
    with made(tmp_path, boots, fixes) as history, contextlib.closing(history.history()) as asked:
        history.put([Row(1, one, 100, 0, 0), Row(1, other, 103, 0, 0)])
        at = timeline.utc_ms(one)
        found = queries.registers(asked, key(1), [at - 1, at, at + 1])
        assert [register.consumption for register in found] == [None, 103, 103]


def test_what_a_log_tells_fills_what_was_not_heard(tmp_path: Path) -> None:
    with plain(tmp_path) as history:
        history.put(rows(1, (0, 100)) + rows(1, (0, 160), boot=2))
        history.seal()
        history.log([Row(1, START_MS + DAY_MS, 130, 0, 0), Row(1, START_MS - DAY_MS, 70, 0, 0)], [])
        with contextlib.closing(history.history()) as asked:
            found = queries.series(asked, key(1), START_MS - DAY_MS, START_MS + 2 * DAY_MS, 3)
            assert [(p.register, p.used) for p in found] == [(100, 30), (130, 30), (160, 30)]


def test_a_reading_that_only_an_earlier_day_of_thinned_history_tells(tmp_path: Path) -> None:
    with plain(tmp_path) as history:
        history.put(rows(1, (HOUR_MS, 100), (2 * HOUR_MS, 101)) + rows(2, (HOUR_MS, 7)))
        history.seal()
        history.put(rows(1, (3 * HOUR_MS, 102)))
        history.seal()
        history.join(0, 2)
        history.thin()
        history.put(rows(1, (4 * HOUR_MS, 103)))
        history.seal()
        with contextlib.closing(history.history()) as asked:
            at = [START_MS + hours * HOUR_MS for hours in range(1, 6)]
            assert [r.consumption for r in queries.registers(asked, key(1), at)] == [None, None, 102, 103, 103]
            assert [r.consumption for r in queries.registers(asked, key(2), at)] == [7] * 5


def test_how_often_a_meter_was_heard_in_history_that_is_gone(tmp_path: Path) -> None:
    with plain(tmp_path) as history:
        for n in range(4):
            at = stamp(1, 4 * n * QUARTER_MS)
            history.put(rows(1, (4 * n * QUARTER_MS, 100 + n)), [Heard(1, at, at + 800_000, 5)])
            history.seal()
        history.drop()
        history.thin()
        with contextlib.closing(history.history()) as asked:
            found = queries.intervals(asked, key(1), START_MS, START_MS + 13 * QUARTER_MS)
            assert [p.messages for p in found] == [None] * 5 + [0] * 3 + [5, 0, 0, 0, 5]
            stranger = queries.intervals(asked, key(2), START_MS, START_MS + QUARTER_MS)
            assert [p.messages for p in stranger] == [0]


class Counted(History):
    """A history that counts what it asks of segments."""

    questions = 0

    def segment(self, number: int) -> sqlite3.Connection:
        self.questions += 1
        return super().segment(number)


@pytest.mark.parametrize("segments", [4, 40])
def test_no_question_about_a_register_goes_back_through_all_segments(tmp_path: Path, segments: int) -> None:
    with plain(tmp_path) as history:
        for n in range(segments):
            history.put(rows(1, (n * QUARTER_MS, 100 + n)))
            history.seal()
        end = segments * QUARTER_MS
        # The first reading of a meter is thinned away; and a log tells of one long before it is heard.
        history.put(rows(2, (end, 7), (end + 5, 8)))
        history.seal()
        for _ in history.own:
            history.thin()
        history.log([Row(3, START_MS - DAY_MS, 70, 0, 0)], [])
        history.put(rows(3, (end + QUARTER_MS, 80)))
        with contextlib.closing(Counted(tmp_path)) as asked:
            asked.show(history.segments, history.timeline)
            for meter, expected in ((1, 99 + segments), (2, None), (3, 70)):
                asked.questions = 0
                (found,) = queries.registers(asked, key(meter), [START_MS + end + 1])
                assert found.consumption == expected
                assert asked.questions <= 3


def test_after_damage_a_register_is_looked_for_in_all_segments(tmp_path: Path) -> None:
    with plain(tmp_path) as history:
        history.put(rows(1, (0, 100)) + rows(2, (0, 7)))
        history.seal()
        history.put(rows(2, (HOUR_MS, 8)))
        history.seal(alone=True)
        history.put(rows(2, (2 * HOUR_MS, 9)))
        history.seal()
        history.catalogue.execute("INSERT INTO event VALUES (NULL, ?, 'live_restored', NULL, '{}')", (stamp(1, 0),))
        with contextlib.closing(history.history()) as asked:
            assert queries.registers(asked, key(1), [START_MS + 2 * HOUR_MS])[0].consumption == 100


def test_the_quarter_of_an_hour_that_is_running(tmp_path: Path) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        over, now = Heard(1, stamp(1, 0), stamp(1, 800_000), 29), Heard(1, stamp(1, QUARTER_MS), stamp(1, 980_000), 3)
        history.put(rows(1, (0, 100)), [over], [now])
        found = queries.intervals(asked, key(1), START_MS, START_MS + 3 * QUARTER_MS)
        assert [p.messages for p in found] == [29, 3, 0]
        assert queries.coverage(asked, START_MS, START_MS + HOUR_MS) == [queries.Coverage(START_MS, 1, 32)]


def test_silent_meters_whoever_told_of_them(tmp_path: Path) -> None:
    with plain(tmp_path) as history:
        history.put(rows(1, (0, 100)) + rows(2, (HOUR_MS, 100)))
        history.log([Row(3, START_MS + HOUR_MS // 2, 7, 0, 0)], [])
        with contextlib.closing(history.history()) as asked:
            assert [row.key for row in queries.meters(asked)] == [key(1), key(3), key(2)]
            for since_ms, expected in ((0, []), (1, [1]), (HOUR_MS // 2, [1]), (HOUR_MS, [1, 3]), (DAY_MS, [1, 3, 2])):
                assert [row.key for row in queries.silent(asked, START_MS + since_ms)] == [key(m) for m in expected]


TOLD = st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 5), st.integers(1, METERS)), max_size=30)


@settings(max_examples=40)
@given(TOLD, st.integers(1, 7), st.sampled_from([None, 1, 2]))
def test_pages_of_tamper_changes(told: list[tuple[int, int, int]], limit: int, meter: int | None) -> None:
    with (
        tempfile.TemporaryDirectory() as name,
        plain(Path(name)) as history,
        contextlib.closing(history.history()) as asked,
    ):
        history.put(rows(1, (0, 1)) + rows(2, (0, 1)) + rows(3, (0, 1)))
        for boot, hours, of in told:
            at = stamp(boot, hours * HOUR_MS + (START_MS if boot == 0 else 0))
            history.tell([Happened(of, at, "tamper", {"phy": [0, 1], "enc": [0, 0]})])
        found = []
        page = queries.tamper_changes(asked, meter and key(meter), limit=limit)
        while page:
            found += page
            assert len(found) <= len(told)
            page = queries.tamper_changes(asked, meter and key(meter), limit=limit, before=page[-1].number)
        times = [history.timeline.utc_ms(one.at) for one in found]
        assert times == sorted(times, reverse=True)
        expected = [n for n, (_, _, of) in enumerate(told, 1) if meter in (None, of)]
        assert sorted(one.number for one in found) == expected


def test_coverage_by_the_hour(tmp_path: Path) -> None:
    with plain(tmp_path) as history, contextlib.closing(history.history()) as asked:
        for n in range(8):
            at = stamp(1, n * QUARTER_MS)
            history.put([], [Heard(m, at, at + 1, 10 + n) for m in range(1, 2 + n % 3)])
            if n == 5:
                history.seal()
        asked.show(history.segments, history.timeline)
        expected = [
            queries.Coverage(START_MS, 3, 10 + 2 * 11 + 3 * 12 + 13),
            queries.Coverage(START_MS + HOUR_MS, 3, 2 * 14 + 3 * 15 + 16 + 2 * 17),
        ]
        assert queries.coverage(asked, START_MS + 1, START_MS + DAY_MS) == expected
        assert queries.coverage(asked, START_MS, START_MS + HOUR_MS) == expected[:1]


def test_coverage_after_the_clock_was_set_right(tmp_path: Path) -> None:
    # A quarter began at the full hour by the clock of then; it is known now to have been some seconds before.
    with made(tmp_path, [Boot(1, "one", DAY_MS, 0)], [Fix(1, 0, START_MS - 5_000, 20, "ntp")]) as history:
        at = stamp(1, HOUR_MS)
        history.put([], [Heard(1, at, at + 880_000, 30)])
        with contextlib.closing(history.history()) as asked:
            hour = START_MS + HOUR_MS
            assert queries.coverage(asked, hour, hour + HOUR_MS) == [queries.Coverage(hour, 1, 30)]
            assert queries.intervals(asked, key(1), hour, hour + QUARTER_MS)[0].messages == 30


def test_receptions_of_a_segment_whose_first_reading_came_late(tmp_path: Path) -> None:
    with plain(tmp_path) as history:
        quarters = [Heard(1, stamp(1, n * QUARTER_MS), stamp(1, n * QUARTER_MS + 800_000), 5) for n in range(40)]
        history.put(rows(1, (39 * QUARTER_MS, 100)), quarters)
        history.seal()
        with contextlib.closing(history.history()) as asked:
            found = queries.intervals(asked, key(1), START_MS, START_MS + 40 * QUARTER_MS)
            assert [p.messages for p in found] == [5] * 40
