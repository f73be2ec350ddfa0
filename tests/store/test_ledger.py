"""The ledger: when a message is a reading, when it is the same one again, and that nothing grows without end."""

from typing import Any

import pytest

from appliance.model import Message
from appliance.store import ledger as module
from appliance.store.ledger import Ledger, Meter
from appliance.store.rows import QUARTER_MS, SUSPECT, MeterKey, Reading
from appliance.timeline import stamp
from tests.machine import START, Machine

START_MS = round(START.timestamp() * 1000)
DAY_S = 86_400.0


def utc_ms(at: int) -> int:
    """Boot 1 began at START; each later one began a day after the one before it."""
    return START_MS + (at >> 42) * 86_400_000 - 86_400_000 + (at & (1 << 42) - 1)


def at(seconds: float, boot: int = 1) -> int:
    return stamp(boot, round(seconds * 1000))


def message(**fields: Any) -> Message:
    return Machine().message(**fields)


def hear(*heard: tuple[float, dict[str, Any]], simulated: bool = False) -> Ledger:
    ledger = Ledger(utc_ms)
    for seconds, fields in heard:
        ledger.hear(message(**fields), simulated, at(seconds))
    return ledger


def only(ledger: Ledger) -> Meter:
    (meter,) = ledger.meters
    return meter


def readings(ledger: Ledger, now_s: float = 0) -> list[Reading]:
    return ledger.take(at(now_s)).readings


def test_a_reading_is_kept_when_something_changes() -> None:
    ledger = hear((0, {}), (30, {}), (60, {"consumption": 31161}), (90, {"consumption": 31161}))
    assert [(r.at, r.consumption, r.flags) for r in readings(ledger)] == [(at(0), 31160, 0), (at(60), 31161, 0)]
    assert only(ledger).changed_at == at(60)
    assert only(ledger).last_at == at(90)


def test_a_first_message_is_no_change() -> None:
    meter = only(hear((0, {})))
    assert meter.changed_at is None
    assert meter.tamper_changed_at is None


def test_a_tamper_counter_that_changes_is_an_event_at_once() -> None:
    ledger = hear((0, {}))
    assert not ledger.urgent
    ledger.hear(message(tamper_phy=1), False, at(30))
    assert ledger.urgent
    assert only(ledger).tamper_changed_at == at(30)
    batch = ledger.take(at(30))
    assert [(e.at, e.kind, e.detail) for e in batch.events] == [(at(30), "tamper", {"phy": [0, 1], "enc": [3, 3]})]
    assert [r.tamper_phy for r in batch.readings] == [0, 1]
    assert not ledger.urgent


def test_one_transmission_heard_twice_counts_once() -> None:
    ledger = hear((0, {}), (30, {"consumption": 31161}), (31.5, {"consumption": 31161}))
    (reception,) = ledger.receptions
    assert reception.count == 2


def test_a_receiver_that_lags_does_not_turn_the_register_back() -> None:
    """Receiver A is a message ahead of B, which then tells the older one."""
    ledger = hear((0, {}), (30, {"consumption": 31161}), (2.5, {}), (60, {"consumption": 31161}))
    assert [r.consumption for r in readings(ledger)] == [31160, 31161]
    assert only(ledger).last_at == at(60)


def test_two_changes_in_one_millisecond_are_both_kept() -> None:
    ledger = hear((0, {}), (30, {"consumption": 31161}), (30, {"consumption": 31162}))
    assert [(r.at, r.consumption) for r in readings(ledger)] == [(at(0), 31160), (at(30), 31161), (at(30) + 1, 31162)]


def test_simulated_and_real_meters_never_mix() -> None:
    ledger = hear((0, {}))
    ledger.hear(message(consumption=5), True, at(30))
    assert {(m.key.simulated, m.consumption) for m in ledger.meters} == {(False, 31160), (True, 5)}


@pytest.mark.parametrize(
    ("before", "after", "kind", "detail"),
    [
        (16_777_215, 2, "register_rolled_over", {"before": 16_777_215, "after": 2, "modulus": 1 << 24}),
        (99_998, 3, "register_rolled_over", {"before": 99_998, "after": 3, "modulus": 100_000}),
        (31_160, 7, "meter_exchanged", {"before": 31_160, "after": 7}),
        (31_160, 900_000, "register_jumped", {"before": 31_160, "after": 900_000}),
    ],
)
def test_the_unusual_counts_once_a_second_message_agrees(
    before: int, after: int, kind: str, detail: dict[str, int]
) -> None:
    ledger = hear((0, {"consumption": before}), (30, {"consumption": after}))
    assert only(ledger).consumption == before
    assert [(r.consumption, r.flags) for r in readings(ledger)] == [(before, 0), (after, SUSPECT)]
    ledger.hear(message(consumption=after + 1), False, at(60))
    assert only(ledger).consumption == after + 1
    batch = ledger.take(at(60))
    assert [(e.kind, e.at, e.detail) for e in batch.events] == [(kind, at(30), detail)]
    assert [(r.consumption, r.flags) for r in batch.readings] == [(after + 1, 0)]


def test_a_single_false_register_is_forgotten() -> None:
    ledger = hear((0, {}), (30, {"consumption": 900_000}), (60, {"consumption": 31161}), (90, {"consumption": 900_000}))
    assert only(ledger).consumption == 31161
    batch = ledger.take(at(90))
    assert batch.events == []
    assert [(r.consumption, r.flags) for r in batch.readings] == [
        (31160, 0), (900_000, SUSPECT), (31161, 0), (900_000, SUSPECT),
    ]  # fmt: skip


def test_one_transmission_does_not_confirm_itself() -> None:
    ledger = hear((0, {}), (30, {"consumption": 900_000}), (31, {"consumption": 900_000}))
    assert only(ledger).consumption == 31160


def test_after_long_silence_a_register_may_be_far_ahead() -> None:
    ledger = hear((0, {}))
    ledger.hear(message(consumption=31_160 + 200_000), False, at(10, boot=2))
    assert only(ledger).consumption == 231_160
    assert ledger.take(at(10, boot=2)).events == []


def test_a_net_meter_may_turn_back() -> None:
    ledger = hear((0, {}), (30, {"consumption": 31158}))
    assert only(ledger).consumption == 31158


def test_receptions_are_due_when_their_quarter_is_over() -> None:
    ledger = hear((0, {}), (899, {"snr_db": None, "frequency_hz": None}), (903, {"snr_db": 11.5}))
    batch = ledger.take(at(904))
    assert [(r.at, r.count, r.levels, r.snr_sum_cdb, r.last) for r in batch.receptions.values()] == [
        (at(0), 2, 1, 2000, at(899))
    ]
    assert [(r.at, r.count, r.snr_best_cdb) for r in ledger.receptions] == [(at(900), 1, 1150)]


def test_a_quarter_that_began_before_the_boot_begins_with_it() -> None:
    ledger = Ledger(lambda at: utc_ms(at) + 600_000)
    ledger.hear(message(), False, at(10))
    ledger.hear(message(), False, at(310))
    assert [r.at for r in ledger.receptions] == [at(0), at(300)]


def test_a_meter_is_due_for_the_catalogue_once_a_quarter() -> None:
    ledger = hear((0, {}))
    ledger.take(at(0))
    ledger.hear(message(), False, at(30))
    assert ledger.take(at(30)).meters == {}
    ledger.hear(message(), False, at(QUARTER_MS / 1000))
    assert len(ledger.take(at(QUARTER_MS / 1000)).meters) == 1


def test_messages_an_hour() -> None:
    ledger = hear(*((30 * n, {}) for n in range(240)))
    now_s = START_MS / 1000 + 7200
    assert only(ledger).messages_an_hour(now_s) == pytest.approx(120, abs=1)
    assert only(ledger).messages_an_hour(now_s + 3600) == 0


def test_since_gives_what_changed_and_the_latest_first() -> None:
    ledger = hear(*((n, {"meter_id": n}) for n in range(5)))
    seen = ledger.revision
    ledger.hear(message(meter_id=2), False, at(60))
    assert [m.key.meter_id for m in ledger.since(seen)] == [2]
    assert [m.key.meter_id for m in ledger.since(0)] == [2, 4, 3, 1, 0]


def test_what_was_not_written_comes_again_before_what_is_newer() -> None:
    ledger = hear((0, {}), (30, {"consumption": 31161}))
    batch = ledger.take(at(30))
    ledger.hear(message(consumption=31162, tamper_enc=0), False, at(60))
    ledger.put_back(batch)
    again = ledger.take(at(901))
    assert [r.consumption for r in again.readings] == [31160, 31161, 31162]
    assert [e.kind for e in again.events] == ["tamper"]
    assert [r.count for r in again.receptions.values()] == [3]


def test_receptions_written_twice_add_up() -> None:
    ledger = hear((0, {}), (30, {}))
    batch = ledger.take(at(901))
    ledger.hear(message(), False, at(899))
    ledger.put_back(batch)
    assert [(r.at, r.count) for r in ledger.receptions] == [(at(0), 3)]


def test_readings_in_memory_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_READINGS", 10)
    ledger = hear(*((60 * n, {"consumption": 31160 + n}) for n in range(25)))
    assert ledger.lost_readings == 15
    assert [r.consumption for r in readings(ledger)] == [31160 + n for n in range(15, 25)]


def test_meters_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_METERS", 10)
    ledger = hear(*((n, {"meter_id": n}) for n in range(25)))
    assert [m.key.meter_id for m in ledger.meters] == list(range(15, 25))
    assert len(ledger.take(at(25)).meters) == 10


def test_events_that_anyone_can_cause_are_bounded() -> None:
    ledger = Ledger(utc_ms)
    for n in range(1000):
        ledger.hear(message(tamper_phy=n % 4), False, at(3 * n))
    batch = ledger.take(at(3000))
    assert len(batch.events) == pytest.approx(module.EVENTS_AT_ONCE + 3000 / 60, abs=2)
    assert len(batch.events) + ledger.untold_events == 999


def test_implausible_readings_are_bounded() -> None:
    ledger = hear(*((n, {"meter_id": n}) for n in range(50)))
    for n in range(3000):
        ledger.hear(message(meter_id=n % 50, consumption=1_000_000 * (2 + n % 13)), False, at(53 + 3 * n))
    kept = [r for r in readings(ledger, 9053) if r.flags & SUSPECT]
    assert len(kept) == pytest.approx(module.SUSPECTS_AT_ONCE + 9000 / 30, abs=2)
    assert {meter.consumption for meter in ledger.meters} == {31160}


def test_readings_of_one_meter_are_bounded_and_its_register_is_caught_up_with() -> None:
    ledger = hear(*((2.5 * n, {"consumption": 31160 + n}) for n in range(2000)))
    kept = readings(ledger, 5000)
    assert len(kept) == pytest.approx(module.METER_AT_ONCE + 5000 / 25, abs=2)
    assert len(kept) + ledger.thinned_readings == 2000
    ledger.hear(message(consumption=33200), False, at(5030))
    assert [r.consumption for r in readings(ledger, 5030)] == [33200]


def test_readings_of_all_meters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALL_AT_ONCE", 100)
    ledger = hear(*((0.001 * n, {"meter_id": n}) for n in range(500)))
    assert len(readings(ledger)) == pytest.approx(110, abs=1)
    assert len(ledger) == 500


def test_what_was_heard_before_the_boot_had_its_number_gets_it() -> None:
    ledger = hear((0, {}), (30, {"consumption": 31161, "tamper_phy": 1}))
    ledger.renumber(1, 7)
    meter = only(ledger)
    assert (meter.first_at, meter.last_at, meter.changed_at) == (at(0, 7), at(30, 7), at(30, 7))
    ledger.hear(message(consumption=31162, tamper_phy=1), False, at(60, 7))
    batch = ledger.take(at(901, 7))
    assert [r.at for r in batch.readings] == [at(0, 7), at(30, 7), at(60, 7)]
    assert [(r.at, r.count) for r in batch.receptions.values()] == [(at(0, 7), 3)]
    assert [e.at for e in batch.events] == [at(30, 7)]


def test_restored_meters_go_before_those_heard_meanwhile() -> None:
    ledger = hear((10, {"meter_id": 1}))
    known = [Meter(MeterKey("scm", n, False), "electric", 4, at(0), at(n), 100 * n, None, None) for n in (1, 2, 3)]
    ledger.restore(known)
    assert [(m.key.meter_id, m.consumption) for m in ledger.meters] == [(2, 200), (3, 300), (1, 31160)]


def test_all_is_written_again_when_the_card_holds_another_file() -> None:
    ledger = hear((0, {}), (30, {"meter_id": 5}))
    ledger.take(at(30))
    ledger.write_again()
    batch = ledger.take(at(30))
    assert [(r.meter.meter_id, r.consumption) for r in batch.readings] == [(60243827, 31160), (5, 31160)]
    assert len(batch.meters) == 2


def test_what_waits_already_is_not_written_twice() -> None:
    ledger = hear((0, {}), (30, {"meter_id": 5}))
    ledger.write_again()
    assert [(r.meter.meter_id, r.consumption) for r in ledger.take(at(30)).readings] == [(60243827, 31160), (5, 31160)]
