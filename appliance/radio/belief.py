"""Which messages to believe: from soft bits to fields, or to a refusal with a name.

Anyone can transmit, and noise can look like a checksum. What is believed, and what it would take to be wrong:

1. **Clean**: the checksum holds as received and at most 3 of the 21 preamble bits are wrong. Random bits pass the
   checksum once in 65,536 and the preamble once in 1,300. A collision, though, has a true preamble, and some
   twenty words are tried on it; and five wrong bits can make one code word of another. So of a stranger more is asked:
   its chips differ clearly (`LEAST_CONTRAST`) and as much as its level lets expect of one message alone (`_is_alone`),
   and no other code word is nearly as likely (`_stands_out`).
2. **Known meter**: a meter heard before is expected to send the same ID, type and tamper counters and a register that
   crept. Each such word (up to `CREEP` registers a meter, more with time) is compared whole with the soft bits. At
   most `MOST_WRONG` of 96 bits may disagree: random bits match one given word that well with probability
   sum(C(96,k), k ≤ 8) / 2^96 = 1.8e-18; with 4,096 meters, 512 registers each and the 20,000 places and detectors
   that a candidate offers, 8e-8 a candidate of noise, of which there is less than one a second. That alone does not
   tell a register from its neighbours, whose words differ in 5 bits or more: hence the soft agreement must be high
   (`LEAST_AGREEMENT`), clearly higher than for any other expected word (`LEAST_LEAD`), no code word within two bits of
   what was received may contradict, and where the chips differ clearly, so that the wrong bits cannot be the work of
   noise, two are the most (`NOISY_CONTRAST`).
3. **Corrected**: one or two of the least certain bits are turned. A random word passes once in 20, so the message is
   believed only if its meter is known and everything fits.
4. **Second hearing**: a stranger's message that is alone but not clear, or corrected, waits. It and the next one within
   an hour are believed if they agree in ID, type and tamper counters (34 bits) and, but for its creep, in the register
   (16 bits at least): 1e-15 for a pair of random words, 1e-12 for one against all that may wait. Other systems repeat
   themselves, so that chance may repeat too; but what is strong and no message is not alone.

What is refused is counted under its reason:

    no preamble    nothing in the window fits a preamble
    checksum       a preamble, but no word to believe
    unconfirmed    a stranger's, faint or corrected, and no second hearing yet
    contradicted   fits a known meter, but something else fits about as well
    empty          all fields zero: the all-zero word has a valid checksum
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.radio.demodulate import STEADY, Burst
from appliance.radio.protocols import bch, scm

LEAST_FIT = 0.3
MOST_WRONG_PREAMBLE_BITS = 3
LEAST_CONTRAST = 0.72
STEADY_CONTRAST, UNSTEADY_CONTRAST = (0.9, 2.0), (0.85, 4.0)
"""(a, b): a clear message of Eb/N0 ratio e has a contrast of at least a·e/(e + b). Of the messages that are alone, 99
of 100 have, measured on the scenes of `benchmarks`; of collisions, few."""
MOST_WRONG = 8
LEAST_AGREEMENT = 0.95
LEAST_LEAD = 0.06
NOISY_CONTRAST = 0.75
"""Above this contrast noise turns hardly a bit: what has more than two wrong is a collision."""
LEAST_MARGIN = 0.9
"""Soft bits, of mean weight 1, that speak for a stranger's word and against any other word that is 5 or 6 bits away;
99 of 100 words that are right have more, measured near the threshold."""
LEAST_LIKENESS = 0.7
LIKELY_METERS = 4
CREEP = 64
CREEP_PER_S = 2.0
"""Registers that the fastest service could count in a second: 70 kW in units of 10 Wh."""
MOST_CREEP = 256
MOST_KNOWN = 4096
MOST_WAITING = 1024
WAITING_S = 3600.0
TOLD_LATE_S = 60.0
"""An earlier hearing that is confirmed is itself told if it is no older; who reads the lines relies on their order."""
APART_S = 0.1
"""A second hearing is another transmission, not the same one seen twice."""
WEAKEST_BITS = 12
"""Only bits among this many least certain ones are turned."""

PREAMBLE, BODY = slice(0, 21), slice(21, 96)
EXPECTED = np.r_[0:32, 56:80]
"""Bits that a known meter is expected to send again: preamble, type, tamper counters, ID."""


@dataclass(slots=True)
class Heard:
    """A message to believe: what it says, where and how it was heard.

    `bits` is the whole word as sent, uint8 (96,); `corrected_bits` how many of the 75 after the preamble were received
    otherwise; `sample` where it begins in the stream; `level`, `frequency_hz` and `steadiness` as in `Burst`;
    `subtracted` whether it has been taken out of the samples.
    """

    fields: scm.Scm
    bits: NDArray[np.uint8]
    corrected_bits: int
    sample: float
    frequency_hz: float
    level: float
    steadiness: float
    subtracted: bool = False


@dataclass(slots=True)
class Known:
    """What is remembered of a meter: its last message, the register last heard clean, and when, in samples."""

    fields: scm.Scm
    clean_register: int
    sample: float


class Belief:
    """The memory of meters heard, and the rules above. Bounded: the meters not heard for longest are forgotten."""

    def __init__(self, rate_hz: float, second_look: Callable[[Burst], NDArray[np.float32]]) -> None:
        self.rate_hz = rate_hz
        self._second_look = second_look
        self._known: OrderedDict[int, Known] = OrderedDict()
        self._slots: dict[int, int] = {}
        self._expected = np.zeros((MOST_KNOWN, len(EXPECTED)), np.float32)
        self._ids = np.zeros(MOST_KNOWN, np.int64)
        self._waiting: OrderedDict[tuple[int, int, int, int], Heard] = OrderedDict()

    def judge(self, burst: Burst, sample: float, noise: float) -> list[Heard] | str:
        """The message in the burst, after an earlier one that it confirms; or the reason why there is none.

        `sample` is the burst's place in the stream, `noise` the noise power a sample, in the unit of `burst.level`.
        """
        if burst.fit < LEAST_FIT:
            return "no preamble"
        verdict = self._read(burst, sample, noise)
        if isinstance(verdict, str):
            return verdict
        if verdict[-1].fields.meter_id == 0:
            return "empty"
        for heard in verdict:
            self._remember(heard)
        return verdict

    def _read(self, burst: Burst, sample: float, noise: float) -> list[Heard] | str:
        def heard(word: NDArray[np.uint8], corrected_bits: int) -> Heard:
            fields = scm.decode(word)
            return Heard(fields, word, corrected_bits, sample, burst.frequency_hz, burst.level, burst.steadiness)

        soft = burst.soft
        word = _clean_word(soft)
        if word is None:
            more = self._second_look(burst)
            word = _clean_word(more)
            soft = np.concatenate([soft, more])
        if word is not None:
            clean = heard(word, 0)
            if self._fits(clean):
                return [clean]
            if burst.contrast >= LEAST_CONTRAST and _is_alone(burst, noise) and _stands_out(word, soft):
                return [clean]
            return self._second_hearing(clean) if _is_alone(burst, noise) else "checksum"
        expected = self._expected_word(soft, sample)
        if not isinstance(expected, str):
            if expected[1] <= 2 or burst.contrast <= NOISY_CONTRAST:
                return [heard(*expected)]
            expected = "contradicted"
        unconfirmed: Heard | None = None
        for word, row in zip(*_received(soft), strict=True):
            turned = _turn(word, row)
            if turned is None:
                continue
            corrected = heard(turned, int((turned != word).sum()))
            if expected == "checksum" and self._fits(corrected):
                return [corrected]
            unconfirmed = unconfirmed or corrected
        return self._second_hearing(unconfirmed) if unconfirmed and _is_alone(burst, noise) else expected

    def _expected_word(self, soft: NDArray[np.float32], sample: float) -> tuple[NDArray[np.uint8], int] | str:
        """The best of the words that known meters are expected to send, and how many bits it corrects in its body.

        "checksum" if none is good enough, "contradicted" if another is about as good.
        """
        n = len(self._known)
        if not n:
            return "checksum"
        same = soft[:, EXPECTED]
        likeness = ((same @ self._expected[:n].T) / np.abs(same).sum(axis=1, keepdims=True)).max(axis=0)
        meters = [i for i in np.argsort(likeness)[-LIKELY_METERS:] if likeness[i] > LEAST_LIKENESS]
        if not meters:
            return "checksum"
        words = np.concatenate([self._words(int(self._ids[i]), sample) for i in meters])
        signs = (2 * words.astype(np.float32) - 1).T
        agreement = (soft @ signs) / np.abs(soft).sum(axis=1, keepdims=True)
        detector, best = divmod(int(agreement.argmax()), agreement.shape[1])
        received = soft[detector] > 0
        wrong = received != words[best].astype(bool)
        if wrong.sum() > MOST_WRONG or agreement[detector, best] < LEAST_AGREEMENT:
            return "checksum"
        others = np.delete(agreement[detector], best)
        if len(others) and agreement[detector, best] - others.max() < LEAST_LEAD:
            return "contradicted"
        for word, row in zip(*_received(soft[detector : detector + 1]), strict=True):
            turned = _turn(word, row)
            if turned is not None and (turned != words[best]).any():
                return "contradicted"
        return words[best], int(wrong[BODY].sum())

    def _words(self, meter_id: int, sample: float) -> NDArray[np.uint8]:
        """Every word that the meter may send by now: uint8 (registers, 96)."""
        known = self._known[meter_id]
        fields = known.fields
        elapsed_s = max(0.0, (sample - known.sample) / self.rate_hz)
        creep = min(MOST_CREEP, CREEP + int(CREEP_PER_S * elapsed_s))
        top = (1 << scm.REGISTER_BITS) - 1
        registers = np.arange(known.clean_register, min(fields.consumption + creep, top) + 1)
        base = scm.encode(*fields[:4], 0, fields.reserved)
        words = np.repeat(base[None], len(registers), axis=0)
        words[:, 32:56] = registers[:, None] >> np.arange(23, -1, -1) & 1
        check = bch.syndrome(np.pad(words[:, 16:80], ((0, 0), (0, 16))))
        words[:, 80:96] = check[:, None] >> np.arange(15, -1, -1) & 1
        return words

    def _fits(self, heard: Heard) -> bool:
        """Whether the message is what a known meter would send by now."""
        known = self._known.get(heard.fields.meter_id)
        return known is not None and _follows(known.fields, heard.fields, (heard.sample - known.sample) / self.rate_hz)

    def _second_hearing(self, heard: Heard) -> list[Heard] | str:
        """The message with the earlier one that says the same; if there is none, it is kept to be confirmed."""
        key = heard.fields[:4]
        earlier = self._waiting.pop(key, None)
        if earlier is not None:
            elapsed_s = (heard.sample - earlier.sample) / self.rate_hz
            if elapsed_s < APART_S:
                self._waiting[key] = earlier
                return "unconfirmed"
            if elapsed_s < WAITING_S and _follows(earlier.fields, heard.fields, elapsed_s):
                return [earlier, heard] if elapsed_s < TOLD_LATE_S else [heard]
        self._waiting[key] = heard
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
        return "unconfirmed"

    def _remember(self, heard: Heard) -> None:
        fields = heard.fields
        known = self._known.pop(fields.meter_id, None)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                forgotten, _ = self._known.popitem(last=False)
                slot = self._slots.pop(forgotten)
            else:
                slot = len(self._known)
            self._slots[fields.meter_id] = slot
            self._ids[slot] = fields.meter_id
        clean = fields.consumption if not heard.corrected_bits or known is None else known.clean_register
        self._known[fields.meter_id] = Known(fields, max(clean, fields.consumption - MOST_CREEP), heard.sample)
        self._expected[self._slots[fields.meter_id]] = 2.0 * heard.bits[EXPECTED] - 1


def _received(soft: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The word of each detector whose preamble is right but for a few bits, and its soft bits.

    In the words the preamble is put right: its last five bits are protected by the checksum too.
    """
    words = (soft > 0).astype(np.uint8)
    wrong = (words[:, PREAMBLE] != scm.PREAMBLE).sum(axis=1)
    words[:, PREAMBLE] = scm.PREAMBLE
    good = wrong <= MOST_WRONG_PREAMBLE_BITS
    return words[good], soft[good]


def _clean_word(soft: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """A word with a valid checksum as received, or None."""
    words, _ = _received(soft)
    good = np.flatnonzero(bch.syndrome(words[:, scm.PROTECTED]) == 0)
    return words[good[0]] if len(good) else None


def _turn(word: NDArray[np.uint8], soft: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """`word` with one or two of its least certain bits turned so that the checksum holds, or None."""
    certainty = np.abs(soft[BODY])
    positions = bch.error_patterns(len(certainty)).get(int(bch.syndrome(word[scm.PROTECTED])))
    if positions is None or not set(positions) <= set(np.argsort(certainty)[:WEAKEST_BITS].tolist()):
        return None
    turned = word.copy()
    turned[[BODY.start + position for position in positions]] ^= 1
    return turned


def _is_alone(burst: Burst, noise: float) -> bool:
    """Whether the chips of the burst differ as much as those of one message alone would at its level."""
    energy = burst.level / noise
    share, offset = STEADY_CONTRAST if burst.steadiness > STEADY else UNSTEADY_CONTRAST
    return burst.contrast >= share * energy / (energy + offset)


def _stands_out(word: NDArray[np.uint8], soft: NDArray[np.float32]) -> bool:
    """Whether no code word 5 or 6 bits away from `word` is nearly as likely by the detectors' common opinion."""
    speaks_for = soft[:, BODY].mean(axis=0) * (2.0 * word[BODY] - 1)
    light = bch.light_words(len(speaks_for))
    return all(speaks_for[positions].sum(axis=1).min() > LEAST_MARGIN for positions in light)


def _follows(earlier: scm.Scm, later: scm.Scm, elapsed_s: float) -> bool:
    """Whether the meter of `earlier` would send `later`: same type and tamper counters, a register that crept."""
    creep = min(MOST_CREEP, CREEP + CREEP_PER_S * max(0.0, elapsed_s))
    return earlier[:4] == later[:4] and 0 <= later.consumption - earlier.consumption <= creep
