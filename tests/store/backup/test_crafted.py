"""Archives that no program made, by somebody who knows how: nothing of what is here comes to harm."""

import contextlib
import io
import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from appliance.archive import tar
from appliance.archive.container import Cost, Sealer
from appliance.errors import InputError
from appliance.store.backup import bring, restore
from appliance.store.schema import CATALOGUE, FIRST, LIVE, segment_path
from tests.store.backup import data_directory

QUICK = Cost(log2_n=1, r=1, p=1)
SECRET = "correcto caballo batería"
OF_THE_FIRST = Path(__file__).parents[1] / "fixtures" / "readings-1.db"
ABOUT = {"format": 1, "program": "0", "made": "2026-05-01T12:00:00Z", "name": "Calle 5"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data_directory.make(tmp_path / "data")
    (tmp_path / "data" / "handover").mkdir()
    return tmp_path / "data"


@pytest.fixture
def sound(tmp_path: Path) -> dict[str, bytes]:
    """The databases and a key, as another appliance would have them."""
    data_directory.make(tmp_path / "other")
    names = (CATALOGUE, LIVE, "identity/key.pem", *(f"history/00000{n}.{e}" for n in (1, 2, 3) for e in ("db", "sums")))
    return {name: (tmp_path / "other" / name).read_bytes() for name in names}


def archive(files: Mapping[str, bytes], about: Mapping[str, object] = ABOUT, mode: int = 0o644) -> bytes:
    out = io.BytesIO()
    sealer = Sealer(out, SECRET, QUICK)
    for name, content in {"backup.json": json.dumps(about).encode(), **files}.items():
        tar.add(sealer, name, len(content), mode, io.BytesIO(content))
    tar.end(sealer)
    sealer.close()
    return out.getvalue()


def brought(data: Path, file: bytes) -> None:
    bring.bring(bring.Source(io.BytesIO(file), len(file), "it"), SECRET, data, lambda part, about: None)


def refused(data: Path, file: bytes, words: str) -> None:
    before = data_directory.content(data)
    with pytest.raises(InputError, match=words):
        brought(data, file)
    assert not restore.waiting(data)
    assert list((data / "handover").iterdir()) == []
    assert data_directory.content(data) == before


@pytest.mark.parametrize(
    "name",
    [
        *(f"{database}-{log}" for database in (CATALOGUE, LIVE, "readings.db") for log in ("journal", "wal", "shm")),
        *("history/000001.db-journal", "catalogue.db-wal/x", "catalogue.db-mj0A1B2C3D"),
        *("captures", "history", "identity", "outbox", "tls", "settings.toml/x", "readings.db/x"),
        *("damaged/x", "handover/restore/x", "replaced-20260101T000000Z/x", "replaced-", "settings.toml.part"),
    ],
)
def test_what_no_backup_has(data: Path, sound: dict[str, bytes], name: str) -> None:
    files = {n: c for n, c in sound.items() if not n.startswith(f"{name}/")}
    refused(data, archive(files | {name: b"x"}), "which no backup has")


def test_what_is_not_the_appliance_s_own_is_left_out(data: Path, sound: dict[str, bytes]) -> None:
    others = (
        "ballast",
        "captures/x",
        "history/deep/000001.db",
        "history/notes",
        "identity/deep/x",
        "outbox/٠٠٠٠٠١-٠٠٠٠٠٠٠١.batch",
    )
    brought(data, archive(sound | dict.fromkeys((*others, "settings.toml", "tls/key.pem", "outbox/told.json"), b"x")))
    assert restore.take_up(data)
    for name in others:
        assert not (data / name).exists()
    for name in ("settings.toml", "tls/key.pem", "outbox/told.json"):
        assert (data / name).read_bytes() == b"x"


def test_keys_are_for_their_owner_alone(data: Path, sound: dict[str, bytes]) -> None:
    mask = os.umask(0o022)
    try:
        brought(data, archive(sound | {"tls/key.pem": b"x", "outbox/told.json": b"{}"}, mode=0o777))
    finally:
        os.umask(mask)
    assert restore.take_up(data)
    found = {
        name: (data / name).stat().st_mode & 0o777 for name in ("identity", "identity/key.pem", "tls", "tls/key.pem")
    }
    assert found == {"identity": 0o700, "identity/key.pem": 0o600, "tls": 0o700, "tls/key.pem": 0o600}
    assert (data / "outbox/told.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER no_more BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE VIEW more AS WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x FROM n) SELECT x FROM n",
        "CREATE UNIQUE INDEX one ON {table} (kind)",
        "CREATE TABLE more (x)",
        "ALTER TABLE {table} ADD COLUMN more BLOB AS (zeroblob(1000000000))",
        "DROP TABLE fix",
    ],
)
@pytest.mark.parametrize("name", [CATALOGUE, LIVE, "history/000009.db", FIRST])
def test_a_database_with_more_or_less_than_it_has(
    data: Path, sound: dict[str, bytes], name: str, statement: str
) -> None:
    made = data.parent / "made.db"
    made.write_bytes(OF_THE_FIRST.read_bytes() if name == FIRST else sound.get(name, sound["history/000002.db"]))
    if name == FIRST:
        statement = statement.replace("(kind)", "(key)").replace("fix", "reception")
    with contextlib.closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute(statement.format(table="reading" if name == FIRST else "event"))
        connection.commit()
    refused(data, archive(sound | {name: made.read_bytes()}), f"{name} in the backup holds what no version")


@pytest.mark.parametrize("kind", ["TRIGGER x AFTER INSERT ON event BEGIN SELECT 1; END", "VIEW x AS SELECT 1"])
def test_a_segment_with_another_sum_that_does_something(data: Path, sound: dict[str, bytes], kind: str) -> None:
    made = data.parent / "made.db"
    made.write_bytes(sound["history/000002.db"])
    with contextlib.closing(sqlite3.connect(made)) as connection:
        connection.execute(f"CREATE {kind}")
    refused(data, archive(sound | {"history/000002.db": made.read_bytes()}), "holds what no version")


def test_a_segment_that_is_only_damaged_passes(data: Path, sound: dict[str, bytes]) -> None:
    content = bytearray(sound["history/000002.db"])
    content[:4096] = os.urandom(4096)
    brought(data, archive(sound | {"history/000002.db": bytes(content)}))
    assert restore.take_up(data)
    assert segment_path(data, 2).read_bytes() == content


def test_what_the_first_version_kept_passes_sound_or_damaged(data: Path, sound: dict[str, bytes]) -> None:
    content = OF_THE_FIRST.read_bytes()
    for changed, amiss in ((content, []), (content[:8192] + os.urandom(len(content) - 8192), [f"{FIRST} was damaged"])):
        file = archive(sound | {FIRST: changed})
        told = bring.bring(bring.Source(io.BytesIO(file), len(file), "it"), SECRET, data, lambda part, about: None)
        assert told == amiss
        assert restore.take_up(data)
        assert (data / FIRST).read_bytes() == changed


def test_one_of_the_first_version_that_does_something(data: Path, sound: dict[str, bytes]) -> None:
    made = data.parent / "made.db"
    made.write_bytes(OF_THE_FIRST.read_bytes())
    with contextlib.closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("CREATE TRIGGER x AFTER INSERT ON meter BEGIN SELECT 1; END")
        connection.execute("PRAGMA user_version = 0")
    refused(data, archive(sound | {FIRST: made.read_bytes()}), f"{FIRST} in the backup holds what no version")


@pytest.mark.parametrize("place", ["catalogue.db", "identity", "outbox", "history"])
def test_it_goes_on_whatever_stands_there(data: Path, sound: dict[str, bytes], place: str) -> None:
    """A first attempt failed in between, and the appliance went on in the half-empty directory."""
    brought(data, archive(sound | {"outbox/told.json": b"{}"}))
    whole = {name: content for name, content in sound.items() if name not in (CATALOGUE, LIVE)}
    with pytest.MonkeyPatch.context() as patch:
        rename = Path.rename

        def fails(path: Path, target: Path) -> Path:
            if path.name == place and path.parent.name == "restored":
                raise PermissionError(1, "Operation not permitted")
            return rename(path, target)

        patch.setattr(Path, "rename", fails)
        with pytest.raises(PermissionError):
            restore.take_up(data)
    for name in ("identity", "outbox", "history"):
        (data / name).mkdir(exist_ok=True)
        if name >= place:
            (data / name / "meanwhile").write_text("x")
    if place == CATALOGUE:
        (data / CATALOGUE).write_text("meanwhile")
    assert restore.take_up(data)
    assert not restore.take_up(data)
    assert {name: (data / name).read_bytes() for name in whole} == whole
    assert not list(data.glob("*/meanwhile"))
    (replaced,) = data.glob("replaced-*")
    assert len(list(replaced.glob("*/meanwhile"))) == sum(name >= place for name in ("identity", "outbox", "history"))


def test_what_an_earlier_version_let_in_does_not_stop_it(data: Path) -> None:
    """It had checked less: a file in the place of the captures, of the damaged ones."""
    (data / "captures").mkdir()
    (data / "captures" / "x").write_text("kept")
    ready = data / "handover" / "restore"
    ready.mkdir()
    (ready / "backup.json").write_text(json.dumps(ABOUT))
    for name in ("captures", "damaged", "handover", "replaced-1"):
        (ready / name).write_text("odd")
    assert restore.take_up(data)
    assert (data / "captures" / "x").read_text() == "kept"
    assert not (data / "damaged").exists()
    (replaced,) = data.glob("replaced-*")
    assert (replaced / "replaced-1").read_text() == "odd"


def test_what_it_says_of_itself_is_a_few_lines(data: Path, sound: dict[str, bytes]) -> None:
    about = ABOUT | {"name": "\x1b[2J\n" + "x" * 9000, "who": "ana", "detail": {"more": [1]}}
    brought(data, archive(sound, about))
    assert restore.take_up(data)
    assert restore.restored(data) == ABOUT | {"name": " [2J " + "x" * 195}
    for odd in ({"made": ["x"]}, {"name": None}, {"format": float("inf")}, {"format": float("nan")}, {"program": 1}):
        with pytest.raises(InputError):
            brought(data, archive(sound, ABOUT | odd))


def test_many_small_files_take_whole_blocks(
    data: Path, sound: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = archive(sound | {f"outbox/{number}": b"x" for number in range(400)})
    monkeypatch.setattr(bring, "room_for", lambda _: len(many) + 100_000)
    with pytest.raises(bring.NoRoom):
        brought(data, many)
    assert list((data / "handover").iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr(bring, "MOST_FILES", 400)
    refused(data, many, "more than 400 files")
