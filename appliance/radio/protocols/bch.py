"""The BCH code that guards an SCM message: syndromes, and the correction of up to two bits.

Generator 0x6F63 (x^16 implied), first bit sent is the highest power. Shortened to the 80 bits that SCM
protects, the code has minimum distance 5 (391 words of weight 5, counted by `tests`), so each pattern of
up to two wrong bits has a syndrome of its own.

What a valid checksum is worth. Of the 65,536 syndromes, 1 means "no error", 80 one error, 3,160 two. Bits
that are pure chance therefore pass uncorrected once in 65,536, and with up to two corrections once in
65,536 / 3,241, about 20. That is why a corrected message is never believed on its checksum alone: see
`appliance.radio.belief`.

Source: polynomial and bit order as published for SCM; checked against real captures.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x6F63
CHECK_BITS = 16


@cache
def bit_syndromes(n_bits: int) -> NDArray[np.uint16]:
    """Syndrome of a single one at each position of an `n_bits` word: uint16 (n_bits,), position 0 sent first.

    >>> [hex(int(s)) for s in bit_syndromes(18)[:3]]
    ['0xdec6', '0x6f63', '0x8000']
    """
    syndromes = np.empty(n_bits, np.uint16)
    value = 1
    for position in range(n_bits - 1, -1, -1):
        syndromes[position] = value
        value = (value << 1) ^ (0x10000 | POLYNOMIAL if value & 0x8000 else 0)
    syndromes.flags.writeable = False
    return syndromes


def syndrome(bits: NDArray[np.bool_] | NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Remainder of each word, 0 for a code word. bits: 0/1 (..., n_bits); returns uint16 (...)."""
    return np.bitwise_xor.reduce(bits * bit_syndromes(bits.shape[-1]), axis=-1, dtype=np.uint16)


def checksum(data: NDArray[np.bool_] | NDArray[np.uint8]) -> int:
    """The 16 check bits that follow `data` (0/1, (n,)) in a code word, as a number."""
    return int(syndrome(np.concatenate([data, np.zeros(CHECK_BITS, data.dtype)])))


@cache
def error_patterns(n_bits: int) -> dict[int, tuple[int, ...]]:
    """Positions of the wrong bits for each syndrome that one or two errors in `n_bits` can leave."""
    single = [int(s) for s in bit_syndromes(n_bits)]
    patterns: dict[int, tuple[int, ...]] = {s: (i,) for i, s in enumerate(single)}
    for i, first in enumerate(single):
        for j in range(i):
            patterns[first ^ single[j]] = (j, i)
    return patterns


@cache
def light_words(n_bits: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the ones are in every code word of weight 5 and of weight 6: intp (words, 5) and (words, 6).

    These are the ways in which one code word can be taken for another with the fewest wrong bits.

    >>> [len(words) for words in light_words(80)]
    [391, 4710]
    """
    single = bit_syndromes(n_bits)
    place = np.arange(n_bits)
    pairs = np.argwhere(place[:, None] < place)
    triples = np.argwhere((place[:, None, None] < place[:, None]) & (place[:, None] < place))
    of_pair = np.full(1 << CHECK_BITS, -1, np.intp)
    of_pair[np.bitwise_xor.reduce(single[pairs], axis=1)] = np.arange(len(pairs))
    of_triple = np.bitwise_xor.reduce(single[triples], axis=1)
    matching = np.flatnonzero(of_pair[of_triple] >= 0)
    fives = np.concatenate([triples[matching], pairs[of_pair[of_triple[matching]]]], axis=1)
    order = np.argsort(of_triple, kind="stable")
    ordered = of_triple[order]
    sixes = []
    apart = 1
    while (same := np.flatnonzero(ordered[apart:] == ordered[:-apart])).size:
        sixes.append(np.concatenate([triples[order[same]], triples[order[same + apart]]], axis=1))
        apart += 1
    return _distinct(fives, n_bits), _distinct(np.concatenate(sixes), n_bits)


def _distinct(words: NDArray[np.intp], n_bits: int) -> NDArray[np.intp]:
    """The words once each, without those that name a position twice."""
    words = np.sort(words, axis=1)
    words = words[(np.diff(words, axis=1) > 0).all(axis=1)]
    _, first = np.unique(words @ (n_bits ** np.arange(words.shape[1])), return_index=True)
    distinct: NDArray[np.intp] = words[first]
    return distinct
