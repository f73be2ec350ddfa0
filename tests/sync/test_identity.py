"""The appliance's key: made once, kept through damage and power cuts, replaced with its predecessor's word."""

import base64
import json
import shutil
import stat
from pathlib import Path

import pytest

from appliance.errors import StoreError
from appliance.sync.envelope import ROTATION, key_id, opened, read
from appliance.sync.identity import is_sound, name_of, open_identity, rotate, seen_identity
from tests.store.box import contents


def test_it_is_made_once(tmp_path: Path) -> None:
    first, again = open_identity(tmp_path), open_identity(tmp_path)
    assert (first.appliance, first.epoch) == (name_of(first.key.public_key()), 1)
    assert first.key.private_bytes_raw() == again.key.private_bytes_raw()
    assert (first.claim_code, first.rotations) == (again.claim_code, ())
    assert open_identity(tmp_path / "other").appliance != first.appliance


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    open_identity(tmp_path)
    assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "identity").iterdir()} == {0o600}


def test_a_new_key_has_the_word_of_the_old_one(tmp_path: Path) -> None:
    first = open_identity(tmp_path)
    second = rotate(tmp_path, first)
    third = rotate(tmp_path, second)
    assert [i.epoch for i in (first, second, third)] == [1, 2, 3]
    assert {i.appliance for i in (first, second, third)} == {first.appliance}
    assert open_identity(tmp_path) == third or open_identity(tmp_path).rotations == third.rotations
    keys = {key_id(first.key.public_key()): first.key.public_key()}
    for line, after in zip(third.rotations, (second, third), strict=True):
        said = json.loads(opened(read(line), ROTATION, keys))
        public = after.key.public_key()
        assert said == {
            "appliance": first.appliance, "epoch": after.epoch,
            "public_key": base64.b64encode(public.public_bytes_raw()).decode(),
        }  # fmt: skip
        keys = {key_id(public): public}
    assert sorted(path.name for path in (tmp_path / "identity").glob("*.key")) == ["000003.key"]


def test_earlier_keys_are_known_as_long_as_their_word_is_whole(tmp_path: Path) -> None:
    made = [open_identity(tmp_path)]
    for _ in range(3):
        made.append(rotate(tmp_path, made[-1]))
    keys = {one.epoch: one.key.public_key() for one in made}
    assert open_identity(tmp_path).public_keys == keys
    torn = tmp_path / "identity" / "000003.rotation"
    torn.write_bytes(torn.read_bytes().replace(b'"sig":"', b'"sig":"AAAA'))
    assert open_identity(tmp_path).public_keys == {epoch: keys[epoch] for epoch in (1, 2, 4)}
    (tmp_path / "identity" / "introduction").unlink()
    assert open_identity(tmp_path).public_keys == {4: keys[4]}


@pytest.mark.parametrize("ending", ["key", "copy"])
def test_every_bit_of_one_file_may_flip(tmp_path: Path, ending: str) -> None:
    made = open_identity(tmp_path)
    path = tmp_path / "identity" / f"000001.{ending}"
    content = path.read_bytes()
    for place in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert open_identity(tmp_path).key.private_bytes_raw() == made.key.private_bytes_raw()
        assert path.read_bytes() in (content, bytes(flipped))


def test_a_file_that_is_gone_is_written_anew(tmp_path: Path) -> None:
    made = open_identity(tmp_path)
    for ending in ("key", "copy"):
        (tmp_path / "identity" / f"000001.{ending}").unlink()
        assert open_identity(tmp_path).appliance == made.appliance
    assert len(list((tmp_path / "identity").glob("000001.*"))) == 2


def test_both_damaged_is_said(tmp_path: Path) -> None:
    open_identity(tmp_path)
    for path in (tmp_path / "identity").glob("000001.*"):
        path.write_bytes(b"")
    with pytest.raises(StoreError, match="damaged, and so is its copy"):
        open_identity(tmp_path)


def test_a_damaged_statement_is_said(tmp_path: Path) -> None:
    rotate(tmp_path, open_identity(tmp_path))
    (tmp_path / "identity" / "000002.rotation").write_bytes(b"{}")
    with pytest.raises(StoreError, match="damaged statement"):
        open_identity(tmp_path)


def test_cut_short_at_each_file(tmp_path: Path) -> None:
    """A power cut between any two files of a rotation leaves the old key or the new one, with its statement."""
    before = open_identity(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    after = rotate(tmp_path / "b", before)
    new = ["000002.rotation", "000002.copy", "000002.key"]
    for count in range(len(new) + 1):
        here = tmp_path / f"cut {count}"
        shutil.copytree(tmp_path / "a", here)
        for name in new[:count]:
            shutil.copy(tmp_path / "b" / "identity" / name, here / "identity" / name)
        (here / "identity" / "000002.key.part").write_bytes(b"torn")
        found = open_identity(here)
        assert found.appliance == before.appliance
        assert (found.epoch, found.rotations) == ((1, ()) if count < 2 else (2, after.rotations))
        rotated = rotate(here, found)
        assert rotated.epoch == found.epoch + 1
        assert not list((here / "identity").glob("*.part"))


def test_another_program_may_look_at_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no key yet"):
        seen_identity(tmp_path)
    assert list(tmp_path.iterdir()) == []
    made = rotate(tmp_path, open_identity(tmp_path))
    (tmp_path / "identity" / "000002.key").write_bytes(b"damaged")
    before = contents(tmp_path)
    seen = seen_identity(tmp_path)
    assert (seen.appliance, seen.epoch, seen.claim_code) == (made.appliance, 2, made.claim_code)
    assert (seen.introduction(), seen.rotations) == (made.introduction(), made.rotations)
    assert contents(tmp_path) == before
    (tmp_path / "identity" / "000002.copy").unlink()
    with pytest.raises(StoreError, match="is damaged, and so is its copy"):
        seen_identity(tmp_path)


def test_none_is_made_while_a_restore_waits(tmp_path: Path) -> None:
    """It would lie where the restored one goes."""
    for name in ("restore", "restored"):
        (tmp_path / "handover" / name).mkdir(parents=True)
        with pytest.raises(StoreError, match="not in its place yet"):
            open_identity(tmp_path)
        assert not (tmp_path / "identity").exists()
        (tmp_path / "handover" / name).rmdir()
    assert open_identity(tmp_path).epoch == 1


def test_what_can_be_opened_is_told_beforehand(tmp_path: Path) -> None:
    assert is_sound(tmp_path)
    rotate(tmp_path, open_identity(tmp_path))
    assert is_sound(tmp_path)
    (tmp_path / "identity" / "x.rotation").write_text("x")
    assert is_sound(tmp_path)
    (tmp_path / "identity" / "000002.rotation").write_text("[" * 100_000)
    assert not is_sound(tmp_path)
