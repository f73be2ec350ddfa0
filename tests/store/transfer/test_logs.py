"""Logs of rtlamr: what is taken, and the names of what is not."""

import gzip
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.errors import InputError
from appliance.model import Message
from appliance.store.transfer.logs import LONGEST_LINE_BYTES, Log, Refusal, Tally, messages, parse

LINE = (
    b'{"Time":"2016-04-01T12:24:59.02505069-03:00","Offset":0,"Length":35840,"Message":'
    b'{"ID":60243827,"Type":4,"TamperPhy":0,"TamperEnc":3,"Consumption":31160,"ChecksumVal":40837}}'
)


def test_the_line_of_the_thesis() -> None:
    found = parse(LINE)
    assert isinstance(found, Message)
    assert (found.meter_id, found.commodity, found.consumption, found.tamper_enc) == (60243827, "electric", 31160, 3)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LINE[:100], "not JSON"),
        (LINE[1:], "not JSON"),
        (b"\xff\xfe" + LINE, "not JSON"),
        (b"\0" * 100, "not JSON"),
        (b"usage: rtlamr", "not JSON"),
        (b"[" * 10_000, "no message"),
        (b"{}", "no message"),
        (b"7", "no message"),
        (LINE.replace(b"31160", b"-1"), "no message"),
        (LINE.replace(b"31160", b"1" * 400), "no message"),
        (LINE.replace(b"-03:00", b""), "no message"),
        (LINE.replace(b"60243827", b"0"), "no meter"),
        (LINE.replace(b'"Message"', b'"Type":"R900","Message"'), "another protocol"),
        (LINE.replace(b"2016", b"1970"), "clock not set"),
        (LINE.replace(b"2016", b"2100"), "clock not set"),
        (b"x" * (LONGEST_LINE_BYTES + 1), "too long"),
    ],
)
def test_every_refusal_has_a_name(line: bytes, reason: str) -> None:
    found = parse(line)
    assert isinstance(found, Refusal)
    assert found.reason == reason
    assert len(found.detail) <= 200


def test_what_is_ahead_of_a_clock_that_is_set_is_refused() -> None:
    told = datetime(2016, 4, 1, 15, 24, 59, tzinfo=UTC)
    assert isinstance(parse(LINE, told - timedelta(hours=23)), Message)
    found = parse(LINE, told - timedelta(hours=25))
    assert found == Refusal("in the future", "by this machine's clock it is 2016-03-31")


def test_broken_lines_are_counted_and_the_first_few_shown_with_their_numbers() -> None:
    lines = [LINE, b"", b"noise", LINE[:50], LINE, b"x" * 100_000, *[b"{}"] * 10, LINE]
    tally = Tally()
    assert len(list(messages(io.BytesIO(b"\n".join(lines)), tally))) == 3
    assert tally.lines == len(lines)
    assert tally.refused == {"not JSON": 2, "too long": 1, "no message": 10}
    assert [number for number, _, _ in tally.shown] == [3, 4, 6, 7, 8]
    assert tally.shown[0][2] == "noise"


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_may_be_compressed(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "amrlog.log"
    content = (LINE + b"\r\n") * 2500
    path.write_bytes(gzip.compress(content) if packed else content)
    looks = []
    log = Log(path)
    assert len(list(log.messages(Tally(), lambda: looks.append(log.position)))) == 2500
    assert len(looks) == 3
    assert log.size == path.stat().st_size
    assert looks == sorted(looks)
    log.close()


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Log(tmp_path / "missing")
    with pytest.raises(InputError, match="directory"):
        Log(tmp_path)
    for spoiled in (gzip.compress(LINE * 100)[:-10], gzip.compress(LINE)[:12] + b"\xff" * 50):
        (tmp_path / "log.gz").write_bytes(spoiled)
        log = Log(tmp_path / "log.gz")
        with pytest.raises(InputError, match="is damaged"):
            list(log.messages(Tally(), lambda: None))
        log.close()


def test_an_empty_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"")
    log = Log(tmp_path / "log")
    assert list(log.messages(Tally(), lambda: None)) == []
    log.close()
