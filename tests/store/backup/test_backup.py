"""A backup of a store that is in use, and what comes back of it."""

import contextlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.archive import tar
from appliance.archive.container import Cost, Opener, Sealer
from appliance.cli import main
from appliance.errors import StoreError
from appliance.store.backup import backup_command, bring, restore, restore_command, snapshot, write
from appliance.store.lock import sole_user
from appliance.store.schema import CATALOGUE, LIVE, segment_path
from tests.store.backup import data_directory
from tests.store.conftest import Remount

QUICK = Cost(log2_n=1, r=1, p=1)
SECRET = "correcto caballo batería"
ABOUT = {"format": 1, "program": "0", "made": "2026-05-01T12:00:00Z", "name": "Calle 5"}


def progress(done: int, total: int | None) -> None:
    assert total is None or done <= total


def contents(file: Path) -> dict[str, bytes]:
    with file.open("rb") as source:
        opener = Opener(source, SECRET, file.name)
        return {m.name: b"".join(m.pieces()) for m in tar.members(opener, file.stat().st_size)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data_directory.make(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def machine(tmp_path: Path, data: Path) -> Path:
    (tmp_path / "appliance.toml").write_text(f'[store]\ndirectory = "{data}"\n[site]\nname = "Calle 5"\n')
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    return tmp_path


def run(machine: Path, command: str, file: Path) -> int:
    signals = signal.getsignal(signal.SIGTERM)
    try:
        options = ["--config", machine / "appliance.toml", "--passphrase-file", machine / "secret"]
        return main([command, str(file), *map(str, options)])
    finally:
        signal.signal(signal.SIGTERM, signals)


def test_it_holds_everything_but_what_passes(data: Path, tmp_path: Path) -> None:
    for name in (
        "damaged/000009.db",
        "handover/import-1.db",
        "replaced-20260501/x",
        "history/000009.db.part",
        ".hidden",
        "captures/x.sigmf-data",
    ):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_text("x")
    (data / "outbox").mkdir()
    (data / "outbox" / "000001.dsse").write_text("batch")
    (data / "link").symlink_to("/etc/passwd")
    assert backup_command.backup(data, tmp_path / "b", SECRET, ABOUT, progress, QUICK) == []
    found = contents(tmp_path / "b")
    segments = [f"history/00000{n}.{kind}" for n in (1, 2, 3) for kind in ("db", "sums")]
    assert list(found) == ["backup.json", LIVE, CATALOGUE, *segments, "identity/key.pem", "outbox/000001.dsse"]
    assert json.loads(found["backup.json"]) == ABOUT
    assert found[segments[0]] == (data / segments[0]).read_bytes()
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "b.part").exists()


@contextlib.contextmanager
def in_use(data: Path) -> Iterator[sqlite3.Connection]:
    """The databases held open by their writer, as the appliance holds them, with rows in the log ahead."""
    with sole_user(data), contextlib.closing(data_directory.writer(data / CATALOGUE)) as catalogue:
        with contextlib.closing(data_directory.writer(data / LIVE)) as live:
            catalogue.execute("INSERT INTO event VALUES (7, 1, 'boot', NULL, '{}')")
            live.execute("INSERT INTO coverage VALUES (1, 1, 1, 1)")
            yield catalogue


def test_the_writer_is_not_disturbed_and_its_log_is_copied_too(data: Path, tmp_path: Path) -> None:
    with in_use(data):
        logs = [data / f"{name}-wal" for name in (CATALOGUE, LIVE)]
        before = [path.read_bytes() for path in logs]
        assert all(before)
        backup_command.backup(data, tmp_path / "b", SECRET, ABOUT, progress, QUICK)
        assert [path.read_bytes() for path in logs] == before
    (tmp_path / "copy.db").write_bytes(contents(tmp_path / "b")[CATALOGUE])
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT kind FROM event WHERE number = 7").fetchall() == [("boot",)]


def test_catalogue_and_segments_are_of_one_moment_while_segments_come_and_go(data: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    pauses = threading.Event()

    def churn() -> None:
        with contextlib.closing(data_directory.writer(data / CATALOGUE)) as catalogue:
            number = 4
            while not stop.is_set():
                data_directory.enter(catalogue, data, number, rows=5)
                catalogue.execute("DELETE FROM segment WHERE number = ?", (number - 3,))
                segment_path(data, number - 3).unlink()
                segment_path(data, number - 3).with_suffix(".sums").unlink()
                number += 1
                pauses.wait(0.02)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for number in range(5):
            (tmp_path / str(number)).mkdir()
            with snapshot.snapshot(data, tmp_path / str(number)) as taken:
                names = {name for name in taken.segments if name.endswith(".db")}
                assert set(taken.sha256) <= names
                assert all(file.read(16) == b"SQLite format 3\0" for n, file in taken.segments.items() if n in names)
    finally:
        stop.set()
        pauses.set()
        thread.join()


def test_there_and_back(machine: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = data_directory.content(data)
    assert run(machine, "backup", machine / "b") == 0
    (data / "identity" / "key.pem").write_bytes(b"another key")
    segment_path(data, 2).unlink()
    with contextlib.closing(data_directory.writer(data / CATALOGUE)) as catalogue:
        catalogue.execute("DELETE FROM boot")
    changed = data_directory.content(data)
    assert run(machine, "restore", machine / "b") == 0
    assert data_directory.content(data) == before
    assert (data / "identity" / "key.pem").stat().st_mode & 0o777 == 0o600
    (replaced,) = data.glob("replaced-*")
    assert data_directory.content(replaced) == changed
    note = restore.restored(data)
    assert note is not None
    assert note["name"] == "Calle 5"
    restore.told(data)
    assert restore.restored(data) is None
    error = capfd.readouterr().err
    assert "of 'Calle 5'" in error
    assert "restored; what was there before is in" in error


def test_a_backup_goes_to_another_machine(machine: Path, data: Path) -> None:
    before = data_directory.content(data)
    assert run(machine, "backup", machine / "b") == 0
    (machine / "appliance.toml").write_text(f'[store]\ndirectory = "{machine}/new/data"\n')
    assert run(machine, "restore", machine / "b") == 0
    assert data_directory.content(machine / "new" / "data") == before
    assert not list((machine / "new" / "data").glob("replaced-*"))


def test_captures_stay_where_they_are(machine: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Also where an earlier version has put some into the backup."""
    (data / "captures").mkdir()
    (data / "captures" / "x").write_text("here")
    with (machine / "b").open("wb") as target:
        sealer = Sealer(target, SECRET, QUICK)
        about = json.dumps(ABOUT).encode()
        tar.add(sealer, "backup.json", len(about), 0o600, io.BytesIO(about))
        for name in (CATALOGUE, LIVE):
            content = (data / name).read_bytes()
            tar.add(sealer, name, len(content), 0o600, io.BytesIO(content))
        tar.add(sealer, "captures/x", 3, 0o600, io.BytesIO(b"old"))
        tar.end(sealer)
        sealer.close()
    assert run(machine, "restore", machine / "b") == 0
    assert (data / "captures" / "x").read_text() == "here"


def test_no_room_for_both(machine: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(machine, "backup", machine / "b") == 0
    before = data_directory.content(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bring, "SPARE_BYTES", 1 << 60)
        assert run(machine, "restore", machine / "b") == 74
    assert "must be free, and" in capfd.readouterr().err
    assert data_directory.content(data) == before
    assert bring.room_for(data) < shutil.disk_usage(data).free


def test_what_is_brought_says_who_brought_it(data: Path, tmp_path: Path) -> None:
    file = b"".join(write.Backup(data, SECRET, ABOUT, cost=QUICK).pieces())
    assert abs(write.estimate(data) - len(file)) < 20_000
    (data / "handover").mkdir()
    looked: list[bring.Brought] = []
    source = bring.Source(io.BytesIO(file), len(file), "it")
    assert bring.bring(source, SECRET, data, lambda part, about: looked.append(about), who="ana") == []
    assert looked == [bring.Brought("2026-05-01T12:00:00Z", "Calle 5")]
    assert restore.take_up(data)
    note = restore.restored(data)
    assert note is not None
    assert note["who"] == "ana"


def test_who_does_not_take_the_rest_leaves_no_copies(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    (data / "identity" / "ballast").write_bytes(os.urandom(1_000_000))
    pieces = write.Backup(data, SECRET, ABOUT, cost=QUICK).pieces()
    assert len(next(pieces)) >= write.PIECE_BYTES
    assert len(list((tmp_path / "copies").iterdir())) == 1
    pieces.close()
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_running_appliance_takes_it_up(machine: Path, data: Path) -> None:
    before = data_directory.content(data)
    assert run(machine, "backup", machine / "b") == 0
    (data / "identity" / "key.pem").unlink()
    holds, stop, looked = threading.Event(), threading.Event(), []

    def appliance() -> None:
        with sole_user(data):
            holds.set()
            while not restore.take_up(data) and not stop.wait(0.02):
                looked.append(True)

    thread = threading.Thread(target=appliance)
    thread.start()
    holds.wait(30)
    try:
        assert run(machine, "restore", machine / "b") == 0
    finally:
        stop.set()
        thread.join()
    assert looked
    assert data_directory.content(data) == before


def test_an_appliance_that_ends_leaves_it_to_the_command(machine: Path, data: Path) -> None:
    with sole_user(data):
        (data / "handover" / "restore").mkdir(parents=True)
        (data / "handover" / "restore" / "x").write_text("x")
        naps = []

        def sleep(seconds: float) -> None:
            naps.append(seconds)

        with pytest.raises(StoreError, match="has not taken up"):
            restore_command.wait(data, sleep)
        assert sum(naps) == restore_command.PATIENCE_S
    restore_command.wait(data, sleep)
    assert (data / "x").read_text() == "x"


def test_another_restore_waits(machine: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(machine, "backup", machine / "b") == 0
    (data / "handover" / "restore").mkdir(parents=True)
    with sole_user(data):
        assert run(machine, "restore", machine / "b") == 73
    assert "another restore waits" in capfd.readouterr().err


def test_nothing_is_touched_by_what_is_refused(machine: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(machine, "backup", machine / "b") == 0
    before = data_directory.content(data)
    whole = (machine / "b").read_bytes()
    (machine / "short").write_bytes(whole[:-100])
    (machine / "other").write_bytes(whole[:-100] + b"x" + whole[-99:])
    (machine / "text").write_text("readings")
    for name, said in (("short", "cut off"), ("other", "damaged or altered"), ("text", "not a backup")):
        assert run(machine, "restore", machine / name) == 65
        assert said in capfd.readouterr().err
    (machine / "secret").write_text("another passphrase")
    assert run(machine, "restore", machine / "b") == 65
    assert "the passphrase is wrong" in capfd.readouterr().err
    assert run(machine, "restore", machine / "missing") == 65
    assert data_directory.content(data) == before
    assert list((data / "handover").iterdir()) == []


def test_a_damaged_segment_neither_spoils_the_backup_nor_the_restore(
    machine: Path, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = segment_path(data, 2)
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    assert run(machine, "backup", machine / "b") == 0
    assert "history/000002.db is damaged on the card" in capfd.readouterr().err
    before = data_directory.content(data)
    assert run(machine, "restore", machine / "b") == 0
    assert "history/000002.db was damaged when the backup was made" in capfd.readouterr().err
    assert data_directory.content(data) == before


class Failing(io.BytesIO):
    """A file of a card that cannot read one of its bytes."""

    bad = 3 * 4096 + 17

    def read(self, size: int | None = -1, /) -> bytes:
        start = self.tell()
        piece = super().read(size)
        if start <= self.bad < start + len(piece):
            raise OSError(5, "Input/output error")
        return piece


def test_a_page_that_the_card_cannot_read_is_left_blank() -> None:
    content = os.urandom(5 * 4096 + 100)
    source = write.Lenient(Failing(content))
    found = source.read(2 * 4096) + source.read(1 << 20)
    assert found == content[: 3 * 4096] + bytes(4096) + content[4 * 4096 :]
    assert source.unreadable == 1
    assert source.read(10) == b""


@pytest.mark.parametrize("name", [CATALOGUE, LIVE])
def test_a_damaged_database_is_said(data: Path, tmp_path: Path, name: str) -> None:
    content = bytearray((data / name).read_bytes())
    content[100:3000] = os.urandom(2900)
    (data / name).write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged|malformed"):
        backup_command.backup(data, tmp_path / "b", SECRET, ABOUT, progress, QUICK)
    assert not list(tmp_path.glob("b*"))


def test_where_a_backup_cannot_go(machine: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (machine / "there").write_text("precious")
    for file, code, said in (
        (machine / "there", 64, "is there already"),
        (data / "b", 64, "inside the data directory"),
        (data / "history" / "b", 64, "inside the data directory"),
        (machine / "missing" / "b", 74, "No such file"),
        (Path("/proc/b"), 74, "cannot be written"),
    ):
        assert run(machine, "backup", file) == code
        assert said in capfd.readouterr().err
    assert (machine / "there").read_text() == "precious"
    (machine / "appliance.toml").write_text(f'[store]\ndirectory = "{machine}/nothing"\n')
    assert run(machine, "backup", machine / "b") == 65
    assert "nothing to back up" in capfd.readouterr().err
    assert not (machine / "nothing").exists()


def test_a_full_disk(machine: Path, data: Path) -> None:
    script = (
        "import resource, signal, sys\nfrom appliance.cli import main\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\nsys.exit(main(sys.argv[1:]))"
    )
    options = [machine / "b", "--config", machine / "appliance.toml", "--passphrase-file", machine / "secret"]
    with segment_path(data, 9).open("wb") as file:
        file.write(bytes(600_000))
    done = subprocess.run(
        [sys.executable, "-c", script, "backup", *map(str, options)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 74, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert not list(machine.glob("b*"))


def test_a_folder_for_temporary_files_without_room(small_card: Remount, data: Path, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    with (tmp_path / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    with pytest.raises(StoreError, match="copies has no room") as told, snapshot.snapshot(data, copies):
        pass
    assert "TMPDIR" in told.value.hint
