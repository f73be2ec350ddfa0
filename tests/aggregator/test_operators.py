"""Operators, their sessions and the audit, on both databases; and the commands."""

import asyncio
import os
import pty
import re
import sys
from pathlib import Path

import pytest

from appliance.aggregator import audit
from appliance.aggregator.appliances import Appliances
from appliance.aggregator.audit import CONSOLE, TOKEN, deeds
from appliance.aggregator.database import Database
from appliance.aggregator.operators import OPERATOR, Operators
from appliance.cli import main
from appliance.errors import UsageError
from appliance.web.frame.accounts import Account, Session
from tests.aggregator.street import CODE, NOW, Sender, ingest

DAY_MS = 86_400_000


async def test_operators_come_and_go(database: Database) -> None:
    operators = Operators(database)
    assert await operators.are_none()
    await operators.add("ana", "kept", NOW)
    assert not await operators.are_none()
    assert await operators.find("ana") == Account("ana", "kept", OPERATOR, is_given=True)
    assert await operators.find("bea") is None
    for name in ("ana", CONSOLE, TOKEN):
        with pytest.raises(UsageError, match=name):
            await operators.add(name, "kept", NOW)
    await operators.set_password("ana", "other", NOW + 1)
    await operators.renew("ana", "same", "other")
    assert await operators.find("ana") == Account("ana", "same", OPERATOR)
    await operators.remove("ana", NOW + 2)
    assert await operators.find("ana") is None
    assert await operators.are_none()
    for change in (operators.remove("ana", NOW), operators.set_password("zoe", "x", NOW)):
        with pytest.raises(UsageError, match="is no operator"):
            await change
    assert [(one.name, one.disabled_utc_ms) for one in await operators.all()] == [("ana", NOW + 2)]
    await operators.add("ana", "new", NOW + 3)
    assert await operators.find("ana") == Account("ana", "new", OPERATOR, is_given=True)
    assert [(deed.what, deed.about) for deed in await deeds(database, 9)] == [
        (audit.ADDED, "ana"), (audit.REMOVED, "ana"), (audit.PASSWORD_SET, "ana"), (audit.ADDED, "ana"),
    ]  # fmt: skip


async def test_sessions(database: Database) -> None:
    operators = Operators(database)
    await operators.add("ana", "kept", NOW)
    await operators.add("bea", "kept", NOW)
    first, second, third = (
        Session(str(n) * 64, name, OPERATOR, NOW + n, NOW + n) for n, name in enumerate(("ana", "ana", "bea"))
    )
    for one in (first, second, third):
        await operators.begin(one, 0)
    assert await operators.session(first.token_sha256) == first
    assert await operators.session("f" * 64) is None
    await operators.touch(first.token_sha256, NOW + 60)
    assert await operators.session(first.token_sha256) == Session("0" * 64, "ana", OPERATOR, NOW, NOW + 60)
    await operators.end(first.token_sha256)
    await operators.end(first.token_sha256)
    assert await operators.session(first.token_sha256) is None
    # Another password ends all of that operator's, and no other's.
    await operators.set_password("ana", "other", NOW)
    assert await operators.session(second.token_sha256) is None
    assert await operators.session(third.token_sha256) == third
    await operators.remove("bea", NOW)
    assert await operators.session(third.token_sha256) is None
    old, new = (Session(c * 64, "ana", OPERATOR, made, made) for c, made in (("a", NOW), ("b", NOW + DAY_MS)))
    await operators.begin(old, 0)
    await operators.begin(new, NOW + 1)
    assert await operators.session(old.token_sha256) is None
    assert await operators.session(new.token_sha256) == new


async def test_the_audit_says_who_did_what(database: Database) -> None:
    appliances = Appliances(database)
    one, two, three = Sender(1), Sender(2), Sender(3)
    for sender in (one, two):
        await appliances.enrol(sender.enrolment(), NOW)
    await appliances.approve(one.identity, NOW + 1, CODE, "ana")
    await appliances.approve(one.identity, NOW + 2, None, "bea")
    await appliances.approve(two.identity, NOW + 3)
    token = await appliances.make_token(NOW, DAY_MS)
    await appliances.enrol(three.enrolment(token=token), NOW + 4)
    worker = ingest(database)
    for sequence in (1, 4):
        await worker.ingest(one.sealed(sequence, previous="0" * 64 if sequence == 4 else None), NOW)
    await worker.give_up_gap(one.identity, 1, NOW + 5, "ana")
    await appliances.revoke(one.identity, NOW + 6, 1, "ana")
    await appliances.revoke(one.identity, NOW + 7, 1, "bea")
    await appliances.revoke(one.identity, NOW + 8, who="ana")
    await appliances.revoke(one.identity, NOW + 9, who="bea")
    with pytest.raises(UsageError):
        await appliances.approve(one.identity, NOW + 10, who="ana")
    found = [deed[1:] for deed in await deeds(database, 99)]
    assert found == [
        (NOW + 8, "ana", "revoke", one.identity, ""),
        (NOW + 6, "ana", "revoke key", one.identity, "1"),
        (NOW + 5, "ana", "give up", one.identity, "1-3"),
        (NOW + 4, "token", "approve", three.identity, ""),
        (NOW + 3, "console", "approve", two.identity, ""),
        (NOW + 1, "ana", "approve", one.identity, "claim code"),
    ]
    assert [deed.what for deed in await deeds(database, 9, about=two.identity)] == ["approve"]
    newest, *_ = await deeds(database, 1)
    assert len(await deeds(database, 99, before=newest.number)) == len(found) - 1


def command(directory: Path, *words: str) -> int:
    return main(["aggregator", "operator", *words, "--directory", os.fspath(directory)])


@pytest.fixture
def ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["aggregator", "init", os.fspath(tmp_path / "centre")]) == 0
    capsys.readouterr()
    return tmp_path / "centre"


def test_by_command(ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "password"
    file.write_text("four words do not rhyme\n")
    file.chmod(0o600)
    given = ("--password-file", os.fspath(file))
    assert command(ready, "add", "Ana", *given) == 0
    assert command(ready, "list") == 0
    assert capsys.readouterr().out.startswith("ana  password of 20")
    assert command(ready, "add", "ana", *given) == 64
    assert "already" in capsys.readouterr().err
    assert command(ready, "password", "ana", *given) == 0
    capsys.readouterr()
    assert command(ready, "password", "ana", "--generate") == 0
    assert re.fullmatch(r"[a-z0-9]{4}(-[a-z0-9]{4}){3}\n", capsys.readouterr().out)
    assert command(ready, "remove", "ana") == 0
    assert command(ready, "list") == 0
    assert "removed 20" in capsys.readouterr().out
    for text, words in (("short\n", "fewer than 12"), ("ana.ana.ana\n", "fewer than 12"), ("x\ny\n", "fewer")):
        file.write_text(text)
        assert command(ready, "add", "ana", *given) == 65
        assert words in capsys.readouterr().err
    file.chmod(0o644)
    assert command(ready, "add", "ana", *given) == 65
    assert "can be read by others" in capsys.readouterr().err
    assert command(ready, "add", "two words", *given) == 65
    assert "no name of an account" in capsys.readouterr().err


@pytest.mark.parametrize(("again", "code"), [("four words do not rhyme", 0), ("four words do rhyme", 64)])
async def test_a_password_is_typed_twice_and_not_shown(ready: Path, again: str, code: int) -> None:
    master, slave = pty.openpty()
    words = (sys.executable, "-m", "appliance", "aggregator", "operator", "add", "ana", "--directory", os.fspath(ready))
    process = await asyncio.create_subprocess_exec(
        *words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, cwd=Path(__file__).parents[2]
    )
    os.close(slave)
    loop, shown = asyncio.get_running_loop(), b""
    try:
        async with asyncio.timeout(30):
            for question, answer in ((b"12 characters): ", "four words do not rhyme"), (b"again: ", again)):
                while question not in shown:
                    shown += await loop.run_in_executor(None, os.read, master, 1000)
                os.write(master, f"{answer}\n".encode())
            assert await process.wait() == code
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(master)
    assert b"rhyme" not in shown
