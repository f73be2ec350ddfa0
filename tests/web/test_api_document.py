"""docs/api.md is true: its table has each address and parameter, its errors are those described, its examples work."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.web.openapi.description import DESCRIPTION, OPERATIONS
from tests.web.conftest import PASSWORD
from tests.web.filled import METER, filled

TEXT = (Path(__file__).parents[2] / "docs/api.md").read_text(encoding="utf-8")


def test_it_names_each_address_with_its_parameters() -> None:
    rows = dict(re.findall(r"^\| `(/api/v1[^`]*)` \| (.*) \|$", TEXT, re.MULTILINE))
    assert set(rows) == set(OPERATIONS)
    for path, words in rows.items():
        queries = {one["name"] for one in OPERATIONS[path]["parameters"] if one["in"] == "query"}
        assert set(re.findall(r"`(\w+)`", words)) == queries - {"numbers"}, path


def test_it_names_each_error() -> None:
    assert set(re.findall(r"^\| (\d{3}) \|", TEXT, re.MULTILINE)) == set(DESCRIPTION["components"]["responses"])


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_its_examples_work(tmp_path: Path) -> None:
    examples = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    assert len(examples) >= 3
    with filled(tmp_path / "site") as site:
        told = {"SITE": site.url, "NAME": "ana", "PASSWORD": PASSWORD, "METER": METER, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["sh", "-e"], input="\n".join(examples), env=told, cwd=tmp_path, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    status, end = json.JSONDecoder().raw_decode(done.stdout)
    assert status["condition"] in ("good", "fair", "bad")
    assert done.stdout[end:].startswith("[")
    assert "used_since" in done.stdout
    assert (tmp_path / "meters.csv").read_text(encoding="utf-8-sig").startswith("protocol;meter_id;")
