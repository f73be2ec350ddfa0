"""One instance per data directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.errors import AlreadyRunning, StoreError
from appliance.store.lock import sole_user


def test_a_second_user_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    with sole_user(tmp_path / "data"), pytest.raises(AlreadyRunning, match="data"), sole_user(tmp_path / "data"):
        pass
    with sole_user(tmp_path / "data"):
        pass


def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path) -> None:
    holds = "import sys,pathlib,time\nfrom appliance.store.lock import sole_user\n"
    holds += "with sole_user(pathlib.Path(sys.argv[1])):\n print('held', flush=True)\n time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holds, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning), sole_user(tmp_path):
            pass
        child.kill()
    with sole_user(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"), sole_user(tmp_path / "file" / "data"):
        pass


def test_no_handle_is_left(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with sole_user(tmp_path):
            pass
    assert len(os.listdir("/proc/self/fd")) == len(before)
