"""What is looked for on a stick, which may be anybody's."""

import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import InputError
from appliance.sync import returned
from appliance.sync.envelope import ASSIGNMENTS, RECEIPT, seal
from appliance.sync.receipt import Receipt, pack_receipt
from appliance.sync.returned import Found, addressed, find, own
from appliance.sync.taking import Tally

OURS, OTHERS = "0" * 32, "1" * 32
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def receipt(appliance: str = OURS, sequence: int = 1) -> bytes:
    return seal(RECEIPT, pack_receipt(Receipt(appliance, 1, sequence, "2" * 64, 1)), KEY)


def put(path: Path, *lines: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def test_its_own_folder_comes_first_and_others_follow(tmp_path: Path) -> None:
    other = put(tmp_path / "meter-appliance" / OTHERS / "receipts.jsonl", receipt(OTHERS), receipt(OTHERS, 2))
    mine = put(tmp_path / "meter-appliance" / OURS / "receipts.jsonl", receipt())
    loose = put(tmp_path / "copied" / "receipts.jsonl", receipt(sequence=2))
    found = find(tmp_path, OURS)
    assert found.files[0] == mine
    assert set(found.files) == {mine, other, loose}
    tally = Tally()
    assert list(addressed(found.files, OURS, tally)) == [receipt(), receipt(sequence=2)]
    assert tally.refused == {"not_its_own": 2}
    assert own(tmp_path, OURS).files == [mine]
    assert find(other, OURS).files == [other]


def test_what_is_dear_to_look_at_is_left_to_whoever_verifies_it(tmp_path: Path) -> None:
    line = seal(ASSIGNMENTS, b"whatever", KEY)
    path = put(tmp_path / "assignments.jsonl", line)
    assert list(addressed(find(tmp_path, OURS).files, OURS, Tally())) == [line]
    assert find(path, OURS) == Found([path])


def test_traps_are_passed_over(tmp_path: Path) -> None:
    secret = put(tmp_path / "secret", receipt())
    stick = tmp_path / "stick"
    folder = stick / "meter-appliance" / OURS
    folder.mkdir(parents=True)
    (folder / "receipts.jsonl").symlink_to(secret)
    os.mkfifo(folder / "assignments.jsonl")
    (stick / "loop").symlink_to(stick)
    (stick / "receipts.jsonl").mkdir()
    assert find(stick, OURS) == Found([])
    # Exchanged for a pipe after it was found.
    assert list(addressed([folder / "assignments.jsonl"], OURS, Tally())) == []
    (tmp_path / "other" / "meter-appliance").mkdir(parents=True)
    (tmp_path / "other" / "meter-appliance" / OURS).symlink_to(folder)
    assert own(tmp_path / "other", OURS).files == []


def test_garbage_is_given_up_and_the_next_file_is_read(tmp_path: Path) -> None:
    bad = put(tmp_path / "a" / "receipts.jsonl", *[b"\xff" * 10] * 100_000, receipt())
    good = put(tmp_path / "b" / "receipts.jsonl", receipt(), b"", receipt()[:-9])
    tally = Tally()
    assert list(addressed([bad, good], OURS, tally)) == [receipt()]
    assert tally.refused == {"malformed": returned.MOST_REFUSED + 1}
    assert tally.words.startswith("receipts.jsonl: no JSON")


def test_files_are_read_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returned, "MOST_FILE_BYTES", 3 * len(receipt()))
    path = put(tmp_path / "receipts.jsonl", *[receipt()] * 1000)
    assert len(list(addressed([path], OURS, Tally()))) == 2
    # One without an end is read in pieces, each of which is refused.
    monkeypatch.setattr(returned, "MOST_FILE_BYTES", 64 << 20)
    monkeypatch.setattr(returned, "MOST_LINE_BYTES", 100)
    path.write_bytes(b"{" * (1 << 20))
    tally = Tally()
    assert list(addressed([path], OURS, tally)) == []
    assert tally.refused.total() == returned.MOST_REFUSED


def test_a_hundred_thousand_files_are_not_all_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(returned.MOST_ENTRIES + 10):
        os.close(os.open(folder / str(number), os.O_CREAT))
    mine = put(tmp_path / "meter-appliance" / OURS / "receipts.jsonl", receipt())
    assert find(tmp_path, OURS) == Found([mine], is_cut=True)


def test_a_deep_tree_is_not_followed_to_its_end(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(returned.MOST_DEPTH + 3):
        deep = deep / "d"
    put(deep / "receipts.jsonl", receipt())
    near = put(tmp_path / "d" / "d" / "receipts.jsonl", receipt())
    assert find(tmp_path, OURS).files == [near]


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a file nor a folder"):
        find(tmp_path / "nowhere", OURS)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        find(tmp_path / "pipe", OURS)


def test_what_it_says_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    path = put(tmp_path / "receipts.jsonl", seal(RECEIPT, json.dumps({"\x1b]0;x\x07\n": 1}).encode(), KEY))
    tally = Tally()
    assert list(addressed([path], OURS, tally)) == []
    assert tally.words.isprintable()
