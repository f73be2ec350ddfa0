"""The receiver: samples in, messages out; it holds all the state there is.

    feed(iq) ─► blocks ─► power map ─► candidates ─► windows ─► soft bits ─► belief ─► messages
                              ▲                                                  │
                              └──────────── what a message covered ◄─────────────┘

Samples are taken into blocks of a ninth of a second whatever lengths they come in, so that the same stream gives the
same messages. A block is searched up to a message's length before its end; the rest waits for the next.

Messages overlap in a dense street. Where the map shows more than the messages found in it account for, these
are subtracted from the samples and the place is looked at again.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from appliance.errors import UsageError
from appliance.model import Message, commodity_of
from appliance.radio.belief import Belief, Heard
from appliance.radio.cancel import cancel
from appliance.radio.demodulate import STEADY, Demodulator
from appliance.radio.detect import Candidate, Detector
from appliance.radio.geometry import GROUPS_PER_BLOCK, HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MESSAGE_S, Geometry
from appliance.radio.protocols import PROTOCOLS, scm
from appliance.radio.spectrum import Watch, length_rows

CANDIDATES_PER_BLOCK = 32
"""More than a band full of messages has (120 a second are 13 a block); the rest is skipped and counted."""
BATCH = 4
"""Windows demodulated together: what fits into the processor's cache."""
PASSES = 3
COVERS_HZ = 300e3
"""How far beside its carrier a message may be in another's way."""
CLIPPED = 0.996
"""Share of full scale from which an 8-bit sample counts as clipped: codes 0 and 255."""


class Receiver:
    """Hears messages in a stream of samples at `rate_hz` around `center_hz` whose first sample was taken at `start`.

    Raises UsageError for a rate outside 1.0 to 3.2 MS/s or an unknown protocol.
    """

    def __init__(
        self, rate_hz: float, center_hz: float, start: datetime, protocols: Sequence[str] = (scm.NAME,)
    ) -> None:
        if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise UsageError(
                f"a sample rate of {rate_hz:g} Hz is not supported",
                f"Give a rate from {LOWEST_RATE_HZ:,} to {HIGHEST_RATE_HZ:,} Hz.",
            )
        for name in protocols:
            if name not in PROTOCOLS:
                raise UsageError(f"unknown protocol {name!r}", f"Known are: {', '.join(PROTOCOLS)}.")
        self.geometry = geometry = Geometry(float(rate_hz))
        self.center_hz = center_hz
        self.samples = 0
        self.dropped_samples = 0
        self.messages = 0
        self.candidates = 0
        self.skipped_candidates = 0
        self.refused: Counter[str] = Counter()
        self.watch: Watch | None = None
        self._start = start
        self._detector = Detector(geometry)
        self._demodulator = Demodulator(geometry)
        self._belief = Belief(rate_hz, self._demodulator.second_look)
        self._guard = geometry.guard
        self._kept_rows = 2 * self._guard
        self._kept = self._kept_rows * geometry.group
        self._iq = np.zeros(self._kept + geometry.block, np.complex64)
        self._rows = np.zeros((self._kept_rows + GROUPS_PER_BLOCK, geometry.frame), np.float32)
        self._filled = self._kept
        self._origin = -self._kept
        self._heard: list[Heard] = []
        self._clipped = self._looked_at = 0
        self._level = 0.0

    @property
    def noise_floor_dbfs(self) -> float | None:
        """Noise in the whole band, in dB of full scale; None before the first block."""
        floor = self._detector.typical_floor()
        return round(10 * np.log10(floor), 1) if floor else None

    @property
    def level_dbfs(self) -> float | None:
        """Power of everything in the band over the last block, in dB of full scale; None before the first."""
        return round(10 * np.log10(self._level), 1) if self._level else None

    def take_clipped(self) -> float:
        """Share of the samples since the last call that were at the converter's limits."""
        share = self._clipped / max(1, self._looked_at)
        self._clipped = self._looked_at = 0
        return share

    def feed(self, iq: NDArray[np.complex64]) -> list[Message]:
        """Take samples in, full scale ±1: complex64 (n,); returns the messages that are now complete."""
        messages: list[Message] = []
        at = 0
        while at < len(iq):
            n = min(len(iq) - at, len(self._iq) - self._filled)
            self._iq[self._filled : self._filled + n] = iq[at : at + n]
            at += n
            self.samples += n
            self._filled += n
            if self._filled == len(self._iq):
                messages += self._process_block()
        return messages

    def lost(self, n_samples: int) -> list[Message]:
        """Say that `n_samples` before the next ones never came: time goes on, and no message bridges the gap."""
        self.dropped_samples += n_samples
        gap = min(n_samples, 2 * self.geometry.block)  # enough that all before the gap has been searched
        messages = self.feed(np.zeros(gap, np.complex64))
        self.samples += n_samples - gap
        self._origin += n_samples - gap
        return messages

    def flush(self) -> list[Message]:
        """The messages still in the last block, at the end of the stream."""
        samples = self.samples
        space = len(self._iq) - self._filled
        messages = self.feed(np.zeros(space, np.complex64)) + self.feed(np.zeros(self.geometry.block, np.complex64))
        self.samples = samples
        return messages

    def retune(self, center_hz: float) -> list[Message]:
        """Say that the next samples are of a radio set anew; returns the messages still in the last block.

        Time, counts and what is known of the meters go on; what was known of the noise does not.
        """
        messages = self.flush()
        self.center_hz = center_hz
        self._detector.forget_floor()
        self._iq[: self._kept] = 0
        self._rows[:] = 0
        self._filled = self._kept
        self._origin = self.samples - self._kept
        self._heard = []
        self._level = 0.0
        if self.watch is not None:
            self.watch.begin(self.samples)
        return messages

    def _process_block(self) -> list[Message]:
        fresh = self._iq[self._kept :]
        power = self._detector.power(fresh)
        lively = power[:, 1] > 0  # the rest is a gap filled with zeros
        if lively.any():
            self._measure(fresh)
            self._detector.track_floor(power if lively.all() else power[lively])
            if self.watch is not None:
                self.watch.take(power)
        if self._detector.has_carriers():
            self._demodulator.expect_carriers(fresh, self._detector.typical_floor())
        else:
            self._demodulator.expect_no_carriers()
        rows = self._rows
        rows[self._kept_rows :] = power
        found = self._find(rows)
        messages = [self._message(heard) for heard in sorted(found, key=lambda heard: heard.sample)]
        self.messages += len(messages)
        rows[: self._kept_rows] = rows[-self._kept_rows :]
        self._iq[: self._kept] = self._iq[-self._kept :]
        self._filled = self._kept
        self._origin += self.geometry.block
        self._heard = [heard for heard in self._heard if heard.sample > self._origin]
        return messages

    def _measure(self, iq: NDArray[np.complex64]) -> None:
        """Level and clipping, from a part of the samples."""
        some = iq[: len(iq) // 32].view(np.float32)
        self._level = 2 * float(np.dot(some, some)) / len(some)
        limit = np.abs(some) >= CLIPPED
        self._clipped += int(np.count_nonzero(limit[0::2] | limit[1::2]))
        self._looked_at += len(some) // 2

    def _find(self, rows: NDArray[np.float32]) -> list[Heard]:
        """All messages that begin in this block; `rows` is its map, with a guard before and after.

        Subtracted messages are taken out of the samples and of `rows`.
        """
        guard = self._guard
        candidates, skipped = self._detector.search(rows, guard, len(rows) - guard, CANDIDATES_PER_BLOCK)
        self.skipped_candidates += skipped
        found: list[Heard] = []
        for _ in range(PASSES):
            found += self._decode(candidates, rows)
            if not self._heard:
                break
            hidden = self._hidden(rows, candidates)
            covering = [heard for heard in self._heard if not heard.subtracted and self._covers(heard, hidden)]
            if not covering:
                break
            for heard in covering:
                self._subtract(heard, rows)
            candidates = self._hidden(rows, [])
        return found

    def _decode(self, candidates: list[Candidate], rows: NDArray[np.float32]) -> list[Heard]:
        """Demodulate the candidates and judge them; what is new is kept in mind and returned.

        Of `rows`, the map, only who watches the bursts has need.
        """
        self.candidates += len(candidates)
        geometry = self.geometry
        new: list[Heard] = []
        for begin in range(0, len(candidates), BATCH):
            batch = candidates[begin : begin + BATCH]
            starts = np.array([candidate.row * geometry.group - geometry.lead for candidate in batch])
            offsets_hz = np.array([geometry.offset_hz(candidate.bin) for candidate in batch])
            windows = np.stack([self._iq[start : start + geometry.window] for start in starts])
            bursts = self._demodulator.demodulate(windows, offsets_hz)
            for candidate, start, burst in zip(batch, starts, bursts, strict=True):
                sample = self._origin + float(start) + burst.sample
                noise = self._noise_at(burst.frequency_hz)
                verdict = self._belief.judge(burst, sample, noise)
                if isinstance(verdict, list) and self._is_duplicate(verdict[-1]):
                    verdict = "duplicate"
                if self.watch is not None:
                    length = length_rows(rows, self._detector.floor, candidate.row, candidate.bin, geometry)
                    heard = None if isinstance(verdict, str) else verdict[-1].fields.meter_id
                    self.watch.burst(
                        round(self.center_hz + burst.frequency_hz),
                        sample,
                        length * geometry.group / geometry.rate_hz,
                        max(burst.level, 1e-20) / noise,
                        "heard" if heard is not None else str(verdict),
                        heard,
                    )
                if isinstance(verdict, str):
                    self.refused[verdict] += 1
                    continue
                self._heard.append(verdict[-1])
                new += verdict
        return new

    def _noise_at(self, offset_hz: float) -> float:
        return float(self._detector.floor[self.geometry.bin_of(offset_hz)])

    def _is_duplicate(self, new: Heard) -> bool:
        """Whether it is a message already heard, seen again in its image or its sidebands; the stronger counts."""
        for heard in self._heard:
            near = abs(heard.sample - new.sample) < MESSAGE_S * self.geometry.rate_hz
            if near and heard.fields.meter_id == new.fields.meter_id:
                if new.level > heard.level and not heard.subtracted:
                    heard.level, heard.frequency_hz = new.level, new.frequency_hz
                return True
        return False

    def _hidden(self, rows: NDArray[np.float32], tried: list[Candidate]) -> list[Candidate]:
        """Candidates that remain when all messages heard are taken for explained, but those `tried` in vain."""
        reach = self.geometry.groups_per_message + 1
        spans = [self._rows_of(heard) for heard in self._heard]
        first = max(0, min(begin for begin, _ in spans) - 2 * reach)
        last = min(len(rows), max(end for _, end in spans) + 2 * reach)
        rest = rows[first:last].copy()
        for heard, (begin, end) in zip(self._heard, spans, strict=True):
            if not heard.subtracted:
                bin_ = self.geometry.bin_of(heard.frequency_hz)
                self._detector.explain(rest, begin - first, end - first, bin_, heard.steadiness > STEADY)
        zone = max(0, self._guard - reach - first), len(rows) - self._guard - first
        found, _ = self._detector.search(rest, *zone, CANDIDATES_PER_BLOCK)
        found = [Candidate(row + first, bin_, score) for row, bin_, score in found]
        return [c for c in found if not any(abs(c.row - t.row) <= 2 and abs(c.bin - t.bin) <= 4 for t in tried)]

    def _rows_of(self, heard: Heard) -> tuple[int, int]:
        """First row of the map that the message touches, and the one after the last."""
        begin = heard.sample - self._origin
        group = self.geometry.group
        return max(0, int(begin // group)), int((begin + MESSAGE_S * self.geometry.rate_hz) // group) + 1

    def _covers(self, heard: Heard, hidden: list[Candidate]) -> bool:
        """Whether the message may be in the way of one of the `hidden` candidates."""
        first, last = self._rows_of(heard)
        reach = self.geometry.groups_per_message + 1
        return any(
            first - reach <= candidate.row < last
            and abs(self.geometry.offset_hz(candidate.bin) - heard.frequency_hz) < COVERS_HZ
            for candidate in hidden
        )

    def _subtract(self, heard: Heard, rows: NDArray[np.float32]) -> None:
        """Take the message out of the samples and of the map."""
        heard.subtracted = True
        cancel(self._iq, heard.sample - self._origin, heard.bits, heard.frequency_hz, self.geometry)
        first, last = self._rows_of(heard)
        group = self.geometry.group
        rows[first:last] = self._detector.power(self._iq[first * group : last * group])

    def _message(self, heard: Heard) -> Message:
        fields = heard.fields
        snr = max(heard.level, 1e-20) / self._noise_at(heard.frequency_hz)
        return Message(
            time=self._start + timedelta(seconds=heard.sample / self.geometry.rate_hz),
            protocol=scm.NAME,
            meter_id=fields.meter_id,
            endpoint_type=fields.endpoint_type,
            commodity=commodity_of(fields.endpoint_type),
            tamper_phy=fields.tamper_phy,
            tamper_enc=fields.tamper_enc,
            consumption=fields.consumption,
            checksum=fields.checksum,
            frequency_hz=round(self.center_hz + heard.frequency_hz),
            snr_db=round(10 * float(np.log10(snr)), 1),
            corrected_bits=heard.corrected_bits,
            sample=max(0, round(heard.sample)),
        )
