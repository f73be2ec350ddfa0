"""How far a long command is, for a person at a terminal: one line that is written over."""

import time
from collections.abc import Callable
from typing import TextIO

PATIENCE_S = 2.0
INTERVAL_S = 0.5


class Progress:
    """Shows a share, or an amount where the total is not known; nothing where `stream` is no terminal."""

    def __init__(
        self, stream: TextIO, per_unit: float, clock: Callable[[], float] = time.monotonic, unit: str = "s"
    ) -> None:
        self._stream = stream
        self._per_unit = per_unit
        self._unit = unit
        self._clock = clock
        self._shows = stream.isatty()
        self._next_s = clock() + PATIENCE_S
        self._shown = False

    def __call__(self, done: int, total: int | None) -> None:
        """So much of `total` is done; an amount is shown in `unit`, each of `per_unit`."""
        if not self._shows or self._clock() < self._next_s:
            return
        self._next_s = self._clock() + INTERVAL_S
        share = f"{100 * done / total:5.1f} %" if total else f"{done / self._per_unit:.1f} {self._unit}"
        self._stream.write(f"\r{share} ")
        self._stream.flush()
        self._shown = True

    def end(self) -> None:
        """Leave the line as if nothing had been there."""
        if self._shown:
            self._stream.write("\r          \r")
            self._stream.flush()
