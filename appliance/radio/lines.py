"""Cuts a stream of bytes into lines of bounded length: what a process prints, and what it is told."""

from collections.abc import Iterator

# The longest line of `appliance listen` is a spectrum's, of some 15 kB.
LONGEST_LINE_BYTES = 16_384


class Lines:
    """Cuts a stream of bytes into lines of bounded length."""

    def __init__(self, longest: int = LONGEST_LINE_BYTES) -> None:
        self._longest = longest
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """The lines that `chunk` completes, without their newline; None in place of one that is too long."""
        *complete, rest = (self._rest + chunk).split(b"\n")
        for line in complete:
            yield None if self._skipping or len(line) > self._longest else line
            self._skipping = False
        self._skipping = self._skipping or len(rest) > self._longest
        self._rest = b"" if self._skipping else rest
