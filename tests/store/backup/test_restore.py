"""A restore is taken up whole, wherever it is cut short; and what is restored is checked before."""

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import InputError, StoreTooNew
from appliance.store import queries
from appliance.store.backup import restore
from appliance.store.history import opened
from appliance.store.schema import CATALOGUE, LIVE, segment_path
from appliance.store.writer import Store
from tests.store.backup import data_directory

NEW = {
    "catalogue.db": "new",
    "history": "new",
    "identity": "new",
    "outbox": "new",
    "backup.json": '{"name": "Calle 5"}',
}
OLD = {"catalogue.db": "old", "catalogue.db-wal": "old", "history": "old", "identity": "old", "readings.db": "old"}
KEPT = {"damaged": "kept", "replaced-20250101T000000Z": "kept"}


def fill(directory: Path, names: dict[str, str]) -> None:
    for name, content in names.items():
        path = directory / name if "." in name else directory / name / "file"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def prepare(directory: Path) -> Path:
    fill(directory, OLD | KEPT)
    fill(directory / "handover", {"import-1.db": "kept"})
    fill(directory / "handover" / "restore", NEW)
    return directory


def state(directory: Path) -> dict[str, str]:
    return {p.relative_to(directory).as_posix(): p.read_text() for p in sorted(directory.rglob("*")) if p.is_file()}


def check(directory: Path) -> None:
    assert not restore.waiting(directory)
    assert restore.restored(directory) == {"name": "Calle 5"}
    found = state(directory)
    (replaced,) = {name.split("/")[0] for name in found if name.startswith("replaced-2") and "2025" not in name}
    expected = {name if "." in name else f"{name}/file": content for name, content in NEW.items()}
    expected["handover/restored.json"] = expected.pop("backup.json")
    expected["identity/new-key"] = found.get("identity/new-key", "")
    assert 2 <= int(expected["identity/new-key"]) <= restore.EPOCHS_AHEAD
    expected |= {f"{name}/file": content for name, content in KEPT.items()} | {"handover/import-1.db": "kept"}
    expected |= {f"{replaced}/{name if '.' in name else f'{name}/file'}": content for name, content in OLD.items()}
    assert found == expected
    assert sorted(p.name for p in (directory / "handover").iterdir()) == ["import-1.db", "restored.json"]


def test_nothing_waits(tmp_path: Path) -> None:
    assert not restore.take_up(tmp_path)
    assert restore.restored(tmp_path) is None
    restore.told(tmp_path)
    fill(tmp_path / "handover" / restore.PART, NEW)
    assert not restore.take_up(tmp_path)


def test_it_is_taken_up_once(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "data")
    assert restore.take_up(directory)
    check(directory)
    assert not restore.take_up(directory)
    check(directory)


class Cut(Exception):
    """The power is gone."""


@pytest.fixture
def cut_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ends the program before its n-th change to names from now on."""
    left = [0]

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **more: Any) -> Any:
            if left[0] == 0:
                raise Cut
            left[0] -= 1
            return original(*arguments, **more)

        return step

    for name in ("rename", "mkdir", "rmdir", "unlink"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))

    def set_left(steps: int) -> None:
        left[0] = steps

    set_left(-1)
    return set_left


@pytest.mark.parametrize("again", [0, 1, 3])
def test_cut_short_anywhere_and_again(tmp_path: Path, cut_before: Callable[[int], None], again: int) -> None:
    for steps in range(100):
        directory = prepare(tmp_path / str(steps))
        cut_before(steps)
        try:
            assert restore.take_up(directory)
            cut_before(-1)
            break
        except Cut:
            # Nothing is lost in between.
            cut_before(-1)
            assert {"new", "old", "kept"} <= set(state(directory).values())
            left = [name for name in state(directory) if "identity/new-key" not in name]
            assert len(left) == len(NEW | KEPT) + len(OLD) + 1
        cut_before(again)
        with contextlib.suppress(Cut):
            restore.take_up(directory)
        cut_before(-1)
        restore.take_up(directory)
        check(directory)
    assert steps > len(NEW) + len(OLD)


def test_two_restores_in_one_second(tmp_path: Path) -> None:
    directory = prepare(tmp_path / "data")
    for _ in range(3):
        fill(directory / "handover" / "restore", NEW)
        assert restore.take_up(directory)
    assert len(list(directory.glob("replaced-2*"))) == 4


def test_into_an_empty_directory(tmp_path: Path) -> None:
    fill(tmp_path / "handover" / "restore", NEW)
    assert restore.take_up(tmp_path)
    assert not list(tmp_path.glob("replaced-*"))


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    fill(tmp_path, {"handover/restored.json": "{"})
    assert restore.restored(tmp_path) is None
    (tmp_path / "handover/restored.json").write_text(json.dumps([1]))
    assert restore.restored(tmp_path) is None


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    data_directory.make(tmp_path)
    return tmp_path


def change(path: Path, *statements: str) -> None:
    path.chmod(0o600)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_what_is_sound_passes(unpacked: Path) -> None:
    assert restore.verify(unpacked) == []
    assert not list(unpacked.rglob("*-wal"))


@pytest.mark.parametrize("name", [CATALOGUE, LIVE])
def test_a_database_of_a_later_version(unpacked: Path, name: str) -> None:
    change(unpacked / name, "CREATE TABLE later (x)", "PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew, match=f"{name} has the format 99 of a later version"):
        restore.verify(unpacked)


@pytest.mark.parametrize("name", [CATALOGUE, LIVE])
@pytest.mark.parametrize("at", [0, 120])
def test_a_database_that_is_damaged(unpacked: Path, name: str, at: int) -> None:
    content = bytearray((unpacked / name).read_bytes())
    content[at : at + 2000] = b"\xaa" * 2000
    (unpacked / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} in the backup is damaged"):
        restore.verify(unpacked)


def test_no_catalogue(unpacked: Path) -> None:
    (unpacked / CATALOGUE).unlink()
    with pytest.raises(InputError, match=r"the backup has no catalogue\.db"):
        restore.verify(unpacked)


def test_segments_that_were_amiss_are_told(unpacked: Path) -> None:
    change(segment_path(unpacked, 1), "UPDATE reading SET consumption = 0")
    segment_path(unpacked, 3).unlink()
    assert restore.verify(unpacked) == ["history/000001.db was damaged", "history/000003.db was missing"]


def test_a_segment_that_is_not_listed_is_checked(unpacked: Path) -> None:
    change(unpacked / CATALOGUE, "DELETE FROM segment WHERE number = 2")
    assert restore.verify(unpacked) == []
    segment_path(unpacked, 2).chmod(0o600)
    segment_path(unpacked, 2).write_bytes(b"SQLite format 3\0" + bytes(8000))
    with pytest.raises(InputError, match=r"history/000002\.db in the backup is damaged"):
        restore.verify(unpacked)


async def test_the_store_tells_of_it_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", 60)
    await store.open()
    await store.close()
    fill(tmp_path / "data" / "handover" / "restore", {"backup.json": '{"made": "2026", "name": "Calle 5"}'})
    (tmp_path / "data" / CATALOGUE).rename(tmp_path / "data" / "handover" / "restore" / CATALOGUE)
    for _ in range(3):
        store = Store(tmp_path / "data", 60)
        await store.open()
        await store.close()
    with opened(tmp_path / "data") as history:
        (event,) = queries.events(history, "restored")
    assert event.detail["name"] == "Calle 5"
    assert restore.restored(tmp_path / "data") is None
