"""The BCH code: what its docstring claims, counted."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.radio.protocols import bch, scm

BITS = 80
CHECKSUM = 40837
VALID = scm.encode(60243827, 4, 0, 3, 31160)[scm.PROTECTED]

words = st.integers(0, 2**64 - 1).map(lambda n: np.array([n >> i & 1 for i in range(63, -1, -1)], np.uint8))


def number(bits):
    return int("".join(str(int(bit)) for bit in bits), 2)


def remainder(dividend):
    """Long division of polynomials over GF(2), by the textbook."""
    generator = 1 << 16 | bch.POLYNOMIAL
    while dividend.bit_length() > 16:
        dividend ^= generator << dividend.bit_length() - 17
    return dividend


def code_word(data):
    check = bch.checksum(data)
    return np.concatenate([data, np.array([check >> i & 1 for i in range(15, -1, -1)], np.uint8)])


def test_the_known_message_is_a_code_word():
    assert number(VALID[-16:]) == CHECKSUM
    assert bch.syndrome(VALID) == 0


def test_another_reading_under_the_same_checksum_is_not():
    forged = scm.encode(60243828, 4, 0, 3, 31167)[scm.PROTECTED].copy()
    forged[-16:] = VALID[-16:]
    assert bch.syndrome(forged) != 0


@given(words)
def test_the_checksum_is_the_remainder_of_long_division(data):
    assert bch.checksum(data) == remainder(number(data) << 16)
    assert remainder(number(code_word(data))) == 0
    assert bch.syndrome(code_word(data).astype(bool)) == 0


def test_syndromes_of_many_words_at_once():
    many = np.random.default_rng(1).integers(0, 2, (3, 5, BITS), dtype=np.uint8)
    assert bch.syndrome(many).tolist() == [[remainder(number(word)) for word in row] for row in many]


def test_what_is_cached_cannot_be_spoilt():
    with pytest.raises(ValueError, match="read-only"):
        bch.bit_syndromes(BITS)[0] = 0


def test_the_least_distance_is_5_and_391_words_have_it():
    """A code word is a set of positions whose syndromes cancel; one of five is a triple that equals a pair."""
    single = bch.bit_syndromes(BITS).astype(np.int64)
    pairs = np.array([a ^ b for a, b in combinations(single.tolist(), 2)])
    # No two sets of at most two positions agree: no word of weight 1 to 4.
    assert len({0, *single.tolist(), *pairs.tolist()}) == 1 + 80 + 3160
    is_pair = np.zeros(1 << 16, bool)
    is_pair[pairs] = True
    i, j, k = np.array(list(combinations(range(BITS), 3))).T
    triples_that_equal_a_pair = int(is_pair[single[i] ^ single[j] ^ single[k]].sum())
    assert triples_that_equal_a_pair == 391 * 10  # ways to choose three of a word's five ones


def test_the_light_words_are_all_code_words_of_their_weight():
    fives, sixes = bch.light_words(BITS)
    assert (len(fives), len(sixes)) == (391, 4710)
    for weight, words_of_weight in ((5, fives), (6, sixes)):
        bits = np.zeros((len(words_of_weight), BITS), np.uint8)
        np.put_along_axis(bits, words_of_weight, 1, axis=1)
        assert (bits.sum(axis=1) == weight).all()
        assert (bch.syndrome(bits) == 0).all()
        assert len(np.unique(bits, axis=0)) == len(bits)


def test_there_are_4710_words_of_weight_6():
    """By the weights of the dual code (MacWilliams), which has 2^16 words only."""
    dual = bch.bit_syndromes(BITS)[None] & np.arange(1 << 16, dtype=np.uint16)[:, None]
    for shift in (8, 4, 2, 1):
        dual ^= dual >> shift
    dual_weights = np.bincount((dual & 1).sum(axis=1), minlength=BITS + 1)

    def krawtchouk(weight, x):
        return sum((-1) ** i * comb(x, i) * comb(BITS - x, weight - i) for i in range(weight + 1))

    def words_of(weight):
        return sum(int(n) * krawtchouk(weight, x) for x, n in enumerate(dual_weights) if n) // (1 << 16)

    assert [words_of(weight) for weight in range(7)] == [1, 0, 0, 0, 0, 391, 4710]


def test_every_pattern_of_one_or_two_errors_has_its_own_syndrome_and_is_corrected():
    patterns = bch.error_patterns(BITS)
    true = {(i,) for i in range(BITS)} | set(combinations(range(BITS), 2))
    assert len(patterns) == 3240
    assert set(patterns.values()) == true
    received = np.repeat(VALID[None], 3240, axis=0)
    for row, positions in zip(received, true, strict=True):
        row[list(positions)] ^= 1
    for row, syndrome in zip(received, bch.syndrome(received), strict=True):
        row[list(patterns[int(syndrome)])] ^= 1
    assert (received == VALID).all()


def test_chance_passes_as_often_as_the_docstring_says():
    assert 65_536 / (len(bch.error_patterns(BITS)) + 1) == pytest.approx(20, abs=0.5)
    assert 0 not in bch.error_patterns(BITS)


@given(words, st.sets(st.integers(0, BITS - 1), min_size=1, max_size=2))
def test_any_one_or_two_errors_are_found(data, positions):
    received = code_word(data)
    received[list(positions)] ^= 1
    assert set(bch.error_patterns(BITS)[int(bch.syndrome(received))]) == positions


@given(words, st.sets(st.integers(0, BITS - 1), min_size=1, max_size=4))
def test_up_to_four_errors_are_never_taken_for_none(data, positions):
    received = code_word(data)
    received[list(positions)] ^= 1
    assert bch.syndrome(received) != 0
