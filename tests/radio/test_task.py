"""The radio task against real child processes that die, fall silent, talk rubbish, flood, or will not end."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import Receiver
from appliance.errors import SourceLost
from appliance.model import Message
from appliance.radio.lines import LONGEST_LINE_BYTES, Lines
from appliance.radio.task import Radio, command_line

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MESSAGE = (
    '{"type": "message", "time": "2026-03-01T11:59:59Z", "protocol": "scm", "meter_id": 60243827, "endpoint_type": 4, '
    '"commodity": "electric", "tamper_phy": 0, "tamper_enc": 3, "consumption": 31160, "checksum": 40837, '
    '"frequency_hz": 912000000, "snr_db": 20.5, "corrected_bits": 0, "sample": 0}'
)
STATUS = (
    '{"type": "status", "time": "2026-03-01T11:59:59Z", "state": "STATE", "source": "a fake", "simulated": true, '
    '"sample_rate_hz": 2359296, "center_hz": 912600155, "gain_db": null, "samples": 0, "dropped_samples": 0, '
    '"noise_floor_dbfs": null, "level_dbfs": null, "clipped": 0.0, "messages": 0, "candidates": 0, '
    '"skipped_candidates": 0, "refused": {"checksum": 3}, "detail": "DETAIL"}'
)
RTLAMR = (
    '{"Time":"2016-04-01T12:24:59.02505069-03:00","Offset":0,"Length":35840,"Message":'
    '{"ID":60243827,"Type":4,"TamperPhy":0,"TamperEnc":3,"Consumption":31160,"ChecksumVal":40837}}'
)


class Fake:
    """A radio whose process runs the given Python."""

    def __init__(self, directory: Path, source: str, silence_s: float = 20, told: tuple[str, ...] = ()) -> None:
        script = directory / "child.py"
        heading = f"import os, signal, sys, time\nMESSAGE = {MESSAGE!r}\nSTATUS = {STATUS!r}\nRTLAMR = {RTLAMR!r}\n"
        script.write_text(heading + textwrap.dedent(source), encoding="utf-8")
        receiver = Receiver(command=(sys.executable, "-u", str(script), *told), silence_timeout_s=silence_s)
        self.heard: list[tuple[Message, bool]] = []
        self.reports: list[str] = []
        self.radio = Radio(receiver, lambda message, simulated: self.heard.append((message, simulated)), lambda: NOW)

    async def run(self) -> None:
        async with asyncio.timeout(30):
            await self.radio.run(self.reports.append)

    async def until(self, done: Callable[[], bool]) -> None:
        """Run until `done`, then stop as the supervisor does."""
        running = asyncio.create_task(self.radio.run(self.reports.append))
        async with asyncio.timeout(30):
            while not done():
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_messages_and_statuses_arrive(tmp_path: Path) -> None:
    fake = Fake(tmp_path, "print(STATUS.replace('STATE', 'running')); print(MESSAGE); time.sleep(60)")
    await fake.until(lambda: bool(fake.heard))
    ((message, simulated),) = fake.heard
    assert (message.meter_id, simulated) == (60243827, True)
    state = fake.radio.state
    assert (state.state, state.messages, state.simulated) == ("running", 1, True)
    assert state.status is not None
    assert state.status.refused == {"checksum": 3}


async def test_rtlamr_stands_in(tmp_path: Path) -> None:
    newer = 'RTLAMR.replace(\'"Message"\', \'"Type":"SCM","Message"\')'
    fake = Fake(tmp_path, f"print(RTLAMR); print({newer}); print({newer}.replace('SCM', 'IDM')); time.sleep(60)")
    await fake.until(lambda: len(fake.heard) == 2 and bool(fake.radio.state.garbage))
    message, simulated = fake.heard[0]
    assert message == fake.heard[1][0]
    assert (message.protocol, message.meter_id, message.commodity, message.tamper_enc) == (
        "scm",
        60243827,
        "electric",
        3,
    )
    assert message.time == datetime(2016, 4, 1, 15, 24, 59, 25050, tzinfo=UTC)
    assert message.frequency_hz is None
    assert message.snr_db is None
    assert not simulated
    assert fake.radio.state.state == "running"
    assert fake.radio.state.garbage == {"another message": 1}


async def test_what_a_child_was_told_is_not_quoted(tmp_path: Path) -> None:
    says = "print('unknown:', sys.argv[1:], sys.argv[1].partition('=')[2], file=sys.stderr); sys.exit(64)"
    fake = Fake(tmp_path, says, told=("-password=four words", "-q", "secret-token"))
    with pytest.raises(SourceLost) as lost:
        await fake.run()
    assert "unknown:" in str(lost.value)
    assert not any(word in str(lost.value) + fake.radio.state.source for word in ("four", "words", "token"))


async def test_death_is_told_in_the_childs_last_words(tmp_path: Path) -> None:
    fake = Fake(
        tmp_path, "print('noise', file=sys.stderr); print('no dongle\\x07 found', file=sys.stderr); sys.exit(69)"
    )
    with pytest.raises(SourceLost, match=r"^no dongle found$"):
        await fake.run()
    assert (fake.radio.state.state, fake.radio.state.reason) == ("retrying", "no dongle found")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal SIGSEGV"),
        ("os.kill(os.getpid(), 40)", "signal 40"),
        ("pass", "exit code 0"),
    ],
)
async def test_a_silent_death_is_told_too(tmp_path: Path, source: str, words: str) -> None:
    with pytest.raises(SourceLost, match=words):
        await Fake(tmp_path, source).run()


async def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    radio = Radio(Receiver(command=("/nonexistent/rtlamr",)), lambda message, simulated: None)
    with pytest.raises(SourceLost, match="rtlamr: cannot be started: No such file") as told:
        await radio.run(lambda reason: None)
    assert "command" in told.value.hint


async def test_silence_ends_the_child(tmp_path: Path) -> None:
    source = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); print(MESSAGE, flush=True); time.sleep(60)"
    fake = Fake(tmp_path, source, silence_s=0.5)
    with pytest.raises(SourceLost, match=r"no line for 0\.5 s"):
        await fake.run()
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_garbage_is_counted_and_named_and_costs_nothing(tmp_path: Path) -> None:
    source = """
        out = sys.stdout.buffer
        for line in (b"rubbish", b"\\xff\\xfe", b"[1]", b"{}", b'{"type": "message"}', b"[" * 9000, b"9" * 9000,
                     MESSAGE.replace("20.5", "NaN").encode(), MESSAGE.replace("2026", "0001").encode(),
                     MESSAGE.replace("2026", "2027").encode(), STATUS.replace('"a fake"', "7").encode(),
                     RTLAMR.replace("60243827", "-1").encode(), RTLAMR.replace("4,", "null,").encode(),
                     b'{"Time": 7}', b'{"Time": [', b"", b"x" * 50_000):
            out.write(line + b"\\n")
        out.write(MESSAGE.encode() + b"\\n")
        out.flush()
        time.sleep(60)
    """
    fake = Fake(tmp_path, source)
    await fake.until(lambda: bool(fake.heard))
    garbage = fake.radio.state.garbage
    assert set(garbage) == {"not JSON", "not a message", "too long", "time in the future"}
    assert garbage["too long"] == 1
    assert sum(garbage.values()) == 17
    assert fake.radio.state.state == "running"


async def test_nothing_but_garbage_is_degraded(tmp_path: Path) -> None:
    fake = Fake(tmp_path, "print('usage: rtlamr'); time.sleep(60)")
    await fake.until(lambda: bool(fake.reports))
    assert fake.reports == ["prints lines that are no messages: not JSON"]


async def test_garbage_of_two_kinds_is_told_of_as_one(tmp_path: Path) -> None:
    fake = Fake(tmp_path, "[print(n % 2 or 'noise') for n in range(100)]; time.sleep(60)")
    await fake.until(lambda: sum(fake.radio.state.garbage.values()) == 100)
    words = "prints lines that are no messages: not JSON"
    assert list(dict.fromkeys(fake.reports)) == [words, f"{words}, not a message"]


async def test_a_line_without_end_is_not_kept(tmp_path: Path) -> None:
    fake = Fake(
        tmp_path, "sys.stdout.write('x' * 5_000_000 + '\\n' + MESSAGE + '\\n'); sys.stdout.flush(); time.sleep(60)"
    )
    await fake.until(lambda: bool(fake.heard))
    assert fake.radio.state.garbage == {"too long": 1}


async def test_a_flood_does_not_stop_the_rest(tmp_path: Path) -> None:
    fake = Fake(tmp_path, "while True: sys.stdout.write((MESSAGE + '\\n') * 500)")
    running = asyncio.create_task(fake.radio.run(fake.reports.append))
    ticks = 0
    while len(fake.heard) < 2_000:
        await asyncio.sleep(0)
        ticks += 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert ticks > 10


async def test_a_retrying_source_is_degraded_with_its_reason(tmp_path: Path) -> None:
    source = """
        print(STATUS.replace("STATE", "retrying").replace("DETAIL", "no dongle"))
        time.sleep(0.2)
        print(STATUS.replace("STATE", "running"))
        time.sleep(60)
    """
    fake = Fake(tmp_path, source)
    await fake.until(lambda: len(fake.reports) == 2)
    assert fake.reports == ["no dongle", ""]


async def test_a_recording_that_has_ended_is_not_started_again(tmp_path: Path) -> None:
    fake = Fake(tmp_path, "print(MESSAGE); print(STATUS.replace('STATE', 'ended'))")
    await fake.run()
    assert fake.radio.state.state == "ended"
    assert fake.reports[-1] == "the recording has ended"


async def test_stopping_takes_what_the_child_still_says(tmp_path: Path) -> None:
    source = """
        def end(*_):
            print(MESSAGE, flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        print(STATUS.replace("STATE", "running"), flush=True)
        time.sleep(60)
    """
    fake = Fake(tmp_path, source)
    await fake.until(lambda: fake.radio.state.state == "running")
    assert len(fake.heard) == 1


async def test_a_child_that_will_not_end_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    source = f"""
        import subprocess
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        other = subprocess.Popen(["sleep", "60"])
        open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{other.pid}}")
        print(STATUS.replace("STATE", "running"), flush=True)
        while True: time.sleep(1)
    """
    fake = Fake(tmp_path, source)
    await fake.until(lambda: fake.radio.state.state == "running")
    async with asyncio.timeout(10):
        while any(alive(int(pid)) for pid in pids.read_text().split()):
            await asyncio.sleep(0.01)


PARENT = """
import asyncio, sys
from appliance.config import Receiver
from appliance.radio.task import Radio
radio = Radio(Receiver(command=(sys.executable, "-u", sys.argv[1])), lambda message, simulated: None)
asyncio.run(radio.run(lambda reason: None))
"""


async def test_the_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    pid_file, script = tmp_path / "pid", tmp_path / "child.py"
    script.write_text(f"import os, time\nopen({str(pid_file)!r}, 'w').write(f'{{os.getpid()}} ')\ntime.sleep(60)")
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, str(script))
    async with asyncio.timeout(30):
        while not (pid_file.exists() and pid_file.read_text().endswith(" ")):
            await asyncio.sleep(0.01)
        pid = int(pid_file.read_text())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
        await parent.wait()
        while alive(pid):
            await asyncio.sleep(0.01)


async def test_what_a_status_says_is_one_line_of_text(tmp_path: Path) -> None:
    status = (
        STATUS.replace("STATE", "running").replace("a fake", r"\udcff\u0007 a\nfile").replace("checksum", r"\ud800x")
    )
    fake = Fake(tmp_path, f"print({status!r}); time.sleep(60)")
    await fake.until(lambda: fake.radio.state.status is not None)
    told = fake.radio.state.status
    assert told is not None
    assert (told.source, told.refused) == ("a file", {"x": 3})


async def test_a_process_that_left_the_group_costs_no_file_handle(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    leave = "if os.fork() == 0:\n    os.setsid()\n    open(PID, 'w').write(str(os.getpid()))\n    time.sleep(60)"
    fake = Fake(tmp_path, leave.replace("PID", repr(str(pid_file))), silence_s=1)
    before = len(os.listdir("/proc/self/fd"))
    try:
        with pytest.raises(SourceLost, match="no line for 1 s"):
            await fake.run()
        await asyncio.sleep(0.01)
        assert len(os.listdir("/proc/self/fd")) <= before
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


def test_a_leash_whose_parent_is_gone_starts_nothing() -> None:
    leash = [sys.executable, "-m", "appliance.radio.leash", "1", "echo", "started"]
    assert subprocess.run(leash, capture_output=True, check=False).stdout == b""


@given(st.lists(st.binary(max_size=40)), st.integers(1, 30))
def test_lines_do_not_care_where_chunks_end(parts: list[bytes], size: int) -> None:
    stream = b"\n".join(parts) + b"\n"
    lines = Lines(longest=20)
    found = [line for i in range(0, len(stream), size) for line in lines.feed(stream[i : i + size])]
    assert found == [line if len(line) <= 20 else None for line in stream.split(b"\n")[:-1]]


def test_lines_keep_a_bounded_rest() -> None:
    lines = Lines()
    for _ in range(100):
        assert list(lines.feed(b"x" * 60_000)) == []
        assert len(lines._rest) <= LONGEST_LINE_BYTES


def test_command_line_of_our_own_receiver() -> None:
    words = command_line(Receiver(source="rtlsdr:0001", gain_db=-1.5, ppm=-3, bias_tee=True, protocols=("scm", "idm")))
    assert words[1:4] == ("-m", "appliance", "listen")
    assert {"--source=rtlsdr:0001", "--gain=-1.5", "--ppm=-3", "--bias-tee", "--protocols=scm,idm"} <= set(words)


def test_time_ahead_is_bounded(tmp_path: Path) -> None:
    fake = Fake(tmp_path, "")
    for ahead in (timedelta(hours=23), timedelta(hours=25)):
        time = (NOW + ahead).isoformat()
        fake.radio._take(MESSAGE.replace("2026-03-01T11:59:59Z", time).encode(), fake.reports.append)
    assert len(fake.heard) == 1


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
