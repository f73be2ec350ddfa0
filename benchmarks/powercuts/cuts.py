"""The cuts: of a recorded trace at any point, of a recovery after a former cut, and of a living process by SIGKILL."""

import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

from benchmarks.powercuts import trace as traces
from benchmarks.powercuts.disk import MANNERS, Kind, Tree, read_tree
from benchmarks.powercuts.trace import Trace

# Half of the cuts fall beside one of these: where something becomes durable, or gets another name.
TURNING_POINTS = frozenset({Kind.SYNC, Kind.SYNC_ALL, Kind.RENAME, Kind.UNLINK, Kind.CREATE, Kind.MARK, Kind.RESIZE})
# Entries of a trace within which a program opens its files.
STARTING = 150
STARTING_S, LIVING_S, START_TIMEOUT_S = 0.1, 1.0, 60.0
MAX_KEPT = 5


class Lost(Exception):
    """Something that must have survived did not, or the program does not come up: says which."""


class Verdict(NamedTuple):
    """What a check found: `kept` is what the next life must find again, `lost_s` how much of the newest is gone."""

    kept: Any
    lost_s: float


class Subject(Protocol):
    """A program that keeps data in a directory and says on a file of marks what it acknowledged.

    `kept` is the subject's own: what is known to be in the directory, None before its first life. It can be pickled.
    The first mark of each life comes before the directory is opened.
    """

    name: str

    def command(self, directory: Path, marks: Path, kept: Any) -> Sequence[str]:
        """How to start a life of the program; it ends by itself, with 0."""

    def check(self, directory: Path, said: Sequence[str], kept: Any) -> Verdict:
        """Power is back: open the directory, compare it with what was `said` in the life that was cut off.

        May go on working there. Raises Lost.
        """


@dataclass
class Tally:
    """How the cuts went. `failures` are directories that hold what remakes each of the first few."""

    cuts: int = 0
    survived: int = 0
    lost_s: float = 0.0
    failures: list[Path] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one that was survived."""
        self.cuts += 1
        self.survived += 1
        self.lost_s = max(self.lost_s, verdict.lost_s)

    def joined(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(
            self.cuts + other.cuts,
            self.survived + other.survived,
            max(self.lost_s, other.lost_s),
            self.failures + other.failures,
            self.complaints + other.complaints,
        )

    def fail(self, case: "Case", fault: Exception) -> None:
        """Count one that was not, and keep what remakes it."""
        self.cuts += 1
        if len(self.failures) < MAX_KEPT:
            folder = case.keep()
            self.failures.append(folder)
            remake = f"{Path(sys.executable).name} -m benchmarks.powercuts {folder}"
            self.complaints.append(
                f"{case}: {fault if isinstance(fault, Lost) else repr(fault)}\n    once more: {remake}"
            )


@dataclass(frozen=True)
class Case:
    """One cut, complete enough to be made again. `trace` is None for a SIGKILL, whose `tree` is then all there is."""

    subject: Subject
    trace: Path | None
    number: int
    manner: str
    draw: str
    tree: Tree
    said: Sequence[str]
    kept: Any

    def __str__(self) -> str:
        return f"{self.subject.name}, seed {self.draw}, cut before entry {self.number}, {self.manner!r} kept"

    def keep(self) -> Path:
        """A new directory with the case, the directory as the cut left it, and the trace."""
        folder = Path(tempfile.mkdtemp(prefix="powercut-"))
        (folder / "case").write_bytes(pickle.dumps(self))
        (folder / "left").mkdir()
        self.tree.write(folder / "left")
        (folder / "said").write_text("\n".join(self.said))
        if self.trace is not None:
            shutil.copy(self.trace, folder / "trace")
            shutil.copy(self.trace.with_suffix(".inodes"), folder / "trace.inodes")
            shutil.copytree(self.trace.with_suffix(".before"), folder / "trace.before")
        return folder

    def check(self, work: Path) -> Verdict:
        """Rebuild what the cut left and have it checked. Raises Lost."""
        with tempfile.TemporaryDirectory(dir=work, ignore_cleanup_errors=True) as directory:
            self.tree.write(Path(directory))
            return self.subject.check(Path(directory), self.said, self.kept)


def kept_case(folder: Path) -> Case:
    """A case that `keep` kept."""
    case = pickle.loads((folder / "case").read_bytes())
    assert isinstance(case, Case)
    return case


def cuts_of(subject: Subject, path: Path, trace: Trace, kept: Any, seed: int, count: int) -> Iterator[Case]:
    """So many cuts of one trace, in its order: a quarter while the program starts, every other at a turning point."""
    random = Random(f"{seed} {path.name}")
    turns = [number for number, entry in enumerate(trace.entries) if entry.kind in TURNING_POINTS]
    numbers = []
    for _ in range(count):
        end = min(STARTING, len(trace.entries)) if random.random() < 0.25 else len(trace.entries)
        reached = bisect_left(turns, end)
        if reached and random.random() < 0.5:
            numbers.append(turns[random.randrange(reached)] + random.randint(0, 1))
        else:
            numbers.append(random.randint(0, end))
    numbers.sort()
    disk, applied = trace.disk(), 0
    for serial, number in enumerate(numbers):
        for index in range(applied, number):
            disk.apply(index, trace.entries[index])
        applied = number
        draw = f"{seed} {serial}"
        manner = random.choice(MANNERS)
        yield Case(subject, path, number, manner, draw, disk.cut(Random(draw), manner), trace.marks(number), kept)


def cut_power(
    subject: Subject,
    work: Path,
    seed: int,
    count: int,
    recoveries: int,
    per_recovery: int,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """One life, cut `count` times; and of as many of these cuts as `recoveries` says the next life is cut again.

    Raises Unrecorded when the recorder does not follow, Lost when a life fails without any cut.
    """
    tally = Tally()
    path, trace = record_life(subject, work, Tree(frozenset(), {}), f"life-{seed}", None)
    again = set(Random(seed).sample(range(count), recoveries))
    for serial, case in enumerate(cuts_of(subject, path, trace, None, seed, count)):
        verdict = _judge(case, work, tally)
        progress(tally)
        if verdict is None or serial not in again:
            continue
        name = f"recovery-{seed}-{serial}"
        next_path, next_trace = record_life(subject, work, case.tree, name, verdict.kept)
        for later in cuts_of(subject, next_path, next_trace, verdict.kept, seed, per_recovery):
            _judge(later, work, tally)
            progress(tally)
    return tally


def kill(
    subject: Subject, work: Path, seed: int, count: int, progress: Callable[[Tally], None] = lambda tally: None
) -> Tally:
    """One directory, whose program is killed by SIGKILL so many times, a third of them while it starts."""
    tally, random, kept = Tally(), Random(seed), None
    directory, marks = work / f"killed-{seed}", work / f"killed-{seed}.marks"
    directory.mkdir()
    for serial in range(count):
        marks.write_bytes(b"")
        with subprocess.Popen(
            subject.command(directory, marks, kept), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            _until_it_speaks(process, marks)
            time.sleep(random.uniform(0, STARTING_S if serial % 3 == 0 else LIVING_S))
            ended = process.poll()
            process.send_signal(signal.SIGKILL)
            _, errors = process.communicate()
        if ended not in (None, 0):
            raise Lost(f"ended by itself with {ended}: {errors.decode(errors='replace')}")
        said = marks.read_text().rpartition("\n")[0].splitlines()
        tree, _ = read_tree(directory)
        case = Case(subject, None, serial, "all", f"{seed} {serial}", tree, said, kept)
        verdict = _judge(case, work, tally)
        progress(tally)
        if verdict is None:
            return tally
        kept = verdict.kept
    return tally


def _judge(case: Case, work: Path, tally: Tally) -> Verdict | None:
    try:
        verdict = case.check(work)
    except Exception as fault:  # noqa: BLE001 - a program that fails in a way of its own did not survive either
        tally.fail(case, fault)
        return None
    tally.add(verdict)
    return verdict


def record_life(subject: Subject, work: Path, before: Tree, name: str, kept: Any) -> tuple[Path, Trace]:
    """A life of the program in a directory that begins as `before`, to its end. Raises Lost, Unrecorded."""
    directory, path = work / name, work / f"{name}.trace"
    directory.mkdir()
    before.write(directory)
    run = traces.record(
        subject.command(directory, path.with_suffix(".marks"), kept),
        directory,
        path,
        path.with_suffix(".marks"),
    )
    if run.status != 0:
        raise Lost(f"{subject.name} ended with {run.status} in {directory}: {run.errors}")
    trace = traces.read(path, directory)
    shutil.rmtree(directory)
    return path, trace


def _until_it_speaks(process: subprocess.Popen[bytes], marks: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while marks.stat().st_size == 0 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
