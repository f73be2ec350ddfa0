"""Named tasks that are kept running, and how each of them is.

A task is a coroutine function that is given a `Report` to say how it does while it runs. When it raises, it is
started again after a pause with capped exponential back-off and full jitter, so that parts that failed together
do not come back together. (Full jitter: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)

A vital task is one without which the process is of no use. Each of its reports is progress, good or bad, and it
owes one every so often; `stalled` names those that are behind, and the watchdog is fed only while it names none.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from appliance.errors import ApplianceError

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STALLED_HINT = "The program is started again by itself where systemd watches it; otherwise start it again."
# A task that ran so long before it failed starts over with the shortest pause.
STEADY_S = 120.0


@dataclass(frozen=True, slots=True)
class Health:
    """How a task is: `reason` in words and `hint`, what to do, unless it is healthy; `failures` since the start."""

    state: Literal["healthy", "degraded", "failed"] = "healthy"
    reason: str = ""
    hint: str = ""
    failures: int = 0


class Report(Protocol):
    """Called by a task with why it works less than it should and what to do, or with an empty text when it does again.

    A vital task calls it in good time also when nothing changed.
    """

    def __call__(self, reason: str, hint: str = "", /) -> None: ...


Main = Callable[[Report], Awaitable[None]]


class Backoff:
    """Pauses between tries: the n-th is uniform between 0 and min(longest, first · 2ⁿ)."""

    def __init__(
        self,
        first_s: float = FIRST_PAUSE_S,
        longest_s: float = LONGEST_PAUSE_S,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._uniform = uniform
        self._tries = 0

    def next_s(self) -> float:
        """The next pause."""
        # 2**30 is beyond any cap; without the bound the power itself would grow for ever.
        limit_s = min(self._longest_s, self._first_s * 2.0 ** min(self._tries, 30))
        self._tries += 1
        return self._uniform(0.0, limit_s)

    def reset(self) -> None:
        """Start over with the shortest pause."""
        self._tries = 0


@dataclass(slots=True)
class _Vital:
    """When a vital task last reported, and how soon it has to again."""

    within_s: float
    progress_s: float


class Supervisor:
    """Runs named tasks until `stop`; `health` tells how each of them is."""

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
        on_change: Callable[[str, Health], None] = lambda name, health: None,
    ) -> None:
        self._sleep = sleep
        self._monotonic = monotonic
        self._uniform = uniform
        self._on_change = on_change
        self._health: dict[str, Health] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._vital: dict[str, _Vital] = {}

    @property
    def health(self) -> Mapping[str, Health]:
        """How each task is, by name; one that is stalled has failed, whatever it said last."""
        health = dict(self._health)
        for name in self.stalled():
            reason = f"no progress for {self._monotonic() - self._vital[name].progress_s:.0f} s"
            health[name] = Health("failed", reason, STALLED_HINT, health[name].failures)
        return health

    def stalled(self) -> list[str]:
        """The vital tasks that did not report in time."""
        now_s = self._monotonic()
        return [name for name, vital in self._vital.items() if now_s - vital.progress_s > vital.within_s]

    def start(self, name: str, main: Main, vital_within_s: float | None = None) -> None:
        """Run `main` under `name` from now on; if it is vital, it reports at least every `vital_within_s`."""
        self._health[name] = Health()
        if vital_within_s is not None:
            self._vital[name] = _Vital(vital_within_s, self._monotonic())
        self._tasks[name] = asyncio.create_task(self._keep_running(name, main), name=name)

    async def stop(self, *names: str) -> None:
        """Cancel the named tasks, all if none is named, and wait until they have cleaned up."""
        names = names or tuple(self._tasks)
        tasks = [self._tasks.pop(name) for name in names]
        for name in names:
            self._vital.pop(name, None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_running(self, name: str, main: Main) -> None:
        backoff = Backoff(uniform=self._uniform)
        while True:
            started_s = self._monotonic()
            try:
                await main(lambda reason, hint="", /: self._report(name, reason, hint))
                return
            except ApplianceError as fault:
                self._failed(name, str(fault), fault.hint)
            # Here alone: a part's own fault must not end the rest.
            except Exception as fault:
                log.exception("task=%s broke", name)
                self._failed(name, f"{type(fault).__name__}: {fault}", ApplianceError.hint)
            if self._monotonic() - started_s >= STEADY_S:
                backoff.reset()
            await self._sleep(backoff.next_s())

    def _report(self, name: str, reason: str, hint: str) -> None:
        if vital := self._vital.get(name):
            vital.progress_s = self._monotonic()
        before = self._health[name]
        state: Literal["healthy", "degraded"] = "degraded" if reason else "healthy"
        self._change(name, replace(before, state=state, reason=reason, hint=hint))
        if reason and before.reason != reason:
            log.warning("task=%s degraded reason=%s", name, reason)
        elif not reason and before.state != "healthy":
            log.info("task=%s recovered failures=%d", name, before.failures)

    def _change(self, name: str, health: Health) -> None:
        before, self._health[name] = self._health[name], health
        if (before.state == "healthy") != (health.state == "healthy"):
            self._on_change(name, health)

    def _failed(self, name: str, reason: str, hint: str) -> None:
        before = self._health[name]
        self._change(name, Health("failed", reason, hint, before.failures + 1))
        if before.state != "failed" or before.reason != reason:
            log.error("task=%s failed reason=%s", name, reason)
