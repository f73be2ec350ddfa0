"""The passphrase, from a file or typed at a real terminal."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.archive import passphrase
from appliance.errors import InputError, UsageError

GOOD = "correcto caballo batería"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(f"{GOOD}\r\nand a line that does not matter\n")
    path.chmod(0o600)
    return path


def test_the_first_line_of_a_file(file: Path) -> None:
    assert passphrase.new(file) == passphrase.known(file) == GOOD


def test_a_file_that_others_can_read_is_refused(file: Path) -> None:
    file.chmod(0o640)
    with pytest.raises(InputError, match="can be read by others") as caught:
        passphrase.known(file)
    assert "chmod 600" in caught.value.hint


def test_a_pipe_will_do() -> None:
    read, write = os.pipe()
    os.write(write, GOOD.encode() + b"\n")
    os.close(write)
    assert passphrase.known(Path(f"/dev/fd/{read}")) == GOOD
    os.close(read)


def test_a_short_one_is_refused_for_a_new_backup_only(file: Path) -> None:
    file.write_text("eleven char")
    with pytest.raises(UsageError, match="has 11 characters, 12 are the least"):
        passphrase.new(file)
    assert passphrase.known(file) == "eleven char"


def test_files_that_cannot_be_read(tmp_path: Path, file: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        passphrase.known(tmp_path / "missing")
    with pytest.raises(InputError, match="directory"):
        passphrase.known(tmp_path)
    file.write_bytes(b"\xff\xfe\xfd" * 5)
    with pytest.raises(InputError, match="not UTF-8"):
        passphrase.known(file)


def typed(*answers: str) -> tuple[int, str]:
    """What the terminal shows, and the exit code, when the answers are typed one after the other."""
    script = (
        "import sys, pathlib\nfrom appliance.errors import UsageError\nfrom appliance.archive import passphrase\n"
        f"try: sys.exit(0 if passphrase.new(None) == {GOOD!r} else 3)\nexcept UsageError as fault: sys.exit(str(fault))"
    )
    near, far = pty.openpty()
    child = subprocess.Popen([sys.executable, "-c", script], stdin=far, stdout=far, stderr=far, start_new_session=True)
    os.close(far)
    shown = b""
    waiting = list(answers)
    while True:
        try:
            piece = os.read(near, 1000)
        except OSError:
            break
        shown += piece
        if piece.rstrip().endswith(b":") and waiting:
            os.write(near, waiting.pop(0).encode() + b"\n")
    os.close(near)
    return child.wait(timeout=30), shown.decode()


def test_it_is_asked_for_twice_and_never_shown() -> None:
    code, shown = typed(GOOD, GOOD)
    assert code == 0
    assert "at least 12 characters" in shown
    assert "caballo" not in shown


def test_two_that_differ() -> None:
    code, shown = typed(GOOD, GOOD + "x")
    assert code == 1
    assert "the two passphrases differ" in shown


def test_without_a_terminal_it_is_not_asked_for() -> None:
    with pytest.raises(UsageError, match="no terminal"):
        passphrase.new(None)
