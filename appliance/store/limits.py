"""A bucket of tokens, so many at once, then so many a second: for what anyone can cause, and for faults."""

# A loose plug, or a card that others fill and that takes a little now and then, must not fill the card with its news.
FAULTS_AT_ONCE, FAULTS_PER_S = 20, 1 / 900


class Bucket:
    """Tokens that come back with time."""

    __slots__ = ("_at", "_left", "_most", "_per_ms")

    def __init__(self, most: float, per_s: float) -> None:
        self._most = self._left = most
        self._per_ms = per_s / 1000
        self._at: int | None = None

    def take(self, at: int) -> bool:
        """Take a token at stamp `at`; False when there is none. A new boot begins with all of them."""
        if self._at is not None and at > self._at:
            self._left = min(self._most, self._left + (at - self._at) * self._per_ms)
        self._at = at if self._at is None else max(at, self._at)
        if self._left < 1:
            return False
        self._left -= 1
        return True
