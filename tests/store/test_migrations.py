"""Databases of every version there ever was: kept as files, opened and brought to today's form.

A schema that changes without a new version would leave the databases of the field behind: the hash of each version's
script is written down here. `python -m tests.store.test_migrations` makes the files of today's version, once.
"""

import contextlib
import hashlib
import shutil
import sqlite3
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from appliance.store import files, segments
from appliance.store.repair import recovery
from appliance.store.schema import CATALOGUE, HISTORY, LIVE, MIGRATIONS, Kind, migrate
from tests.store.box import ask

FIXTURES = Path(__file__).parent / "fixtures"
KINDS: tuple[Kind, ...] = ("catalogue", "live", "segment")
SCRIPTS = {
    "catalogue": ["bab02614f624dbf9", "1b020f7af79b9ccb", "0d00aa7d6e802fa2"],
    "live": ["367537893116b249"],
    "segment": ["8f3e75552dafd2b9"],
}
WHERE = {"catalogue": CATALOGUE, "live": LIVE, "segment": f"{HISTORY}/000001.db"}
VERSIONS = [(kind, version) for kind in KINDS for version in range(1, len(MIGRATIONS[kind]) + 1)]
AT = (1 << 42) + 5000
ROWS = {
    "boot": (1, "f2c6", 60_000, 1_772_366_400_000),
    "fix": (1, 4000, "ntp", 1_772_366_404_000, 250),
    "event": (1, AT, "tamper", 1, '{"phy":[0,1],"enc":[3,3]}'),
    "meter": (1, "scm", 60_243_827, 0, "electric", 4, AT),
    "reading": (1, AT, 31_160, 0, 3, 0),
    "reception": (1, AT, 2, 0, 1, 2000, 2000, 912_000_000, 912_000_010, AT + 30),
    "coverage": (AT, 1, 2),
    "assigned": (1, 1_772_366_400, 1_772_366_400_250),
    "assignment": (60_243_827, "scm", "Calle 5, 12", "Calle 5 nº 12, Ñuñoa", "0.01"),
    "account": ("ana", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "technician", AT, AT, None),
    "session": ("ab" * 32, "ana", AT, AT + 1000),
    "note": (1, 60_243_827, "scm", 0, AT, "ana", "behind the gate\nask at nº 14"),
    "dial": (1, 60_243_827, "scm", 0, AT, "ana", "00311.6", 31_160, "likely", "0.01", "0.01"),
}


def fixture(kind: Kind, version: int) -> Path:
    return FIXTURES / f"{kind}-{version}.db"


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_is_never_changed(kind: Kind) -> None:
    """Whoever changes a schema adds a script to MIGRATIONS, and its hash and its fixture here."""
    assert [hashlib.sha256(script.encode()).hexdigest()[:16] for script in MIGRATIONS[kind]] == SCRIPTS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_each_version_has_tables_of_its_own(kind: Kind) -> None:
    """By them a later version is told from a damaged number."""
    found = []
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in ("", *MIGRATIONS[kind]):
            connection.executescript(script)
            found.append(set(connection.execute("SELECT name, sql FROM sqlite_schema")))
    assert all(before != after for before, after in pairwise(found))


@pytest.mark.parametrize(("kind", "version"), VERSIONS)
def test_every_version_is_opened(tmp_path: Path, kind: Kind, version: int) -> None:
    path = tmp_path / WHERE[kind]
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(fixture(kind, version), path)
    findings = recovery.prepare(tmp_path)
    assert [k for k, _ in findings] == ([] if kind == "catalogue" else ["catalogue_restored"])
    if kind != "segment":
        assert ask(path, "PRAGMA user_version") == [(len(MIGRATIONS[kind]),)]
    assert ask(path, "SELECT number, protocol, meter_id FROM meter") == [(1, "scm", 60_243_827)]
    assert ask(path, "SELECT kind, detail FROM event") == [ROWS["event"][2::2]]
    if kind != "catalogue":
        assert ask(path, "SELECT meter, at, consumption, tamper_phy, tamper_enc, flags FROM reading") == [
            ROWS["reading"]
        ]
    for table in ("boot", "fix"):
        assert ask(tmp_path / CATALOGUE, f"SELECT * FROM {table}") == [ROWS[table]]
    assert ask(tmp_path / CATALOGUE, "SELECT number, meter_id FROM meter") == [(1, 60_243_827)]
    assert ask(tmp_path / CATALOGUE, "SELECT number, kind FROM event") == [(1, "tamper")]
    for table in ADDED:
        held = [ROWS[table]] if kind == "catalogue" and version >= ADDED[table] else []
        assert ask(tmp_path / CATALOGUE, f"SELECT * FROM {table}") == held


ADDED = {"assigned": 2, "assignment": 2, "account": 3, "session": 3, "note": 3, "dial": 3}
LAST = len(MIGRATIONS["catalogue"])


@pytest.fixture
def following(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next version of the catalogue, made up."""
    script = "ALTER TABLE meter ADD COLUMN place TEXT; UPDATE meter SET place = 'here'; CREATE TABLE more (x TEXT);"
    monkeypatch.setitem(MIGRATIONS, "catalogue", (*MIGRATIONS["catalogue"], script))


@pytest.mark.usefixtures("following")
def test_a_new_version_is_one_transaction(tmp_path: Path) -> None:
    shutil.copyfile(fixture("catalogue", LAST), tmp_path / CATALOGUE)
    with contextlib.closing(files.create(tmp_path / CATALOGUE, "catalogue")) as connection:
        assert connection.execute("SELECT place FROM meter").fetchall() == [("here",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (LAST + 1,)
        migrate(connection, "catalogue")


@pytest.mark.usefixtures("following")
def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / CATALOGUE
    shutil.copyfile(fixture("catalogue", LAST), path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE more (y)")
        before = list(connection.iterdump())
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate(connection, "catalogue")
        assert not connection.in_transaction
        assert list(connection.iterdump()) == before
        assert connection.execute("PRAGMA user_version").fetchone() == (LAST,)


def make(kind: Kind) -> None:
    """Make the file of today's version of a kind."""
    path = fixture(kind, len(MIGRATIONS[kind]))
    if kind == "segment":
        (FIXTURES / HISTORY).mkdir()
        segments.build(FIXTURES, 1, _fill, rank=0, live_to=1)
        (FIXTURES / HISTORY / "000001.db").rename(path)
        path.chmod(0o644)
        shutil.rmtree(FIXTURES / HISTORY)
        return
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA page_size = 1024")
        migrate(connection, kind)
        _fill(connection)


def _fill(connection: sqlite3.Connection) -> None:
    for table, row in ROWS.items():
        columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        if not columns:
            continue
        values = (1, *row) if columns[0] == "id" else row
        if len(columns) > len(values):
            # As the catalogue has it: with how it is now.
            values = (*row, AT, 31_160, 0, 3, None, None, 2000)
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)


if __name__ == "__main__":
    for one in sys.argv[1:]:
        make(one)  # type: ignore[arg-type]
