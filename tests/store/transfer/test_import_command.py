"""A log becomes history: whole, once, in the order of its times, under a running appliance or beside none."""

import contextlib
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.errors import StoreError
from appliance.model import Message
from appliance.store import queries
from appliance.store.history import opened
from appliance.store.lock import sole_bringer, sole_user
from appliance.store.rows import MeterKey, SegmentRow
from appliance.store.schema import CATALOGUE, read_only, segment_path
from appliance.store.transfer import adopt, import_command, import_file
from appliance.store.transfer.logs import parse
from appliance.store.upkeep import Upkeep
from appliance.store.writer import Store

START = datetime(2016, 4, 1, 12, tzinfo=UTC)
METER = MeterKey("scm", 60243827, False)


def line(minutes: float, consumption: int, meter_id: int = 60243827, tamper: int = 0) -> str:
    message = {"ID": meter_id, "Type": 4, "TamperPhy": tamper, "TamperEnc": 0, "Consumption": consumption}
    time = (START + timedelta(minutes=minutes)).isoformat()
    return json.dumps({"Time": time, "Offset": 0, "Length": 35840, "Message": message | {"ChecksumVal": 40837}}) + "\n"


LOG = [line(n, 31160 + n // 10) for n in range(60)] + [line(n, 500, 17556726, tamper=n // 30) for n in range(60)]


MESSAGES = [found for one in LOG if isinstance(found := parse(one.encode()), Message)]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    (tmp_path / "appliance.toml").write_text(f'[store]\ndirectory = "{tmp_path}/data"\n')
    return tmp_path


def run(machine: Path, lines: list[str]) -> int:
    (machine / "log").write_text("".join(lines))
    signals = signal.getsignal(signal.SIGTERM)
    try:
        return main(["import", str(machine / "log"), "--config", str(machine / "appliance.toml")])
    finally:
        signal.signal(signal.SIGTERM, signals)


def kept(machine: Path) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """All calendar readings and receptions: meter, time in minutes, register or count."""
    with opened(machine / "data") as history, history.view() as view:
        ids = {row.number: row.key.meter_id for row in queries.catalogue.meters(view.catalogue)}
        readings, receptions = [], []
        for row in view.past:
            segment = view.segment(row)
            start_ms = int(START.timestamp() * 1000)
            for meter, at, consumption, tamper in segment.execute(
                "SELECT meter, at, consumption, tamper_phy FROM reading"
            ):
                readings.append((ids[meter], (at - start_ms) // 60_000, consumption, tamper))
            for meter, at, count in segment.execute("SELECT meter, at, count FROM reception"):
                receptions.append((ids[meter], (at - start_ms) // 60_000, count))
        return sorted(readings), sorted(receptions)


def everything(machine: Path) -> tuple[object, ...]:
    with contextlib.closing(read_only(machine / "data" / CATALOGUE)) as catalogue:
        events = catalogue.execute(
            "SELECT at, kind, meter, detail FROM event WHERE at < 1 << 42 ORDER BY at"
        ).fetchall()
        meters = catalogue.execute("SELECT * FROM meter ORDER BY number").fetchall()
    return *kept(machine), events, meters


def test_readings_on_change_receptions_by_quarter_and_events(machine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(machine, LOG) == 0
    readings, receptions = kept(machine)
    assert readings == [
        *((17556726, 30 * n, 500, n) for n in range(2)),
        *((60243827, 10 * n, 31160 + n, 0) for n in range(6)),
    ]
    assert receptions == [(m, 15 * n, 15) for m in (17556726, 60243827) for n in range(4)]
    with opened(machine / "data") as history:
        (event,) = queries.tamper_changes(history)
        assert (event.meter, event.detail["phy"]) == (MeterKey("scm", 17556726, False), [0, 1])
        end_ms = int((START + timedelta(minutes=35)).timestamp() * 1000)
        assert [r.consumption for r in queries.registers(history, METER, [end_ms, end_ms + 10**9])] == [31163, 31165]
    assert "new: 8 readings, 2 meters, 1 events" in capfd.readouterr().err
    assert not list((machine / "data" / "handover").iterdir())


def test_the_same_again_adds_nothing_whatever_the_order(machine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(machine, LOG) == 0
    before = everything(machine)
    for again in (LOG, LOG[::-1], LOG[:40]):
        assert run(machine, again) == 0
        assert capfd.readouterr().err.endswith("nothing in it is new\n")
        assert everything(machine) == before


def test_a_log_that_has_grown_adds_what_is_new(machine: Path) -> None:
    early = START + timedelta(minutes=25)
    assert run(machine, [one for one, message in zip(LOG, MESSAGES, strict=True) if message.time < early]) == 0
    assert run(machine, LOG) == 0
    grown = everything(machine)
    other = machine / "other"
    other.mkdir()
    (other / "appliance.toml").write_text(f'[store]\ndirectory = "{other}/data"\n')
    assert run(other, LOG) == 0
    assert kept(other) == (grown[0], grown[1])


def test_logs_of_other_times_have_segments_of_their_own(machine: Path) -> None:
    for day in (0, 2, 1):
        assert run(machine, [line(day * 1440 + n, 31160 + day * 8 + n // 30) for n in range(60)]) == 0
    with opened(machine / "data") as history, history.view() as view:
        assert len(view.past) == 3
    # One that reaches over two of them joins these.
    assert run(machine, [line(30 * n, 31160 + n // 60) for n in range(60)]) == 0
    with opened(machine / "data") as history, history.view() as view:
        spans = [(row.from_at, row.to_at) for row in view.past]
    assert len(spans) == 2
    assert spans[0][1] < spans[1][0]


def test_segments_that_overlap_are_found_through_each_other(machine: Path) -> None:
    rows = [
        SegmentRow(n, 0, from_at, to_at, 1, 1, 1, "", 0)
        for n, (from_at, to_at) in enumerate([(0, 9), (10, 20), (18, 30), (31, 40)])
    ]
    assert [row.number for row in adopt.touched(rows, 25, 26)] == [1, 2]
    assert adopt.touched(rows, 41, 50) == []
    assert adopt.touched(rows, None, None) == []


def test_broken_lines_are_told(machine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(machine, [LOG[0], "noise\n", LOG[1][:50] + "\n", LOG[2], LOG[3].replace("2016", "2098")]) == 0
    error = capfd.readouterr().err
    assert "line 2: not JSON (Expecting value column 1): 'noise'" in error
    assert "3 of 5 lines are not taken: 2 not JSON, 1 in the future" in error


def test_nothing_to_import(machine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(machine, ["noise\n"] * 3) == 65
    assert "holds no message of rtlamr" in capfd.readouterr().err
    assert not list((machine / "data" / "handover").iterdir())


async def test_a_running_store_adopts_what_is_handed_over(tmp_path: Path) -> None:
    store = Store(tmp_path, 60)
    await store.open()
    upkeep = Upkeep(store, monotonic=lambda: 0.0)
    try:
        import_file.write(tmp_path, MESSAGES)
        await upkeep.adopt_imports()
        assert adopt.waiting(tmp_path) == []
        meter = store.ledger.get(METER)
        assert meter is not None
        assert (meter.consumption, meter.last_at) == (31165, int((START + timedelta(minutes=59)).timestamp() * 1000))
        (event,) = await store.ask(queries.events, "log_imported")
        assert (event.detail["readings"], event.detail["meters"], event.detail["events"]) == (8, 2, 1)
        assert len(store.segments) == 1
    finally:
        await store.close()


class Cut(Exception):
    """The power is gone."""


@pytest.mark.parametrize("step", ["introduce", "merge", "enter", "told"])
async def test_cut_short_at_any_step_it_is_there_once(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*arguments: object, **more: object) -> None:
        raise Cut

    import_file.write(tmp_path, MESSAGES)
    store = Store(tmp_path, 60)
    await store.open()
    upkeep = Upkeep(store, monotonic=lambda: 0.0)
    with monkeypatch.context() as patch:
        if step in ("introduce", "merge"):
            original = getattr(adopt, step)

            def done_and_cut(*arguments: object) -> None:
                original(*arguments)
                raise Cut

            patch.setattr(adopt, step, done_and_cut)
        elif step == "enter":
            patch.setattr(Upkeep, "_list_again", cut)
        else:
            patch.setattr(Path, "unlink", cut)
        with contextlib.suppress(Cut):
            await upkeep.adopt_imports()
    await store.disconnect()
    store = Store(tmp_path, 60)
    await store.open()
    try:
        await Upkeep(store, monotonic=lambda: 0.0).adopt_imports()
    finally:
        await store.close()
    assert adopt.waiting(tmp_path) == []
    with contextlib.closing(sqlite3.connect(tmp_path / CATALOGUE)) as catalogue:
        assert catalogue.execute("SELECT count(*) FROM event WHERE kind = 'tamper'").fetchone() == (1,)
        assert catalogue.execute("SELECT count(*) FROM meter").fetchone() == (2,)
        (row,) = catalogue.execute("SELECT number, readings FROM segment").fetchall()
    assert row[1] == 8
    assert [p.stem for p in (tmp_path / "history").glob("0*.db")] == [segment_path(tmp_path, row[0]).stem]


async def test_a_damaged_import_is_set_aside(tmp_path: Path) -> None:
    written = import_file.write(tmp_path, MESSAGES)
    assert written is not None
    written.path.write_bytes(written.path.read_bytes()[:5000] + b"\xaa" * 5000)
    store = Store(tmp_path, 60)
    await store.open()
    try:
        await Upkeep(store, monotonic=lambda: 0.0).adopt_imports()
        assert adopt.waiting(tmp_path) == []
        assert len(list((tmp_path / "damaged").iterdir())) == 1
        assert store.segments == []
    finally:
        await store.close()


@contextlib.contextmanager
def appliance(directory: Path) -> Iterator[None]:
    """Something that holds the lock, as a running appliance does."""
    with sole_user(directory):
        yield


def test_it_is_handed_over_to_a_running_appliance(machine: Path) -> None:
    taken, stop = [], threading.Event()

    def adopting() -> None:
        while not taken and not stop.wait(0.02):
            for path in adopt.waiting(machine / "data"):
                taken.append(path.stat().st_size)
                path.unlink()

    assert run(machine, LOG[:1]) == 0
    with appliance(machine / "data"):
        thread = threading.Thread(target=adopting)
        thread.start()
        try:
            assert run(machine, LOG) == 0
        finally:
            stop.set()
            thread.join()
    assert taken


def test_an_appliance_that_does_not_answer_and_one_that_ends(machine: Path) -> None:
    assert run(machine, LOG[:1]) == 0
    directory = machine / "data"
    with appliance(directory):
        written = import_file.write(directory, MESSAGES)
        assert written is not None
        naps: list[float] = []
        with pytest.raises(StoreError, match="has not taken over"):
            import_command.wait(directory, written.path, naps.append)
        assert sum(naps) == import_command.PATIENCE_S
    import_command.wait(directory, written.path, naps.append)
    assert adopt.waiting(directory) == []
    assert len(kept(machine)[0]) == 8


def test_a_card_that_is_nearly_full_is_left_to_the_appliance(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(import_file, "RESERVE_BYTES", 1 << 60)
    assert run(machine, LOG) == 74
    assert " MB free on the card, and " in capfd.readouterr().err
    assert not list((machine / "data" / "handover").iterdir())


def test_a_log_that_takes_long_to_read_keeps_no_appliance_from_starting(machine: Path) -> None:
    assert run(machine, LOG[:1]) == 0
    fifo = machine / "fifo"
    os.mkfifo(fifo)
    started: list[str] = []

    def start() -> None:
        with fifo.open("w") as log:
            log.write("".join(LOG[:50]))
            log.flush()
            with appliance(machine / "data"):
                started.append("appliance")
            log.write("".join(LOG[50:]))

    thread = threading.Thread(target=start)
    thread.start()
    try:
        signals = signal.getsignal(signal.SIGTERM)
        assert main(["import", str(fifo), "--config", str(machine / "appliance.toml")]) == 0
    finally:
        signal.signal(signal.SIGTERM, signals)
        thread.join()
    assert started
    assert len(kept(machine)[0]) == 8


def test_one_at_a_time(machine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with sole_bringer(machine / "data"):
        assert run(machine, LOG) == 73
    assert "another restore or import" in capfd.readouterr().err
    assert run(machine, LOG) == 0


async def test_what_a_killed_import_or_restore_left_goes_when_the_appliance_starts(tmp_path: Path) -> None:
    handover = tmp_path / "handover"
    (handover / "restore.part" / "history").mkdir(parents=True)
    (handover / "restore.part" / "history" / "000001.db").write_text("x")
    for name in ("import-0123456789abcdef.db.part", "import-0123456789abcdef.db.heard.part"):
        (handover / name).write_text("x")
    store = Store(tmp_path, 60)
    with sole_bringer(tmp_path):
        await store.open()
        assert len(list(handover.iterdir())) == 3
    await store.disconnect()
    await store.connect()
    await store.close()
    assert list(handover.iterdir()) == []
