"""Backups through the page: downloaded, and brought back; and what is refused, in words, without touching anything."""

import asyncio
import base64
import hashlib
import io
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from appliance.archive import tar
from appliance.archive.container import Cost, Opener, Sealer
from appliance.store.backup import bring, restore, write
from appliance.store.backup.write import Backup, about_now
from appliance.store.lock import sole_bringer
from appliance.store.writer import Store
from appliance.web import uploads
from appliance.web.frame.throttle import FREE
from appliance.web.views.system import keeping
from appliance.web.views.system import restore as keeping_restore
from tests.store.backup import data_directory
from tests.web.conftest import PASSWORD, logged_in, recorded
from tests.web.test_pull import Door, opened

SECRET = "correcto caballo batería"
QUICK = Cost(log2_n=1, r=1, p=1)
PATH = "/system/keeping"


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    async with opened(tmp_path / "one") as made:
        yield made
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.fixture
async def client(door: Door) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookies=logged_in(store_of(door)), headers={"Origin": door.url}) as made:
        yield made


def store_of(door: Door) -> Store:
    return door.sealing._store


def made_of(directory: Path, secret: str = SECRET) -> bytes:
    return b"".join(Backup(directory, secret, about_now("Calle 5"), cost=QUICK).pieces())


def contents(file: bytes, secret: str = SECRET) -> dict[str, bytes]:
    opener = Opener(io.BytesIO(file), secret, "it")
    return {member.name: b"".join(member.pieces()) for member in tar.members(opener, len(file))}


async def download(client: aiohttp.ClientSession, door: Door, **fields: str) -> tuple[int, str, bytes]:
    given = {"passphrase": SECRET, "again": SECRET, "own_password": PASSWORD} | fields
    async with client.post(f"{door.url}{PATH}/backup", data=given) as answer:
        return answer.status, answer.headers.get("Content-Disposition", ""), await answer.read()


async def restored(
    client: aiohttp.ClientSession,
    door: Door,
    file: bytes | None,
    *,
    secret: str = SECRET,
    said: tuple[str, ...] = ("aside",),
    where: str = "restore",
    own: str = PASSWORD,
) -> tuple[int, str]:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("passphrase", secret)
    form.add_field("own_password", own)
    for name in said:
        form.add_field(name, "yes")
    form.add_field("backup", file or b"", filename="x.backup" if file is not None else "", content_type="x/y")
    async with client.post(f"{door.url}{PATH}/{where}", data=form) as answer:
        return answer.status, " ".join((await answer.text()).split())


async def test_the_page_is_for_technicians(
    door: Door, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client.get(door.url + PATH) as answer:
        shown = " ".join((await answer.text()).split())
    assert answer.status == 200
    assert "accounts and passwords of the backup count" in shown
    assert "kB</span>" in shown
    assert "whoever listens in hears the passphrase" not in shown
    monkeypatch.setattr(keeping, "is_here", lambda _: False)
    async with client.get(door.url + PATH) as answer:
        assert "whoever listens in hears the passphrase" in await answer.text()
    async with aiohttp.ClientSession() as stranger:
        async with stranger.get(door.url + PATH, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/login?next=%2Fsystem%2Fkeeping"
        for what in ("backup", "restore", "restore/begin", "support"):
            async with stranger.post(
                f"{door.url}{PATH}/{what}", headers={"Origin": door.url}, allow_redirects=False
            ) as answer:
                assert answer.headers["Location"] == "/login?next=%2Fsystem%2Fkeeping"
            async with client.post(f"{door.url}{PATH}/{what}", headers={"Origin": "http://evil.test"}) as answer:
                assert answer.status == 403


async def test_a_backup_is_downloaded(door: Door, client: aiohttp.ClientSession) -> None:
    noted = recorded(store_of(door))
    status, disposition, file = await download(client, door)
    assert status == 200
    assert 'filename="calle-alvarez-12-20' in disposition
    assert disposition.endswith('.backup"')
    found = contents(file)
    assert json.loads(found["backup.json"])["name"] == "Calle Álvarez <12>"
    assert {"catalogue.db", "history/live.db", "identity/claim"} <= found.keys()
    assert sum(name.startswith("outbox/") and name.endswith(".batch") for name in found) == 3
    assert noted == [("changed", {"who": "ana", "what": "backup_downloaded"})]


async def test_a_passphrase_that_will_not_do(door: Door, client: aiohttp.ClientSession) -> None:
    short, differ = "The passphrase is too short.", "The two passphrases differ."
    for fields, words in (
        ({"passphrase": "short", "again": "short"}, short),
        ({"passphrase": ""}, short),
        ({"again": "correcto caballo bateria"}, differ),
        ({"again": ""}, differ),
    ):
        status, _, said = await download(client, door, **fields)
        assert (status, words in said.decode()) == (422, True), fields
        assert SECRET not in said.decode()


async def test_whose_session_it_is_shows_once_more_that_it_is_they(door: Door, client: aiohttp.ClientSession) -> None:
    """Whoever has only taken a session over carries nothing off, puts nothing in its place, and guesses no faster."""
    noted = recorded(store_of(door))
    file = await asyncio.to_thread(made_of, store_of(door).directory)
    (store_of(door).directory / "handover").mkdir(exist_ok=True)
    for own, status, words in (("", 422, "Type the password by which you log in."), ("x", 403, "That is not your")):
        got, _, said = await download(client, door, own_password=own)
        assert (got, words in said.decode(), SECRET in said.decode()) == (status, True, False)
        for where in ("restore", "restore/begin"):
            got, page = await restored(client, door, file, where=where, own=own)
            assert (got, words in page, SECRET in page) == (status, True, False)
            # It has been said that what is here may be set aside.
            assert 'value="yes" checked' in page
    for _ in range(FREE - 3):
        assert (await download(client, door, own_password="x"))[0] == 403
    status, page = await restored(client, door, file)
    assert (status, "Too many wrong passwords: try again in 5" in page) == (429, True)
    async with client.post(f"{door.url}/login", data={"name": "ana", "password": PASSWORD}) as answer:
        assert answer.status == 429
    assert [kind for kind, _ in noted] == ["log_in_refused"]
    await untouched(door)


async def test_one_is_made_at_a_time_and_who_goes_away_leaves_nothing(
    door: Door, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    ballast = store_of(door).directory / "outbox" / "ballast"
    # More than what the sockets between the two hold.
    ballast.write_bytes(os.urandom(24 << 20))
    body = {"passphrase": SECRET, "again": SECRET, "own_password": PASSWORD}
    async with asyncio.timeout(30):
        async with client.post(f"{door.url}{PATH}/backup", data=body) as first:
            assert first.status == 200
            assert len(list((tmp_path / "copies").iterdir())) == 1
            status, _, said = await download(client, door)
            assert (status, "is being downloaded already" in said.decode()) == (409, True)
            # The store goes on meanwhile.
            door.box.hear(store_of(door), 15)
            assert await store_of(door).commit() == ""
            first.close()
        while list((tmp_path / "copies").iterdir()):
            await asyncio.sleep(0.02)
        while (await download(client, door))[0] == 409:
            await asyncio.sleep(0.02)


async def test_no_room_for_copies(door: Door, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    noted = recorded(store_of(door))
    monkeypatch.setattr(write, "snapshot", lambda *_: full(None))
    status, _, said = await download(client, door)
    assert (status, "There is no room for the copies" in said.decode()) == (503, True)
    assert noted == []
    monkeypatch.undo()
    assert (await download(client, door))[0] == 200


async def test_what_will_not_do_is_told_by_the_beginning(door: Door, client: aiohttp.ClientSession) -> None:
    """A browser sends all of a file before it shows what is wrong, so it sends the beginning by itself first."""
    file = await asyncio.to_thread(made_of, store_of(door).directory)
    (store_of(door).directory / "handover").mkdir(exist_ok=True)
    assert await restored(client, door, file[:4096], where="restore/begin") == (204, "")
    for beginning, secret, words in (
        (file[:4096], "another passphrase", "The passphrase is wrong."),
        (file[:30], SECRET, "The file is cut off"),
        (b"x" * 4096, SECRET, "This file is not the backup of an appliance."),
        (file[:20] + b"x" + file[21:4096], SECRET, "The file was damaged or altered."),
    ):
        status, said = await restored(client, door, beginning, secret=secret, where="restore/begin")
        assert (status, words in said, "Nothing was changed." in said) == (422, True, True), said
    status, said = await restored(client, door, file[:4096], said=(), where="restore/begin")
    assert (status, "may be set aside" in said) == (422, True)
    with sole_bringer(store_of(door).directory):
        status, said = await restored(client, door, file[:4096], where="restore/begin")
    assert (status, "Another restore or an import is under way." in said) == (409, True)
    await untouched(door)


async def test_it_is_brought_back(door: Door, client: aiohttp.ClientSession) -> None:
    store = store_of(door)
    _, _, file = await download(client, door)
    identity = await door.identity()
    noted = recorded(store)
    status, said = await restored(client, door, file)
    assert status == 200
    assert "The backup is whole and takes its place now" in said
    assert "Calle Álvarez &lt;12&gt;" in said
    assert noted[-1] == ("changed", {"who": "ana", "what": "backup_restored"})
    assert restore.waiting(store.directory)
    # Another one has to wait.
    status, said = await restored(client, door, file)
    assert (status, "Another restore or an import is under way." in said) == (409, True)
    await door.box.upkeep(store).tend()
    (told,) = [detail for kind, detail in noted if kind == "restored"]
    assert (told["who"], told["name"]) == ("ana", "Calle Álvarez <12>")
    assert keeping_restore._identity(store.directory) == identity
    async with client.get(door.url + PATH, allow_redirects=False) as answer:
        assert answer.status == 303
    (aside,) = store.directory.glob("replaced-*")
    assert (aside / "catalogue.db").exists()


async def untouched(door: Door) -> None:
    directory = store_of(door).directory
    assert not restore.waiting(directory)
    assert list((directory / "handover").iterdir()) == []
    assert not list(directory.glob("replaced-*"))
    assert await door.waiting() == 3


async def test_what_is_no_whole_backup(door: Door, client: aiohttp.ClientSession) -> None:
    whole = await asyncio.to_thread(made_of, store_of(door).directory)
    (store_of(door).directory / "handover").mkdir(exist_ok=True)
    for file, words in (
        (whole[:-100], "The file is cut off"),
        (whole[:100], "The file is cut off"),
        (whole[:-100] + b"x" + whole[-99:], "The file was damaged or altered."),
        (b"readings", "This file is not the backup of an appliance."),
        (b"", "This file is not the backup of an appliance."),
        (None, "No file was chosen."),
        (whole[:8] + b"\x09" + whole[9:], "A later version of the program made it."),
    ):
        status, said = await restored(client, door, file)
        assert (status, words in said, "Nothing was changed." in said) == (422, True, True), said
        assert SECRET not in said
        await untouched(door)


async def test_what_is_not_said_or_wrong(door: Door, client: aiohttp.ClientSession, tmp_path: Path) -> None:
    file = await asyncio.to_thread(made_of, store_of(door).directory)
    (store_of(door).directory / "handover").mkdir(exist_ok=True)
    status, said = await restored(client, door, file, said=())
    assert (status, "may be set aside, and choose the file again" in said) == (422, True)
    status, said = await restored(client, door, file, secret="another passphrase")
    assert (status, "The passphrase is wrong." in said) == (422, True)
    status, said = await restored(client, door, file, secret="")
    assert (status, "The passphrase is missing." in said) == (422, True)
    await untouched(door)
    data_directory.make(tmp_path / "other")
    other = await asyncio.to_thread(made_of, tmp_path / "other")
    status, said = await restored(client, door, other)
    assert (status, "It is the backup of another appliance." in said) == (422, True)
    assert "Calle 5" in said
    await untouched(door)
    status, said = await restored(client, door, other, said=("aside", "other"))
    assert status == 200


def archive(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    sealer = Sealer(out, SECRET, QUICK)
    for name, content in files:
        tar.add(sealer, name, len(content), 0o600, io.BytesIO(content))
    tar.end(sealer)
    sealer.close()
    return out.getvalue()


async def test_strange_archives(door: Door, client: aiohttp.ClientSession) -> None:
    about = {"format": 1, "made": "2026-05-01T12:00:00Z", "name": "<b>x</b>"}
    for files, words in (
        ((), "This file is not the backup of an appliance."),
        ((("aggregator.json", b"{}"),), "This file is not the backup of an appliance."),
        ((("backup.json", b"[]"),), "This file is not the backup of an appliance."),
        ((("backup.json", json.dumps(about | {"format": 2}).encode()),), "A later version of the program made it."),
        ((("backup.json", json.dumps(about).encode()),), "What is in it is damaged."),
        ((("backup.json", json.dumps(about).encode()), ("../x", b"x")), "What is in it is damaged."),
        ((("backup.json", json.dumps(about).encode()), ("handover/x", b"x")), "What is in it is damaged."),
    ):
        status, said = await restored(client, door, archive(*files), said=("aside", "other"))
        assert (status, words in said, "<b>x" in said) == (422, True, False), files
        await untouched(door)


async def test_an_identity_that_cannot_be_opened(door: Door, client: aiohttp.ClientSession) -> None:
    """It would be in the way of everything that is delivered, for good."""
    whole = contents(await asyncio.to_thread(made_of, store_of(door).directory))
    (store_of(door).directory / "handover").mkdir(exist_ok=True)
    assert {"identity/000002.key", "identity/000002.copy", "identity/000002.rotation"} <= whole.keys()
    rotation = json.dumps({"payload": base64.b64encode(b'{"appliance": "../x"}').decode()}).encode()
    rubbish = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    rubbish += hashlib.sha256(rubbish).hexdigest().encode() + b"\n"
    for changed in (
        dict.fromkeys(("identity/000002.key", "identity/000002.copy"), b"rubbish"),
        dict.fromkeys(("identity/000002.key", "identity/000002.copy"), rubbish),
        {"identity/000002.rotation": rotation},
        {"identity/000002.rotation": b"[" * 50_000},
    ):
        status, said = await restored(client, door, archive(*(whole | changed).items()), said=("aside", "other"))
        assert (status, "What is in it is damaged." in said) == (422, True), changed
        await untouched(door)


async def test_a_card_without_room(door: Door, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    file = await asyncio.to_thread(made_of, store_of(door).directory)
    monkeypatch.setattr(bring, "SPARE_BYTES", 1 << 60)
    status, said = await restored(client, door, file)
    assert (status, "The card has no room for it" in said) == (413, True)
    await untouched(door)


async def test_one_thing_is_brought_at_a_time(door: Door, client: aiohttp.ClientSession) -> None:
    file = await asyncio.to_thread(made_of, store_of(door).directory)
    with sole_bringer(store_of(door).directory):
        status, said = await restored(client, door, file)
    assert (status, "Another restore or an import is under way." in said) == (409, True)


async def test_an_upload_that_stalls_or_breaks_off(
    door: Door, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = store_of(door).directory
    (directory / "outbox" / "ballast").write_bytes(os.urandom(1 << 20))
    file = await asyncio.to_thread(made_of, directory)
    (cookie,) = [f"{one.key}={one.value}" for one in client.cookie_jar]
    host, port = door.url.removeprefix("http://").split(":")
    head = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("passphrase", SECRET), ("own_password", PASSWORD), ("aside", "yes"))
    )
    head += '--x\r\nContent-Disposition: form-data; name="backup"; filename="b"\r\n\r\n'
    body = head.encode() + file[: len(file) // 2]
    request = (
        f"POST {PATH}/restore HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {door.url}\r\nCookie: {cookie}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body) + len(file)}\r\n\r\n"
    )
    part = directory / "handover" / "restore.part"
    async with asyncio.timeout(30):
        for goes_away in (True, False):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request.encode() + body)
            await writer.drain()
            while not (part / "catalogue.db").exists():
                await asyncio.sleep(0.01)
            if goes_away:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                writer.close()
            else:
                monkeypatch.setattr(uploads, "PIECE_S", 0.05)
                # What is under way has the time-out of before.
                writer.write(file[len(file) // 2 :][:200_000])
                assert b" 408 " in await reader.readline()
                await reader.readuntil(b"The file did not come to its end.")
                writer.close()
            while part.exists():
                await asyncio.sleep(0.01)
    await untouched(door)
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == []


async def test_what_is_no_form(door: Door, client: aiohttp.ClientSession) -> None:
    for kind, content, status in (
        ("text/plain", b"x", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n", 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 9000,
            413,
        ),
    ):
        async with client.post(f"{door.url}{PATH}/restore", data=content, headers={"Content-Type": kind}) as answer:
            assert answer.status == status, kind

    async def unsized() -> AsyncIterator[bytes]:
        yield b"--x\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    async with client.post(f"{door.url}{PATH}/restore", data=unsized(), headers=headers) as answer:
        assert answer.status == 411
