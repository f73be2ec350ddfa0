"""Rows read from the pages themselves are those that SQLite reads."""

import contextlib
import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.store.repair import pages

PAGE_BYTES = 1024

value = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.binary(max_size=20),
)


def written(path: Path, rows: list[tuple[Any, ...]], options: str, key: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute(f"CREATE TABLE t (id {key}, a, b, c) {options}")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        connection.commit()


def found(path: Path) -> list[tuple[int | None, tuple[Any, ...]]]:
    read = enumerate(pages.read(path, PAGE_BYTES), 1)
    # The schema's own rows say of what type they are.
    return [row for n, page in read for row in pages.rows(page or b"", n) if row[1][:1] != ("table",)]


@given(st.lists(st.tuples(value, value, value), min_size=1, max_size=60), st.integers(-(2**40), 2**40))
def test_every_value_of_a_table_with_row_ids(rows: list[tuple[Any, ...]], first: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        written(path, [(first + n, *row) for n, row in enumerate(rows)], "", "INTEGER PRIMARY KEY")
        # SQLite stores a whole number as an integer where that is shorter.
        expected = [(first + n, (None, *row)) for n, row in enumerate(rows)]
        assert sorted(found(path), key=lambda row: row[0] or 0) == expected


def test_every_row_of_a_table_without(tmp_path: Path) -> None:
    rows = [(n * 7919 % 100_003, n, "text", 1.5) for n in range(2000)]
    written(tmp_path / "db", rows, "WITHOUT ROWID", "INT PRIMARY KEY NOT NULL")
    assert sorted(values for _, values in found(tmp_path / "db")) == sorted(rows)


def test_a_value_that_goes_over_several_pages_is_left_out(tmp_path: Path) -> None:
    written(tmp_path / "db", [(1, "x" * 5000, 1, 1), (2, "y", 1, 1)], "", "INTEGER PRIMARY KEY")
    assert found(tmp_path / "db") == [(2, (None, "y", 1, 1))]


@given(st.binary(min_size=0, max_size=PAGE_BYTES), st.sampled_from([2, 10, 13]), st.integers(1, 3))
def test_anything_may_be_on_a_page(content: bytes, kind: int, number: int) -> None:
    start = pages.FILE_HEADER_BYTES if number == 1 else 0
    list(pages.rows(content, number))
    list(pages.rows(content[:start] + bytes([kind]) + content[start + 1 :], number))


@pytest.mark.parametrize("kept", ["all", "cut", "spoilt", "no log"])
def test_the_log(tmp_path: Path, kept: str) -> None:
    path, log = tmp_path / "db", tmp_path / "db-wal"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
        connection.execute("INSERT INTO t VALUES (1, 'one')")
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
        connection.execute("INSERT INTO t VALUES (2, 'two')")
        first = log.stat().st_size
        connection.execute("INSERT INTO t VALUES (3, 'three')")
        content = log.read_bytes()
    frame = pages.FRAME_HEADER_BYTES + PAGE_BYTES
    assert first >= pages.LOG_HEADER_BYTES + 2 * frame
    if kept == "cut":
        content = content[: pages.LOG_HEADER_BYTES + frame + 100]
    elif kept == "spoilt":
        place = pages.LOG_HEADER_BYTES + frame + 60
        content = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    elif kept == "no log":
        content = random.Random(1).randbytes(5000)
    log.write_bytes(content)
    rows = [list(pages.rows(page, number)) for number, page in pages.logged(log, PAGE_BYTES)]
    two, three = (2, (None, "two")), (3, (None, "three"))
    one = (1, (None, "one"))
    assert rows == {"all": [[one, two, three], [one, two]], "no log": []}.get(kept, [[one, two]])
    assert list(pages.logged(log, 4096)) == []
    assert list(pages.logged(tmp_path / "none", PAGE_BYTES)) == []
