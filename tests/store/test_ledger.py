"""The ledger: when a message is a reading, when it is the same one again, and that nothing grows without end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from appliance.model import Message
from appliance.store import ledger as module
from appliance.store.ledger import QUARTER_S, Ledger, Meter

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def message(seconds: float = 0, **fields: Any) -> Message:
    given: dict[str, Any] = {
        "time": START + timedelta(seconds=seconds), "protocol": "scm", "meter_id": 60243827, "endpoint_type": 4,
        "commodity": "electric", "tamper_phy": 0, "tamper_enc": 3, "consumption": 31160, "checksum": 40837,
        "frequency_hz": 912_000_000, "snr_db": 20.0, "corrected_bits": 0, "sample": 0,
    }  # fmt: skip
    return Message(**given | fields)


def hear(*messages: Message, simulated: bool = False) -> Ledger:
    ledger = Ledger()
    for one in messages:
        ledger.hear(one, simulated)
    return ledger


def only(ledger: Ledger) -> Meter:
    (meter,) = ledger.meters
    return meter


def test_a_reading_is_kept_when_something_changes() -> None:
    ledger = hear(message(0), message(30), message(60, consumption=31161), message(90, consumption=31161))
    assert [(r.consumption, r.time_ms % 100_000_000) for r in ledger.take().readings] == [
        (31160, int(START.timestamp() * 1000) % 100_000_000),
        (31161, int(START.timestamp() * 1000 + 60_000) % 100_000_000),
    ]
    assert only(ledger).changed == START + timedelta(seconds=60)


def test_a_first_message_is_no_change() -> None:
    meter = only(hear(message()))
    assert meter.changed is None
    assert meter.tamper_changed is None


def test_a_tamper_counter_that_changes_is_urgent() -> None:
    ledger = hear(message())
    assert not ledger.urgent
    ledger.hear(message(30, tamper_phy=1), False)
    assert ledger.urgent
    assert only(ledger).tamper_changed == START + timedelta(seconds=30)
    ledger.take()
    assert not ledger.urgent


def test_one_transmission_heard_twice_counts_once() -> None:
    first, again = message(30, consumption=31161), message(31.5, consumption=31161)
    ledger = hear(message(0), first, again)
    (reception,) = ledger.take().receptions.values()
    assert reception.count == 2


def test_a_receiver_that_lags_does_not_turn_the_register_back() -> None:
    """Receiver A is a message ahead of B, which then tells the older one at another moment of its own clock."""
    ledger = hear(message(0), message(30, consumption=31161), message(2.5), message(60, consumption=31161))
    batch = ledger.take()
    assert [r.consumption for r in batch.readings] == [31160, 31161]
    assert only(ledger).consumption == 31161
    assert only(ledger).last_heard == START + timedelta(seconds=60)


def test_a_clock_set_back_does_not_stop_the_register() -> None:
    ledger = hear(message(86_400), message(30, consumption=31161))
    assert only(ledger).consumption == 31161
    assert only(ledger).last_heard == START + timedelta(seconds=30)


def test_simulated_and_real_meters_never_mix() -> None:
    ledger = hear(message())
    ledger.hear(message(30, consumption=5), True)
    assert {(m.key.simulated, m.consumption) for m in ledger.meters} == {(False, 31160), (True, 5)}


def test_reception_by_quarter() -> None:
    ledger = hear(
        message(0, snr_db=10.0, frequency_hz=911_000_000),
        message(30, snr_db=20.0, corrected_bits=2),
        message(60, snr_db=None, frequency_hz=None),
        message(QUARTER_S),
    )
    first, second = ledger.take().receptions.values()
    assert (first.count, first.corrected, first.levels, first.snr_sum_cdb, first.snr_best_cdb) == (3, 1, 2, 3000, 2000)
    assert (first.frequency_min_hz, first.frequency_max_hz) == (911_000_000, 912_000_000)
    assert second.start_s - first.start_s == QUARTER_S


def test_messages_an_hour_slides() -> None:
    ledger = hear(*(message(30 * n) for n in range(240)))
    meter, end = only(ledger), START + timedelta(seconds=7200)
    assert meter.messages_an_hour(end) == pytest.approx(120)
    assert meter.messages_an_hour(end + timedelta(minutes=50)) == pytest.approx(20)
    assert meter.messages_an_hour(end + timedelta(hours=2)) == 0
    assert len(meter.quarters) == 5


def test_a_clock_set_back_does_not_count_what_it_took_back() -> None:
    ledger = hear(*(message(30 * n) for n in range(240)), message(-86_400))
    assert only(ledger).messages_an_hour(START - timedelta(seconds=86_399)) == pytest.approx(1)


def test_since_tells_what_is_new() -> None:
    ledger = hear(message(meter_id=1), message(meter_id=2))
    seen = ledger.revision
    assert list(ledger.since(seen)) == []
    ledger.hear(message(30, meter_id=1), False)
    assert [m.key.meter_id for m in ledger.since(seen)] == [1]
    assert [m.key.meter_id for m in ledger.since(0)] == [1, 2]


def test_a_batch_put_back_goes_before_what_came_since() -> None:
    ledger = hear(message())
    batch = ledger.take()
    ledger.hear(message(30, consumption=31161, snr_db=30.0), False)
    ledger.put_back(batch)
    again = ledger.take()
    assert [r.consumption for r in again.readings] == [31160, 31161]
    (reception,) = again.receptions.values()
    assert (reception.count, reception.snr_best_cdb) == (2, 3000)


def test_nothing_grows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_METERS", 50)
    monkeypatch.setattr(module, "MAX_READINGS", 60)
    monkeypatch.setattr(module, "MAX_RECEPTIONS", 70)
    ledger = Ledger()
    for n in range(1000):
        ledger.hear(message(n, meter_id=n), False)
        if n == 500:
            batch = ledger.take()
    ledger.put_back(batch)
    assert len(ledger) == 50
    assert ledger.pending_readings == 60
    assert ledger.lost_readings == 1000 - 60
    batch = ledger.take()
    assert len(batch.receptions) == 70
    assert len(batch.meters) <= 50


def test_restore_does_not_overwrite_what_was_heard_since() -> None:
    old = hear(message(consumption=1, meter_id=1), message(consumption=1, meter_id=2))
    ledger = hear(message(30, consumption=9, meter_id=1))
    ledger.restore(old.meters)
    assert [(m.key.meter_id, m.consumption) for m in ledger.meters] == [(2, 1), (1, 9)]
    assert {m.key.meter_id for m in ledger.since(0)} == {1, 2}
