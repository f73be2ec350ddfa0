"""The doctor about the card, on this machine's real file systems."""

import os
from pathlib import Path

import pytest

from appliance.doctor import disk
from appliance.doctor.disk import check_disk
from tests.doctor.machines import Pi, told


def verdicts(directory: Path, pi: Pi) -> dict[str, str]:
    return {name: verdict for name, verdict, _ in told(check_disk(directory, pi.machine))}


def block_device(pi: Pi, directory: Path, errors: str, options: str = "rw") -> None:
    """The file system of `directory` as ext4 on the second partition of a card."""
    about = os.stat(directory).st_dev
    number = f"{os.major(about)}:{os.minor(about)}"
    pi.write("sys/devices/mmc0/block/mmcblk0p2/dev", number)
    (pi.root / "sys/dev/block").mkdir(parents=True)
    (pi.root / "sys/dev/block" / number).symlink_to(pi.root / "sys/devices/mmc0/block/mmcblk0p2")
    pi.write("sys/fs/ext4/mmcblk0p2/errors_count", errors + "\n")
    pi.write("proc/self/mountinfo", f"36 35 {number} / / {options},noatime shared:1 - ext4 /dev/root {options}\n")


def test_all_is_well_and_nothing_is_left_behind(pi: Pi, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    block_device(pi, data, "0")
    assert set(verdicts(data, pi).values()) == {"ok"}
    assert list(data.iterdir()) == []


def test_what_will_be_made_is_not_made(pi: Pi, tmp_path: Path) -> None:
    assert verdicts(tmp_path / "a" / "b", pi)["data directory"] == "ok"
    assert not (tmp_path / "a").exists()


def test_errors_on_record(pi: Pi, tmp_path: Path) -> None:
    block_device(pi, tmp_path, "3")
    assert ("file system", "bad", "errors on record of mmcblk0p2: 3") in told(check_disk(tmp_path, pi.machine))


def test_read_only(pi: Pi, tmp_path: Path) -> None:
    block_device(pi, tmp_path, "0", "ro")
    rows = told(check_disk(tmp_path, pi.machine))
    assert any(row[:2] == ("file system", "bad") and "read-only" in row[2] for row in rows)


def test_a_directory_that_is_none(pi: Pi, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert verdicts(tmp_path / "data", pi)["data directory"] == "bad"


@pytest.mark.skipif(not os.path.isdir("/proc/1"), reason="needs Linux")
def test_a_directory_that_takes_no_files(pi: Pi) -> None:
    rows = told(check_disk(Path("/proc/self"), pi.machine))
    assert any(row[:2] == ("data directory", "bad") for row in rows)


@pytest.mark.parametrize(("scarce", "little", "verdict"), [(10**18, 0, "look"), (10**18, 10**18, "bad")])
def test_little_room(
    pi: Pi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scarce: int, little: int, verdict: str
) -> None:
    monkeypatch.setattr(disk, "SCARCE_BYTES", scarce)
    monkeypatch.setattr(disk, "LITTLE_BYTES", little)
    assert verdicts(tmp_path, pi)["disk space"] == verdict
