"""Runs the receiver over a source and prints what it hears: the commands `listen` and `decode`.

A live source that is not there, or goes away, is tried again and again, later each time up to `LONGEST_WAIT_S`,
with some chance in it so that several processes do not knock in step; statuses go on meanwhile. Samples that did
not come in between count as lost. A driver that hangs ends the process, because only a new one can go on.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from appliance.errors import ApplianceError, SourceError, SourceHung, StoreError, UsageError
from appliance.model import Message, RadioStatus, State
from appliance.radio.controlled import Control
from appliance.radio.output import Output
from appliance.radio.receiver import Receiver
from appliance.radio.sources import Block, Source, SourceSettings, open_source
from appliance.radio.sources.pace import StreamClock
from appliance.radio.stop import StopNow, StopRequest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 15.0
# A source that ran for so long is tried again at once, as if it had never failed.
PROVEN_S = 30.0

_log = logging.getLogger(__name__)


class Listener:
    """One run of the receiver over one source.

    `start` is the time of a recording's first sample; None asks its metadata, then takes 1970-01-01, so that the
    same file always gives the same lines. With `status_interval_s` None there is one status only, at the end.
    `control` is given its turns, and may set the radio anew.
    """

    def __init__(
        self,
        settings: SourceSettings,
        protocols: Sequence[str],
        output: Output,
        stop: StopRequest,
        *,
        live: bool,
        start: datetime | None = None,
        status_interval_s: float | None = None,
        control: Control | None = None,
        progress: Callable[[int, int | None], None] = lambda done, total: None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._protocols = protocols
        self._output = output
        self._stop = stop
        self._live = live
        self._start = start
        self._interval_s = status_interval_s
        self._control = control
        self._progress = progress
        self._monotonic = monotonic
        self._wall = wall
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self._source: Source | None = None
        self._open = False
        self._receiver: Receiver | None = None
        self._tuned: tuple[float, float] = (settings.sample_rate_hz, settings.center_hz)
        self._clock: StreamClock | None = None
        self._origin = EPOCH
        self._samples = 0
        self._last_block_s: float | None = None
        self._state: State = "starting"
        self._detail = ""
        self._said_s = 0.0
        self._failures = 0

    @property
    def source(self) -> Source | None:
        """The source, while it is open."""
        return self._source if self._open else None

    @property
    def receiver(self) -> Receiver | None:
        """What hears in the samples, once some came."""
        return self._receiver

    @property
    def settings(self) -> SourceSettings:
        """How the source is to be set."""
        return self._settings

    @property
    def moment(self) -> datetime:
        """The time, for what is said now."""
        if self._live:
            return datetime.fromtimestamp(self._wall(), UTC)
        return self._origin + timedelta(seconds=self._samples / self._tuned[0])

    def tune(self, settings: SourceSettings) -> None:
        """Set the source so, at once if it is open. Raises UsageError and the SourceError family."""
        if not settings.settable:
            raise UsageError("a recording has no radio that could be set", "Choose a dongle or rtl_tcp as the source.")
        if self._source is not None and self._open:
            self._source.tune(settings)
            self._tuned = (self._source.rate_hz, self._source.center_hz)
            if self._receiver is not None:
                self._print(self._receiver.retune(self._source.center_hz))
        self._settings = settings

    def run(self) -> None:
        """Until the source ends or `stop` is requested.

        Raises InputError (a recording that is not usable), SourceHung, UsageError, StoreError (the output takes no
        more) and BrokenPipeError (nobody reads it); what goes wrong while it runs is in the last status too.
        """
        self._change("starting")
        try:
            self._keep_listening()
        except StopNow:
            pass
        except StoreError:
            raise
        except ApplianceError as fault:
            if self._source is not None or self._interval_s is not None:
                self._end(str(fault))
            raise
        self._end("")

    def _keep_listening(self) -> None:
        while not self._stop.requested:
            opened_s = self._monotonic()
            try:
                self._listen()
            except SourceHung:
                raise
            except SourceError as fault:
                if not self._settings.tunable:
                    raise
                if self._monotonic() - opened_s > PROVEN_S:
                    self._failures = 0
                self._wait(fault)
            else:
                return

    def _listen(self) -> None:
        with self._stop.breaking_in():
            self._source = source = open_source(self._settings)
        try:
            receiver = self._receiver_for(source)
            self._open = True
            if self._control is not None:
                self._control.opened(self)
            for block in source.blocks():
                if self._stop.requested:
                    return
                self._take(receiver, block)
                if self._control is not None:
                    self._control.turn(self)
        finally:
            self._open = False
            source.close()

    def _receiver_for(self, source: Source) -> Receiver:
        """The receiver, kept over a lost source, for it knows the meters; a new one where the rate is another."""
        receiver = self._receiver
        tuned, before = (source.rate_hz, source.center_hz), self._tuned
        self._tuned = tuned
        if receiver is not None and tuned[0] == before[0]:
            if tuned != before:
                self._print(receiver.retune(source.center_hz))
        else:
            self._flush()
            if self._live:
                self._clock = StreamClock(source.rate_hz, self._monotonic, self._wall)
                self._origin = self._clock.start
            else:
                self._origin = self._start or getattr(source, "start", None) or EPOCH
            self._samples = 0
            self._last_block_s = None
            receiver = Receiver(source.rate_hz, source.center_hz, self._origin, self._protocols)
            self._receiver = receiver
        return receiver

    def _take(self, receiver: Receiver, block: Block) -> None:
        count = len(block.iq)
        lost = block.lost
        now_s = self._monotonic()
        if count and self._state != "running":
            if self._live and self._last_block_s is not None:
                lost += max(round((now_s - self._last_block_s) * self._tuned[0]) - count, 0)
            self._change("running")
        if count or lost:
            self._samples += count + lost
            if self._clock is not None:
                self._clock.arrived(count + lost)
        if lost:
            self._print(receiver.lost(lost))
        if count:
            self._last_block_s = now_s
            if self._control is not None:
                self._control.samples(block.iq, lost)
            self._print(receiver.feed(block.iq))
            self._progress(self._samples, getattr(self._source, "total_samples", None))
        self._say_if_due()

    def _wait(self, fault: SourceError) -> None:
        longest_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures, 10))
        self._failures += 1
        until_s = self._monotonic() + longest_s * self._rng.uniform(0.5, 1)
        self._change("retrying", f"{fault}. {fault.hint}")
        if self._control is not None:
            self._control.lost(self, str(fault))
        while (left_s := until_s - self._monotonic()) > 0 and not self._stop.wait(min(left_s, 0.25)):
            self._say_if_due()
            if self._control is not None:
                self._control.turn(self)

    def _end(self, detail: str) -> None:
        self._flush()
        if self._control is not None:
            self._control.ended()
        self._change("ended", detail)
        self._output.flush()

    def _flush(self) -> None:
        if self._receiver is not None:
            self._print(self._receiver.flush())

    def _print(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if self._clock is not None:
                message = replace(message, time=self._clock.correct(message.time))
            if self._control is not None:
                self._control.heard(message)
            self._output.message(message)

    def _change(self, state: State, detail: str = "") -> None:
        if (state, detail) == (self._state, self._detail) and state == "retrying":
            return
        if state == "retrying":
            _log.warning("source lost, trying again source=%s reason=%r", self._settings.source, detail)
        elif state == "running" and self._state == "retrying":
            _log.info("source recovered source=%s", self._settings.source)
        self._state, self._detail = state, detail
        if self._interval_s is not None or state == "ended":
            self._say()

    def _say_if_due(self) -> None:
        if self._interval_s is not None and self._monotonic() - self._said_s >= self._interval_s:
            self._say()

    def _say(self) -> None:
        self._said_s = self._monotonic()
        self._output.status(self._status())

    def _status(self) -> RadioStatus:
        source, receiver, settings = self._source, self._receiver, self._settings
        rate_hz, center_hz = self._tuned
        return RadioStatus(
            time=self.moment,
            state=self._state,
            source=source.description if source else settings.source,
            simulated=source.simulated if source else settings.source == "simulated",
            sample_rate_hz=round(rate_hz),
            center_hz=round(center_hz),
            gain_db=source.gain_db if source else settings.gain_db,
            samples=receiver.samples if receiver else 0,
            dropped_samples=receiver.dropped_samples if receiver else 0,
            noise_floor_dbfs=receiver.noise_floor_dbfs if receiver else None,
            level_dbfs=receiver.level_dbfs if receiver else None,
            clipped=receiver.take_clipped() if receiver else 0.0,
            messages=receiver.messages if receiver else 0,
            candidates=receiver.candidates if receiver else 0,
            skipped_candidates=receiver.skipped_candidates if receiver else 0,
            refused=dict(receiver.refused) if receiver else {},
            detail=self._detail,
        )
