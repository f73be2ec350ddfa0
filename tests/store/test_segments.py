"""Segments: row for row what went in, sealed for good, and joined and thinned without a question answered otherwise."""

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.store import files, segments, upkeep
from appliance.store.rows import CARRIED, DAYS, SUSPECT, SegmentRow
from appliance.store.schema import CATALOGUE, HISTORY, LIVE, SEGMENT_PAGE_BYTES, segment_path, sums_path
from appliance.timeline import BOOT_SHIFT, stamp
from tests.store.box import Box, ask

Row = tuple[Any, ...]
DAY_MS = 86_400_000
METER = "INSERT INTO meter VALUES (?, 'scm', ?, 0, 'electric', 4, 0, 0, 0, 0, 0, NULL, NULL, NULL)"
LAST = """
SELECT meter, at, consumption FROM reading WHERE meter = ? AND at <= ? AND NOT flags & 1 ORDER BY at DESC LIMIT 1
"""

reading = st.tuples(st.integers(1, 3), st.integers(1, 3 * DAY_MS), st.integers(0, 50), st.booleans(), st.booleans())
history = st.lists(st.lists(reading, min_size=1, max_size=8), min_size=1, max_size=5)


def made(directory: Path, sealed: list[list[tuple[int, int, int, bool, bool]]]) -> tuple[list[SegmentRow], list[Row]]:
    """Seals what was heard; returns the segments, and the readings in their order."""
    (directory / HISTORY).mkdir(parents=True)
    heard, rows, boot, ms, row_id = list[Row](), list[SegmentRow](), 1, 0, 0
    with (
        contextlib.closing(files.create(directory / CATALOGUE, "catalogue")) as catalogue,
        contextlib.closing(files.create(directory / LIVE, "live")) as live,
    ):
        catalogue.executemany(METER, [(n, 100 + n) for n in (1, 2, 3)])
        for number, part in enumerate(sealed, 1):
            for meter, ahead_ms, consumption, suspect, reboots in part:
                boot, ms = (boot + 1, 0) if reboots else (boot, ms + ahead_ms)
                row = (meter, stamp(boot, ms), consumption, 0, None, SUSPECT if suspect else 0)
                heard.append(row)
                row_id += 1
                live.execute("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)", (row_id, *row))
                reception = (meter, stamp(boot, ms), 1, 0, 1, 100, 100, 5, 6, stamp(boot, ms))
                row_id += 1
                live.execute(f"INSERT INTO reception VALUES ({', '.join('?' * 11)})", (row_id, *reception))
                ms += 1
            catalogue.execute("INSERT OR IGNORE INTO boot VALUES (?, ?, ?, 0)", (boot, str(boot), ms))
            rows.append(segments.seal(directory, number, row_id, rows[-1] if rows else None))
            for table in ("reading", "reception"):
                live.execute(f"DELETE FROM {table}")
    return rows, heard


def kept(directory: Path, row: SegmentRow) -> list[Row]:
    return ask(segment_path(directory, row.number), f"SELECT * FROM reading WHERE NOT flags & {CARRIED}")


def last_before(heard: list[Row], meter: int, at: int) -> Row | None:
    known = [row for row in heard if row[0] == meter and row[1] <= at and not row[5] & SUSPECT]
    return max(known, key=lambda row: row[1])[:3] if known else None


def answer(directory: Path, row: SegmentRow, meter: int, at: int) -> Row | None:
    found = ask(segment_path(directory, row.number), LAST, meter, at)
    return found[0] if found else None


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "data"


@given(history)
@settings(max_examples=30)
def test_row_for_row_what_went_in(sealed: list[list[tuple[int, int, int, bool, bool]]]) -> None:
    with folder() as directory:
        rows, heard = made(directory, sealed)
        assert [row for part in rows for row in sorted(kept(directory, part), key=lambda r: r[1])] == heard
        assert [row.readings for row in rows] == [len(part) for part in sealed]
        assert [row.from_at for row in rows] == sorted(row.from_at for row in rows)
        for row in rows:
            ats = [r[1] for r in kept(directory, row)]
            assert (row.from_at, row.to_at) == (min(ats), max(ats))
            # Each answers alone for any time from its begin on.
            for meter in (1, 2, 3):
                for at in (row.from_at, (row.from_at + row.to_at) // 2, row.to_at):
                    assert answer(directory, row, meter, at) == last_before(heard, meter, at)


@given(history)
@settings(max_examples=25)
def test_joined_and_thinned_they_answer_as_before(sealed: list[list[tuple[int, int, int, bool, bool]]]) -> None:
    with folder() as directory:
        rows, heard = made(directory, sealed)
        joined = segments.join(directory, 50, rows)
        assert sorted(kept(directory, joined), key=lambda r: r[1]) == heard
        assert (joined.rank, joined.from_at, joined.to_at) == (1, rows[0].from_at, max(row.to_at for row in rows))
        assert joined.live_to == rows[-1].live_to
        counts = ask(segment_path(directory, 50), "SELECT count(*), sum(count) FROM reception")
        assert counts == [(len(heard), len(heard))]
        for table in ("meter", "boot"):
            newest = ask(segment_path(directory, rows[-1].number), f"SELECT * FROM {table}")
            assert ask(segment_path(directory, 50), f"SELECT * FROM {table}") == newest

        thinned = segments.thin(directory, 51, joined, lambda at: at // DAY_MS)
        assert (thinned.rank, thinned.receptions) == (DAYS, 0)
        assert (thinned.from_at, thinned.to_at) == (joined.from_at, joined.to_at)
        days = {(row[0], row[1] // DAY_MS) for row in heard if not row[5] & SUSPECT}
        assert {(row[0], row[1] // DAY_MS) for row in kept(directory, thinned)} == days
        assert thinned.readings == len(days)
        for meter in (1, 2, 3):
            for day in {row[1] // DAY_MS for row in heard}:
                end = (day + 1) * DAY_MS - 1
                assert answer(directory, thinned, meter, end) == last_before(heard, meter, end)


async def test_a_quarter_of_an_hour_that_was_told_in_parts_adds_up(tmp_path: Path) -> None:
    (tmp_path / HISTORY).mkdir()
    with contextlib.closing(files.create(tmp_path / CATALOGUE, "catalogue")) as catalogue:
        catalogue.execute(METER, (1, 101))
    at = stamp(1, 900_000)
    rows = []
    with contextlib.closing(files.create(tmp_path / LIVE, "live")) as live:
        for number, (level, frequency) in enumerate(((None, 7), (300, None), (100, 9)), 1):
            for row_id in (10 * number, 10 * number + 1):
                values = (row_id, 1, at, 2, 1, 1, level or 0, level, frequency, frequency, at + row_id)
                live.execute(f"INSERT INTO reception VALUES ({', '.join('?' * 11)})", values)
                live.execute("INSERT INTO coverage VALUES (?, ?, ?, ?)", (row_id, at, number, 2))
            rows.append(segments.seal(tmp_path, number, 10 * number + 1, rows[-1] if rows else None))
            live.execute("DELETE FROM reception")
            live.execute("DELETE FROM coverage")
    segments.join(tmp_path, 4, rows)
    path = segment_path(tmp_path, 4)
    assert ask(path, "SELECT * FROM reception") == [(1, at, 12, 6, 6, 800, 300, 7, 9, at + 31)]
    assert ask(path, "SELECT * FROM coverage") == [(at, 3, 12)]


async def test_what_is_sealed_is_never_written_again(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    await box.sealed(2)
    for row in box.listed():
        path = box.segment(row)
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
        content = path.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (row.bytes, row.sha256)
        pages = [content[n : n + SEGMENT_PAGE_BYTES] for n in range(0, len(content), SEGMENT_PAGE_BYTES)]
        assert sums_path(path).read_bytes() == b"".join(hashlib.blake2b(p, digest_size=8).digest() for p in pages)
    inodes = {box.segment(row): os.stat(box.segment(row)) for row in box.listed()}
    opened = []
    monkeypatch.setattr(upkeep, "SCRUB_S", 0.0)
    with watched(box.directory / HISTORY, opened):
        async with box.store() as store:
            await box.upkeep(store).tend()
    assert opened == []
    for path, before in inodes.items():
        assert (os.stat(path).st_ino, os.stat(path).st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@contextlib.contextmanager
def watched(directory: Path, opened: list[str]) -> Iterator[None]:
    """Lists the sealed segments below that this process holds open for writing at the end."""
    yield
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target, flags = link.readlink(), Path(f"/proc/self/fdinfo/{link.name}").read_text()
            mode = int(next(line for line in flags.splitlines() if line.startswith("flags")).split()[1], 8)
            if target.parent == directory and target.name[:6].isdigit() and mode & (os.O_WRONLY | os.O_RDWR):
                opened.append(target.name)


def row(number: int, rank: int = 0, size: int = 1000, from_at: int | None = None) -> SegmentRow:
    begin = (1 << BOOT_SHIFT) + number if from_at is None else from_at
    return SegmentRow(number, rank, begin, begin, 1, 1, size, "", number)


def numbers(rows: list[SegmentRow]) -> list[int]:
    return [row.number for row in upkeep.joinable(rows)]


def test_which_neighbours_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    assert numbers([row(n) for n in range(7)]) == []
    assert numbers([row(n) for n in range(9)]) == list(range(8))
    assert numbers([row(0, 1), *(row(n) for n in range(1, 9))]) == list(range(1, 9))
    assert numbers([*(row(n) for n in range(4)), row(4, 1), *(row(n) for n in range(5, 9))]) == []
    assert numbers([row(n, DAYS) for n in range(9)]) == []
    assert numbers([row(n, 3) for n in range(8)]) == list(range(8))
    calendar = [row(n, from_at=1000 + n) for n in range(4)]
    assert numbers([*calendar, *(row(n) for n in range(4, 9))]) == []
    monkeypatch.setattr(upkeep, "LARGEST_SEGMENT_BYTES", 3500)
    assert numbers([row(n) for n in range(8)]) == [0, 1, 2]
    assert numbers([row(n, size=3000) for n in range(8)]) == [0]


async def test_joining_comes_to_an_end(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "JOIN", 3)
    monkeypatch.setattr(upkeep, "LARGEST_SEGMENT_BYTES", 110_000)
    await box.sealed(7, minutes=60)
    before = box.everything()
    async with box.store() as store:
        await box.upkeep(store).tend()
        assert upkeep.joinable(store.segments) == []
    after = box.everything()
    assert after == before
    assert len(box.listed()) < 7
    assert sorted(path.name for path in (box.directory / HISTORY).glob("0*.db")) == sorted(
        box.segment(row).name for row in box.listed()
    )
