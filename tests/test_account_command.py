"""`appliance account`: who may log in, from the console, whether the appliance runs or not."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.store.account_handover import adopt, waiting
from appliance.store.accounts import Accounts
from appliance.store.lock import sole_user
from appliance.store.writer import Store
from appliance.web.frame.passwords import Passwords

PASSWORD = "four words that differ"


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """What names the data directory."""
    (tmp_path / "appliance.toml").write_text(f'[store]\ndirectory = "{tmp_path / "data"}"\n')
    return ["--config", str(tmp_path / "appliance.toml")]


@pytest.fixture
def password(tmp_path: Path) -> list[str]:
    """A file with a password that only its owner reads."""
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text(f"{PASSWORD}\n")
    return ["--password-file", str(file)]


async def is_right(directory: Path, name: str, typed: str) -> bool:
    store, passwords = Store(directory, 60), Passwords()
    await store.open()
    try:
        account = await Accounts(store).find(name)
        return account is not None and (await passwords.check(typed, account.kept)).is_right
    finally:
        passwords.close()
        await store.close()


def test_from_the_first_account_to_the_last(
    tmp_path: Path, settings: list[str], password: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["account", "add", " Ana ", *password, *settings]) == 0
    assert "ana can log in now." in capsys.readouterr().err
    assert asyncio.run(is_right(tmp_path / "data", "ana", PASSWORD))
    assert main(["account", "add", "luis", "--generate", *settings]) == 0
    made = capsys.readouterr().out.strip()
    assert len(made) == 19
    assert asyncio.run(is_right(tmp_path / "data", "luis", made))
    assert main(["account", "password", "ana", "--generate", *settings]) == 0
    other = capsys.readouterr().out.strip()
    assert not asyncio.run(is_right(tmp_path / "data", "ana", PASSWORD))
    assert asyncio.run(is_right(tmp_path / "data", "ana", other))
    assert main(["account", "remove", "ana", *settings]) == 0
    assert main(["account", "list", *settings]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("ana  password of 20")
    assert "removed 20" in first
    assert second.startswith("luis  password of 20")
    assert "removed" not in second


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add", "luis"], 64, "luis has an account already"),
        (["password", "nobody"], 64, "nobody has no account"),
        (["remove", "nobody"], 64, "nobody has no account"),
        (["remove", "luis"], 64, "luis is the last who can log in"),
        (["add", "a b"], 65, "is no name of an account"),
        (["add", "x" * 41], 65, "is no name of an account"),
        (["add", "eve", "--generate", "--password-file", "f"], 64, "not allowed with"),
        (["add", "eve"], 64, "no terminal to ask for the password"),
    ],
)
def test_what_is_refused(
    settings: list[str], capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert main(["account", "add", "luis", "--generate", *settings]) == 0
    capsys.readouterr()
    assert main(["account", *words, *settings]) == code
    assert said in capsys.readouterr().err


def test_a_password_that_is_too_simple(tmp_path: Path, settings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "simple"
    file.touch(0o600)
    file.write_text("aaaaaaaaaaaaaaaa\n")
    assert main(["account", "add", "ana", "--password-file", str(file), *settings]) == 65
    assert "too few different characters" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_the_running_appliance_takes_it_over(
    tmp_path: Path, settings: list[str], password: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One that runs looks every few seconds; here as soon as something is there."""
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        store = Store(tmp_path / "data", 60)
        await store.open()
        try:
            ready.set()
            while not done.is_set():
                if waiting(store.directory):
                    await adopt(store)
                await asyncio.sleep(0.02)
        finally:
            await store.close()

    def run() -> None:
        with sole_user(tmp_path / "data"):
            asyncio.run(serve())

    appliance = threading.Thread(target=run)
    appliance.start()
    try:
        assert ready.wait(10)
        assert main(["account", "add", "ana", *password, *settings]) == 0
        assert main(["account", "list", *settings]) == 0
        assert capsys.readouterr().out.startswith("ana  password of 20")
    finally:
        done.set()
        appliance.join()
    assert asyncio.run(is_right(tmp_path / "data", "ana", PASSWORD))


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root")
def test_where_the_data_is_another_users_it_waits_for_the_next_start(
    tmp_path: Path, settings: list[str], password: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 65534, 65534)
    assert main(["account", "add", "ana", *password, *settings]) == 0
    assert "taken over when the appliance starts" in capsys.readouterr().err
    (path,) = waiting(data)
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (65534, 0o600)
    assert [entry.name for entry in data.iterdir()] == ["handover"]
