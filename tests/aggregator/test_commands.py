"""The aggregator's commands as an operator runs them."""

import re
from pathlib import Path

import pytest
from cryptography import x509

from appliance.aggregator import settings
from appliance.aggregator.appliances import Appliances
from appliance.aggregator.database import Database
from appliance.aggregator.keys import open_key
from appliance.aggregator.settings import FILE
from appliance.certificate import CERTIFICATE
from appliance.cli import main
from tests.aggregator.centre import call, in_database
from tests.aggregator.street import CODE, NOW, Sender, ingest


def test_init_makes_a_key_and_does_it_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "new" / "centre"
    assert main(["aggregator", "init", str(directory)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{open_key(directory).public_key().public_bytes_raw().hex()}\n"
    assert str(directory / FILE) in said.err
    assert (directory / FILE).stat().st_mode & 0o077 == 0
    before = (directory / FILE).read_bytes()
    assert main(["aggregator", "init", str(directory)]) == 0
    assert capsys.readouterr().out == said.out
    assert (directory / FILE).read_bytes() == before
    assert main(["aggregator", "init", str(directory), "--name", "meters.example"]) == 65
    assert main(["aggregator", "init", str(tmp_path / "other"), "--name", "no name"]) == 64
    assert not (tmp_path / "other" / FILE).exists()


def test_a_certificate_for_several_names(tmp_path: Path) -> None:
    names = ("meters.example", "10.0.0.7", "meters.example")
    assert main(["aggregator", "init", str(tmp_path), *(word for name in names for word in ("--name", name))]) == 0
    made = x509.load_pem_x509_certificate((tmp_path / CERTIFICATE).read_bytes())
    reached_by = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(one.value) for one in reached_by] == ["meters.example", "10.0.0.7"]
    assert settings.read(tmp_path).web.names == ("meters.example",)


def test_an_operator_approves_and_revokes(centre: Path, capsys: pytest.CaptureFixture[str]) -> None:
    senders = [Sender(n) for n in range(3)]

    async def enrol(database: Database) -> None:
        for sender in senders:
            await Appliances(database).enrol(sender.enrolment(), NOW)

    in_database(centre, enrol)
    one, two, _ = (" ".join(re.findall("....", sender.identity)) for sender in senders)
    assert call(centre, "approve", *one.split(), "--claim", f"{CODE[:4]} {CODE[4:].lower()}") == 0
    assert call(centre, "approve", senders[1].identity.upper()) == 0
    assert call(centre, "revoke", two) == 0
    assert call(centre, "list") == 0
    head, *listed = capsys.readouterr().out.splitlines()
    assert head.split() == ["APPLIANCE", "STATE", "LAST", "BATCH", "LAG", "MISSING", "NAME"]
    assert [line[:39].replace(" ", "") for line in listed] == [sender.identity for sender in senders]
    assert [line[39:].split()[0] for line in listed] == ["approved", "revoked", "waiting"]
    for words, said in [
        (("approve", senders[2].identity, "--claim", "WRONG"), "another claim code"),
        (("approve", "0" * 32), "has enrolled"),
        (("approve", "'; DROP TABLE"), "has enrolled"),
        (("approve", two), "is revoked"),
        (("revoke", one, "--epoch", 7), "no key of epoch 7"),
        (("revoke", one, "--epoch", "one"), "invalid int"),
    ]:
        assert call(centre, *words) == 64
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert call(centre, "revoke", one, "--epoch", 1) == 0
    assert capsys.readouterr().err == f"The key of epoch 1 of {one} is revoked.\n"


def test_what_is_missing_is_listed(centre: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sender = Sender()

    async def deliver_some(database: Database) -> None:
        await sender.enrol(database)
        lines = {n: sender.sealed(n) for n in range(1, 6)}
        for n in (1, 3, 5):
            await ingest(database).ingest(lines[n], NOW)

    in_database(centre, deliver_some)
    assert call(centre, "list") == 0
    assert re.search(r" approved  1-1 +\d+ [hd]  1-2 +street 1$", capsys.readouterr().out)


def test_what_will_never_come_is_given_up(centre: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sender = Sender()

    async def deliver_some(database: Database) -> None:
        await sender.enrol(database)
        lines = {n: sender.sealed(n) for n in range(1, 7)}
        for n in (1, 3, 4, 6):
            await ingest(database).ingest(lines[n], NOW)

    in_database(centre, deliver_some)
    assert call(centre, "give-up", sender.identity) == 64
    assert call(centre, "give-up", "0" * 32, "--epoch", 1) == 64
    assert call(centre, "give-up", sender.identity, "--epoch", 2) == 64
    assert call(centre, "list") == 0
    capsys.readouterr()
    groups = re.findall("....", sender.identity)
    assert call(centre, "give-up", *groups, "--epoch", 1) == 0
    assert "up to 1-2 of " in capsys.readouterr().err
    assert call(centre, "list") == 0
    assert re.search(r" approved  1-4 +\d+ [hd]  1-5 +street 1$", capsys.readouterr().out)
    assert call(centre, "give-up", sender.identity, "--epoch", 1) == 0
    assert call(centre, "give-up", sender.identity, "--epoch", 1) == 64
    assert "waits for another one" in capsys.readouterr().err


def test_a_token_approves_one(centre: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(centre, "token") == 0
    token = capsys.readouterr().out.strip()

    async def enrol(database: Database) -> list[str]:
        return [await Appliances(database).enrol(Sender(n).enrolment(token=token), NOW) for n in range(2)]

    assert in_database(centre, enrol) == ["approved", "waiting"]


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert main(["aggregator", "init", str(tmp_path / "file")]) == 74
    assert capsys.readouterr().err == (
        f"appliance: not done: {tmp_path / 'file'}: File exists."
        " Name a folder that you may write to and that has room; then try again.\n"
    )
