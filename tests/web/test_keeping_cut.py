"""A restore through the page while the power goes: nothing has changed, or it is taken up whole."""

import asyncio
import io
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.test_app import Appliance, Start, start

__all__ = ["start"]

FIRST, SECRET = "four words do not rhyme", "correcto caballo batería"
WEB = f"open_to_read = true\nfirst_password = '{FIRST}'\n"


async def client_of(appliance: Appliance) -> aiohttp.ClientSession:
    """Somebody who has logged in, as soon as there is an account."""
    client = aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"Origin": appliance.url.rstrip("/")}
    )
    async with asyncio.timeout(30):
        while True:
            form = {"name": "technician", "password": FIRST, "next": "/"}
            async with client.post(appliance.url + "login", data=form, allow_redirects=False) as answer:
                if answer.status == 303:
                    return client
            await asyncio.sleep(0.2)


async def brought(client: aiohttp.ClientSession, appliance: Appliance, file: bytes, held: asyncio.Event) -> int:
    """The status of the answer to an upload, of which the second half is `held` back for ever if that is not set."""
    form = aiohttp.MultipartWriter("form-data")
    for name, value in (("passphrase", SECRET), ("own_password", FIRST), ("aside", "yes")):
        form.append(value).set_content_disposition("form-data", name=name)
    form.append(io.BytesIO(file)).set_content_disposition("form-data", name="backup", filename="b")
    body = await form.as_bytes()

    async def halves() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        await held.wait()
        yield body[len(body) // 2 :]

    headers = {"Content-Type": form.content_type, "Content-Length": str(len(body))}
    async with client.post(appliance.url + "system/keeping/restore", data=halves(), headers=headers) as answer:
        return answer.status


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.02)


async def test_the_power_goes(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    appliance = await start(meters=20, web=WEB)
    await appliance.until_heard(20)
    async with await client_of(appliance) as client:
        (data / "outbox" / "ballast").write_bytes(bytes(2_000_000))
        form = {"passphrase": SECRET, "again": SECRET, "own_password": FIRST}
        async with client.post(appliance.url + "system/keeping/backup", data=form) as answer:
            file = await answer.read()
        (data / "outbox" / "ballast").unlink()
        # In the middle of an upload.
        uploading = asyncio.create_task(brought(client, appliance, file, asyncio.Event()))
        await until((data / "handover" / "restore.part" / "catalogue.db").exists)
        assert await appliance.end(signal.SIGKILL) == -signal.SIGKILL
        await asyncio.gather(uploading, return_exceptions=True)
    assert not (data / "handover" / "restore").exists()
    again = await start(meters=25, web=WEB)
    await again.until_heard(25)
    assert not (data / "handover" / "restore.part").exists()
    assert not (data / "outbox" / "ballast").exists()
    assert again.stored("SELECT count(*) FROM catalogue.event WHERE kind = 'restored'") == [(0,)]
    # After it was checked, before it is taken up.
    async with await client_of(again) as client:
        whole = asyncio.Event()
        whole.set()
        assert await brought(client, again, file, whole) == 200
        await again.end(signal.SIGKILL)
    last = await start(meters=1, web=WEB)
    await until(lambda: last.stored("SELECT count(*) FROM catalogue.event WHERE kind = 'restored'") == [(1,)])
    assert (data / "outbox" / "ballast").exists()
    assert len(list(data.glob("replaced-*"))) == 1
    assert await last.end(signal.SIGTERM) == 0


async def test_a_stop_does_not_wait_for_either(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops the program while a backup goes out or comes in has no copies or halves left behind."""
    data, copies = tmp_path / "data", tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setenv("TMPDIR", str(copies))
    appliance = await start(meters=5, web=WEB)
    async with await client_of(appliance) as client:
        # More than what the sockets between the two hold.
        (data / "outbox" / "ballast").write_bytes(bytes(16 << 20))
        form = {"passphrase": SECRET, "again": SECRET, "own_password": FIRST}
        path = appliance.url + "system/keeping/backup"
        async with client.post(path, data=form) as answer:
            file = await answer.read()
        uploading = asyncio.create_task(brought(client, appliance, file, asyncio.Event()))
        async with client.post(path, data=form) as answer:
            assert answer.status == 200
            await until(lambda: len(list(copies.iterdir())) == 1)
            await until((data / "handover" / "restore.part" / "catalogue.db").exists)
            assert await appliance.end(signal.SIGTERM) == 0
        await asyncio.gather(uploading, return_exceptions=True)
    assert list(copies.iterdir()) == []
    assert list((data / "handover").iterdir()) == []
    assert not list(data.rglob("*-wal"))
