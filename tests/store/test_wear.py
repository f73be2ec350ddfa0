"""How long the card lasts, by what the kernel says that was written to it."""

import os
import shutil
from pathlib import Path

import pytest

from appliance.store.wear import AMPLIFICATION, REWRITES, wear

STAT = "  5168 1200 313010 2105 90210 8012 2000000 81000 0 44000 83105 0 0 0 0\n"


def test_what_the_kernel_tells(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    folder = tmp_path / f"{os.major(device)}:{os.minor(device)}"
    folder.mkdir()
    (folder / "stat").write_text(STAT)
    found = wear(tmp_path, 86_400.0 * 2, tmp_path)
    assert found is not None
    assert found.written_bytes == 1_024_000_000
    assert found.bytes_a_day == 512_000_000
    total = shutil.disk_usage(tmp_path).total
    assert found.years == pytest.approx(total * REWRITES / AMPLIFICATION / 512e6 / 365.25)
    soon = wear(tmp_path, 60.0, tmp_path)
    assert soon is not None
    assert soon.years is soon.bytes_a_day is None


@pytest.mark.parametrize("content", ["", "1 2 3", "a b c d e f g"])
def test_where_it_tells_nothing(tmp_path: Path, content: str) -> None:
    assert wear(tmp_path, 1e6, tmp_path) is None
    device = tmp_path.stat().st_dev
    folder = tmp_path / f"{os.major(device)}:{os.minor(device)}"
    folder.mkdir()
    (folder / "stat").write_text(content)
    assert wear(tmp_path, 1e6, tmp_path) is None
    assert wear(tmp_path / "none", 1e6, tmp_path) is None
