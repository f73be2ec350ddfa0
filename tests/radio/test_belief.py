"""The rules of belief, one by one, on bursts made by hand: soft bits that are sure, doubtful or wrong."""

import tracemalloc

import numpy as np
import pytest

from appliance.radio import belief as rules
from appliance.radio.belief import APART_S, CREEP, MOST_KNOWN, MOST_WAITING, TOLD_LATE_S, WAITING_S, Belief
from appliance.radio.demodulate import Burst
from appliance.radio.protocols import bch, scm
from tests.radio.scenes import ALICE, BOB

RATE_HZ = 2_000_000
NO_MORE = np.zeros((0, 96), np.float32)
FEW = (30, 41, 60)
"""Three of the protected bits: more than the code corrects, few enough for a meter that is known."""
UNCLEAR = NOISY = 0.7
"""Contrast of a message near the least level at which it can be read, 8 dB."""


def new_belief():
    return Belief(RATE_HZ, lambda burst: NO_MORE)


def burst_of(soft, contrast=0.98, fit=0.9):
    soft = np.atleast_2d(np.asarray(soft, np.float32))
    soft = soft / np.abs(soft).mean(axis=1, keepdims=True)
    chips = np.zeros((192, 8), np.complex64)
    level = 100.0 if contrast > 0.8 else 6.3
    return Burst(100.0, soft, contrast, fit, level, 1234.0, 1.0, chips)


def soft_bits(message, wrong=(), weight=0.1):
    soft = 2.0 * scm.encode(*message[:5], message.reserved) - 1
    soft[list(wrong)] *= -weight
    return soft


def hear(belief, message, at_s, wrong=(), weight=0.1, contrast=None, **more):
    if contrast is None:
        contrast = NOISY if len(wrong) else 0.98
    return belief.judge(burst_of(soft_bits(message, wrong, weight), contrast, **more), at_s * RATE_HZ, noise=1.0)


def crept(message, by):
    return message._replace(consumption=message.consumption + by)


def said(verdict):
    return verdict if isinstance(verdict, str) else [heard.fields._replace(checksum=0) for heard in verdict]


@pytest.fixture
def knowing():
    """A memory in which ALICE and BOB were heard clean, at 1 s and 2 s."""
    belief = new_belief()
    assert said(hear(belief, ALICE, 1)) == [ALICE]
    assert said(hear(belief, BOB, 2)) == [BOB]
    return belief


# Clean


def test_a_clean_and_clear_message_of_a_stranger_is_believed_as_it_is():
    (heard,) = hear(new_belief(), ALICE, 1)
    assert heard.fields == ALICE._replace(checksum=40837)
    assert heard.bits.tolist() == scm.encode(*ALICE[:5]).tolist()
    assert (heard.corrected_bits, heard.sample, heard.frequency_hz, heard.level) == (0, RATE_HZ, 1234.0, 100.0)


def test_the_reserved_bit_may_have_either_value():
    assert said(hear(new_belief(), ALICE._replace(reserved=1), 1)) == [ALICE._replace(reserved=1)]


def test_up_to_three_wrong_bits_in_the_preamble_that_the_checksum_does_not_protect():
    assert said(hear(new_belief(), ALICE, 1, wrong=(0, 7, 15), weight=1, contrast=0.98)) == [ALICE]
    assert hear(new_belief(), ALICE, 1, wrong=(0, 3, 7, 15), weight=1, contrast=0.98) == "checksum"


def test_any_one_detector_is_enough():
    others = [soft_bits(ALICE, wrong) for wrong in (FEW, (22, 50, 70, 90), (35, 36, 37))]
    assert said(new_belief().judge(burst_of([*others, soft_bits(ALICE)]), 0, 1.0)) == [ALICE]


def test_the_second_look_is_taken_when_the_first_detectors_fail():
    looks = []

    def second_look(burst):
        looks.append(burst)
        return burst_of(soft_bits(ALICE)).soft

    belief = Belief(RATE_HZ, second_look)
    assert said(hear(belief, ALICE, 1, wrong=FEW, contrast=0.98)) == [ALICE]
    assert said(hear(belief, BOB, 1)) == [BOB]
    assert len(looks) == 1


def test_a_strangers_word_that_another_is_nearly_as_likely_as_waits():
    """The checksum holds, but five bits speak for it no louder than noise: another code word is as near."""
    nearest = bch.light_words(80)[0]
    positions = 16 + nearest[np.flatnonzero(nearest.min(axis=1) > 5)[0]]
    soft = soft_bits(ALICE)
    soft[positions] *= 0.05
    assert new_belief().judge(burst_of(soft), RATE_HZ, 1.0) == "unconfirmed"


def test_what_is_clean_changes_what_is_known(knowing):
    """A tamper counter, a register that falls back or leaps: clear and clean, so it is what was sent."""
    for n, change in enumerate(({"tamper_phy": 1}, {"consumption": 3}, {"consumption": 9_000_000}), 3):
        changed = ALICE._replace(**change)
        assert said(hear(knowing, changed, n)) == [changed]
        assert said(hear(knowing, crept(changed, 1), n + 0.5, wrong=FEW)) == [crept(changed, 1)]


# Refused


def test_without_a_preamble_nothing_is_read():
    assert hear(new_belief(), ALICE, 1, fit=0.1) == "no preamble"


def test_chance_is_no_word():
    assert new_belief().judge(burst_of(np.random.default_rng(1).standard_normal(96)), 0, 1.0) == "checksum"


def test_all_zero_is_empty_though_its_checksum_holds():
    nobody = scm.Scm(0, 0, 0, 0, 0)
    assert scm.decode(scm.encode(*nobody[:5])).checksum == 0
    belief = new_belief()
    assert hear(belief, nobody, 1) == "empty"
    assert hear(belief, nobody, 2, contrast=UNCLEAR) == "unconfirmed"
    assert hear(belief, nobody, 3, contrast=UNCLEAR) == "empty"


# Strangers, twice


@pytest.mark.parametrize("first", [{"contrast": UNCLEAR}, {"wrong": (40,)}, {"wrong": (30, 90)}])
@pytest.mark.parametrize("second", [{"contrast": UNCLEAR}, {"wrong": (25, 66)}])
def test_an_unclear_or_corrected_stranger_is_believed_when_heard_again(first, second):
    belief = new_belief()
    assert hear(belief, ALICE, 1, **first) == "unconfirmed"
    verdict = hear(belief, crept(ALICE, 2), 31, **second)
    assert said(verdict) == [ALICE, crept(ALICE, 2)]
    assert [heard.sample for heard in verdict] == [RATE_HZ, 31 * RATE_HZ]
    assert [heard.corrected_bits for heard in verdict] == [len(first.get("wrong", ())), len(second.get("wrong", ()))]


@pytest.mark.parametrize("wrong", [(), (40,)])
def test_what_is_strong_and_yet_not_clear_is_no_message_however_often_it_comes(wrong):
    """Other systems repeat their packets, and with them whatever chance made of one."""
    belief = new_belief()
    burst = burst_of(soft_bits(ALICE, wrong), UNCLEAR)
    burst.level = 100.0
    assert [belief.judge(burst, at_s * RATE_HZ, 1.0) for at_s in (1, 16, 31)] == ["checksum"] * 3


def test_an_earlier_hearing_long_ago_confirms_but_is_not_told_any_more():
    belief = new_belief()
    hear(belief, ALICE, 1, contrast=UNCLEAR)
    assert said(hear(belief, crept(ALICE, 2), 2 + TOLD_LATE_S, contrast=UNCLEAR)) == [crept(ALICE, 2)]


def test_once_believed_it_is_known():
    belief = new_belief()
    hear(belief, ALICE, 1, contrast=UNCLEAR)
    hear(belief, ALICE, 2, contrast=UNCLEAR)
    assert said(hear(belief, crept(ALICE, 1), 3, contrast=UNCLEAR)) == [crept(ALICE, 1)]
    assert said(hear(belief, crept(ALICE, 1), 4, wrong=FEW)) == [crept(ALICE, 1)]


@pytest.mark.parametrize(
    ("again", "after_s"),
    [
        (ALICE, APART_S / 2),
        (ALICE, WAITING_S + 1),
        (crept(ALICE, -1), 30),
        (crept(ALICE, 10_000), 30),
        (ALICE._replace(meter_id=ALICE.meter_id ^ 1), 30),
        (ALICE._replace(endpoint_type=5), 30),
        (ALICE._replace(tamper_phy=1), 30),
        (ALICE._replace(tamper_enc=0), 30),
    ],
)
def test_a_second_hearing_is_later_but_not_too_late_and_says_the_same(again, after_s):
    belief = new_belief()
    assert hear(belief, ALICE, 1, contrast=UNCLEAR) == "unconfirmed"
    assert hear(belief, again, 1 + after_s, contrast=UNCLEAR) == "unconfirmed"


def test_what_is_seen_twice_at_once_still_waits_for_its_second_hearing():
    belief = new_belief()
    hear(belief, ALICE, 1, contrast=UNCLEAR)
    hear(belief, ALICE, 1.001, contrast=UNCLEAR)
    assert said(hear(belief, ALICE, 30, contrast=UNCLEAR)) == [ALICE, ALICE]


def test_only_doubtful_bits_are_turned():
    """The two wrong ones are surer than half of the others."""
    belief = new_belief()
    assert hear(belief, ALICE, 1, wrong=(40, 70), weight=1.5) == "checksum"
    assert hear(belief, ALICE, 1, wrong=(40, 70), weight=0.9) == "unconfirmed"


# Known meters


@pytest.mark.parametrize("creep", [0, 1, 3, CREEP])
@pytest.mark.parametrize("wrong", [(40,), (40, 70), FEW, (22, 30, 41, 60, 77, 84), (1, 5, *FEW)])
def test_a_known_meters_weak_message_is_believed_and_its_corrections_counted(knowing, creep, wrong):
    (heard,) = hear(knowing, crept(ALICE, creep), 3, wrong=wrong)
    assert said([heard]) == [crept(ALICE, creep)]
    assert heard.corrected_bits == sum(bit >= 16 for bit in wrong)
    assert heard.bits.tolist() == scm.encode(*crept(ALICE, creep)[:5]).tolist()
    assert bch.syndrome(heard.bits[scm.PROTECTED]) == 0


def test_a_known_meters_unclear_message_is_believed_if_it_fits(knowing):
    assert said(hear(knowing, crept(ALICE, 1), 3, contrast=UNCLEAR)) == [crept(ALICE, 1)]
    assert hear(knowing, crept(ALICE, 5_000), 4, contrast=UNCLEAR) == "unconfirmed"
    assert hear(knowing, ALICE._replace(tamper_phy=2), 5, contrast=UNCLEAR) == "unconfirmed"


@pytest.mark.parametrize("creep", [-1, -500, CREEP + 10, 5_000])
def test_a_register_that_cannot_be_is_not_read_into_a_weak_message(knowing, creep):
    assert hear(knowing, crept(ALICE, creep), 1.5, wrong=FEW) == "checksum"
    assert hear(knowing, crept(ALICE, creep), 1.6, wrong=(40, 70)) == "unconfirmed"


def test_more_time_lets_the_register_creep_further(knowing):
    assert hear(knowing, crept(ALICE, CREEP + 40), 2, wrong=FEW) == "checksum"
    assert said(hear(knowing, crept(ALICE, CREEP + 40), 32, wrong=FEW)) == [crept(ALICE, CREEP + 40)]


def test_a_register_near_its_end_is_no_fault():
    belief = new_belief()
    last = ALICE._replace(consumption=(1 << 24) - 2)
    hear(belief, last, 1)
    assert said(hear(belief, crept(last, 1), 2, wrong=FEW)) == [crept(last, 1)]
    assert hear(belief, last._replace(consumption=0), 3, wrong=FEW) == "checksum"
    assert said(hear(belief, last._replace(consumption=0), 4)) == [last._replace(consumption=0)]


@pytest.mark.parametrize("change", [{"tamper_phy": 1}, {"tamper_enc": 0}, {"endpoint_type": 5}])
def test_a_tamper_counter_does_not_change_by_correction(knowing, change):
    """It is an alarm: so it takes a clean message, or two that agree."""
    changed = ALICE._replace(**change)
    assert isinstance(hear(knowing, changed, 3, wrong=FEW), str)
    assert isinstance(hear(knowing, changed, 4, wrong=(40, 70)), str)
    assert said(hear(knowing, changed, 34, wrong=(25,))) == [changed, changed]


def test_too_many_wrong_bits(knowing):
    wrong = np.random.default_rng(1).choice(np.arange(21, 96), 11, replace=False).tolist()
    assert hear(knowing, ALICE, 3, wrong=wrong) == "checksum"
    assert hear(knowing, ALICE, 4, wrong=FEW, weight=3) == "checksum"  # few, but sure of themselves


def test_a_loud_message_with_several_wrong_bits_is_a_collision(knowing):
    assert hear(knowing, ALICE, 3, wrong=FEW, contrast=0.9) == "contradicted"
    assert said(hear(knowing, ALICE, 4, wrong=FEW, contrast=NOISY)) == [ALICE]


def test_between_two_readings_neither_is_believed(knowing):
    """Each bit in which they differ is a toss-up."""
    between = soft_bits(ALICE) + soft_bits(crept(ALICE, 1))
    toss_ups = np.flatnonzero(between == 0)
    between[toss_ups] = 0.01 * soft_bits(ALICE)[toss_ups] * (-1) ** np.arange(len(toss_ups))
    assert knowing.judge(burst_of(between), 3 * RATE_HZ, 1.0) == "contradicted"


def test_a_code_word_close_by_contradicts_and_waits(knowing):
    """Another meter's word, two of its bits wrong, is not the known meter's however alike they are."""
    neighbour = closest_stranger(ALICE)
    apart = np.flatnonzero(scm.encode(*neighbour[:5]) != scm.encode(*ALICE[:5]))
    assert len(apart) <= 7
    soft = soft_bits(neighbour, wrong=apart[-2:], weight=1)
    assert isinstance(knowing.judge(burst_of(soft, NOISY), 3 * RATE_HZ, 1.0), str)
    soft[apart] *= 0.15
    assert knowing.judge(burst_of(soft, NOISY), 4 * RATE_HZ, 1.0) == "unconfirmed"
    assert said(knowing.judge(burst_of(soft, NOISY), 34 * RATE_HZ, 1.0)) == [neighbour, neighbour]


def closest_stranger(message):
    """A message in whose ID one bit differs, and the register so that the words are most alike."""
    word = scm.encode(*message[:5])
    others = [
        message._replace(meter_id=message.meter_id ^ 1 << bit, consumption=message.consumption ^ flip)
        for bit in range(24)
        for flip in range(1 << 7)
    ]
    return min(others, key=lambda other: np.count_nonzero(scm.encode(*other[:5]) != word))


def test_neighbours_ids_are_not_confused():
    """One electric meter's three registers, as the real capture has them: IDs that differ in one bit or two."""
    belief = new_belief()
    siblings = [
        BOB,
        BOB._replace(meter_id=17556727, tamper_phy=0, consumption=0),
        BOB._replace(meter_id=17556728, consumption=110714),
    ]
    for one in siblings:
        hear(belief, one, 1)
    rng = np.random.default_rng(3)
    believed = 0
    for n in range(300):
        one = siblings[n % 3] = crept(siblings[n % 3], int(rng.integers(0, 3)))
        wrong = rng.choice(96, rng.integers(1, 9), replace=False)
        verdict = hear(belief, one, 2 + n, wrong=wrong, weight=rng.uniform(0.05, 0.5))
        assert isinstance(verdict, str) or said(verdict) == [one]
        believed += not isinstance(verdict, str)
    assert believed > 250


# Chance


def test_chance_with_a_good_preamble_is_never_believed():
    """4,000 bursts read by five detectors; a few of these 20,000 words pass the checksum with two bits turned."""
    rng = np.random.default_rng(1)
    belief = new_belief()
    for n in range(300):
        hear(belief, scm.Scm(int(rng.integers(1, 1 << 26)), 8, 0, 0, int(rng.integers(1 << 20))), n / 100)
    refused = dict.fromkeys(("checksum", "unconfirmed", "contradicted"), 0)
    for n in range(4_000):
        soft = rng.standard_normal((5, 96), np.float32)
        soft[:, :21] = np.abs(soft[:, :21]) * (2.0 * scm.PREAMBLE - 1)
        verdict = belief.judge(burst_of(soft, contrast=0.6), (4 + n / 50) * RATE_HZ, 30.0)
        assert isinstance(verdict, str)
        refused[verdict] += 1
    assert refused["unconfirmed"] > 10
    assert refused["checksum"] > 3_000


# Bounds


def test_the_meter_not_heard_for_longest_is_forgotten():
    belief = new_belief()
    street = [scm.Scm(1000 + 17 * n, 8, 0, 0, 3 * n) for n in range(MOST_KNOWN + 1)]
    for n, one in enumerate(street[:-1]):
        assert said(hear(belief, one, n / 1000)) == [one]
    assert said(hear(belief, street[0], 5, wrong=FEW)) == [street[0]]  # heard again: now street[1] is the oldest
    hear(belief, street[-1], 6)
    assert hear(belief, street[1], 7, wrong=FEW) == "checksum"
    for one in (street[0], street[2], street[-2], street[-1]):
        assert said(hear(belief, one, 8, wrong=FEW)) == [one]


def test_the_stranger_waiting_longest_is_forgotten():
    belief = new_belief()
    street = [scm.Scm(1000 + 17 * n, 8, 0, 0, 3 * n) for n in range(MOST_WAITING + 1)]
    for n, one in enumerate(street):
        assert hear(belief, one, n / 1000, contrast=UNCLEAR) == "unconfirmed"
    assert said(hear(belief, street[1], 10, contrast=UNCLEAR)) == [street[1]] * 2
    assert hear(belief, street[0], 10, contrast=UNCLEAR) == "unconfirmed"


def test_memory_does_not_grow(monkeypatch):
    """Ever new strangers, clear ones and unclear ones, many times as many as the tables hold."""
    monkeypatch.setattr(rules, "MOST_KNOWN", 200)
    monkeypatch.setattr(rules, "MOST_WAITING", 100)
    belief = new_belief()

    def pass_by(first):
        for n in range(first, first + 1000):
            hear(belief, scm.Scm(1000 + n, 8, 0, 0, n % 65_536), n, contrast=0.98 if n % 2 else UNCLEAR)

    pass_by(0)
    tracemalloc.start()
    pass_by(1000)
    in_the_middle = tracemalloc.get_traced_memory()[0]
    pass_by(2000)
    pass_by(3000)
    at_the_end = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert at_the_end < in_the_middle + 30_000
