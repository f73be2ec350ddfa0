"""An appliance's identity as people read and write it."""

import re
from collections.abc import Iterable


def grouped(identity: str) -> str:
    """As it is shown, so that two can be compared.

    >>> grouped("0123456789abcdef0123456789abcdef")
    '0123 4567 89ab cdef 0123 4567 89ab cdef'
    """
    return " ".join(re.findall(".{1,4}", identity))


def identity_of(words: Iterable[str]) -> str:
    """As it is kept, of what people copy.

    >>> identity_of(["0123", "4567-89AB"])
    '0123456789ab'
    """
    return re.sub(r"[\s:-]", "", "".join(words)).lower()
