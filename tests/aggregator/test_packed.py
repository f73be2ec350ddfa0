"""What an appliance's page gave as one file, taken in as it is; and files that only look so."""

import io
import tarfile
from pathlib import Path

import pytest

from appliance.aggregator.keys import open_key
from appliance.sync.envelope import RECEIPT, key_id, opened, read
from appliance.sync.receipt import unpack_receipt
from tests.aggregator.centre import call, in_database
from tests.aggregator.street import Sender


def packed(path: Path, files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(content), kind, "/etc/passwd" * (kind != tarfile.REGTYPE)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_it_is_taken_in_and_the_receipts_lie_beside_it(
    centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender = Sender()
    in_database(centre, sender.enrol)
    files = {f"meter-appliance/x/000001-0000/000001-{n:08}.batch": sender.sealed(n) for n in (1, 2)}
    path = packed(tmp_path / "carried.tar", files)
    assert call(centre, "ingest", path) == 0
    said = capsys.readouterr()
    assert said.out.count(": stored\n") == 2
    beside = tmp_path / "carried.receipts.jsonl"
    assert str(beside) in said.err
    key = open_key(centre).public_key()
    lines = beside.read_bytes().splitlines()
    assert {unpack_receipt(opened(read(line), RECEIPT, {key_id(key): key})).sequence for line in lines} == {1, 2}
    assert sorted(one.name for one in tmp_path.iterdir() if "carried" in one.name) == [
        "carried.receipts.jsonl", "carried.tar"
    ]  # fmt: skip
    assert call(centre, "ingest", path) == 0
    assert beside.read_bytes().splitlines() == lines


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        ({"../evil.batch": b"x"}, tarfile.REGTYPE, "a file with the name '../evil.batch'"),
        ({"/evil.batch": b"x"}, tarfile.REGTYPE, "a file with the name"),
        ({"evil.batch": b""}, tarfile.SYMTYPE, "which is no regular file"),
        ({"a": b"x"}, tarfile.REGTYPE, "holds no batches"),
    ],
)
def test_what_only_looks_so_is_refused(
    centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, bytes], kind: bytes, words: str
) -> None:
    path = packed(tmp_path / "evil.tar", files, kind)
    assert call(centre, "ingest", path) == 65
    said = capsys.readouterr().err
    assert words in said
    assert "backup" not in said
    assert not (tmp_path / "evil.batch").exists()


def test_a_file_that_is_cut_short(centre: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = packed(tmp_path / "cut.tar", {"a.batch": b"x" * 5000})
    path.write_bytes(path.read_bytes()[:2000])
    assert call(centre, "ingest", path) == 65
    assert "download it again" in capsys.readouterr().err
