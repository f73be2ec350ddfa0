"""Runs the receiver as a child process and reads the lines it prints.

A crash of the receiver or a hung USB stack costs a restart of the child, never the site or the store. `Radio.run`
is one life of the child: it returns when a recording has ended and raises SourceLost, with the reason in the
child's own words, when the child died or fell silent; the supervisor starts it again.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from appliance.config import Receiver
from appliance.control import lines as control
from appliance.errors import SourceLost
from appliance.model import Message, RadioStatus, ReceiverState, State, from_json
from appliance.radio.controls import Controls
from appliance.radio.lines import Lines
from appliance.rtlamr import START, from_rtlamr

log = logging.getLogger(__name__)

CHUNK_BYTES = 65_536
LONGEST_REASON = 300
# A program that stands in for the receiver may make names up.
MOST_PROTOCOLS = 16
# How long a child may take to end when asked; with the rest of a stop it must fit into 2 s.
STOP_S = 0.8
# A message further ahead of this machine's clock is not believed: it would hide all that follow it.
AHEAD = timedelta(days=1)
HINT_COMMAND = "Run the command of this receiver by hand, as the configuration has it, to see what is wrong with it."


class Radio:
    """One configured receiver: its process, its state, and where its messages go.

    `on_message` is called with each message and whether it is simulated. `controls` takes what a person asks of it;
    captures go to a folder of the receiver's name in `captures`.
    """

    def __init__(
        self,
        receiver: Receiver,
        on_message: Callable[[Message, bool], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        captures: Path | None = None,
    ) -> None:
        self.controls = Controls(receiver, captures and captures / receiver.name)
        self._captures = captures and captures / receiver.name
        self._receiver = receiver
        self._on_message = on_message
        self._now = now
        self._state: State = "starting"
        self._reason = ""
        self._last_error = ""
        self._starts = 0
        self._messages = 0
        self._by_protocol: Counter[str] = Counter()
        self._garbage: Counter[str] = Counter()
        self._status: RadioStatus | None = None

    @property
    def simulated(self) -> bool:
        """Whether what it hears is made up: by what its process says, until then by its settings."""
        if self._status is not None:
            return self._status.simulated
        return self._receiver.source == "simulated" and not self._receiver.command

    @property
    def state(self) -> ReceiverState:
        """How it is now."""
        receiver = self._receiver
        return ReceiverState(
            name=receiver.name,
            # Its arguments may hold a password, and health is told to everybody.
            source=Path(receiver.command[0]).name if receiver.command else receiver.source,
            simulated=self.simulated,
            state=self._state,
            reason=self._reason,
            restarts=max(0, self._starts - 1),
            messages=self._messages,
            garbage=dict(self._garbage),
            status=self._status,
            by_protocol=dict(self._by_protocol),
            configured=self.controls.configured,
            tuning=self.controls.tuning,
        )

    async def run(self, report: Callable[[str], None]) -> None:
        """One life of the process. Raises SourceLost when it died or fell silent."""
        self._starts += 1
        self._last_error = ""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "appliance.radio.leash", str(os.getpid())),
            *command_line(self.controls.settings(), self._captures),
            stdin=asyncio.subprocess.PIPE if self.controls.possible else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # A group of its own, so that what the command itself starts ends with it.
            start_new_session=True,
        )
        log.debug("radio=%s pid=%d started", self._receiver.name, child.pid)
        errors = asyncio.create_task(self._read_errors(cast(asyncio.StreamReader, child.stderr)))
        why = "it was stopped"
        self.controls.started(child.stdin)
        try:
            silent = await self._read_lines(cast(asyncio.StreamReader, child.stdout), report)
            why = f"no line for {self._receiver.silence_s:g} s" if silent else ""
        finally:
            await self._end(child, errors, report)
            why = why or self._last_error or _exit_in_words(child.returncode)
            self.controls.ended(why)
        if not silent and child.returncode == 0 and self._state == "ended":
            report("the recording has ended")
            return
        self._lost(why)

    def _lost(self, reason: str) -> None:
        self._state, self._reason = "retrying", reason
        raise SourceLost(reason, HINT_COMMAND if self._receiver.command else None)

    async def _read_lines(self, stdout: asyncio.StreamReader, report: Callable[[str], None]) -> bool:
        """Take lines until the child closes its output (False) or prints none for too long (True)."""
        loop = asyncio.get_running_loop()
        lines = Lines()
        silent_at_s = loop.time() + self._receiver.silence_s
        while True:
            try:
                async with asyncio.timeout_at(silent_at_s):
                    chunk = await stdout.read(CHUNK_BYTES)
            except TimeoutError:
                return True
            if not chunk:
                return False
            for line in lines.feed(chunk):
                silent_at_s = loop.time() + self._receiver.silence_s
                self._take(line, report)
            # A read that finds bytes waiting does not let other tasks run.
            await asyncio.sleep(0)

    def _take(self, line: bytes | None, report: Callable[[str], None]) -> None:
        try:
            if line is None:
                raise ValueError("too long")
            if self.controls.possible and control.is_line(line):
                self.controls.take(control.from_json(line))
                return
            heard = from_rtlamr(line) if line.startswith(START) else from_json(line)
        except ValueError as wrong:
            self._refuse(_garbage_name(wrong), report, _one_line(str(wrong)))
            return
        if isinstance(heard, RadioStatus):
            refused = {_one_line(reason): n for reason, n in heard.refused.items()}
            self._status = replace(heard, source=_one_line(heard.source), refused=refused)
            self._state = heard.state
            self._reason = _one_line(heard.detail) if heard.state != "running" else ""
            if heard.state in ("running", "retrying"):
                report(self._reason)
            return
        if heard.time > self._now() + AHEAD:
            self._refuse("time in the future", report)
            return
        if self._state == "starting" or (self._state == "retrying" and self._status is None):
            # A command that prints messages alone is running once it prints one.
            self._state, self._reason = "running", ""
            report("")
        self._messages += 1
        if heard.protocol in self._by_protocol or len(self._by_protocol) < MOST_PROTOCOLS:
            self._by_protocol[heard.protocol] += 1
        self._on_message(heard, self.simulated)

    def _refuse(self, name: str, report: Callable[[str], None], why: str = "") -> None:
        if name not in self._garbage:
            log.warning("radio=%s prints lines that are no messages: %s %s", self._receiver.name, name, why)
        self._garbage[name] += 1
        if self._state != "running":
            # All kinds that came, not the last one: a report that changed with each line would fill the log.
            self._reason = f"prints lines that are no messages: {', '.join(sorted(self._garbage))}"
            report(self._reason)

    async def _read_errors(self, stderr: asyncio.StreamReader) -> None:
        """Keep the child's last words; its log goes into ours."""
        lines = Lines()
        while chunk := await stderr.read(CHUNK_BYTES):
            for line in lines.feed(chunk):
                if line and (text := _one_line(self._without_arguments(line.decode(errors="replace")))):
                    self._last_error = text
                    log.debug("radio=%s says: %s", self._receiver.name, text)

    def _without_arguments(self, text: str) -> str:
        """What a child says, without what it was told: a program that does not know an option quotes it."""
        for word in sorted(self._receiver.untold, key=len, reverse=True):
            text = text.replace(word, "…")
        return text

    async def _end(
        self, child: asyncio.subprocess.Process, errors: asyncio.Task[None], report: Callable[[str], None]
    ) -> None:
        """Ask the child to end, take what it still prints, kill it and all it started if it does not."""

        async def ended() -> None:
            await child.wait()
            await asyncio.wait([errors])

        async def asked_to_end() -> None:
            if child.returncode is None:
                _signal_group(child.pid, signal.SIGTERM)
                await self._read_lines(cast(asyncio.StreamReader, child.stdout), report)
            await ended()

        await _at_most(STOP_S, asked_to_end())
        _signal_group(child.pid, signal.SIGKILL)
        # A process that waits inside a broken driver cannot even be killed: leave it to the kernel.
        await _at_most(STOP_S / 2, ended())
        errors.cancel()
        # Pipes that a process which left the group still holds; nothing public closes them.
        child._transport.close()  # type: ignore[attr-defined]
        log.debug("radio=%s pid=%d ended code=%s", self._receiver.name, child.pid, child.returncode)


async def _at_most(seconds: float, work: Coroutine[object, None, None]) -> None:
    """Wait for `work`, and give it up after so long.

    In a task of its own, because within one that is being cancelled `asyncio.timeout` raises CancelledError where
    it should raise TimeoutError, up to Python 3.11.2, which is Debian 12's (CPython issue 102780).
    """
    task = asyncio.create_task(work)
    await asyncio.wait([task], timeout=seconds)
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def command_line(receiver: Receiver, captures: Path | None = None) -> tuple[str, ...]:
    """The command that runs a receiver with these settings, and takes commands on its standard input."""
    if receiver.command:
        return receiver.command
    options: tuple[tuple[str, object], ...] = (
        ("--source", receiver.source),
        ("--sample-rate", receiver.sample_rate_hz),
        ("--center-freq", receiver.center_hz),
        ("--gain", "auto" if receiver.gain_db is None else receiver.gain_db),
        ("--ppm", receiver.ppm),
        ("--protocols", ",".join(receiver.protocols)),
    )
    words = [f"{name}={value}" for name, value in options]
    if receiver.bias_tee:
        words.append("--bias-tee")
    words.append("--control")
    if captures is not None:
        words.append(f"--captures={captures}")
    return (sys.executable, "-m", "appliance", "listen", *words)


def _garbage_name(wrong: ValueError) -> str:
    """A name from a small set: what a line says must not become a counter's name."""
    if isinstance(wrong, json.JSONDecodeError | UnicodeDecodeError):
        return "not JSON"
    text = str(wrong)
    return "too long" if text == "too long" else "another message" if "are not read" in text else "not a message"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_REASON]


def _exit_in_words(code: int | None) -> str:
    if code is None:
        return "does not end, not even when killed"
    if code >= 0:
        return f"ended with exit code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"was ended by signal {names.get(-code, -code)}"


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
