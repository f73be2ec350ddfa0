"""`appliance run` with a configuration that is wrong: what runs, what does not, and how it is put right."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from appliance.app import correction
from appliance.config import Config, read
from appliance.errors import ConfigError
from tests.test_app import WITH_PASSWORD, Appliance, Start, refusal, start

__all__ = ["start"]


async def page(appliance: Appliance, language: str = "en") -> tuple[int, str]:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(f"{appliance.url}?lang={language}") as answer:
        return answer.status, await answer.text()


async def parts(appliance: Appliance) -> dict[str, Any]:
    found: Any = (await appliance.health())["parts"]
    return dict(found)


async def test_a_wrong_receiver_is_not_started_and_the_others_are(start: Start, tmp_path: Path) -> None:
    command = [os.fspath(tmp_path / "never-started")]
    more = f"[[receiver]]\ncommand = {json.dumps(command)}\ngian_db = 3\n"
    appliance = await start(meters=5, more=more, web=WITH_PASSWORD)
    await appliance.until_heard(5)
    refused = (await parts(appliance))["receiver radio2"]
    assert refused["state"] == "failed"
    assert (
        refused["reason"] == f"{tmp_path / 'appliance.toml'}: receiver.gian_db is not a setting (did you mean gain_db?)"
    )
    assert "receiver radio" in await parts(appliance)
    assert (await appliance.health())["state"] == "failed"
    async with appliance.logged_in() as session, session.get(f"{appliance.url}?lang=es") as answer:
        text = await answer.text()
    assert "La configuración está mal." in text
    assert ">receiver radio2: receiver.gian_db is not a setting (did you mean gain_db?)<" in text


async def test_where_readings_belong_is_not_known(start: Start, tmp_path: Path) -> None:
    settings = tmp_path / "appliance.toml"
    appliance = await start(more="", store="commit_intervall_s = 3\n")
    for language, words in (("en", "nothing is received"), ("es", "no se recibe ni se guarda nada")):
        status, text = await page(appliance, language)
        assert (status, words in text) == (503, True)
        assert "commit_intervall_s" in text
    health = await parts(appliance)
    assert set(health) == {"configuration", "site"}
    assert f"{settings}: store.commit_intervall_s is not a setting" in health["configuration"]["reason"]
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "pids").exists()
    # Put right while it runs, it is taken up without a hand.
    settings.write_text(settings.read_text().replace("commit_intervall_s", "commit_interval_s"))
    line = await asyncio.wait_for(appliance.process.stdout.readline(), 30)  # type: ignore[union-attr]
    appliance.url = line.decode().split()[-1]
    await appliance.until_heard(20)
    assert (await appliance.health())["state"] == "healthy"


async def test_wrong_settings_of_the_site_have_their_default(start: Start) -> None:
    appliance = await start(meters=5, more="", web="open_to_read = true\nnames = 7\n")
    await appliance.until_heard(5)
    health = (await parts(appliance))["configuration"]
    assert "web.names = 7 must be a list of host names" in health["reason"]


async def test_a_file_that_a_person_named_and_that_is_not_there(start: Start, tmp_path: Path) -> None:
    code, line = await refusal(await start(config=tmp_path / "missing.toml"))
    assert (code, "cannot be read: No such file" in line) == (78, True)


@pytest.mark.parametrize(
    ("text", "keeps", "receivers", "part"),
    [
        ("[web\n", False, 0, "file"),
        ("[store]\ndirectory = 7\n", False, 1, "store"),
        ("[stor]\ndirectory = 'x'\n", False, 1, "store"),
        ("[weather]\nkey = 'x'\n", True, 1, "weather"),
        ("[[reciever]]\nsource = 'rtlsdr'\n", True, 0, "receiver"),
        ("[receiver]\nsource = 'rtlsdr'\n", True, 0, "receiver"),
        ("[[receiver]]\nsource = 1\n", True, 0, "receiver radio"),
        ("[[receiver]]\nname = 1\n[[receiver]]\nname='radio'\n", True, 1, "receiver radio"),
        ("[[receiver]]\nname = 'a'\n[[receiver]]\nname = 'a'\n", True, 1, "receiver number 2"),
        ("[[receiver]]\nsource = 'x'\ncommand = ['y']\n[[receiver]]\n", True, 1, "receiver radio"),
        ("[web]\nport = 1234\nhost = 1\n", True, 1, "web"),
    ],
)
def test_what_a_wrong_entry_keeps_from_running(
    tmp_path: Path, text: str, keeps: bool, receivers: int, part: str
) -> None:
    path = tmp_path / "appliance.toml"
    path.write_text(text)
    draft = read(path)
    assert draft.keeps == keeps
    assert len(draft.config.receivers) == receivers
    assert [wrong.part for wrong in draft.wrong] == [part]
    assert draft.config.web.port == (1234 if "1234" in text else 8080)
    assert receivers or not draft.config.demonstration


def test_a_file_that_is_right(tmp_path: Path) -> None:
    path = tmp_path / "appliance.toml"
    path.write_text("")
    assert (read(path).config, read(path).wrong) == (Config(), ())
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read(tmp_path / "missing.toml")


async def test_a_file_is_taken_up_when_its_editor_is_done(tmp_path: Path) -> None:
    """Half a file can be right by chance: it counts when it stayed as it is from one look to the next."""
    path = tmp_path / "appliance.toml"
    wrong, right = "[store]\ndirectory = 7\n", "[site]\nname = 'Right'\n"
    path.write_text(wrong)
    draft = read(path)
    looks = 0

    def replaced(text: str) -> None:
        other = tmp_path / "other"
        other.write_text(text)
        other.replace(path)

    async def edit(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            path.write_text("")
        elif looks == 5:
            path.unlink()
        elif looks == 8:
            replaced("# again\n" + wrong)
        elif looks == 12:
            replaced(right)

    async with asyncio.timeout(20):
        found = await correction(draft, edit)
    assert (looks, found.config.site.name, found.wrong) == (13, "Right", ())
