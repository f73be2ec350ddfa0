"""A stick that an operator takes in, with all that may be on it."""

import os
from pathlib import Path

import pytest

from appliance.aggregator.ingest import MOST_LINE_BYTES
from appliance.aggregator.keys import open_key
from appliance.aggregator.settings import FILE
from appliance.sync.envelope import RECEIPT, key_id, opened, read
from appliance.sync.receipt import unpack_receipt
from tests.aggregator.centre import call, in_database
from tests.aggregator.street import Sender


def test_a_stick_of_one_that_waits_is_to_be_taken_in_once_more(
    centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender = Sender()
    (tmp_path / "introduction.enrolment").write_bytes(sender.enrolment())
    (tmp_path / "000001-00000001.batch").write_bytes(sender.sealed(1))
    assert call(centre, "ingest", tmp_path) == 65
    assert capsys.readouterr().err.endswith("'appliance aggregator approve', then ingest once more.\n")
    assert call(centre, "approve", sender.identity) == 0
    assert call(centre, "ingest", tmp_path) == 0


def test_a_stick_is_taken_in_and_carries_the_receipts_back(
    centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender, other = Sender(1), Sender(2)
    in_database(centre, sender.enrol)
    stick = tmp_path / "stick"
    folder = stick / "street 1"
    folder.mkdir(parents=True)
    lines = {n: sender.sealed(n) for n in range(1, 5)}
    (folder / "000002.rotation").write_bytes(sender.rotation(2))
    (folder / "000001-00000001.batch").write_bytes(lines[1] + b"\n")
    (folder / "000001-00000002.batch").write_bytes(lines[2][:-20])
    (folder / "000001-00000003.batch").write_bytes(lines[3])
    (folder / "again-00000002.batch").write_bytes(lines[2])
    (folder / "link.batch").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.batch")
    (stick / "new.enrolment").write_bytes(other.enrolment())
    (stick / "\x1b[2J.batch").write_bytes(bytes(2_000_000))
    assert call(centre, "ingest", stick) == 65
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "new.enrolment: waits for your approval",
        "street 1/000002.rotation: the key is known",
        f"?[2J.batch: refused, too_large: {MOST_LINE_BYTES + 2} bytes, at most {MOST_LINE_BYTES}",
        "street 1/000001-00000001.batch: stored",
        "street 1/000001-00000002.batch: refused, malformed: " + said.out.splitlines()[4].rpartition("malformed: ")[2],
        "street 1/000001-00000003.batch: waits for batch 1-2, kept until then",
        "street 1/again-00000002.batch: stored",
        "street 1/000001-00000003.batch: stored",
    ]  # fmt: skip
    assert "2 of 7 files are not taken in: ?[2J.batch, street 1/000001-00000002.batch" in said.err
    assert not (stick / "receipts.jsonl").exists()
    assert receipts(centre, folder) == {1, 2, 3}
    assert not list(stick.rglob("*.part"))
    for path in stick.rglob("*.batch"):
        path.unlink()
    (folder / "000001-00000004.batch").write_bytes(lines[4])
    assert call(centre, "ingest", stick) == 0
    assert receipts(centre, folder) == {1, 2, 3, 4}


def test_receipts_that_cannot_be_written_are_said(
    centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender = Sender()
    in_database(centre, sender.enrol)
    (tmp_path / "stick" / "receipts.jsonl").mkdir(parents=True)
    (tmp_path / "stick" / "1.batch").write_bytes(sender.sealed(1))
    assert call(centre, "ingest", tmp_path / "stick") == 74
    said = capsys.readouterr()
    assert said.out == "1.batch: stored\n"
    assert "the stick cannot be written to" in said.err
    (tmp_path / "stick" / "receipts.jsonl").rmdir()
    assert call(centre, "ingest", tmp_path / "stick") == 0
    assert receipts(centre, tmp_path / "stick") == {1}


def receipts(centre: Path, folder: Path) -> set[int]:
    """The sequences of the receipts on a stick, their signatures checked."""
    key = open_key(centre).public_key()
    lines = (folder / "receipts.jsonl").read_bytes().splitlines()
    found = [unpack_receipt(opened(read(line), RECEIPT, {key_id(key): key})).sequence for line in lines]
    assert len(found) == len(set(found))
    return set(found)


def test_a_folder_that_is_no_stick(centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for folder, said in [("empty", "holds no batches"), ("missing", "is no folder")]:
        assert call(centre, "ingest", tmp_path / folder) == 65
        assert said in capsys.readouterr().err


def test_traps_on_a_stick_are_passed_over(centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stick = tmp_path / "stick"
    deep = stick.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "000001-00000001.batch").write_text("too deep to be meant")
    (stick / "loop").symlink_to(stick)
    (stick / "a.batch").symlink_to(centre / FILE)
    os.mkfifo(stick / "b.batch")
    (stick / "c.batch").mkdir()
    assert call(centre, "ingest", stick) == 65
    assert "holds no batches" in capsys.readouterr().err
