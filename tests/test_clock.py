"""The clock of the running program, on a made-up machine that loses power, network and time."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.boot_order import FLOOR_UTC_MS
from appliance.clock import Boot, Clock, ClockEvent, Fix, KernelTime, boot_of, ms_of, stamp

SECOND_MS, HOUR_MS = 1000, 3_600_000
DAY_MS = 24 * HOUR_MS
NOON_MS = FLOOR_UTC_MS + 500 * DAY_MS + DAY_MS // 2
ALONE = KernelTime(synchronized=False)


@dataclass
class Machine:
    """A computer with a crystal `ppm` off, a system clock, perhaps a battery-backed clock, and a card.

    `card` is what the store wrote of the clock: boots by number, and fixes.
    """

    utc_ms: int = NOON_MS
    ppm: int = 0
    system_offset_ms: int = 0
    boot: int = 1
    up_ms: float = 5000.0
    kernel: KernelTime = ALONE
    rtc_offset_ms: int | None = None
    card: dict[int, Boot] = field(default_factory=dict)
    fixes: list[Fix] = field(default_factory=list)
    truth: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = self.start_program()

    def start_program(self) -> Clock:
        self.clock = Clock(
            boottime_ms=lambda: int(self.up_ms),
            realtime_ms=lambda: int(self.up_ms) + self.system_offset_ms,
            boot_id=f"boot {self.boot}",
            kernel=self.ask,
        )
        self.clock.begin(list(self.card.values()), list(self.fixes))
        return self.clock

    def ask(self) -> KernelTime:
        if self.kernel.synchronized or self.rtc_offset_ms is None:
            return self.kernel
        return KernelTime(synchronized=False, rtc_utc_ms=(self.utc_ms + self.rtc_offset_ms) // 1000 * 1000 + 500)

    def wait(self, ms: int) -> None:
        self.utc_ms += ms
        self.up_ms += ms * (1 + self.ppm / 1_000_000)

    def set_system_clock(self, utc_ms: int) -> None:
        self.system_offset_ms = utc_ms - int(self.up_ms)

    def ntp(self, error_ms: int = 0, uncertainty_ms: int = 250) -> None:
        self.set_system_clock(self.utc_ms + error_ms)
        self.kernel = KernelTime(synchronized=True, uncertainty_ms=uncertainty_ms)

    def write(self) -> None:
        if changes := self.clock.take_changes():
            boot, fixes = changes
            self.card[boot.number] = boot
            self.fixes += fixes
        else:
            self.card[self.clock.boot] = self.clock.current

    def hear(self) -> int:
        """A message comes in and is written down, with the boot that it belongs to."""
        at = self.clock.now()
        self.truth.append((at, self.utc_ms))
        self.write()
        return at

    def cut_power(self, off_ms: int = HOUR_MS, system_utc_ms: int = 0) -> Clock:
        # It takes three seconds to start the program.
        self.wait(off_ms + 3000)
        self.boot, self.up_ms, self.kernel = self.boot + 1, 3000.0, ALONE
        self.set_system_clock(system_utc_ms)
        return self.start_program()


# --- Whatever happens --------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.one_of(st.integers(0, 20_000), st.integers(0, 60 * DAY_MS))),
        st.tuples(st.just("poll"), st.just(0)),
        st.tuples(st.just("hear"), st.just(0)),
        st.tuples(st.just("cut"), st.integers(0, 60 * DAY_MS)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("step"), st.integers(0, 2**42)),
        st.tuples(st.just("ntp"), st.integers(-200, 200)),
        st.tuples(st.just("no ntp"), st.just(0)),
        st.tuples(st.just("receipt"), st.integers(-1900, 1900)),
        st.tuples(st.just("browser"), st.integers(-59_000, 59_000)),
    ),
    max_size=60,
)


def live(machine: Machine, steps: list[tuple[str, int]]) -> None:
    """Plays `steps`; a message is heard after each."""
    for step, value in steps:
        match step:
            case "wait":
                machine.wait(value)
            case "poll":
                machine.clock.poll()
            case "cut":
                machine.cut_power(value, machine.utc_ms - value)
            case "restart":
                machine.start_program()
            case "step":
                machine.kernel = ALONE
                machine.set_system_clock(value)
            case "ntp":
                machine.ntp(value)
                machine.clock.poll()
                # Held to the crystal, the system clock drifts on; the kernel would soon say so.
                machine.kernel = ALONE
            case "no ntp":
                machine.kernel = ALONE
            case "receipt":
                machine.clock.offer("receipt", machine.utc_ms + value, 2000)
            case "browser":
                machine.clock.offer("browser", machine.utc_ms + value, 60_000)
        machine.hear()


@given(STEPS, st.integers(-50, 50))
def test_stamps_and_times_never_go_back(steps: list[tuple[str, int]], ppm: int) -> None:
    machine = Machine(ppm=ppm)
    live(machine, steps)
    stamps = [at for at, _ in machine.truth]
    assert stamps == sorted(stamps)
    resolved = [machine.clock.utc_ms(at) for at in stamps]
    assert resolved == sorted(resolved)


@given(STEPS, st.integers(-50, 50))
def test_times_are_true_within_what_is_stated(steps: list[tuple[str, int]], ppm: int) -> None:
    machine = Machine(ppm=ppm)
    live(machine, steps)
    for at, utc_ms in machine.truth:
        moment = machine.clock.moment(at)
        assert (moment.source == "estimate") == all(fix.boot != boot_of(at) for fix in machine.fixes)
        if moment.uncertainty_ms is not None:
            # What is read of a clock is whole milliseconds.
            assert abs(moment.utc_ms - utc_ms) <= moment.uncertainty_ms + 2


@given(STEPS, st.integers(-50, 50))
def test_after_a_last_sync_nothing_is_without_bounds(steps: list[tuple[str, int]], ppm: int) -> None:
    machine = Machine(ppm=ppm)
    live(machine, [*steps, ("hear", 0), ("ntp", 100)])
    moments = [machine.clock.moment(at) for at, _ in machine.truth]
    assert all(moment.uncertainty_ms is not None for moment in moments)
    assert abs(moments[-1].utc_ms - machine.utc_ms) <= 250 + 60_000


# --- Boots -------------------------------------------------------------------------------------------------------


def test_the_first_boot_of_all_is_number_one() -> None:
    machine = Machine(system_offset_ms=NOON_MS)
    assert machine.clock.now() == stamp(1, 5000)
    assert machine.clock.take_changes() == (Boot(1, "boot 1", 5000, NOON_MS), [])
    assert machine.clock.take_changes() is None


def test_the_program_started_again_goes_on_in_the_same_boot() -> None:
    machine = Machine()
    machine.ntp()
    machine.clock.poll()
    before = machine.hear()
    machine.wait(SECOND_MS)
    again = machine.start_program()
    assert again.boot == 1
    assert again.now() == before + 1000
    assert again.moment(again.now()).source == "ntp"
    assert again.take_changes() is None
    assert again.poll() is None


def test_a_power_cut_begins_the_next_boot() -> None:
    machine = Machine()
    before = machine.hear()
    after = machine.cut_power().now()
    assert (boot_of(after), ms_of(after)) == (2, 3000)
    assert after > before


def test_a_machine_brought_back_from_a_snapshot_repeats_no_stamp() -> None:
    machine = Machine()
    machine.wait(HOUR_MS)
    before = machine.hear()
    machine.up_ms -= 60_000
    assert machine.start_program().now() > before


def test_a_clock_that_is_set_back_under_way_repeats_no_stamp() -> None:
    machine = Machine()
    before = machine.clock.now()
    machine.up_ms -= 1000
    assert machine.clock.now() == before


def test_where_boots_have_no_name_each_run_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.kernel_clock.boot_id", lambda: None)
    first = Clock(boottime_ms=lambda: 9000, realtime_ms=lambda: NOON_MS, kernel=lambda: ALONE)
    assert first.now() == stamp(1, 0)
    assert first.utc_ms(first.now()) == NOON_MS
    second = Clock(boottime_ms=lambda: 9500, realtime_ms=lambda: NOON_MS, kernel=lambda: ALONE)
    second.begin([first.current], [])
    assert second.now() == stamp(2, 0)


def test_the_clock_of_this_machine() -> None:
    clock = Clock()
    clock.poll()
    assert abs(clock.datetime(clock.now()) - datetime.now(UTC)) < timedelta(minutes=1)


# --- Sources -----------------------------------------------------------------------------------------------------


def test_where_nobody_synchronizes_the_system_clock_is_shown_as_an_estimate() -> None:
    machine = Machine()
    machine.set_system_clock(NOON_MS)
    clock = machine.start_program()
    moment = clock.moment(clock.now())
    assert (moment.utc_ms, moment.uncertainty_ms, moment.source) == (NOON_MS, None, "estimate")
    assert clock.datetime(clock.now()) == datetime(2026, 5, 16, 12, tzinfo=UTC)


def test_ntp_sets_the_clock_and_says_so_once() -> None:
    machine = Machine()
    machine.hear()
    assert machine.clock.poll() is None
    machine.ntp()
    event = machine.clock.poll()
    assert event is not None
    assert event.kind == "clock_set"
    assert event.detail["source"] == "ntp"
    assert event.detail["uncertainty_ms"] == 250
    assert event.detail["system_moved_ms"] == NOON_MS - 5000
    assert machine.clock.poll() is None
    boot, fixes = machine.clock.take_changes() or pytest.fail("nothing to write")
    assert fixes == [Fix(1, 5000, NOON_MS, 250, "ntp")]
    assert boot.system_offset_ms == 0, "a hint, of the time before"


def test_what_could_not_be_written_is_given_again() -> None:
    machine = Machine()
    machine.ntp()
    machine.clock.poll()
    first = machine.clock.take_changes() or pytest.fail("nothing to write")
    machine.clock.put_back(first[1])
    machine.clock.put_back(machine.clock.fixes)
    assert machine.clock.take_changes() == first


def test_a_year_of_ntp_is_some_hundred_fixes_and_no_event() -> None:
    # With the system clock that of the boot is held to true time; the error assumed grows until a server is asked.
    machine = Machine()
    machine.ntp()
    assert machine.clock.poll() is not None
    for hour in range(365 * 24):
        machine.wait(HOUR_MS)
        machine.kernel = KernelTime(synchronized=True, uncertainty_ms=250 + hour % 7 * 150)
        assert machine.clock.poll() is None
    written = machine.clock.take_changes() or pytest.fail("nothing to write")
    assert 300 <= len(written[1]) <= 900
    assert machine.clock.moment(machine.clock.now()).uncertainty_ms <= 20_000


def test_a_server_that_jumps_about_does_not_fill_the_card() -> None:
    machine = Machine()
    for turn in range(2000):
        machine.ntp(error_ms=turn % 2 * DAY_MS)
        machine.clock.poll()
        machine.wait(16_000)
    written = machine.clock.take_changes() or pytest.fail("nothing to write")
    assert len(written[1]) <= 64 + 3


def test_wrong_server_then_right() -> None:
    machine = Machine()
    before = machine.hear()
    machine.ntp(error_ms=9 * DAY_MS)
    machine.clock.poll()
    assert machine.clock.utc_ms(before) == NOON_MS + 9 * DAY_MS
    machine.wait(HOUR_MS)
    machine.ntp()
    event = machine.clock.poll()
    assert event is not None
    assert (event.kind, event.detail["moved_ms"]) == ("clock_set", -9 * DAY_MS)
    assert machine.clock.utc_ms(before) == NOON_MS


def test_receipt_then_ntp() -> None:
    machine = Machine()
    assert machine.clock.offer("receipt", NOON_MS + 1500, 2000)
    event = machine.clock.poll()
    assert event is not None
    assert (event.kind, event.detail["source"]) == ("clock_set", "receipt")
    assert not machine.clock.offer("receipt", NOON_MS + 1400, 2000)
    machine.ntp()
    event = machine.clock.poll()
    assert event is not None
    assert (event.detail["source"], event.detail["moved_ms"]) == ("ntp", -1500)
    assert not machine.clock.offer("browser", NOON_MS, 1000), "says nothing that is not known better"


def test_ntp_is_taken_down_again_when_it_is_twice_as_certain() -> None:
    machine = Machine()
    for uncertainty_ms in (5000, 2600, 2400, 1300, 1100):
        machine.ntp(uncertainty_ms=uncertainty_ms)
        machine.clock.poll()
        machine.wait(16_000)
    assert [fix.uncertainty_ms for fix in machine.clock.fixes] == [5000, 2400, 1100]


def test_a_more_trusted_source_is_taken_down_though_no_more_certain() -> None:
    machine = Machine()
    machine.clock.offer("receipt", NOON_MS, 200)
    machine.ntp()
    machine.clock.poll()
    moment = machine.clock.moment(machine.clock.now())
    assert (moment.source, moment.uncertainty_ms) == ("ntp", 200)


def test_a_less_trusted_source_that_contradicts_is_taken_down_once_and_not_believed() -> None:
    machine = Machine()
    machine.clock.offer("receipt", NOON_MS, 200)
    assert machine.clock.offer("browser", NOON_MS + DAY_MS, 1000)
    assert not machine.clock.offer("browser", NOON_MS + DAY_MS, 1000)
    assert machine.clock.utc_ms(machine.clock.now()) == NOON_MS


def test_a_less_trusted_source_that_is_much_more_certain_helps() -> None:
    machine = Machine(rtc_offset_ms=0)
    machine.clock.poll()
    machine.wait(16_000)
    machine.clock.poll()
    assert machine.clock.offer("receipt", machine.utc_ms + 700, 2000)
    moment = machine.clock.moment(machine.clock.now())
    assert (moment.utc_ms, moment.uncertainty_ms, moment.source) == (machine.utc_ms + 700, 2000, "rtc")


def test_what_sources_said_before_the_card_could_be_read_is_kept() -> None:
    machine = Machine()
    machine.clock.offer("receipt", NOON_MS, 2000)
    machine.clock.begin([Boot(7, "another", DAY_MS, 0)], [])
    assert machine.clock.moment(machine.clock.now()).source == "receipt"
    assert machine.clock.take_changes() == (Boot(8, "boot 1", 5000, 0), [Fix(8, 5000, NOON_MS, 2000, "receipt")])


@pytest.mark.parametrize("utc_ms", [0, 90_000, FLOOR_UTC_MS - 1, 4_102_444_800_001, -1])
def test_what_cannot_be_is_not_taken(utc_ms: int) -> None:
    assert not Machine().clock.offer("browser", utc_ms, 1000)


def test_a_battery_backed_clock_is_believed_when_it_ticks() -> None:
    machine = Machine(rtc_offset_ms=400)
    machine.clock.poll()
    assert machine.clock.moment(machine.clock.now()).source == "estimate", "asked once only"
    machine.wait(16_000)
    assert machine.clock.poll() is not None
    moment = machine.clock.moment(machine.clock.now())
    assert moment.source == "rtc"
    assert abs(moment.utc_ms - machine.utc_ms) <= 1000
    # Nobody knows since when it runs on its own, but not from before the first stamps.
    assert moment.uncertainty_ms == pytest.approx(500.5 * DAY_MS / 10_000, rel=0.01)


def test_since_ntp_was_heard_it_is_known_since_when_that_clock_is_on_its_own() -> None:
    machine = Machine(rtc_offset_ms=0)
    machine.ntp()
    machine.clock.poll()
    machine.hear()
    clock = machine.cut_power(10 * DAY_MS, 0)
    clock.poll()
    machine.wait(16_000)
    clock.poll()
    moment = clock.moment(clock.now())
    assert moment.source == "rtc"
    assert moment.uncertainty_ms == pytest.approx(1000 + 86_400, abs=10)


def test_a_clock_without_a_battery_starts_in_1970_and_is_not_believed() -> None:
    machine = Machine(rtc_offset_ms=-NOON_MS)
    for _ in range(5):
        assert machine.clock.poll() is None
        machine.wait(16_000)
    assert machine.clock.moment(machine.clock.now()).source == "estimate"


def test_a_clock_that_stands_still_is_not_believed() -> None:
    machine = Machine(rtc_offset_ms=0)
    for _ in range(5):
        assert machine.clock.poll() is None
        machine.wait(16_000)
        machine.rtc_offset_ms -= 16_000
    assert machine.clock.moment(machine.clock.now()).source == "estimate"


# --- Steps -------------------------------------------------------------------------------------------------------


def test_a_step_of_the_system_clock_is_an_event_and_moves_nothing_that_is_known() -> None:
    machine = Machine()
    machine.ntp()
    machine.clock.poll()
    at = machine.hear()
    machine.kernel = ALONE
    machine.system_offset_ms += DAY_MS
    assert machine.clock.poll() == ClockEvent(
        "clock_stepped",
        {"source": "ntp", "uncertainty_ms": 250, "moved_ms": 0, "system_moved_ms": DAY_MS},
    )
    assert machine.clock.poll() is None
    assert machine.clock.utc_ms(at) == NOON_MS


def test_a_step_while_no_source_is_trusted_moves_the_estimate() -> None:
    machine = Machine()
    machine.write()
    machine.set_system_clock(NOON_MS)
    event = machine.clock.poll()
    assert event is not None
    assert (event.kind, event.detail["source"]) == ("clock_stepped", "estimate")
    assert machine.clock.utc_ms(machine.clock.now()) == NOON_MS
    boot, fixes = machine.clock.take_changes() or pytest.fail("nothing to write")
    assert (boot.system_offset_ms, fixes) == (NOON_MS - 5000, [])


def test_a_step_while_the_program_was_down_moves_the_estimate() -> None:
    machine = Machine()
    machine.write()
    machine.set_system_clock(NOON_MS)
    clock = machine.start_program()
    assert clock.utc_ms(clock.now()) == NOON_MS


def test_small_corrections_are_no_event_until_they_add_up() -> None:
    machine = Machine()
    machine.set_system_clock(NOON_MS)
    machine.start_program()
    events = []
    for _ in range(4):
        machine.system_offset_ms += 200
        events.append(machine.clock.poll())
    assert [event and event.detail["system_moved_ms"] for event in events] == [None, None, 600, None]


def test_a_program_held_up_while_it_reads_two_clocks_sees_no_step() -> None:
    readings = iter([0, 0, 0, 3000, *([3000] * 100)])
    now = {"up": 0}

    def boottime_ms() -> int:
        now["up"] = next(readings)
        return now["up"]

    clock = Clock(
        boottime_ms=boottime_ms,
        realtime_ms=lambda: NOON_MS + now["up"],
        boot_id="a",
        kernel=lambda: ALONE,
    )
    assert clock.poll() is None


# --- Messages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_ms", "taken_off_ms"), [(0, 0), (300, 300), (9999, 9999), (10_000, 0), (-5, 0), (DAY_MS, 0)]
)
def test_a_message_is_placed_when_it_was_on_the_air(age_ms: int, taken_off_ms: int) -> None:
    machine = Machine()
    machine.wait(HOUR_MS)
    machine.set_system_clock(NOON_MS)
    on_air = datetime.fromtimestamp((NOON_MS - age_ms) / 1000, UTC)
    assert machine.clock.stamp_of(on_air) == machine.clock.now() - taken_off_ms


def test_no_message_is_from_before_the_boot() -> None:
    machine = Machine()
    machine.set_system_clock(NOON_MS)
    assert machine.clock.stamp_of(datetime.fromtimestamp((NOON_MS - 9000) / 1000, UTC)) == stamp(1, 0)
