"""A data directory with content, made through the store's own schema: for the tests of backup, restore and export."""

import contextlib
import hashlib
import sqlite3
from pathlib import Path

from appliance.store.schema import CATALOGUE, HISTORY, LIVE, migrate
from appliance.store.segments import build

BOOT_ID = "6d1d0c2e-7c6b-4b0e-9d6e-0a5f3f6e2b11"


def writer(path: Path) -> sqlite3.Connection:
    """As the store's own connection: it logs ahead."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    return connection


def make(directory: Path, segments: int = 3, rows: int = 500) -> None:
    """A catalogue, a live database and `segments` sealed ones of so many readings each."""
    (directory / HISTORY).mkdir(parents=True)
    with contextlib.closing(writer(directory / LIVE)) as live:
        migrate(live, "live")
        live.executemany(
            "INSERT INTO reading (meter, at, consumption, tamper_phy, tamper_enc, flags) VALUES (1, ?, ?, 0, 0, 0)",
            [((2 << 42) + n, n) for n in range(100)],
        )
    with contextlib.closing(writer(directory / CATALOGUE)) as catalogue:
        migrate(catalogue, "catalogue")
        catalogue.execute("INSERT INTO boot VALUES (1, ?, 9000000, 1700000000000)", (BOOT_ID,))
        catalogue.execute("INSERT INTO boot VALUES (2, ?, 900000, 1700100000000)", (BOOT_ID[::-1],))
        for number in range(1, segments + 1):
            enter(catalogue, directory, number, rows)
    (directory / "identity").mkdir()
    (directory / "identity" / "key.pem").write_bytes(b"secret key")
    (directory / "identity" / "key.pem").chmod(0o600)


def enter(catalogue: sqlite3.Connection, directory: Path, number: int, rows: int = 500) -> None:
    """Seal another segment and list it."""

    def fill(segment: sqlite3.Connection) -> None:
        segment.execute("INSERT INTO meter VALUES (1, 'scm', 60243827, 0, 'electric', 4, ?)", (1 << 42,))
        start = (1 << 42) + number * 1_000_000
        segment.executemany(
            "INSERT INTO reading VALUES (1, ?, ?, 0, 3, 0)", [(start + n, number * 1000 + n) for n in range(rows)]
        )

    row = build(directory, number, fill, rank=0, live_to=0)
    values = (row.number, row.rank, row.from_at, row.to_at, row.readings, row.receptions, row.bytes, row.sha256)
    catalogue.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)", values)


def content(directory: Path) -> dict[str, str]:
    """What is in the files: of databases their rows, of others their SHA-256."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        passing = name.startswith(("handover/", "replaced-", "damaged/", "identity/new-key"))
        passing |= name.endswith(("-wal", "-shm"))
        if passing or not path.is_file():
            continue
        if name in (CATALOGUE, LIVE):
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
                found[name] = hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
