"""How messages are printed: one line each, on a stream that may be a file, a pipe or a terminal.

- `json`: the lines of `appliance.model`, status lines among them.
- `csv`: a header, then the fields of each message.
- `plain`: columns for reading.
- `rtlamr`: the JSON of rtlamr (`-format=json`), for tools written for it. `Offset` and `Length` are bytes of a cu8
  recording, as rtlamr counts them. Only protocols that rtlamr has a form for here are printed.

Only `json` has status lines. With the others, changes of state go to the log, so that the output stays a table.
"""

import csv
import io
import logging
from collections.abc import Callable
from typing import TextIO

from appliance.errors import StoreError
from appliance.model import Message, RadioStatus, format_time
from appliance.rtlamr import to_rtlamr

CSV_FIELDS = (
    "time",
    "protocol",
    "meter_id",
    "endpoint_type",
    "commodity",
    "tamper_phy",
    "tamper_enc",
    "consumption",
    "checksum",
    "frequency_hz",
    "snr_db",
    "corrected_bits",
    "sample",
)
SCM_BITS = 96
BITS_PER_S = 16384

_log = logging.getLogger(__name__)


class Output:
    """Writes messages and statuses to `stream` in one format; `live` flushes each line.

    Raises StoreError when the stream takes no more (a full disk); a reader that went away is BrokenPipeError.
    """

    def __init__(self, stream: TextIO, form: str, live: bool) -> None:
        self._stream = stream
        self._form = form
        self._live = live
        self._state = ""
        self._rate_hz = 0
        self._unprintable: set[str] = set()
        if form == "csv":
            self._write(_csv_line(CSV_FIELDS))

    def message(self, message: Message) -> None:
        """Print one message."""
        line = FORMATS[self._form](message, self._rate_hz)
        if line is not None:
            self._write(line)
        elif message.protocol not in self._unprintable:
            self._unprintable.add(message.protocol)
            _log.warning("protocol has no form in this format protocol=%s format=%s", message.protocol, self._form)

    def status(self, status: RadioStatus) -> None:
        """Print a status, or log a change of state where the format has no status lines."""
        self._rate_hz = status.sample_rate_hz
        if self._form == "json":
            self._write(status.to_json())
        elif status.state != self._state:
            _log.info(
                "radio state=%s source=%s messages=%d detail=%r",
                status.state,
                status.source,
                status.messages,
                status.detail,
            )
        self._state = status.state

    def line(self, line: str) -> None:
        """Print a line of the control channel."""
        self._write(line)

    def flush(self) -> None:
        """Send on what is buffered."""
        self._guarded(self._stream.flush)

    def _write(self, line: str) -> None:
        self._guarded(lambda: self._stream.write(line + "\n"))
        if self._live:
            self.flush()

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:
            raise
        except OSError as fault:
            raise StoreError(f"cannot write the output: {fault.strerror}") from None


def _json(message: Message, _rate_hz: int) -> str:
    return message.to_json()


def _csv(message: Message, _rate_hz: int) -> str:
    values = (getattr(message, name) for name in CSV_FIELDS[1:])
    return _csv_line((format_time(message.time), *values))


def _csv_line(values: tuple[object, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def _plain(message: Message, _rate_hz: int) -> str:
    tamper = f"{_or_dash(message.tamper_phy)}/{_or_dash(message.tamper_enc)}"
    frequency = "-" if message.frequency_hz is None else f"{message.frequency_hz / 1e6:.4f}"
    level = "-" if message.snr_db is None else f"{message.snr_db:.1f}"
    corrected = f"  {message.corrected_bits} bit corrected" if message.corrected_bits else ""
    return (
        f"{format_time(message.time)[:23].replace('T', ' ')}  {message.protocol:<7} {message.meter_id:>10}"
        f"  type {message.endpoint_type:>3} {message.commodity:<8}  register {message.consumption:>10}"
        f"  tamper {tamper:<5}  {frequency:>8} MHz {level:>5} dB{corrected}"
    )


def _or_dash(value: int | None) -> str:
    return "-" if value is None else str(value)


def _rtlamr(message: Message, rate_hz: int) -> str | None:
    if message.protocol != "scm":
        return None
    assert message.tamper_phy is not None
    assert message.tamper_enc is not None
    return to_rtlamr(
        message.time,
        message.meter_id,
        message.endpoint_type,
        message.tamper_phy,
        message.tamper_enc,
        message.consumption,
        checksum=message.checksum,
        offset=2 * message.sample,
        length=2 * round(SCM_BITS * rate_hz / BITS_PER_S),
    )


FORMATS: dict[str, Callable[[Message, int], str | None]] = {
    "json": _json,
    "csv": _csv,
    "plain": _plain,
    "rtlamr": _rtlamr,
}
