"""A small program that keeps rows in SQLite and a file beside them, rightly or with one of FAULTS: a `Subject`.

Run by its path it is the program: DIRECTORY MARKS FIRST COUNT FAULT.
"""

import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROWS = 60
TABLE = "CREATE TABLE IF NOT EXISTS row (number INTEGER PRIMARY KEY, filling BLOB)"
FAULTS = ("synchronous off", "acknowledged early", "file not synced", "directory not synced", "rewritten in place")


def content(number: int) -> bytes:
    return f"{number:06}".encode() * 500


def work(directory: Path, marks: Path, first: int, count: int, fault: str) -> None:
    said = os.open(marks, os.O_WRONLY | os.O_APPEND)

    def say(text: str) -> None:
        os.write(said, f"{text}\n".encode())

    say("here")
    connection = sqlite3.connect(directory / "rows.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'OFF' if fault == 'synchronous off' else 'FULL'}")
    connection.execute("PRAGMA wal_autocheckpoint = 8")
    connection.execute(TABLE)
    for number in range(first, first + count):
        if fault == "acknowledged early":
            say(f"row {number}")
        connection.execute("INSERT INTO row VALUES (?, ?)", (number, content(number)))
        if fault != "acknowledged early":
            say(f"row {number}")
        if number % 4 == 3:
            save(directory, number, fault)
            say(f"file {number}")
    connection.close()


def save(directory: Path, number: int, fault: str) -> None:
    place, temporary = directory / "deep" / "file", directory / "deep" / "file.new"
    if not place.parent.exists():
        place.parent.mkdir()
        sync(directory)
    if fault == "rewritten in place":
        temporary = place
    with temporary.open("wb") as file:
        file.write(content(number))
        file.flush()
        if fault != "file not synced":
            os.fsync(file.fileno())
    temporary.replace(place)
    if fault != "directory not synced":
        sync(place.parent)


def sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


@dataclass
class Plain:
    """`kept` is the number of rows, and the number that the file must at least have."""

    fault: str = ""
    name: str = "plain"

    def command(self, directory: Path, marks: Path, kept: Any) -> Sequence[str]:
        first, _ = kept or (0, -1)
        return [sys.executable, __file__, str(directory), str(marks), str(first), str(ROWS), self.fault]

    def check(self, directory: Path, said: Sequence[str], kept: Any) -> Any:
        from benchmarks.powercuts.cuts import Lost, Verdict

        rows, file = kept or (0, -1)
        before = rows
        for line in said[1:]:
            kind, number = line.split()
            if kind == "row":
                rows = int(number) + 1
            else:
                file = int(number)
        try:
            with closing(sqlite3.connect(directory / "rows.db", isolation_level=None)) as connection:
                connection.execute(TABLE)
                found = connection.execute("SELECT number, filling FROM row ORDER BY number").fetchall()
                checked = connection.execute("PRAGMA integrity_check").fetchone()
        except sqlite3.Error as fault:
            raise Lost(str(fault)) from None
        if checked != ("ok",) or found != [(n, content(n)) for n in range(len(found))]:
            raise Lost("damaged")
        if not rows <= len(found) <= before + ROWS:
            raise Lost(f"{rows} rows were acknowledged, {len(found)} are there")
        place = directory / "deep" / "file"
        now = place.read_bytes() if place.exists() else None
        if file >= 0 and now is None:
            raise Lost("the file is gone")
        if now is not None:
            if now not in (whole := {content(number): number for number in range(len(found) + 1)}):
                raise Lost(f"the file is damaged: {now[:6]!r}, {len(now)} bytes")
            if whole[now] < file:
                raise Lost(f"the file has {whole[now]}, {file} was acknowledged")
            file = whole[now]
        return Verdict((len(found), file), 0)


if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
