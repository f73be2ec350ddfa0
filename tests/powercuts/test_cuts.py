"""The harness itself: a right program survives every cut, each wrong one is found out."""

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.powercuts import trace as traces
from benchmarks.powercuts.cuts import Lost, cut_power, cuts_of, kept_case, kill
from benchmarks.powercuts.disk import Kind
from benchmarks.powercuts.trace import Unrecorded
from tests.powercuts.plain import FAULTS, Plain

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not sys.platform.startswith("linux"), reason="needs a C compiler and Linux"
)


@pytest.fixture(autouse=True)
def kept_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures that are meant are kept where the test's own files are."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_right_program_survives_every_cut(tmp_path: Path) -> None:
    tally = cut_power(Plain(), tmp_path, seed=1, count=150, recoveries=2, per_recovery=15)
    assert (tally.cuts, tally.survived, tally.complaints) == (180, 180, [])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_program_is_found_out(tmp_path: Path, fault: str) -> None:
    subject = Plain(fault)
    tally = cut_power(subject, tmp_path, seed=1, count=150, recoveries=0, per_recovery=0)
    assert tally.survived < tally.cuts == 150
    assert "-m benchmarks.powercuts" in tally.complaints[0]
    case = kept_case(tally.failures[0])
    with pytest.raises(Lost):
        case.check(tmp_path)


def test_a_case_is_made_again_from_its_trace(tmp_path: Path) -> None:
    subject = Plain("synchronous off")
    tally = cut_power(subject, tmp_path, seed=1, count=100, recoveries=0, per_recovery=0)
    case = kept_case(tally.failures[0])
    assert case.trace is not None
    trace = traces.read(case.trace)
    again = next(c for c in cuts_of(subject, case.trace, trace, None, seed=1, count=100) if c.draw == case.draw)
    assert again == case
    assert traces.read(tally.failures[0] / "trace").entries == trace.entries


def test_a_right_program_survives_being_killed(tmp_path: Path) -> None:
    tally = kill(Plain(), tmp_path, seed=1, count=3)
    assert (tally.cuts, tally.survived, tally.complaints) == (3, 3, [])


def test_a_program_that_fails_by_itself_is_no_power_cut(tmp_path: Path) -> None:
    class Broken(Plain):
        def command(self, directory: Path, marks: Path, kept: object) -> list[str]:
            return [sys.executable, "-c", "raise SystemExit('out of order')"]

    with pytest.raises(Lost, match="out of order"):
        cut_power(Broken(), tmp_path, seed=1, count=1, recoveries=0, per_recovery=0)
    with pytest.raises(Lost, match="out of order"):
        kill(Broken(), tmp_path, seed=1, count=1)


def record(script: str, tmp_path: Path) -> tuple[traces.Run, Path, Path]:
    directory, trace = tmp_path / "work", tmp_path / "one.trace"
    directory.mkdir(exist_ok=True)
    command = [sys.executable, "-c", f"import os, shutil, sys\nos.chdir({str(directory)!r})\n{script}"]
    return traces.record(command, directory, trace, tmp_path / "marks"), trace, directory


MANY_WAYS = """
open("a", "wb").write(b"one")
with open("a", "ab", buffering=0) as file:
    file.write(b"two")
    os.pwrite(file.fileno(), b"", 0)
with open("a", "r+b", buffering=0) as file:
    file.seek(2); file.write(b"E")
    os.writev(file.fileno(), [b"xy", b"", b"z"])
    os.pwritev(file.fileno(), [b"12", b"345"], 100)
    twin = os.dup(file.fileno()); os.write(twin, b"dup")
    os.posix_fallocate(file.fileno(), 0, 300)
    os.ftruncate(file.fileno(), 250); os.fsync(twin)
os.truncate("a", 200)
os.mkdir("d"); os.mkdir("d/e"); os.makedirs("f/g/h")
shutil.copyfile("a", "d/copied")
at = os.open("d", os.O_RDONLY); os.fsync(at)
with open(os.open("relative", os.O_RDWR | os.O_CREAT | os.O_TRUNC, dir_fd=at), "wb") as file:
    file.write(bytes(range(256)) * 5000)
os.rename("relative", "e/renamed", src_dir_fd=at, dst_dir_fd=at)
os.replace("f/g", "d/moved"); os.rmdir("f")
os.link("a", "linked"); os.unlink("a"); open("a", "w").write("anew")
open("linked", "r+").write("through the other name")
with open("gone", "w+b") as file:
    os.unlink("gone"); file.write(b"nobody sees this")
with open("over", "wb") as old:
    open("over.new", "w").write("new"); os.rename("over.new", "over"); old.write(b"late, into the old one")
shutil.rmtree("d/moved"); open("linked", "w").close()
source, target = open("a", "rb"), open("ranged", "wb")
os.copy_file_range(source.fileno(), target.fileno(), 3)
target.flush(); os.sync()
os.close(at)
"""


def test_whatever_way_a_file_is_changed_it_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "work" / "old").mkdir(parents=True)
    (tmp_path / "work" / "old" / "file").write_text("was there")
    run, trace, directory = record(
        MANY_WAYS + "open('old/file', 'a').write(' before'); os.rename('old', 'd/old')", tmp_path
    )
    assert (run.status, run.errors.count("Error")) == (0, 0), run.errors
    found = traces.read(trace, directory)
    assert {entry.kind for entry in found.entries} == set(Kind) - {Kind.MARK, Kind.UNKNOWN}


@pytest.mark.parametrize(
    "script",
    [
        "import mmap\nf = open('a', 'w+b'); f.write(bytes(4096)); f.flush()\nmmap.mmap(f.fileno(), 4096)",
        "os.symlink('a', 'b')",
        "open('a', 'w').close(); os.rename('a', '../a')",
    ],
)
def test_what_is_not_followed_is_refused(tmp_path: Path, script: str) -> None:
    run, trace, directory = record(script, tmp_path)
    assert run.status == 0, run.errors
    with pytest.raises(Unrecorded):
        traces.read(trace, directory)


def test_what_escapes_the_recorder_is_noticed(tmp_path: Path) -> None:
    _, trace, directory = record("open('a', 'w').write('one')", tmp_path)
    (directory / "a").write_text("two")
    with pytest.raises(Unrecorded, match="a was changed"):
        traces.read(trace, directory)
    (directory / "b").touch()
    with pytest.raises(Unrecorded, match="b"):
        traces.read(trace, directory)


def test_marks_keep_their_place_among_the_changes(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    script = f"""
m = os.open({str(marks)!r}, os.O_WRONLY | os.O_APPEND)
for name in "ab":
    open(name, "w").close()
    os.write(m, name.encode() + b"\\n")
"""
    _, trace, directory = record(script, tmp_path)
    found = traces.read(trace, directory)
    assert [entry.name or bytes(entry.data) for entry in found.entries] == ["a", b"a\n", "b", b"b\n"]
    assert found.marks(3) == ["a"]
    assert marks.read_bytes() == b"a\nb\n"
