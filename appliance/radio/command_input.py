"""Commands as they come in, read without waiting by a loop that has samples to see to.

One is taken a turn, and no more is read while some wait: a flood stays in the pipe, and its sender waits.
The end of the input is no reason to stop hearing.
"""

import os
import select
from collections import deque

from appliance.control.commands import LIMITS, LONGEST_COMMAND_BYTES, BadCommand, Command, from_json
from appliance.radio.lines import Lines


class CommandInput:
    """Commands on the file descriptor `fd`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines = Lines(LONGEST_COMMAND_BYTES)
        self._waiting: deque[bytes | None] = deque()
        self._ended = False

    def next(self) -> Command | None:
        """The next command, None while there is none. Raises BadCommand for one that cannot be."""
        if not self._waiting and not self._ended and select.select([self._fd], [], [], 0)[0]:
            try:
                chunk = os.read(self._fd, LONGEST_COMMAND_BYTES)
            except OSError:
                chunk = b""
            self._ended = not chunk
            self._waiting.extend(line for line in self._lines.feed(chunk) if line is None or line.strip())
        if not self._waiting:
            return None
        line = self._waiting.popleft()
        if line is None:
            raise BadCommand(f"a command has at most {LONGEST_COMMAND_BYTES} bytes", LIMITS, None)
        return from_json(line)
