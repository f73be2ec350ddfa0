"""`appliance aggregator assign` and `assignments`, and what `ingest` puts onto a stick."""

import asyncio
from pathlib import Path

import pytest

from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database
from appliance.aggregator.keys import open_key
from appliance.cli import main
from appliance.sync.assignments import unpack_assignments
from appliance.sync.envelope import ASSIGNMENTS, key_id, opened, read
from tests.aggregator.street import NOW, Sender

LIST = "meter_id;name;address;multiplier\r\n60243827;Calle 5, 12;Calle 5 nº 12, Ñuñoa;0,01\r\n5;Pozo;;\r\n"
PRINTED = """meter_id,protocol,name,address,multiplier
5,,Pozo,,1
60243827,,"Calle 5, 12","Calle 5 nº 12, Ñuñoa",0.01
"""


@pytest.fixture
def senders() -> list[Sender]:
    return [Sender(n) for n in (1, 2)]


@pytest.fixture
def centre(tmp_path: Path, senders: list[Sender], capsys: pytest.CaptureFixture[str]) -> Path:
    """An aggregator's directory, with an appliance that is approved and one that waits."""
    assert main(["aggregator", "init", str(tmp_path / "centre")]) == 0
    capsys.readouterr()

    async def enrol() -> None:
        database = Database(tmp_path / "centre")
        for sender in senders:
            await Appliances(database).enrol(sender.enrolment(), NOW)
        await Appliances(database).approve(senders[0].identity, NOW)
        await database.close()

    asyncio.run(enrol())
    return tmp_path / "centre"


def call(centre: Path, *words: object) -> int:
    return main(["aggregator", *map(str, words), "--directory", str(centre)])


def test_a_list_is_assigned_printed_and_assigned_again(
    centre: Path, senders: list[Sender], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, name = tmp_path / "list.csv", senders[0].identity
    path.write_text(LIST, encoding="utf-8-sig")
    assert call(centre, "assignments", name) == 0
    assert capsys.readouterr().err.startswith("Nothing was ever assigned to ")
    # The identity as the appliance's page shows it.
    parts = [name[n : n + 4] for n in range(0, 32, 4)]
    assert call(centre, "assign", *parts, path) == 0
    told = capsys.readouterr().err
    assert told.startswith(f"2 meters are assigned to {' '.join(parts)} now, as version ")
    assert call(centre, "assignments", name) == 0
    said = capsys.readouterr()
    assert said.out == PRINTED
    assert said.err.endswith(": its last batch was sealed with version 0.\n")
    path.write_text(PRINTED)
    assert call(centre, "assign", name, path) == 0
    assert "2 meters are assigned" in (again := capsys.readouterr().err)
    assert "as before" in again
    path.write_text(PRINTED.partition("\n")[0])
    assert call(centre, "assign", name, path) == 0
    assert capsys.readouterr().err.startswith("No meters are assigned to ")


def test_what_is_wrong_is_said_and_changes_nothing(
    centre: Path, senders: list[Sender], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, name = tmp_path / "list.csv", senders[0].identity
    path.write_text(PRINTED)
    assert call(centre, "assign", name, path) == 0
    path.write_text(PRINTED.replace(",0.01", ",nada") + "5,,again,,\n6,,\x1b[2J,,\n")
    capsys.readouterr()
    assert call(centre, "assign", name, path) == 65
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines == [
        "line 3: multiplier is 'nada', expected a number such as 40, 0.01 or 0,01",
        "line 4: meter 5 stands in line 2 already",
        "line 5: name is '\\x1b[2J', expected printable text",
    ]
    assert "3 lines are wrong in" in last
    assert call(centre, "assignments", name) == 0
    assert capsys.readouterr().out == PRINTED
    path.write_text(PRINTED)
    for identity, code, words in (
        (senders[1].identity, 64, "is waiting: only approved appliances are assigned meters"),
        ("0" * 32, 64, "has enrolled"),
    ):
        assert call(centre, "assign", identity, path) == code
        assert words in capsys.readouterr().err
    assert call(centre, "assign", name, tmp_path / "none.csv") == 65
    assert call(centre, "revoke", name) == 0
    capsys.readouterr()
    assert call(centre, "assign", name, path) == 64
    assert "It stays revoked" in capsys.readouterr().err
    assert call(centre, "assignments", "0" * 32) == 64


def test_a_stick_carries_them_back_beside_the_receipts(
    centre: Path, senders: list[Sender], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "stick" / "street"
    folder.mkdir(parents=True)
    (folder / "1.batch").write_bytes(senders[0].sealed(1))
    assert call(centre, "ingest", tmp_path / "stick") == 0
    assert not (folder / "assignments.jsonl").exists()
    (tmp_path / "list.csv").write_text(PRINTED)
    assert call(centre, "assign", senders[0].identity, tmp_path / "list.csv") == 0
    for _ in range(2):
        capsys.readouterr()
        assert call(centre, "ingest", tmp_path / "stick") == 0
        assert f"{folder / 'assignments.jsonl'}: which meters are assigned" in capsys.readouterr().err
        (line,) = (folder / "assignments.jsonl").read_bytes().splitlines()
        public = open_key(centre).public_key()
        told = unpack_assignments(opened(read(line), ASSIGNMENTS, {key_id(public): public}))
        assert told.appliance == senders[0].identity
        assert [meter.name for meter in told.meters] == ["Pozo", "Calle 5, 12"]
    assert call(centre, "revoke", senders[0].identity) == 0
    (folder / "assignments.jsonl").unlink()
    assert call(centre, "ingest", tmp_path / "stick") == 65
    assert not (folder / "assignments.jsonl").exists()
