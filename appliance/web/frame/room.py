"""How many connections are there at once: in all, and from one address, so that nobody shuts everybody else out.

Programs on this machine have no share of their own: a proxy brings everybody's, and the watchdog must get in. Only
what there is in all bounds them.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator

from appliance.web.frame.addresses import is_here, known_as


class Room:
    """What a site has room for, of which each of its ports takes."""

    def __init__(self, most: int, most_from_one: int) -> None:
        self._most = most
        self._most_from_one = most_from_one
        self._taken: Counter[str] = Counter()

    @contextlib.contextmanager
    def place(self, peer: str) -> Iterator[bool]:
        """A place for a connection from the address `peer`, while entered; yields whether there is one."""
        address = known_as(peer)
        has_share = is_here(peer) or self._taken[address] < self._most_from_one
        if not has_share or self._taken.total() >= self._most:
            yield False
            return
        with counted(self._taken, address):
            yield True


@contextlib.contextmanager
def counted(counter: Counter[str], address: str) -> Iterator[None]:
    """One more of an address, while entered. Forgets addresses that have none."""
    counter[address] += 1
    try:
        yield
    finally:
        counter[address] -= 1
        if not counter[address]:
            del counter[address]
