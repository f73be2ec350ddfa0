"""Cards that are too small, and a box whose clock the test holds."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store.box import Box

Remount = Callable[[str], None]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """An appliance with an empty data directory."""
    return Box(tmp_path / "data")


@pytest.fixture
def small_card(tmp_path: Path) -> Iterator[Remount]:
    """Mounts 4 MB at `tmp_path`; call it with options to remount."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system")
    yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(tmp_path)], check=True) and None
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)
