"""How long the site's questions take on years of history: cold, warm, and on a short history beside a long one.

Cold: connections are opened for the question, and no page of any file is in the page cache (written out with fsync,
then dropped with POSIX_FADV_DONTNEED; what was read from the disk is counted by the kernel and told). Warm: the same
question once more. Each is asked of several meters, and before anything is timed some answers are compared with what
the registers are known to have shown.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from weakref import WeakKeyDictionary

from appliance.store import finding, queries, readings, reception
from appliance.store.history import History
from appliance.store.last_day import LastDay
from benchmarks.made_history import DAY_MS, HEARD, Made, make

METERS, DAYS, SHORT_DAYS = 300, 730, 60
HOUR_MS = 3_600_000
TURNS = 5
WARM = 5

Question = Callable[[History, Made, int], object]


@dataclass(frozen=True)
class Asked:
    """Milliseconds that a question took, and kB that it read from the disk when cold; medians over the meters."""

    cold_ms: float
    warm_ms: float
    read_kb: float


@dataclass(frozen=True)
class Answers:
    """Each question on the long history, and by how much longer those that both can answer take on it."""

    asked: dict[str, Asked]
    cold_ratio: float
    warm_ratio: float


def _series(days: int) -> Question:
    return lambda history, made, n: queries.series(
        history, made.meter(n), made.end_ms - days * DAY_MS - HOUR_MS * n, made.end_ms - HOUR_MS * n
    )


def _intervals(days: int) -> Question:
    return lambda history, made, n: queries.intervals(
        history, made.meter(n), made.end_ms - days * DAY_MS, made.end_ms - DAY_MS
    )


def _last_day(history: History, made: Made, number: int) -> object:
    # As long as the site asks, it remembers the answer before.
    return _DAYS.setdefault(history, LastDay()).answer(history, made.end_ms - 1)


_DAYS: WeakKeyDictionary[History, LastDay] = WeakKeyDictionary()


def _receptions(days: int, step_ms: int) -> Question:
    return lambda history, made, n: reception.receptions(
        history, made.meter(n), range(made.end_ms - days * DAY_MS, made.end_ms + 1, step_ms)
    )


def _by_load(history: History, made: Made, number: int) -> object:
    now = {made.meter(n): made.register(n, made.end_ms) or 0 for n in range(1, made.meters + 1)}
    return finding.by_load(history, made.end_ms - 15 * 60_000, made.end_ms, now, [])


def _day(made: Made, back: int) -> datetime:
    return datetime.fromtimestamp(made.end_ms / 1000, UTC) - timedelta(days=back)


# Those that a short history can answer, too.
OF_A_MONTH: dict[str, Question] = {
    "meters": lambda history, made, n: queries.meters(history),
    "silent meters": lambda history, made, n: queries.silent(history, made.end_ms - 50 * n),
    "register at 24 instants": lambda history, made, n: queries.registers(
        history, made.meter(n), [made.end_ms - 30 * DAY_MS + hour * 30 * HOUR_MS for hour in range(24)]
    ),
    "series over a day": _series(1),
    "series over a week": _series(7),
    "series over a month": _series(31),
    "quarter hours of a day": _intervals(2),
    "quarter hours of ten days": _intervals(11),
    "days of a month": lambda history, made, n: queries.days(
        history, made.meter(n), _day(made, 31).date(), _day(made, 1).date(), UTC
    ),
    "tamper changes, one meter": lambda history, made, n: queries.tamper_changes(history, made.meter(n)),
    "tamper changes, all": lambda history, made, n: queries.tamper_changes(history),
    "events of a kind": lambda history, made, n: queries.events(history, "boot"),
    "coverage of a day by hour": lambda history, made, n: queries.coverage(history, made.end_ms - DAY_MS, made.end_ms),
    "coverage of a month by hour": lambda history, made, n: queries.coverage(
        history, made.end_ms - 31 * DAY_MS, made.end_ms
    ),
    "last day of all meters": _last_day,
    "reception by hour, a week": _receptions(7, HOUR_MS),
    "reception by day, a month": _receptions(31, DAY_MS),
    "readings, the latest": lambda history, made, n: readings.readings(history, made.meter(n)),
    "readings, the next page": lambda history, made, n: readings.readings(
        history, made.meter(n), before=readings.readings(history, made.meter(n), limit=100)[-1].at
    ),
    "siblings": lambda history, made, n: finding.siblings(history, made.meter(n), 100),
    "which has this dial": lambda history, made, n: finding.by_dial(
        history, f"{(made.register(n, made.end_ms) or 0) // 100:06d}", {}
    ),
    "which moved": _by_load,
    "coverage of a day by quarter": lambda history, made, n: reception.quarters(
        history, made.end_ms - DAY_MS, made.end_ms
    ),
}
OF_YEARS: dict[str, Question] = {
    "series over a year": _series(365),
    "series over two years": _series(729),
    "reception by day, 99 days": _receptions(99, DAY_MS),
    "months of two years": lambda history, made, n: queries.months(
        history, made.meter(n), _day(made, 729).date(), _day(made, 1).date(), UTC
    ),
}


def measure(seed: int, *, quick: bool = False) -> Answers:
    """Make both histories and ask; a table of all questions goes to standard output. Raises Wrong."""
    meters = METERS // 4 if quick else METERS
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="history-") as name:
        space = shutil.disk_usage(name).free
        if space < 4 * 1024**3:
            raise SystemExit(f"{name} has {space / 1e9:.1f} GB free; two years of history take 4 GB")
        short, long = (make(Path(name) / str(days), days, meters) for days in (SHORT_DAYS, DAYS))
        return ask_all(short, long, seed)


def ask_all(short: Made, long: Made, seed: int) -> Answers:
    """Ask both histories everything that they can answer. Raises Wrong."""
    check(short, seed)
    check(long, seed)
    turns = random.Random(seed).sample(range(1, long.meters + 1), TURNS)
    found: dict[str, Asked] = {}
    ratios: list[tuple[float, float]] = []
    print(f"{'question':<28}{'cold ms':>9}{'warm ms':>9}{'kB read':>9}   of {long.days} days and {long.meters} meters")
    for name, question in (OF_A_MONTH | OF_YEARS).items():
        # In turn, so that what else the machine does falls on both alike.
        pairs = [(ask(question, long, n), ask(question, short, n) if name in OF_A_MONTH else None) for n in turns]
        found[name] = asked = _median([one for one, _ in pairs])
        print(f"{name:<28}{asked.cold_ms:>9.1f}{asked.warm_ms:>9.2f}{asked.read_kb:>9.0f}")
        if name in OF_A_MONTH:
            other = _median([other for _, other in pairs if other])
            ratios.append((asked.cold_ms / other.cold_ms, asked.warm_ms / other.warm_ms))
    return Answers(found, median(cold for cold, _ in ratios), median(warm for _, warm in ratios))


def ask(question: Question, made: Made, number: int) -> Asked:
    """Ask about one meter, first cold, then warm."""
    history = made.history()
    drop(made.directory)
    before = _read_bytes()
    try:
        cold_ms = _timed(question, history, made, number)
        read_kb = (_read_bytes() - before) / 1024
        warm_ms = median(_timed(question, history, made, number) for _ in range(WARM))
    finally:
        history.close()
    return Asked(cold_ms, warm_ms, read_kb)


def drop(directory: Path) -> None:
    """Have no page of these files in memory."""
    for path in directory.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


class Wrong(Exception):
    """An answer is not what is known to be true."""


def check(made: Made, seed: int) -> None:
    """Compare answers with what the registers showed and how often the meters were heard. Raises Wrong."""
    chosen, history = random.Random(seed), made.history()
    try:
        for number in [1, made.meters, *chosen.sample(range(1, made.meters + 1), TURNS)]:
            begin_ms = made.end_ms - made.days * DAY_MS
            instants = sorted([begin_ms, made.end_ms, *(chosen.randint(begin_ms, made.end_ms) for _ in range(200))])
            for shown in queries.registers(history, made.meter(number), instants):
                _same(shown.consumption, made.register(number, shown.utc_ms), f"register of meter {number} at {shown}")
            for period in queries.days(history, made.meter(number), _day(made, 9).date(), _day(made, 2).date(), UTC):
                truth = made.register(number, period.to_ms), made.register(number, period.from_ms)
                _same(period.used, (truth[0] or 0) - (truth[1] or 0), f"day of meter {number}: {period}")
            for period in queries.intervals(history, made.meter(number), made.end_ms - 3 * DAY_MS, made.end_ms):
                _same((period.messages, period.register), (HEARD, made.register(number, period.to_ms)), f"{period}")
        for day in LastDay().answer(history, made.end_ms - 1):
            edges = [made.end_ms - n * HOUR_MS - 1 for n in range(24, -1, -1)]
            shown_at = [made.register(day.meter.number, edge) or 0 for edge in edges]
            _same(day.used, tuple(b - a for a, b in pairwise(shown_at)), f"last day of meter {day.meter.number}")
            _same(day.share_heard, 1.0, f"hours in which meter {day.meter.number} was heard")
        week = range(made.end_ms - 7 * DAY_MS, made.end_ms + 1, HOUR_MS)
        for heard in reception.receptions(history, made.meter(1), week):
            _same((heard.messages, heard.is_kept), (4 * HEARD, True), f"{heard}")
        for hour in queries.coverage(history, made.end_ms - 31 * DAY_MS, made.end_ms):
            _same((hour.meters, hour.messages), (made.meters, 4 * made.meters * HEARD), f"{hour}")
        _same(len(queries.meters(history)), made.meters, "number of meters")
    finally:
        history.close()


def _same(answer: object, truth: object, what: str) -> None:
    if answer != truth:
        raise Wrong(f"{what}: {answer}, and it is {truth}")


def _timed(question: Question, history: History, made: Made, number: int) -> float:
    begin = time.perf_counter()
    question(history, made, number)
    return (time.perf_counter() - begin) * 1e3


def _median(asked: list[Asked]) -> Asked:
    columns = ([one.cold_ms for one in asked], [one.warm_ms for one in asked], [one.read_kb for one in asked])
    return Asked(*map(median, columns))


def _read_bytes() -> int:
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["read_bytes"])


if __name__ == "__main__":
    print(measure(1, quick="--quick" in sys.argv[1:]))
