"""The lines that `rtlamr -format=json` logged, one by one, from a file, a compressed file or standard input."""

import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal, cast

from appliance.errors import InputError
from appliance.model import Message
from appliance.rtlamr import from_rtlamr

# rtlamr was first published then: an earlier time is that of a clock that was never set. And no stamp is later.
EARLIEST, LATEST = datetime(2014, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
# As the radio's messages: what is further ahead of this machine's clock would hide all that follows it.
AHEAD = timedelta(days=1)
LONGEST_LINE_BYTES = 16_384
SHOWN = 5
_GZIP = b"\x1f\x8b"

Reason = Literal["too long", "not JSON", "another protocol", "no message", "no meter", "clock not set", "in the future"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line is not taken: a name to count it by, and what exactly is wrong."""

    reason: Reason
    detail: str


@dataclass(slots=True)
class Tally:
    """What became of the lines; the first few that were refused with their numbers, counted from 1."""

    lines: int = 0
    refused: Counter[Reason] = field(default_factory=Counter)
    shown: list[tuple[int, Refusal, str]] = field(default_factory=list)


def parse(line: bytes, now: datetime | None = None) -> Message | Refusal:
    """The message of one line, or why there is none. `now` is None where nobody knows what time it is.

    >>> parse(b'{"Time":"2016-04-01T12:24:59Z","Mess')
    Refusal(reason='not JSON', detail='Unterminated string starting at column 32')
    """
    if len(line) > LONGEST_LINE_BYTES:
        return Refusal("too long", f"longer than {LONGEST_LINE_BYTES} bytes")
    try:
        message = from_rtlamr(line)
    except json.JSONDecodeError as fault:
        return Refusal("not JSON", f"{fault.msg} column {fault.colno}")
    except UnicodeDecodeError as fault:
        return Refusal("not JSON", f"no UTF-8 at byte {fault.start}")
    except ValueError as fault:
        return Refusal("another protocol" if "are not read" in str(fault) else "no message", f"{fault}"[:200])
    if not message.meter_id:
        return Refusal("no meter", "meter 0 is none")
    if not EARLIEST <= message.time < LATEST:
        return Refusal("clock not set", f"the time is {message.time:%Y-%m-%d}")
    if now and message.time > now + AHEAD:
        return Refusal("in the future", f"by this machine's clock it is {now:%Y-%m-%d}")
    return message


def messages(source: BinaryIO, tally: Tally, now: datetime | None = None) -> Iterator[Message]:
    """The messages of a log; what is refused is counted in `tally`. Empty lines are none."""
    for line in _lines(source):
        tally.lines += 1
        if not line.strip():
            continue
        found = parse(line, now)
        if isinstance(found, Message):
            yield found
            continue
        tally.refused[found.reason] += 1
        if len(tally.shown) < SHOWN:
            tally.shown.append((tally.lines, found, line[:100].decode("utf-8", "replace").strip()))


def _lines(source: BinaryIO) -> Iterator[bytes]:
    while line := source.readline(LONGEST_LINE_BYTES + 2):
        yield line
        # What follows of a line that is too long is no line of its own.
        while line and not line.endswith(b"\n"):
            line = source.readline(LONGEST_LINE_BYTES)


class Log:
    """An open log. `position` is how far it was read and `size` how long it is, None where nobody knows.

    Raises InputError when it cannot be opened or, in `messages`, read.
    """

    def __init__(self, path: Path) -> None:
        self.name = "standard input" if str(path) == "-" else str(path)
        try:
            self._raw = sys.stdin.buffer if str(path) == "-" else path.open("rb")
            self.size = self._raw.seek(0, 2) if self._raw.seekable() else None
            if self.size is not None:
                self._raw.seek(0)
            packed = cast(BinaryIO, self._raw).peek(2)[:2] == _GZIP  # type: ignore[attr-defined]
        except OSError as fault:
            raise InputError(f"{self.name} cannot be opened: {fault.strerror}") from None
        self._source = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw)) if packed else self._raw

    @property
    def position(self) -> int:
        """Bytes of the file that were read."""
        return self._raw.tell() if self.size is not None else 0

    def messages(self, tally: Tally, look: Callable[[], None], now: datetime | None = None) -> Iterator[Message]:
        """The messages; `look` is called now and then."""
        try:
            for number, message in enumerate(messages(self._source, tally, now)):
                if number % 1000 == 0:
                    look()
                yield message
        except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
            hint = f"Copy it again; or take what is whole of it: zcat {self.name} | appliance import -"
            raise InputError(f"{self.name} is damaged: {fault}", hint) from None
        except OSError as fault:
            raise InputError(f"{self.name} cannot be read: {fault.strerror}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()
        self._raw.close()
