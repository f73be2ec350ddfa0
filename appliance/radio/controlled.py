"""Does what is asked of a receiver while it hears: sets the radio, shows the spectrum, records, surveys.

The loop that listens gives it a turn between blocks, and shows it the samples and messages that pass.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.control.commands import (
    BadCommand,
    Command,
    Recording,
    Surveying,
    Watching,
    tuned,
)
from appliance.control.lines import Accepted, Line, Refused, Set, to_json
from appliance.errors import SourceError, StoreError, UsageError
from appliance.model import Message, Tuning
from appliance.radio.capture import Capture, clear
from appliance.radio.command_input import CommandInput
from appliance.radio.receiver import Receiver
from appliance.radio.sources import Source, SourceSettings
from appliance.radio.spectrum import Watch
from appliance.radio.survey import SurveyRun


class Tuner(Protocol):
    """The loop that listens, as it is controlled. `source` is None while none is open."""

    @property
    def source(self) -> Source | None: ...
    @property
    def receiver(self) -> Receiver | None: ...
    @property
    def settings(self) -> SourceSettings: ...
    @property
    def moment(self) -> datetime: ...

    def tune(self, settings: SourceSettings) -> None:
        """Set the radio, at once if there is one. Raises UsageError and the SourceError family."""
        ...


class Control:
    """The control channel of one listening loop; answers go to `say`. Captures go to the folder `captures`."""

    def __init__(
        self,
        commands: CommandInput,
        say: Callable[[str], None],
        captures: Path | None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._commands = commands
        self._say_line = say
        self._captures = captures
        self._monotonic = monotonic
        self._wall = wall
        self._watching: Watching | None = None
        self._capture: Capture | None = None
        self._survey: SurveyRun | None = None
        if captures is not None:
            # What a power cut left; where nothing can be removed the next capture says why.
            with suppress(OSError):
                clear(captures)

    def opened(self, tuner: Tuner) -> None:
        """A source was opened: say how it is set, and watch its spectrum if that is asked for."""
        self._say(Set(id=None, **asdict(_tuning(tuner))))
        self._watch(tuner)

    def samples(self, iq: NDArray[np.complex64], lost: int) -> None:
        """Samples that were received, complex64 (n,), and how many were lost before them."""
        if self._capture is not None:
            self._capture.take(iq, lost)

    def heard(self, message: Message) -> None:
        """A message that was heard."""
        if self._survey is not None:
            self._survey.heard(message)

    def turn(self, tuner: Tuner) -> None:
        """Take a command if there is one, and carry on with what goes on. Raises the SourceError family."""
        self._tell_spectrum(tuner)
        if self._capture is not None and (recorded := self._capture.poll()) is not None:
            self._say(recorded)
            if recorded.state != "recording":
                self._capture = None
        if self._survey is not None:
            self._go_on(tuner, self._survey)
        try:
            command = self._commands.next()
        except BadCommand as wrong:
            self._say(Refused(id=wrong.id, reason=f"{wrong}. {wrong.hint}"))
            return
        if command is not None:
            self._do(tuner, command)

    def lost(self, tuner: Tuner, reason: str) -> None:
        """The source is gone: end what needs it. What the source is opened with next is as before a survey."""
        if self._capture is not None:
            self._capture.finish(f"the radio went away: {reason}")
        if self._survey is not None:
            survey, self._survey = self._survey, None
            tuner.tune(_with(tuner.settings, survey.home))
            self._say(survey.state("failed", f"the radio went away: {reason}"))

    def ended(self) -> None:
        """Nothing more will come: leave nothing half done."""
        if self._capture is not None:
            self._capture.give_up()
        if self._survey is not None:
            self._say(self._survey.state("failed", "the receiver was ended"))

    def _do(self, tuner: Tuner, command: Command) -> None:
        try:
            answer = self._done(tuner, command)
        except (UsageError, StoreError) as wrong:
            answer = Refused(id=command.id, reason=f"{wrong}. {wrong.hint}")
        except SourceError as fault:
            self._say(Refused(id=command.id, reason=f"{fault}. {fault.hint}"))
            raise
        self._say(answer)

    def _done(self, tuner: Tuner, command: Command) -> Line:
        details = command.details
        if command.name == "set":
            assert isinstance(details, dict)
            self._refuse_meanwhile("set the radio")
            tuner.tune(_with(tuner.settings, tuned(_asked(tuner.settings), details)))
            return Set(id=command.id, **asdict(_tuning(tuner)))
        if command.name == "spectrum":
            self._watching = details if isinstance(details, Watching) else None
            self._watch(tuner)
        elif isinstance(details, Recording):
            self._refuse_meanwhile("record")
            self._record(tuner, details)
        elif isinstance(details, Surveying):
            self._refuse_meanwhile("begin a survey")
            self._begin(tuner, details)
        elif command.name == "record":
            if self._capture is not None:
                self._capture.finish("stopped by hand")
        elif self._survey is not None:
            self._come_back(tuner, self._survey, "stopped")
        return Accepted(id=command.id, command=command.name)

    def _refuse_meanwhile(self, what: str) -> None:
        going_on = "a capture is being recorded" if self._capture else "a survey is under way" if self._survey else ""
        if going_on:
            raise UsageError(f"cannot {what}: {going_on}", "Wait until it is over, or stop it first.")

    def _record(self, tuner: Tuner, asked: Recording) -> None:
        if self._captures is None:
            raise UsageError("no folder for captures was given", "Start 'appliance listen' with --captures DIR.")
        self._capture = Capture(self._captures, asked.seconds, _open(tuner), tuner.settings, self._wall)

    def _begin(self, tuner: Tuner, asked: Surveying) -> None:
        _open(tuner)
        home = _asked(tuner.settings)
        tuner.tune(replace(tuner.settings, center_hz=asked.centers_hz[0]))
        self._survey = SurveyRun(asked, home, self._monotonic)

    def _go_on(self, tuner: Tuner, survey: SurveyRun) -> None:
        if not survey.due:
            if progress := survey.progress():
                self._say(progress)
            return
        floor = tuner.receiver.noise_floor_dbfs if tuner.receiver else None
        survey.leave()
        if survey.center_hz is None:
            self._come_back(tuner, survey, "done", floor)
            return
        # What the receiver still held comes out by this, and counts for the centre before.
        tuner.tune(replace(tuner.settings, center_hz=survey.center_hz))
        self._say(survey.result(floor))
        survey.arrived()

    def _come_back(self, tuner: Tuner, survey: SurveyRun, state: str, floor: float | None = None) -> None:
        tuner.tune(_with(tuner.settings, survey.home))
        self._survey = None
        if state == "done":
            self._say(survey.result(floor))
        self._say(survey.state(state))

    def _watch(self, tuner: Tuner) -> None:
        receiver, asked = tuner.receiver, self._watching
        if receiver is not None:
            samples = receiver.samples
            receiver.watch = Watch(receiver.geometry, samples, asked.rate_hz, asked.bins) if asked else None

    def _tell_spectrum(self, tuner: Tuner) -> None:
        receiver = tuner.receiver
        if receiver is None or receiver.watch is None:
            return
        frame = receiver.watch.frame(receiver.samples, tuner.moment, receiver.center_hz, receiver.noise_floor_dbfs)
        if frame is not None:
            self._say(frame)

    def _say(self, line: Line) -> None:
        self._say_line(to_json(line))


def _open(tuner: Tuner) -> Source:
    if tuner.source is None:
        raise UsageError("no radio is there now", "Wait until it is found again.")
    if not tuner.settings.settable:
        raise UsageError("a recording is being played", "Choose a radio as the source.")
    return tuner.source


def _asked(settings: SourceSettings) -> Tuning:
    return Tuning(center_hz=settings.center_hz, gain_db=settings.gain_db, ppm=settings.ppm, bias_tee=settings.bias_tee)


def _tuning(tuner: Tuner) -> Tuning:
    """What the radio made of its settings; without one, what was asked for."""
    asked = _asked(tuner.settings)
    if tuner.source is None:
        return asked
    return replace(asked, center_hz=round(tuner.source.center_hz), gain_db=tuner.source.gain_db)


def _with(settings: SourceSettings, tuning: Tuning) -> SourceSettings:
    return replace(settings, **asdict(tuning))
