"""The gains that each tuner has, for where they cannot be asked: rtl_tcp tells the tuner and how many there are.

In tenths of a decibel. Source: librtlsdr's tables (`rtlsdr_get_tuner_gains`).
"""

_R82XX: tuple[int, ...] = (
    0,
    9,
    14,
    27,
    37,
    77,
    87,
    125,
    144,
    157,
    166,
    197,
    207,
    229,
    254,
    280,
    297,
    328,
    338,
    364,
    372,
    386,
    402,
)
_R82XX += (421, 434, 439, 445, 480, 496)
GAINS: dict[str, tuple[int, ...]] = {
    "E4000": (-10, 15, 40, 65, 90, 115, 140, 165, 190, 215, 240, 290, 340, 420),
    "FC0012": (-99, -40, 71, 179, 192),
    "FC0013": (
        -99,
        -73,
        -65,
        -63,
        -60,
        -58,
        -54,
        58,
        61,
        63,
        65,
        67,
        68,
        70,
        71,
        179,
        181,
        182,
        184,
        186,
        188,
        191,
        197,
    ),
    "R820T": _R82XX,
    "R828D": _R82XX,
}


def nearest_db(gain_db: float | None, tenths: tuple[int, ...]) -> float | None:
    """Of a tuner's gains the one nearest to that asked for; as asked if none is known, None for automatic.

    >>> nearest_db(39.0, GAINS["R820T"]), nearest_db(None, GAINS["E4000"]), nearest_db(39.0, ())
    (38.6, None, 39.0)
    """
    if gain_db is None or not tenths:
        return gain_db
    return min(tenths, key=lambda gain: abs(gain - 10 * gain_db)) / 10
