"""What a person at the site may ask of a receiver: set it, watch its spectrum, record, survey.

One `Controls` belongs to each configured receiver and outlives its process. Settings made by hand are made again when
the process is started anew, until `reset` or the end of the program; a survey or a capture that was cut short says so.
The spectrum is made only while somebody asks for it: each question counts for `LEASE_S`, so that a watcher who goes
away without a word is forgotten by itself.

`revision` grows with every change, and `changed` waits for one. No numpy here: the pages import it.
"""

import asyncio
import itertools
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from appliance.config import Receiver
from appliance.control.commands import (
    MOST_CENTERS,
    Command,
    CommandName,
    Details,
    Recording,
    Surveying,
    Watching,
    from_json,
    tuned,
)
from appliance.control.lines import Accepted, Line, Recorded, Refused, Set, Spectrum, Survey, Surveyed
from appliance.errors import SourceUnavailable, UsageError
from appliance.model import Tuning
from appliance.radio.captures import Captures, Kept

ANSWER_S = 15.0
LEASE_S = 10.0
FRAME_S = 5.0
# Who asks while so many wait is told to come back later.
MOST_WAITING = 8
RATE_HZ, BINS = 5.0, 256
SAMPLE_BYTES = 2


class Controls:
    """The controls of one receiver; `captures` is its folder for captures, None for none."""

    def __init__(self, receiver: Receiver, captures: Path | None) -> None:
        self._receiver = receiver
        self._captures = Captures(captures) if captures is not None else None
        self._writer: asyncio.StreamWriter | None = None
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Line]] = {}
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._event = asyncio.Event()
        self._asked_at_s = float("-inf")
        self._watching = False
        self._by_hand: Tuning | None = None
        self._tuning: Tuning | None = None
        self._spectrum: tuple[int, Spectrum] | None = None
        self._frames = 0
        self._recorded: Recorded | None = None
        self._survey: Survey | None = None
        self._surveyed: tuple[Surveyed, ...] = ()
        self.revision = 0

    @property
    def possible(self) -> bool:
        """Whether this receiver takes anything from here: one that is a program of its own does not."""
        return not self._receiver.command

    @property
    def configured(self) -> Tuning | None:
        """How the configuration has the radio."""
        receiver = self._receiver
        if not self.possible:
            return None
        return Tuning(
            center_hz=receiver.center_hz, gain_db=receiver.gain_db, ppm=receiver.ppm, bias_tee=receiver.bias_tee
        )

    @property
    def tuning(self) -> Tuning | None:
        """What the radio last accepted; None until one was there."""
        return self._tuning

    @property
    def by_hand(self) -> Tuning | None:
        """What was asked for by hand, None while the configuration holds."""
        return self._by_hand

    @property
    def recorded(self) -> Recorded | None:
        """How the capture is coming on, or how the last one ended."""
        return self._recorded

    @property
    def survey(self) -> Survey | None:
        """How the survey is coming on, or how the last one ended."""
        return self._survey

    @property
    def surveyed(self) -> tuple[Surveyed, ...]:
        """What that survey found, centre by centre."""
        return self._surveyed

    async def set(self, **changes: Any) -> Tuning:
        """Change any of `center_hz`, `gain_db` (None: automatic), `ppm`, `bias_tee`, at once; what was accepted.

        Raises UsageError (a value that cannot be, or nothing to set) and SourceUnavailable (no receiver runs).
        """
        self._refuse_foreign()
        asked = tuned(self._by_hand or self._configured(), changes)
        return await self._set(asked, asked if asked != self._configured() else None)

    async def reset(self) -> Tuning:
        """Back to what the configuration says. Raises as `set`."""
        self._refuse_foreign()
        return await self._set(self._configured(), None)

    async def spectrum(self, after: int = 0, within_s: float = FRAME_S) -> tuple[int, Spectrum] | None:
        """The latest frame and its number, once that is beyond `after`; None if none comes in time.

        Raises UsageError and SourceUnavailable as `set`.
        """
        loop = asyncio.get_running_loop()
        self._asked_at_s = loop.time()
        if not self._watching:
            self._watching = True
            try:
                await self._ask("spectrum", Watching(rate_hz=RATE_HZ, bins=BINS))
            except BaseException:
                self._watching = False
                raise
        deadline_s = loop.time() + within_s
        while self._spectrum is None or self._spectrum[0] <= after:
            event = self._event
            try:
                async with asyncio.timeout_at(deadline_s):
                    await event.wait()
            except TimeoutError:
                return None
        return self._spectrum

    async def changed(self, after: int, within_s: float) -> int:
        """The revision, once it is beyond `after`, or after so long."""
        deadline_s = asyncio.get_running_loop().time() + within_s
        while self.revision <= after:
            event = self._event
            try:
                async with asyncio.timeout_at(deadline_s):
                    await event.wait()
            except TimeoutError:
                break
        return self.revision

    async def record(self, seconds: float) -> None:
        """Begin a capture; `recorded` tells how it comes on. The oldest captures make room for it.

        Raises UsageError (seconds out of range, another one under way) and SourceUnavailable.
        """
        self._refuse_foreign()
        if self._captures is None:
            raise UsageError("there is no folder for captures", "Correct [store] in the configuration.")
        command = _checked("record", Recording(seconds=seconds))
        if self._recorded is None or self._recorded.state != "recording":
            rate_hz = self._receiver.sample_rate_hz
            await asyncio.to_thread(self._captures.make_room, round(seconds * rate_hz * SAMPLE_BYTES))
        await self._ask(command.name, command.details)

    async def stop_recording(self) -> None:
        """End the capture; what was recorded until now is kept. Raises SourceUnavailable."""
        await self._ask("record", None)

    async def captures(self) -> list[Kept]:
        """The captures that are there, the newest first."""
        return await asyncio.to_thread(self._captures.list) if self._captures is not None else []

    def capture(self, name: str) -> Kept | None:
        """The capture of this name, if there is one; its files are to be read from."""
        return self._captures.get(name) if self._captures is not None else None

    async def delete_capture(self, name: str) -> bool:
        """Delete a capture; whether it was there. Raises StoreError."""
        if self._captures is None:
            return False
        gone = await asyncio.to_thread(self._captures.delete, name)
        self._change()
        return gone

    async def begin_survey(self, centers_hz: tuple[int, ...], dwell_s: float) -> None:
        """Begin to listen at each of the centres for so long; `survey` and `surveyed` tell. Raises as `record`."""
        self._refuse_foreign()
        command = _checked("survey", Surveying(centers_hz=centers_hz, dwell_s=dwell_s))
        await self._ask(command.name, command.details)

    async def stop_survey(self) -> None:
        """End the survey; the radio goes back to where it was. Raises SourceUnavailable."""
        await self._ask("survey", None)

    def started(self, writer: asyncio.StreamWriter | None) -> None:
        """A process runs, and takes commands from `writer`."""
        self._writer = writer

    def ended(self, reason: str) -> None:
        """The process ended: who waits for its answer hears `reason`, and what went on in it is over."""
        self._writer = None
        self._watching = False
        self._tuning = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(SourceUnavailable(f"the receiver ended: {reason}", "It is started again."))
        if self._recorded is not None and self._recorded.state == "recording":
            self._recorded = replace(self._recorded, state="failed", detail=f"cut short: {reason}")
        if self._survey is not None and self._survey.state == "running":
            self._survey = replace(self._survey, state="failed", detail=f"cut short: {reason}", left_s=0.0)
        self._change()

    def settings(self) -> Receiver:
        """The receiver's settings for its next process: the configuration's, and those made by hand."""
        return self._receiver if self._by_hand is None else replace(self._receiver, **asdict(self._by_hand))

    def take(self, line: Line) -> None:
        """Take in what the process said."""
        match line:
            case Spectrum():
                self._frames += 1
                self._spectrum = self._frames, line
                self._watch_on()
                self._wake()
                return
            case Recorded():
                self._recorded = line
            case Surveyed():
                self._surveyed = (*self._surveyed[1 - MOST_CENTERS :], line)
            case Survey():
                self._survey = line
            case Set():
                self._tuning = line.tuning
                self._answered(line.id, line)
            case Accepted() | Refused():
                self._answered(line.id, line)
        self._change()

    async def _set(self, asked: Tuning, by_hand: Tuning | None) -> Tuning:
        answer = await self._ask("set", asdict(asked))
        assert isinstance(answer, Set)
        self._by_hand = by_hand
        return answer.tuning

    async def _ask(self, name: CommandName, details: Details) -> Line:
        """Send a command and wait for its answer. Raises UsageError with the reason if it is refused."""
        self._refuse_foreign()
        if self._waiting >= MOST_WAITING:
            raise SourceUnavailable("too many ask at once", "Try again in a moment.")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._answer(name, details)
        finally:
            self._waiting -= 1

    async def _answer(self, name: CommandName, details: Details) -> Line:
        if self._writer is None:
            raise SourceUnavailable("the receiver does not run at the moment", "It is started again by itself.")
        number = next(self._ids)
        answer: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            async with asyncio.timeout(ANSWER_S):
                with suppress(ConnectionError):
                    self._writer.write(Command(name=name, details=details, id=number).to_json().encode() + b"\n")
                    await self._writer.drain()
                line = await answer
        except TimeoutError:
            raise SourceUnavailable(
                f"the receiver did not answer within {ANSWER_S:g} s", "See how it is, and try again."
            ) from None
        finally:
            del self._answers[number]
        if isinstance(line, Refused):
            what, _, hint = line.reason.partition(". ")
            raise UsageError(what, hint or None)
        if name == "survey" and details is not None:
            self._surveyed = ()
        return line

    def _answered(self, number: int | None, line: Line) -> None:
        answer = self._answers.get(number) if number is not None else None
        if answer is not None and not answer.done():
            answer.set_result(line)

    def _watch_on(self) -> None:
        """End the spectrum when nobody asked for it for a while; told again with each frame that comes after all."""
        if asyncio.get_running_loop().time() - self._asked_at_s > LEASE_S and self._writer is not None:
            self._watching = False
            command = Command(name="spectrum", details=None)
            with suppress(ConnectionError):
                self._writer.write(command.to_json().encode() + b"\n")

    def _configured(self) -> Tuning:
        configured = self.configured
        assert configured is not None
        return configured

    def _refuse_foreign(self) -> None:
        if not self.possible:
            raise UsageError(
                f"the receiver {self._receiver.name} is a program of its own: it takes nothing from here",
                "Set it by its command in the configuration.",
            )

    def _change(self) -> None:
        self.revision += 1
        self._wake()

    def _wake(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()


def _checked(name: CommandName, details: Details) -> Command:
    """The command, with its details as they are read at the other end. Raises UsageError."""
    return from_json(Command(name=name, details=details).to_json())
