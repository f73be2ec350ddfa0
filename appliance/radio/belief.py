"""Which messages to believe: from soft bits to fields, or to a refusal with a name.

Anyone can transmit, and noise can look like a checksum. What is believed, and what it would take to be wrong:

1. **Clean**: the checksum holds as received and at most 3 of the 21 preamble bits are wrong. Random bits pass the
   checksum once in 65,536 and the preamble once in 1,300, so each random word tried costs about 1e-8.
2. **Known meter**: a meter heard clean before is expected to send the same ID, type and tamper counters and a register
   that crept. Each such word (`CREEP` registers a meter) is compared whole with the soft bits. At most `MOST_WRONG` of
   96 bits may disagree: random bits match one given word that well with probability sum(C(96,k), k ≤ 10) / 2^96 =
   1.6e-16; with 4,096 meters, 128 registers each and the 20,000 places and detectors that a candidate offers, 2e-6
   a candidate of noise. That alone does not tell a register from its neighbours, whose words differ in 5 bits or more:
   hence the soft agreement must be high (`LEAST_AGREEMENT`), clearly higher than for any other expected word (`LEAST_LEAD`),
   and no code word within two bits of what was received may contradict.
3. **Corrected**: one or two of the least certain bits are turned. A random word passes once in 20, so the message is
   believed only if its meter is known and everything fits, or when a second reception within ten minutes agrees in ID,
   type and tamper counters (34 bits) and, but for its creep, in the register: 1e-13 for a pair of random words.

What is refused is counted under its reason:

    no preamble    nothing in the window fits a preamble
    checksum       a preamble, but no word to believe
    unconfirmed    corrected, of a stranger, and no second reception agreed yet
    contradicted   fits a known meter, but something else fits about as well
    empty          all fields zero: the all-zero word has a valid checksum
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.radio.demodulate import Burst
from appliance.radio.protocols import bch, scm

LEAST_FIT = 0.3
MOST_WRONG_PREAMBLE_BITS = 3
MOST_WRONG = 10
LEAST_AGREEMENT = 0.86
LEAST_LEAD = 0.03
LEAST_LIKENESS = 0.7
LIKELY_METERS = 4
CREEP = 64
CREEP_PER_S = 2.0
"""Registers that the fastest service could count in a second: 70 kW in units of 10 Wh."""
MOST_CREEP = 256
MOST_KNOWN = 4096
MOST_PENDING = 1024
PENDING_S = 600.0
WEAKEST_BITS = 12
"""Only bits among this many least certain ones are turned."""

EXPECTED = np.r_[0:32, 56:80]
"""Bits that a known meter is expected to send again: preamble, type, tamper counters, ID."""


@dataclass(frozen=True, slots=True)
class Believed:
    """Fields, how many bits of the checksum's 80 were not as received, and the whole word as sent."""

    fields: scm.Scm
    corrected_bits: int
    bits: NDArray[np.uint8]


@dataclass(slots=True)
class Known:
    """What is remembered of a meter: its last message, the register last heard clean, and when, in samples."""

    fields: scm.Scm
    clean_register: int
    sample: float


class Belief:
    """The memory of meters heard, and the rules above. Bounded: the meters not heard for longest are forgotten."""

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._known: OrderedDict[int, Known] = OrderedDict()
        self._slots: dict[int, int] = {}
        self._expected = np.zeros((MOST_KNOWN, len(EXPECTED)), np.float32)
        self._ids = np.zeros(MOST_KNOWN, np.int64)
        self._pending: OrderedDict[tuple[int, int, int, int], tuple[scm.Scm, float]] = OrderedDict()

    def judge(self, burst: Burst, sample: float) -> Believed | str:
        """What the burst says, or the reason why it is not believed. `sample` is its place in the stream."""
        if burst.fit < LEAST_FIT:
            return "no preamble"
        believed = self._clean(burst.soft)
        if believed is None:
            first = len(burst.soft)
            burst.add_coherent()
            believed = self._clean(burst.soft[first:])
        verdict: Believed | str = believed or self._expected_word(burst.soft, sample) or self._corrected(burst.soft, sample)
        if isinstance(verdict, str):
            return verdict
        if verdict.fields.meter_id == 0:
            return "empty"
        self._remember(verdict, sample)
        return verdict

    def _clean(self, soft: NDArray[np.float32]) -> Believed | None:
        words = (soft > 0).astype(np.uint8)
        wrong = (words[:, : len(scm.PREAMBLE)] != scm.PREAMBLE).sum(axis=1)
        good = (bch.syndrome(words[:, scm.PROTECTED]) == 0) & (wrong <= MOST_WRONG_PREAMBLE_BITS)
        if not good.any():
            return None
        best = int(np.where(good, wrong, 99).argmin())
        bits = words[best].copy()
        bits[: len(scm.PREAMBLE)] = scm.PREAMBLE
        return Believed(scm.decode(bits), 0, bits)

    def _expected_word(self, soft: NDArray[np.float32], sample: float) -> Believed | str | None:
        """The best of the words that known meters are expected to send, if it is good enough; None if none is."""
        n = len(self._known)
        if not n:
            return None
        same = soft[:, EXPECTED]
        likeness = ((same @ self._expected[:n].T) / np.abs(same).sum(axis=1, keepdims=True)).max(axis=0)
        meters = [i for i in np.argsort(likeness)[-LIKELY_METERS:] if likeness[i] > LEAST_LIKENESS]
        if not meters:
            return None
        words = np.concatenate([self._words(int(self._ids[i]), sample) for i in meters])
        signs = (2 * words.astype(np.float32) - 1).T
        agreement = (soft @ signs) / np.abs(soft).sum(axis=1, keepdims=True)
        detector, best = divmod(int(agreement.argmax()), agreement.shape[1])
        received = soft[detector] > 0
        wrong = received != words[best].astype(bool)
        if wrong.sum() > MOST_WRONG or agreement[detector, best] < LEAST_AGREEMENT:
            return None
        others = np.delete(agreement[detector], best)
        if len(others) and agreement[detector, best] - others.max() < LEAST_LEAD:
            return "contradicted"
        turned = self._turn(received.astype(np.uint8), soft[detector])
        if turned is not None and (turned[scm.PROTECTED] != words[best][scm.PROTECTED]).any():
            return "contradicted"
        return Believed(scm.decode(words[best]), int(wrong[scm.PROTECTED].sum()), words[best])

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

    def _turn(self, word: NDArray[np.uint8], soft: NDArray[np.float32]) -> NDArray[np.uint8] | None:
        """The code word within two of the least certain bits of `word`, or None."""
        protected = word[scm.PROTECTED]
        positions = bch.error_patterns(len(protected)).get(int(bch.syndrome(protected)))
        if positions is None:
            return None
        weakest = np.argsort(np.abs(soft[scm.PROTECTED]))[:WEAKEST_BITS]
        if not set(positions) <= set(weakest.tolist()):
            return None
        turned = word.copy()
        turned[[16 + p for p in positions]] ^= 1
        turned[: len(scm.PREAMBLE)] = scm.PREAMBLE
        return turned

    def _corrected(self, soft: NDArray[np.float32], sample: float) -> Believed | str:
        reason = "checksum"
        for row in soft:
            word = (row > 0).astype(np.uint8)
            if (word[: len(scm.PREAMBLE)] != scm.PREAMBLE).sum() > MOST_WRONG_PREAMBLE_BITS:
                continue
            turned = self._turn(word, row)
            if turned is None:
                continue
            reason = "unconfirmed"
            fields = scm.decode(turned)
            if self._fits(fields, sample) or self._agrees(fields, sample):
                return Believed(fields, int((turned != word)[scm.PROTECTED].sum()), turned)
        return reason

    def _fits(self, fields: scm.Scm, sample: float) -> bool:
        known = self._known.get(fields.meter_id)
        return known is not None and _follows(known.fields, fields, (sample - known.sample) / self.rate_hz)

    def _agrees(self, fields: scm.Scm, sample: float) -> bool:
        """Whether an earlier unconfirmed reception says the same; if not, this one is kept to be agreed with."""
        key = (fields.meter_id, fields.endpoint_type, fields.tamper_phy, fields.tamper_enc)
        earlier = self._pending.pop(key, None)
        self._pending[key] = (fields, sample)
        if len(self._pending) > MOST_PENDING:
            self._pending.popitem(last=False)
        if earlier is None:
            return False
        elapsed_s = (sample - earlier[1]) / self.rate_hz
        return 0.1 < elapsed_s < PENDING_S and _follows(earlier[0], fields, elapsed_s)

    def _remember(self, believed: Believed, sample: float) -> None:
        fields = believed.fields
        meter_id = fields.meter_id
        known = self._known.pop(meter_id, None)
        clean = fields.consumption if believed.corrected_bits == 0 or known is None else known.clean_register
        clean = max(clean, fields.consumption - MOST_CREEP)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                forgotten, _ = self._known.popitem(last=False)
                self._slots[meter_id] = self._slots.pop(forgotten)
            else:
                self._slots[meter_id] = len(self._known)
        self._known[meter_id] = Known(fields, clean, sample)
        slot = self._slots[meter_id]
        self._ids[slot] = meter_id
        self._expected[slot] = 2.0 * believed.bits[EXPECTED] - 1


def _follows(earlier: scm.Scm, later: scm.Scm, elapsed_s: float) -> bool:
    """Whether `later` is what the meter of `earlier` would send: same type and tamper counters, a register that crept."""
    same = (earlier.endpoint_type, earlier.tamper_phy, earlier.tamper_enc)
    creep = min(MOST_CREEP, CREEP + CREEP_PER_S * max(0.0, elapsed_s))
    return (
        same == (later.endpoint_type, later.tamper_phy, later.tamper_enc)
        and 0 <= later.consumption - earlier.consumption <= creep
    )
