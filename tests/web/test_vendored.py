"""What was made elsewhere is served exactly as it came, and its licence lies beside it."""

import hashlib
import tomllib
from pathlib import Path

import pytest

from tests.web.conftest import Site
from tests.web.pages import get

FOLDER = Path(__file__).parent.parent.parent / "appliance/web/static/vendor"
LIST = "vendored.toml"
VENDORED = tomllib.loads((FOLDER / LIST).read_text(encoding="utf-8"))


def test_each_file_is_listed() -> None:
    listed = {name for about in VENDORED.values() for name in about["sha256"]}
    assert {path.name for path in FOLDER.iterdir()} == listed | {LIST}


@pytest.mark.parametrize("library", VENDORED)
def test_nothing_was_changed(library: str) -> None:
    about = VENDORED[library]
    assert {"version", "licence", "source", "sha256"} == about.keys()
    for name, sha256 in about["sha256"].items():
        content = (FOLDER / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256, name
        if not name.endswith("LICENSE"):
            assert f"v{about['version']})".encode() in content[:200] or name.endswith(".css")
    assert any(name.endswith("LICENSE") for name in about["sha256"])


async def test_programs_are_served_and_nothing_else(site: Site) -> None:
    assert (await get(site, "/static/uPlot.iife.min.js"))[0].status == 200
    assert (await get(site, "/static/uPlot.min.css"))[0].status == 200
    for name in ("uPlot.LICENSE", LIST, "vendor"):
        assert (await get(site, f"/static/{name}"))[0].status == 404
