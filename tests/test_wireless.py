"""Wi-Fi through nmcli: what it says is understood, and a password passes through a pipe only."""

import json
from pathlib import Path
from typing import Any

import pytest

from appliance import wireless
from appliance.wireless import Air, Network, is_name, join, look
from tests.nmcli import put


def asked(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "asked").read_text().splitlines()]


async def test_what_is_heard(tmp_path: Path) -> None:
    program = str(put(tmp_path) / "nmcli")
    air = await look(program=program)
    assert air == Air(
        "ready",
        (
            Network("Casa : Luna", 71, "password", True),
            Network("Café del Puerto", 88, "password", False),
            Network("Oficina", 52, "more", False),
            Network("Plaza libre", 35, "nothing", False),
        ),
    )
    await look(program=program, anew=True)
    assert [words[-1] for words, _ in asked(tmp_path) if "--rescan" in words] == ["no", "yes"]


@pytest.mark.parametrize(("manner", "state"), [("not running", "none"), ("no device", "no device"), ("off", "off")])
async def test_where_there_is_no_wifi(tmp_path: Path, manner: str, state: str) -> None:
    assert (await look(program=str(put(tmp_path, manner) / "nmcli"))).state == state


async def test_where_there_is_no_network_manager(tmp_path: Path) -> None:
    assert await look(program=str(tmp_path / "nmcli")) == Air("none")
    assert await join("x", "", program=str(tmp_path / "nmcli")) == "none"


@pytest.mark.parametrize(
    ("manner", "name", "password", "outcome"),
    [
        ("", "Casa : Luna", "the right one", "joined"),
        ("", "Plaza libre", "", "joined"),
        ("", "Casa : Luna", "another one", "password"),
        ("", "Nowhere", "the right one", "gone"),
        ("late", "Casa : Luna", "the right one", "late"),
        ("odd", "Casa : Luna", "the right one", "failed"),
        ("rights", "Casa : Luna", "the right one", "rights"),
        ("not running", "Casa : Luna", "the right one", "none"),
    ],
)
async def test_joining(tmp_path: Path, manner: str, name: str, password: str, outcome: str) -> None:
    assert await join(name, password, program=str(put(tmp_path, manner) / "nmcli")) == outcome
    ((words, typed),) = asked(tmp_path)
    assert password == "" or password not in " ".join(words)
    assert typed == (f"{password}\n" if password else "")
    assert words[-1] == name


async def test_one_that_tells_no_name(tmp_path: Path) -> None:
    assert await join("Nowhere", "the right one", is_hidden=True, program=str(put(tmp_path) / "nmcli")) == "joined"
    assert asked(tmp_path)[0][0][-2:] == ["hidden", "yes"]


async def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wireless, "LOOK_S", 0.5)
    monkeypatch.setattr(wireless, "JOIN_S", 0.5)
    program = str(put(tmp_path, "hangs") / "nmcli")
    assert (await look(program=program)).state == "none"
    assert await join("Casa : Luna", "the right one", program=program) == "late"


def test_names() -> None:
    assert [is_name(name) for name in ("a", "ñ" * 16, "", "ñ" * 17, "a\n", "-x")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
