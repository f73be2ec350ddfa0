"""The wish to stop, from a signal, as a loop that reads a radio needs it.

A loop asks `requested` between blocks, so nothing is torn in the middle of a line. Opening a source may wait for a
network or a driver without end in sight, so there the signal breaks in (`StopNow`). A second signal ends the
process as it would any other.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StopNow(BaseException):
    """The wish came where waiting would take too long. Like KeyboardInterrupt, nothing to catch on the way."""


class StopRequest:
    """Set once, by `request` or by a signal."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._breaks_in = False

    @property
    def requested(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask to stop."""
        self._event.set()

    def wait(self, timeout_s: float) -> bool:
        """Sleep so long, or until the request; returns whether it came."""
        return self._event.wait(timeout_s)

    def on_signals(self) -> None:
        """Let SIGTERM and SIGINT set it. Only from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    @contextmanager
    def breaking_in(self) -> Iterator[None]:
        """Within, a signal raises StopNow."""
        if self.requested:
            raise StopNow
        self._breaks_in = True
        try:
            yield
        finally:
            self._breaks_in = False

    def _on_signal(self, number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._event.set()
        if self._breaks_in:
            raise StopNow
