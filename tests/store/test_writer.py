"""The writer against real files: what is on the card after a commit, a restart, a kill, and with the card full."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from appliance.clock import Clock
from appliance.store import queries, writer, writing
from appliance.store.limits import FAULTS_AT_ONCE
from appliance.store.rows import MeterKey
from appliance.store.schema import CATALOGUE, LIVE, PHRASES, read_only
from appliance.store.writer import Store
from appliance.timeline import boot_of
from tests.machine import FREE, START, Machine

KEY = MeterKey("scm", 60243827, False)
START_MS = round(START.timestamp() * 1000)


def rows(directory: Path, name: str, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(read_only(directory / name)) as connection:
        return connection.execute(query).fetchall()


Opened = Callable[..., Awaitable[Store]]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """Opens stores, and closes them also when the test fails: their threads would keep the process alive."""
    stores = []

    async def open_one(directory: Path, machine: Machine, commit_interval_s: float = 60) -> Store:
        clock: Clock = machine.clock()
        clock.poll()
        stores.append(Store(directory, commit_interval_s, clock))
        await stores[-1].open()
        return stores[-1]

    yield open_one
    for store in stores:
        if store.catalogue is not None:
            await store.close()


async def test_what_was_heard_is_on_the_card(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine)
    store.hear(machine.message(), False)
    machine.pass_time(30)
    store.hear(machine.message(consumption=31161), False)
    store.hear(machine.message(meter_id=7, tamper_phy=None, tamper_enc=None), True)
    assert await store.commit() == ""
    query = "SELECT number, protocol, meter_id, simulated, commodity FROM meter ORDER BY number"
    assert rows(tmp_path, CATALOGUE, query) == [(1, *KEY[:2], 0, "electric"), (2, "scm", 7, 1, "electric")]
    readings = rows(tmp_path, LIVE, "SELECT meter, at, consumption, tamper_phy, tamper_enc, flags FROM reading")
    assert [(r[0], r[2:]) for r in readings] == [
        (1, (31160, 0, 3, 0)), (1, (31161, 0, 3, 0)), (2, (31160, None, None, 0)),
    ]  # fmt: skip
    assert [store.clock.utc_ms(r[1]) - START_MS for r in readings] == [0, 30_000, 30_000]
    assert rows(tmp_path, CATALOGUE, "SELECT boot_id FROM boot") == [("boot 1",)]
    assert rows(tmp_path, CATALOGUE, "SELECT source FROM fix") == [("ntp",)]
    assert rows(tmp_path, CATALOGUE, "SELECT kind FROM event") == [("boot",)]


async def test_receptions_of_a_quarter_are_written_once_it_is_over(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine)
    for level_db in (None, 10.0, 30.0, 20.0):
        store.hear(machine.message(snr_db=level_db), False)
        machine.pass_time(30)
        assert await store.commit() == ""
    assert rows(tmp_path, LIVE, "SELECT * FROM reception") == []
    machine.pass_time(900)
    store.hear(machine.message(), False)
    assert await store.commit() == ""
    columns = "meter, count, levels, snr_sum_cdb, snr_best_cdb"
    assert rows(tmp_path, LIVE, f"SELECT {columns} FROM reception") == [(1, 4, 3, 6000, 3000)]
    assert rows(tmp_path, LIVE, "SELECT meters, messages FROM coverage") == [(1, 4)]


async def test_a_restart_takes_up_where_it_was(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine)
    for n in range(4):
        store.hear(machine.message(consumption=31160 + n // 2, tamper_enc=n // 3), False)
        machine.pass_time(30)
    before = store.ledger.get(KEY)
    assert before
    await store.close()

    again = await opened(tmp_path, machine)
    meter = again.ledger.get(KEY)
    assert meter
    for name in ("consumption", "tamper_enc", "first_at", "changed_at", "tamper_changed_at", "snr_db"):
        assert getattr(meter, name) == getattr(before, name), name
    assert 0 <= before.last_at - meter.last_at < 1000
    again.hear(machine.message(consumption=31161, tamper_enc=1), False)
    assert [(r.meter, r.count) for r in again.ledger.receptions] == [(KEY, 5)]
    await again.close()
    assert rows(tmp_path, LIVE, "SELECT count(*) FROM reading") == [(3,)]
    assert rows(tmp_path, CATALOGUE, "SELECT count(*) FROM boot") == [(1,)]


async def test_messages_an_hour_survive_a_restart(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine)
    for _ in range(60):
        store.hear(machine.message(), False)
        machine.pass_time(30)
    await store.close()
    machine.cut_power(120)
    again = await opened(tmp_path, machine)
    meter = again.ledger.get(KEY)
    assert meter
    # The quarter that was running when the power went is kept, but is not counted again.
    assert meter.messages_an_hour(machine.utc_ms / 1000) >= 30


async def test_a_power_cut_begins_a_boot(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine)
    store.hear(machine.message(), False)
    await store.close()
    machine.cut_power()
    machine.kernel = FREE
    again = await opened(tmp_path, machine)
    again.hear(machine.message(consumption=31161), False)
    assert await again.commit() == ""
    boots = [boot_of(at) for (at,) in rows(tmp_path, LIVE, "SELECT at FROM reading ORDER BY at")]
    assert boots == [1, 2]
    assert rows(tmp_path, CATALOGUE, "SELECT kind FROM event") == [("boot",), ("boot",)]


async def test_a_clock_found_later_moves_what_is_shown_and_rewrites_nothing(tmp_path: Path, opened: Opened) -> None:
    machine = Machine(kernel=FREE, system_off_ms=-86_400_000)
    store = await opened(tmp_path, machine)
    store.hear(machine.message(), False)
    assert await store.commit() == ""
    stored = rows(tmp_path, LIVE, "SELECT * FROM reading")
    (reading,) = await store.ask(queries.registers, KEY, [START_MS + 3_600_000])
    assert reading.since_utc_ms == START_MS - 86_400_000
    machine.system_off_ms, machine.kernel = 0, Machine().kernel
    store.clock.poll()
    store.history.show(store.segments, store.clock.timeline)
    (reading,) = await store.ask(queries.registers, KEY, [START_MS + 3_600_000])
    assert reading.since_utc_ms == pytest.approx(START_MS, abs=5)
    assert rows(tmp_path, LIVE, "SELECT * FROM reading") == stored


async def test_what_is_heard_before_the_card_can_be_read_belongs_to_its_boot(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine)
    store.hear(machine.message(), False)
    await store.close()
    machine.cut_power()
    (tmp_path / "history").rename(tmp_path / "elsewhere")
    (tmp_path / "history").write_text("in the way")
    again = await opened(tmp_path, machine)
    assert again.trouble
    again.hear(machine.message(consumption=31165), False)
    assert await again.commit() != ""
    (tmp_path / "history").unlink()
    (tmp_path / "elsewhere").rename(tmp_path / "history")
    assert await again.commit() == ""
    found = rows(tmp_path, LIVE, "SELECT at, consumption FROM reading ORDER BY at")
    assert [(boot_of(at), consumption) for at, consumption in found] == [(1, 31160), (2, 31165)]


async def test_commits_by_time(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine, commit_interval_s=0.05)
    running = asyncio.create_task(store.run(lambda reason: None))
    store.hear(machine.message(), False)
    async with asyncio.timeout(10):
        while store.ledger.pending_readings:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    assert rows(tmp_path, LIVE, "SELECT count(*) FROM reading") == [(1,)]


@pytest.mark.parametrize("cause", ["tamper", "many"])
async def test_commits_at_once(tmp_path: Path, opened: Opened, cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MANY_ROWS", 500)
    machine = Machine()
    store = await opened(tmp_path, machine, commit_interval_s=3600)
    assert await store.commit() == ""
    saved_at = store.saved_at
    machine.pass_time(30)
    running = asyncio.create_task(store.run(lambda reason: None))
    if cause == "tamper":
        store.hear(machine.message(), False)
        machine.pass_time(30)
        store.hear(machine.message(tamper_phy=1), False)
    else:
        for n in range(500):
            store.hear(machine.message(meter_id=n), False)
    async with asyncio.timeout(20):
        while store.saved_at == saved_at:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_readers_cannot_write(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    await opened(tmp_path, machine)
    with contextlib.closing(read_only(tmp_path / CATALOGUE)) as reader:
        with pytest.raises(Exception, match="readonly"):
            reader.execute("DELETE FROM meter")


async def test_a_full_card_holds_readings_in_memory_and_resumes(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine)
    store.hear(machine.message(), False)
    assert await store.commit() == ""
    assert store.live is not None
    await store.live.execute("PRAGMA max_page_count = 1")
    machine.pass_time(30)
    for n in range(1500):
        store.hear(machine.message(meter_id=n), False)
    assert await store.commit() == "the card is full"
    assert store.trouble in PHRASES
    assert store.ledger.pending_readings == 1500
    # A new connection has no such limit: there is room again.
    assert await store.commit() == ""
    assert store.ledger.pending_readings == 0
    await store.commit()
    await store.close()
    assert rows(tmp_path, LIVE, "SELECT count(*) FROM reading") == [(1501,)]
    kinds = [kind for (kind,) in rows(tmp_path, CATALOGUE, "SELECT kind FROM event ORDER BY number")]
    assert kinds == ["boot", "storage_failed", "storage_recovered"]


async def test_a_card_that_fails_again_and_again_is_not_filled_with_the_news(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine)
    for n in range(FAULTS_AT_ONCE + 5):
        assert store.live is not None
        await store.live.execute("PRAGMA max_page_count = 1")
        for meter_id in range(500):
            store.hear(machine.message(meter_id=meter_id, consumption=n), False)
        assert await store.commit() == "the card is full"
        assert await store.commit() == ""
        machine.pass_time(70)
    await store.close()
    for kind in ("storage_failed", "storage_recovered"):
        (told,) = rows(tmp_path, CATALOGUE, f"SELECT count(*) FROM event WHERE kind = '{kind}'")[0]
        assert FAULTS_AT_ONCE <= told <= FAULTS_AT_ONCE + 2


async def test_an_event_whose_second_half_failed_is_there_once(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine)
    store.hear(machine.message(), False)
    assert await store.commit() == ""
    assert store.live is not None
    await store.live.execute("PRAGMA max_page_count = 1")
    machine.pass_time(30)
    store.hear(machine.message(tamper_phy=1), False)
    for n in range(500):
        store.hear(machine.message(meter_id=n), False)
    assert await store.commit() != ""
    assert await store.commit() == ""
    await store.close()
    for name in (CATALOGUE, LIVE):
        assert rows(tmp_path, name, "SELECT count(*) FROM event WHERE kind = 'tamper'") == [(1,)]


async def test_data_that_was_moved_away_is_missed_and_made_anew(tmp_path: Path, opened: Opened) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    machine = Machine()
    store = await opened(home, machine)
    store.hear(machine.message(), False)
    store.hear(machine.message(meter_id=5), False)
    assert await store.commit() == ""
    home.rename(away)
    machine.pass_time(30)
    store.hear(machine.message(consumption=31161), False)
    assert await store.commit() == ""
    await store.close()
    query = "SELECT DISTINCT m.meter_id, r.consumption FROM reading AS r JOIN meter AS m ON r.meter = m.number"
    assert sorted(rows(home, LIVE, query)) == [(5, 31160), (60243827, 31161)]
    assert rows(away, LIVE, "SELECT count(*) FROM reading") == [(2,)]
    assert rows(home, CATALOGUE, "SELECT boot_id FROM boot") == [("boot 1",)]
    assert rows(home, CATALOGUE, "SELECT source FROM fix") == [("ntp",)]


async def test_a_flood_of_meters_is_bounded(tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_METERS", 50)
    machine = Machine()
    store = await opened(tmp_path, machine)
    for n in range(200):
        store.hear(machine.message(meter_id=n), False)
    assert await store.commit() == ""
    assert rows(tmp_path, CATALOGUE, "SELECT count(*) FROM meter") == [(50,)]
    assert rows(tmp_path, LIVE, "SELECT count(*) FROM reading") == [(50,)]
    assert store.writing.refused_meters == 150


async def test_status_tells_how_it_is(tmp_path: Path, opened: Opened) -> None:
    machine = Machine()
    store = await opened(tmp_path, machine)
    store.hear(machine.message(), False)
    assert store.status().readings_waiting == 1
    assert await store.commit() == ""
    machine.pass_time(12)
    status = store.status()
    assert (status.readings_waiting, status.last_commit_age_s, status.trouble) == (0, 12.0, "")


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
        child.stdin.write(Machine().message().to_json() + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "''\n"
        os.kill(child.pid, signal.SIGKILL)
    assert rows(tmp_path, LIVE, "SELECT consumption FROM reading") == [(31160,)]
