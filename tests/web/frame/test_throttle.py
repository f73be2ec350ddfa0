"""Guesses are slowed down, whoever makes them; the lock ends by itself, and what is remembered is bounded."""

from typing import Literal

import pytest

from appliance.web.frame import throttle
from appliance.web.frame.throttle import FREE, MOST_S, Key, Locked, Throttle


class Guesser:
    """Somebody who tries as often as they may."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.throttle = Throttle(lambda: self.now_s)

    def fail(self, *keys: Key) -> list[Key]:
        return self.throttle.begin(keys)

    def locked_s(self, *keys: Key) -> float:
        """How long, without that it counts as an attempt; 0 if it is open."""
        try:
            self.throttle.begin(keys)
        except Locked as fault:
            return fault.left_s
        raise AssertionError("open")


HERE, THERE, ANA = Key("address", "192.0.2.1"), Key("address", "192.0.2.2"), Key("account", "ana")


def test_the_first_failures_are_free_then_each_costs_twice_as_much() -> None:
    one = Guesser()
    assert [one.fail(HERE) for _ in range(FREE)] == [[]] * (FREE - 1) + [[HERE]]
    waited = []
    for _ in range(10):
        waited.append(one.locked_s(HERE))
        one.now_s += waited[-1]
        assert one.fail(HERE) == []
    assert waited == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]


def test_an_account_is_not_locked_for_long() -> None:
    """Whoever hammers on it from ever new addresses."""
    one = Guesser()
    for n in range(200):
        one.fail(ANA, Key("address", str(n)))
        try:
            one.now_s += one.locked_s(ANA)
        except AssertionError:
            continue
        assert MOST_S["account"] == 60
    assert one.fail(Key("device", "ana 1")) == []


def test_a_lock_counts_no_attempts() -> None:
    one = Guesser()
    for _ in range(FREE):
        one.fail(HERE)
    assert [one.locked_s(HERE) for _ in range(50)] == [5.0] * 50


def test_one_lock_is_enough() -> None:
    one = Guesser()
    for _ in range(FREE):
        one.fail(HERE, ANA)
    assert one.locked_s(HERE, Key("account", "bea")) == 5
    assert one.locked_s(THERE, ANA) == 5
    assert one.fail(THERE, Key("account", "bea")) == []


def test_success_forgets_and_so_does_a_day() -> None:
    one = Guesser()
    for _ in range(FREE):
        one.fail(HERE, ANA)
    one.now_s += 5
    one.fail(HERE, ANA)
    one.throttle.succeeded([HERE])
    assert one.fail(HERE) == []
    assert one.locked_s(ANA) == 10
    one.now_s += throttle.FORGET_S + 1
    assert [one.fail(ANA) for _ in range(FREE)][-1] == [ANA]


def test_an_attempt_that_was_none_forgives_nothing() -> None:
    """Else whoever overruns the place where passwords are compared would have all guesses free."""
    one = Guesser()
    for _ in range(FREE - 1):
        one.fail(HERE)
    for _ in range(20):
        one.fail(HERE)
        one.throttle.withdraw([HERE])
    one.fail(HERE)
    assert one.locked_s(HERE) == 5
    one.now_s += 5
    one.fail(HERE)
    one.throttle.withdraw([HERE, THERE])
    assert one.locked_s(HERE) == 10


@pytest.mark.parametrize("kind", ["address", "account", "device"])
def test_what_is_remembered_is_bounded(
    kind: Literal["address", "account", "device"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MOST_KNOWN", 100)
    one = Guesser()
    for _ in range(FREE):
        one.fail(Key(kind, "mine"))
    for n in range(99):
        one.fail(Key(kind, str(n)))
    assert one.locked_s(Key(kind, "mine")) == 5
    for n in range(100):
        one.fail(Key(kind, f"more {n}"))
    assert one.fail(Key(kind, "mine")) == []


def test_who_compares_no_password_pushes_out_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """From an address that is locked, or where too many wait, any number of names costs nothing."""
    monkeypatch.setattr(throttle, "MOST_KNOWN", 10)
    one = Guesser()
    for _ in range(FREE):
        one.fail(ANA, HERE)
        one.fail(THERE)
    for n in range(100):
        assert one.locked_s(THERE, Key("account", f"locked {n}")) == 5
    for n in range(100):
        keys = [Key("address", "192.0.2.3"), Key("account", f"overrun {n}")]
        one.fail(*keys)
        one.throttle.withdraw(keys)
    assert one.locked_s(ANA) == 5
    assert one.locked_s(HERE) == 5


def test_an_attempt_never_overflows() -> None:
    one = Guesser()
    for _ in range(3000):
        one.fail(HERE)
        one.now_s += 900
    assert one.fail(HERE) == []
