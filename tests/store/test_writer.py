"""The writer against real files: what is on the card after a commit, a restart, a kill, and with the card full."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.errors import StoreTooNew
from appliance.store.database import FILE_NAME, open_reader
from appliance.store.writer import Store
from tests.store.test_ledger import START, message


def rows(directory: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{directory / FILE_NAME}?mode=ro", uri=True) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


Opened = Callable[..., Awaitable[Store]]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """Opens stores, and closes them also when the test fails: their threads would keep the process alive."""
    stores = []

    async def open_one(directory: Path, commit_interval_s: float = 60) -> Store:
        stores.append(Store(directory, commit_interval_s, now=lambda: START + timedelta(minutes=5)))
        await stores[-1].open()
        return stores[-1]

    yield open_one
    for store in stores:
        await store.close()


async def test_what_was_heard_is_on_the_card(tmp_path: Path, opened: Opened) -> None:
    store = await opened(tmp_path)
    store.hear(message(0), False)
    store.hear(message(30, consumption=31161, snr_db=None, frequency_hz=None), False)
    store.hear(message(40, meter_id=7, tamper_phy=None, tamper_enc=None), True)
    assert await store.commit() == ""
    assert rows(tmp_path, "SELECT meter_id, protocol, simulated, commodity FROM meter ORDER BY key") == [
        (60243827, "scm", 0, "electric"),
        (7, "scm", 1, "electric"),
    ]
    assert rows(tmp_path, "SELECT meter, consumption, tamper_phy, tamper_enc FROM reading ORDER BY key") == [
        (1, 31160, 0, 3),
        (1, 31161, 0, 3),
        (2, 31160, None, None),
    ]
    assert rows(tmp_path, "SELECT meter, count, levels, snr_sum_cdb, frequency_max_hz FROM reception") == [
        (1, 2, 1, 2000, 912_000_000),
        (2, 1, 1, 2000, 912_000_000),
    ]
    await store.close()


async def test_receptions_of_a_quarter_add_up_over_commits(tmp_path: Path, opened: Opened) -> None:
    store = await opened(tmp_path)
    for n, level_db in enumerate((None, 10.0, 30.0, 20.0)):
        store.hear(message(30 * n, snr_db=level_db, frequency_hz=None if n == 0 else 912_000_000 + n), False)
        assert await store.commit() == ""
    await store.close()
    columns = "count, levels, snr_sum_cdb, snr_best_cdb, frequency_min_hz, frequency_max_hz"
    expected = [(4, 3, 6000, 3000, 912_000_001, 912_000_003)]
    assert rows(tmp_path, f"SELECT {columns} FROM reception") == expected


async def test_a_restart_takes_up_where_it_was(tmp_path: Path, opened: Opened) -> None:
    store = await opened(tmp_path)
    for n in range(4):
        store.hear(message(30 * n, consumption=31160 + n // 2, tamper_enc=n // 3), False)
    await store.close()

    again = await opened(tmp_path)
    (meter,) = again.ledger.meters
    assert (meter.consumption, meter.tamper_enc, meter.snr_db) == (31161, 1, 20.0)
    assert meter.last_heard == meter.changed == meter.tamper_changed == START + timedelta(seconds=90)
    assert meter.first_heard == START
    assert meter.messages_an_hour(START + timedelta(minutes=5)) == 4
    again.hear(message(120, consumption=31161, tamper_enc=1), False)
    await again.close()
    assert rows(tmp_path, "SELECT count(*) FROM reading") == [(3,)]
    assert rows(tmp_path, "SELECT count FROM reception") == [(5,)]


async def test_a_meter_that_the_ledger_forgot_repeats_no_reading(tmp_path: Path) -> None:
    for _ in range(2):
        store = Store(tmp_path, 60)
        store.hear(message(0), False)
        await store.close()
    assert rows(tmp_path, "SELECT count(*) FROM reading") == [(1,)]


async def test_commits_by_time(tmp_path: Path, opened: Opened) -> None:
    store = await opened(tmp_path, commit_interval_s=0.05)
    running = asyncio.create_task(store.run(lambda reason: None))
    store.hear(message(), False)
    async with asyncio.timeout(10):
        while store.ledger.pending:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    assert rows(tmp_path, "SELECT count(*) FROM reading") == [(1,)]


@pytest.mark.parametrize("cause", ["tamper", "many"])
async def test_commits_at_once(tmp_path: Path, opened: Opened, cause: str) -> None:
    store = await opened(tmp_path, commit_interval_s=3600)
    running = asyncio.create_task(store.run(lambda reason: None))
    if cause == "tamper":
        store.hear(message(), False)
        store.hear(message(30, tamper_phy=1), False)
    else:
        for n in range(2500):
            store.hear(message(meter_id=n), False)
    async with asyncio.timeout(20):
        while store.saved_at is None:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()


async def test_a_later_version_is_left_untouched(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.execute("CREATE TABLE later (x)")
    connection.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    store = Store(tmp_path, 60)
    with pytest.raises(StoreTooNew, match="99") as refused:
        await store.open()
    assert "version" in refused.value.hint
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


async def test_readers_cannot_write(tmp_path: Path, opened: Opened) -> None:
    store = await opened(tmp_path)
    async with open_reader(tmp_path) as reader:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.execute("DELETE FROM meter")
    await store.close()


async def test_a_full_card_holds_readings_in_memory_and_resumes(tmp_path: Path, opened: Opened) -> None:
    store = await opened(tmp_path)
    store.hear(message(), False)
    assert await store.commit() == ""
    assert store._writer is not None
    await store._writer.execute("PRAGMA max_page_count = 1")
    for n in range(3000):
        store.hear(message(30, meter_id=n), False)
    assert await store.commit() == "the card is full"
    assert store.ledger.pending_readings == 3000
    # A new connection has no such limit: there is room again.
    assert await store.commit() == ""
    assert store.ledger.pending_readings == 0
    await store.close()
    assert rows(tmp_path, "SELECT count(*) FROM reading") == [(3001,)]


async def test_a_database_that_was_moved_away_is_missed_and_made_anew(tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    store = Store(home, 60)
    await store.open()
    store.hear(message(), False)
    store.hear(message(meter_id=5), False)
    assert await store.commit() == ""
    home.rename(away)
    store.hear(message(30, consumption=31161), False)
    assert await store.commit() == "the database cannot be opened"
    assert store.ledger.pending_readings == 1
    home.mkdir()
    assert await store.commit() == ""
    await store.close()
    assert rows(home, "SELECT meter_id, consumption FROM reading JOIN meter ON meter = meter.key ORDER BY 1") == [
        (5, 31160),
        (60243827, 31161),
    ]
    assert rows(away, "SELECT count(*) FROM reading") == [(2,)]


@pytest.mark.parametrize("damage", ["time_ms = 9223372036854775807", "time_ms = -9e17"])
async def test_a_damaged_row_is_damage(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path, 60)
    await store.open()
    store.hear(message(), False)
    await store.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute(f"UPDATE reading SET {damage}")
        connection.execute("DELETE FROM reception")
    connection.close()
    store = Store(tmp_path, 60)
    await store.open()
    store.hear(message(30), False)
    assert await store.commit() == "the database is damaged"
    assert store.ledger.pending_readings == 1
    await store.close()


async def test_a_damaged_database_is_reported_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"This is no database. " * 500)
    reasons: list[str] = []
    store = Store(tmp_path, 0.05)
    await store.open()
    store.hear(message(), False)
    running = asyncio.create_task(store.run(reasons.append))
    async with asyncio.timeout(10):
        while "the database is damaged" not in reasons:
            await asyncio.sleep(0.01)
    assert store.ledger.pending_readings == 1
    (tmp_path / FILE_NAME).unlink()
    async with asyncio.timeout(10):
        while reasons[-1]:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    assert rows(tmp_path, "SELECT count(*) FROM reading") == [(1,)]


KILLED = """
import asyncio, pathlib, sys
sys.path.insert(0, sys.argv[2])
from appliance.model import from_json
from appliance.store.writer import Store

async def main():
    store = Store(pathlib.Path(sys.argv[1]), 60)
    await store.open()
    line = sys.stdin.readline()
    store.hear(from_json(line), False)
    print(repr(await store.commit()), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_what_is_committed_survives_a_kill(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    arguments = [sys.executable, "-c", KILLED, str(tmp_path), root]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(message().to_json() + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "''\n"
        os.kill(child.pid, signal.SIGKILL)
    assert rows(tmp_path, "SELECT consumption FROM reading") == [(31160,)]


@pytest.fixture
def small_card(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Mounts 256 kB at `tmp_path`; call it with options to remount."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    mounting = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system")
    yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(tmp_path)], check=True) and None
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


async def test_a_card_that_is_really_full(tmp_path: Path, small_card: Callable[[str], None], opened: Opened) -> None:
    store = await opened(tmp_path)
    store.hear(message(), False)
    assert await store.commit() == ""
    with (tmp_path / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError, match="space"):
        while True:
            ballast.write(bytes(4096))
    for n in range(1000):
        store.hear(message(30, meter_id=n), False)
    assert await store.commit() != ""
    assert store.ledger.pending_readings == 1000
    small_card("ro")
    assert await store.commit() != ""
    assert store.ledger.pending_readings == 1000
    small_card("rw,size=8m")
    assert await store.commit() == ""
    await store.close()
    assert rows(tmp_path, "SELECT count(*) FROM reading") == [(1001,)]
