"""The last lines of the program's own log, in memory, for whoever is to find out what went wrong.

The journal is not asked: what the program prints for the eyes of whoever stands beside it, such as the first password,
is in there too.
"""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterator

MOST_LINES, LONGEST_LINE = 2_000, 500


class OneLine(logging.Formatter):
    """Formats a message as one line, whatever a stranger had it quote; a traceback has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging gives it
        """The line."""
        record.message = "".join(char if char.isprintable() else "?" for char in record.message)
        return super().formatMessage(record)


class RecentLog(logging.Handler):
    """Keeps so many lines of what is logged; those of a traceback each count."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        formatter = OneLine("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self._lines.extend(line[:LONGEST_LINE] for line in self.format(record).splitlines())

    def lines(self) -> list[str]:
        """The last ones, the oldest first; times are UTC, by the machine's clock of then."""
        with self.lock or contextlib.nullcontext():
            return list(self._lines)

    @contextlib.contextmanager
    def listening(self) -> Iterator["RecentLog"]:
        """Keep what is logged anywhere in the program while entered."""
        logging.getLogger().addHandler(self)
        try:
            yield self
        finally:
            logging.getLogger().removeHandler(self)
