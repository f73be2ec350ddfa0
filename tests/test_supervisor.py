"""The supervisor: what fails comes back, later each time, and says how it is."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from appliance.errors import SourceLost
from appliance.supervisor import LONGEST_PAUSE_S, STEADY_S, Backoff, Health, Report, Supervisor


class Clock:
    """A clock that only sleeping and working move."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.pauses_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)

    def supervisor(self) -> Supervisor:
        return Supervisor(sleep=self.sleep, monotonic=lambda: self.now_s, uniform=lambda low, high: high)


async def test_a_failing_task_comes_back_later_each_time() -> None:
    clock = Clock()
    supervisor = clock.supervisor()
    done = asyncio.Event()
    lives = 0

    async def fails(report: Callable[[str], None]) -> None:
        nonlocal lives
        lives += 1
        if lives == 10:
            done.set()
            await asyncio.Event().wait()
        raise SourceLost("the cable is loose")

    supervisor.start("radio", fails)
    await done.wait()
    assert clock.pauses_s == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert supervisor.health["radio"] == Health("failed", "the cable is loose", SourceLost.hint, 9)
    await supervisor.stop()


async def test_a_task_that_ran_for_long_starts_over_with_a_short_pause() -> None:
    clock = Clock()
    supervisor = clock.supervisor()
    done = asyncio.Event()

    async def fails(report: Callable[[str], None]) -> None:
        if len(clock.pauses_s) == 3:
            clock.now_s += STEADY_S
        if len(clock.pauses_s) == 5:
            done.set()
            await asyncio.Event().wait()
        raise SourceLost("again")

    supervisor.start("radio", fails)
    await done.wait()
    assert clock.pauses_s == [1, 2, 4, 1, 2]
    await supervisor.stop()


async def test_a_fault_of_our_own_is_logged_in_full_and_ends_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    supervisor = clock.supervisor()
    other = asyncio.Event()

    async def breaks(report: Callable[[str], None]) -> None:
        if clock.pauses_s:
            await asyncio.Event().wait()
        raise ZeroDivisionError("oops")

    async def works(report: Callable[[str], None]) -> None:
        while not clock.pauses_s:
            await asyncio.sleep(0)
        other.set()

    supervisor.start("breaks", breaks)
    supervisor.start("works", works)
    await other.wait()
    assert supervisor.health["breaks"].reason == "ZeroDivisionError: oops"
    assert supervisor.health["works"].state == "healthy"
    assert any(record.exc_info for record in caplog.records)
    await supervisor.stop()


async def test_reports_change_health_and_only_transitions_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    supervisor = Supervisor()
    step = asyncio.Event()

    async def reports(report: Callable[[str], None]) -> None:
        for _ in range(3):
            report("the card is full")
        step.set()
        await asyncio.sleep(0)
        for _ in range(3):
            report("")

    supervisor.start("store", reports)
    await step.wait()
    assert supervisor.health["store"].state == "degraded"
    while supervisor.health["store"].state != "healthy":
        await asyncio.sleep(0)
    messages = [record.getMessage() for record in caplog.records]
    assert sum("degraded" in text for text in messages) == 1
    assert sum("recovered" in text for text in messages) == 1
    await supervisor.stop()


async def test_a_report_says_what_to_do_as_long_as_it_is_so() -> None:
    supervisor = Supervisor()
    said = asyncio.Event()

    async def reports(report: Report) -> None:
        report("the aggregator does not answer", "Look at the link.")
        await said.wait()
        report("the aggregator does not answer")
        await asyncio.Event().wait()

    supervisor.start("delivery", reports)
    await asyncio.sleep(0)
    assert supervisor.health["delivery"] == Health("degraded", "the aggregator does not answer", "Look at the link.")
    said.set()
    while supervisor.health["delivery"].hint:
        await asyncio.sleep(0)
    assert supervisor.health["delivery"].state == "degraded"
    await supervisor.stop()


async def test_a_vital_task_that_says_nothing_is_stalled_until_it_does() -> None:
    clock = Clock()
    supervisor = clock.supervisor()
    speak, spoken = asyncio.Event(), asyncio.Event()

    async def hangs(report: Callable[[str], None]) -> None:
        while True:
            await speak.wait()
            speak.clear()
            report("the card is full")
            spoken.set()

    supervisor.start("store", hangs, vital_within_s=60)
    supervisor.start("radio", hangs)
    clock.now_s = 60
    assert supervisor.stalled() == []
    clock.now_s = 61
    assert supervisor.stalled() == ["store"]
    assert supervisor.health["store"].state == "failed"
    assert supervisor.health["store"].reason == "no progress for 61 s"
    assert supervisor.health["radio"].state == "healthy"
    speak.set()
    await spoken.wait()
    assert supervisor.stalled() == []
    assert supervisor.health["store"].reason == "the card is full"
    clock.now_s = 1000
    await supervisor.stop()
    assert supervisor.stalled() == []


async def test_a_vital_task_that_only_fails_makes_no_progress() -> None:
    clock = Clock()
    supervisor = clock.supervisor()

    async def fails(report: Callable[[str], None]) -> None:
        raise SourceLost("again")

    supervisor.start("site", fails, vital_within_s=60)
    while clock.now_s <= 60:
        await asyncio.sleep(0)
    assert supervisor.stalled() == ["site"]
    assert supervisor.health["site"].failures > 1
    await supervisor.stop()


async def test_stop_waits_until_tasks_have_cleaned_up() -> None:
    supervisor = Supervisor()
    cleaned = []

    async def main(report: Callable[[str], None], name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            cleaned.append(name)

    for name in ("a", "b", "c"):
        supervisor.start(name, lambda report, name=name: main(report, name))  # type: ignore[misc]
    await asyncio.sleep(0)
    await supervisor.stop("b")
    assert cleaned == ["b"]
    await supervisor.stop()
    assert sorted(cleaned) == ["a", "b", "c"]


def test_jitter_is_full_and_capped() -> None:
    limits = []
    backoff = Backoff(uniform=lambda low, high: limits.append((low, high)) or 0.0)  # type: ignore[func-returns-value]
    for _ in range(2000):
        backoff.next_s()
    assert limits[0] == (0.0, 1.0)
    assert limits[-1] == (0.0, LONGEST_PAUSE_S)
