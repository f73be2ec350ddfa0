"""A backup of an aggregator that is in use, and what comes back of it; on SQLite and on PostgreSQL."""

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from appliance.aggregator import blank, settings
from appliance.aggregator.backup import programs
from appliance.aggregator.backup.copying import FOLDER
from appliance.aggregator.backup.restore import restore
from appliance.aggregator.backup.write import backup
from appliance.aggregator.database import FILE, Database
from appliance.aggregator.ingest import Ingest, Stored, Waiting
from appliance.aggregator.keys import make_key, open_key
from appliance.aggregator.schema import batch, metadata, reading, refusal
from appliance.archive import tar
from appliance.archive.container import Cost, Sealer
from appliance.cli import main
from appliance.errors import AlreadyRunning, ApplianceError, StoreError, UsageError
from tests.aggregator.postgresql import Server
from tests.aggregator.street import NOW, Sender

ROOT = Path(__file__).parent.parent.parent.parent
QUICK = Cost(log2_n=1, r=1, p=1)
SECRET = "correcto caballo batería"


def progress(done: int, total: int | None) -> None:
    assert total is None or done <= total


class Centre:
    """An aggregator: its directory, and its database."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.url = url
        self.database = Database(url or directory)

    async def ingest(self, *lines: bytes) -> list[object]:
        worker = Ingest(self.database, open_key(self.directory))
        return [await worker.ingest(line, NOW) for line in lines]

    async def save(self, file: Path) -> list[str]:
        return await backup(self.directory, self.database, file, SECRET, progress, QUICK)

    async def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        found = {}
        async with self.database.reading() as connection:
            for table in metadata.sorted_tables:
                rows = await connection.execute(select(table).order_by(*table.primary_key.columns))
                found[table.name] = [tuple(row) for row in rows]
        return found


@pytest.fixture
async def centre(place: Path | str, tmp_path: Path) -> AsyncIterator[Centre]:
    """An aggregator that believes one appliance and has three batches of it."""
    directory = tmp_path / "aggregator"
    directory.mkdir(exist_ok=True)
    url = place if isinstance(place, str) else ""
    (directory / settings.FILE).write_text(f'[web]\nport = 0 # any\n[database]\nurl = "{url}"\n')
    make_key(directory)
    made = Centre(directory, url)
    yield made
    await made.database.close()


@pytest.fixture
def new_url(place: Path | str, request: pytest.FixtureRequest) -> Callable[[], str]:
    """The address of a blank database, if the aggregator's is one with an address."""
    if isinstance(place, Path):
        return lambda: ""
    server: Server = request.getfixturevalue("server")
    return server.new_database


async def restored(file: Path, directory: Path, url: str, secret: str = SECRET) -> Centre:
    with file.open("rb") as source:
        await restore(source, file.name, secret, directory, url, progress)
    return Centre(directory, url)


async def blanked(url: str) -> bool:
    database = Database(url)
    try:
        return await blank.is_blank(database)
    finally:
        await database.close()


async def test_all_comes_back(centre: Centre, tmp_path: Path, new_url: Callable[[], str]) -> None:
    (centre.directory / "tls").mkdir()
    (centre.directory / "tls" / "c.pem").write_text("certificate")
    (tmp_path / "k.pem").write_text("key of it")
    with (centre.directory / settings.FILE).open("a") as file:
        file.write('[tls]\ncertificate = "tls/c.pem"\nkey = "../k.pem"\n')
    sender = await Sender().enrol(centre.database)
    lines = [sender.sealed(n) for n in range(1, 6)]
    receipts = await centre.ingest(*lines[:3])
    await centre.ingest(lines[4], b"nonsense")
    assert await centre.save(tmp_path / "b") == [str(centre.directory / "../k.pem")]
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert not (centre.directory / FOLDER).exists()
    with pytest.raises(UsageError, match="is there already"):
        await centre.save(tmp_path / "b")
    with pytest.raises(UsageError, match="inside the aggregator's directory"):
        await centre.save(centre.directory / "b")
    url = await asyncio.to_thread(new_url)
    (tmp_path / "again").mkdir()
    again = await restored(tmp_path / "b", tmp_path / "again", url)
    assert await again.contents() == await centre.contents()
    assert open_key(again.directory).private_bytes_raw() == open_key(centre.directory).private_bytes_raw()
    found = settings.read(again.directory)
    assert (found.web.port, found.database.url, found.tls.certificate) == (0, url, "tls/c.pem")
    assert (again.directory / "tls" / "c.pem").read_text() == "certificate"
    for path in again.directory.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0 or path.name.startswith(FILE), path
    # It goes on where the other was.
    assert await again.ingest(lines[0]) == receipts[:1]
    assert isinstance((await again.ingest(lines[3]))[0], Stored)
    assert {row[2] for row in (await again.contents())["batch"]} == {1, 2, 3, 4, 5}
    await again.database.close()
    assert not list(tmp_path.glob(".*"))


async def test_it_is_of_one_moment_while_batches_come(
    centre: Centre, tmp_path: Path, new_url: Callable[[], str]
) -> None:
    senders = [await Sender(n).enrol(centre.database) for n in range(2)]
    async with centre.database.writing() as connection:
        # Some thousand pages, so that the copy takes more than a step.
        row = {"appliance_id": 0, "received_utc_ms": 0, "reason": "x", "words": "", "line_bytes": 0}
        await connection.execute(insert(refusal), [row | {"evidence": os.urandom(60_000)} for _ in range(200)])
    stored = 0
    done = asyncio.Event()

    async def deliver(sender: Sender) -> None:
        nonlocal stored
        sequence = 0
        while not done.is_set():
            sequence += 1
            (answer,) = await centre.ingest(sender.sealed(sequence))
            assert isinstance(answer, Stored)
            stored += 1

    delivering = [asyncio.create_task(deliver(sender)) for sender in senders]
    while stored < 5:
        await asyncio.sleep(0.01)
    before = stored
    await centre.save(tmp_path / "b")
    # Nobody was held up.
    assert stored > before
    done.set()
    await asyncio.gather(*delivering)
    again = await restored(tmp_path / "b", tmp_path / "again", await asyncio.to_thread(new_url))
    found = await again.contents()
    assert before <= len(found["batch"]) <= stored
    assert {(c[0], c[2]) for c in found["chain"]} == {
        (number, max(b[2] for b in found["batch"] if b[0] == number)) for number in (1, 2)
    }
    async with again.database.reading() as connection:
        told = await connection.scalar(select(func.sum(batch.c.readings)))
        assert told == await connection.scalar(select(func.count()).select_from(reading))
    await again.database.close()


async def test_what_was_receipted_after_it_is_a_gap(centre: Centre, tmp_path: Path, new_url: Callable[[], str]) -> None:
    sender = await Sender().enrol(centre.database)
    lines = [sender.sealed(n) for n in range(1, 6)]
    await centre.ingest(*lines[:2])
    await centre.save(tmp_path / "b")
    await centre.ingest(*lines[2:4])
    again = await restored(tmp_path / "b", tmp_path / "again", await asyncio.to_thread(new_url))
    assert await again.ingest(lines[4]) == [Waiting(1, 3, is_kept=True)]
    worker = Ingest(again.database, open_key(again.directory))
    assert (await worker.give_up_gap(sender.identity, 1, NOW)).sequence == 4
    assert [row[2] for row in (await again.contents())["batch"]] == [1, 2, 5]
    await again.database.close()


def spoiled(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    flipped = bytearray(content)
    flipped[middle] ^= 1
    return {"cut off": content[:-1], "cut off:": content[:middle], "damaged or altered": bytes(flipped)}


async def test_what_is_not_whole_is_refused_and_leaves_nothing(
    centre: Centre, tmp_path: Path, new_url: Callable[[], str]
) -> None:
    sender = await Sender().enrol(centre.database)
    await centre.ingest(sender.sealed(1))
    await centre.save(tmp_path / "b")
    url = await asyncio.to_thread(new_url)

    async def refused(file: Path, said: str, secret: str = SECRET) -> None:
        before = sorted(tmp_path.iterdir())
        with pytest.raises(ApplianceError, match=said):
            await restored(file, tmp_path / "again", url, secret)
        assert sorted(tmp_path.iterdir()) == before
        assert not url or await blanked(url)

    for said, content in spoiled((tmp_path / "b").read_bytes()).items():
        (tmp_path / "spoiled").write_bytes(content)
        await refused(tmp_path / "spoiled", said)
    await refused(tmp_path / "b", "the passphrase is wrong", "another one")
    for name, about in {"backup.json": {"format": 1}, "aggregator.json": {"format": 1, "made": "x"}}.items():
        sealed(tmp_path / "other", {name: json.dumps(about).encode()})
        await refused(tmp_path / "other", "is not a backup of an aggregator")
    sealed(tmp_path / "other", {"aggregator.json": json.dumps({"format": 2}).encode()})
    await refused(tmp_path / "other", "of a later version")
    about = {"format": 1, "made": "x", "public_key": "00" * 32, "server": 15 if url else 0}
    sealed(tmp_path / "other", {"aggregator.json": json.dumps(about).encode()})
    await refused(tmp_path / "other", "it has no aggregator.toml")
    files = {"aggregator.json": json.dumps(about).encode(), settings.FILE: b""}
    files |= {f"key/{path.name}": path.read_bytes() for path in (centre.directory / "key").iterdir()}
    sealed(tmp_path / "other", files)
    await refused(tmp_path / "other", "another one than the backup says")
    about["public_key"] = open_key(centre.directory).public_key().public_bytes_raw().hex()
    files["aggregator.json"] = json.dumps(about).encode()
    sealed(tmp_path / "other", files | {"database/000001": b"no database, but long enough for one" * 100})
    await refused(tmp_path / "other", "cannot be restored" if url else "damaged")


def sealed(file: Path, members: dict[str, bytes]) -> None:
    with file.open("wb") as target:
        sealer = Sealer(target, SECRET, QUICK)
        for name, content in members.items():
            tar.add(sealer, name, len(content), 0o600, io.BytesIO(content))
        tar.end(sealer)
        sealer.close()


async def test_what_is_there_is_never_overwritten(
    centre: Centre, tmp_path: Path, new_url: Callable[[], str], server: Server
) -> None:
    await centre.save(tmp_path / "b")
    url = await asyncio.to_thread(new_url)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name, said in {
        "full": "is not empty",
        "file": "is no folder",
        "link": "is no folder",
        "no/where": "no folder",
    }.items():
        with pytest.raises(UsageError, match=said):
            await restored(tmp_path / "b", tmp_path / name, url)
    with pytest.raises(UsageError, match="is of an SQLite" if not url else "is of a PostgreSQL"):
        await restored(tmp_path / "b", tmp_path / "again", "" if url else await asyncio.to_thread(server.new_database))
    if url:
        with pytest.raises(UsageError, match="the database is not empty"):
            await restored(tmp_path / "b", tmp_path / "again", centre.url)
    assert not (tmp_path / "again").exists()


async def test_one_at_a_time(centre: Centre, tmp_path: Path) -> None:
    """But of PostgreSQL, which is not copied into the directory, as many as anybody likes."""
    saving = asyncio.create_task(centre.save(tmp_path / "b"))
    while not (centre.url or (centre.directory / FOLDER).exists()):
        await asyncio.sleep(0)
    with contextlib.nullcontext() if centre.url else pytest.raises(AlreadyRunning):
        await centre.save(tmp_path / "c")
    await saving
    assert (tmp_path / "c").exists() == bool(centre.url)


async def test_a_full_disk_is_said(
    centre: Centre, tmp_path: Path, small_disk: Path, new_url: Callable[[], str]
) -> None:
    async with centre.database.writing() as connection:
        row = {"appliance_id": 0, "received_utc_ms": 0, "reason": "x", "words": "", "line_bytes": 0}
        await connection.execute(insert(refusal), [row | {"evidence": os.urandom(60_000)} for _ in range(200)])
    with pytest.raises(StoreError, match="No space left"):
        await centre.save(small_disk / "b")
    assert list(small_disk.iterdir()) == []
    await centre.save(tmp_path / "b")
    with pytest.raises(StoreError, match="must be free"):
        await restored(tmp_path / "b", small_disk / "again", await asyncio.to_thread(new_url))
    assert list(small_disk.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=False, capture_output=True
    ).returncode:
        pytest.skip("no right to mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with the passphrase."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    return tmp_path / "secret"


async def killed(words: list[object], when: Callable[[], bool]) -> None:
    """Run a command, and kill it as soon as that is so."""
    command = [sys.executable, "-m", "appliance", "aggregator", *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not when():
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)


async def test_a_kill_leaves_a_whole_one_or_none(
    centre: Centre, tmp_path: Path, secret: Path, new_url: Callable[[], str]
) -> None:
    sender = await Sender().enrol(centre.database)
    await centre.ingest(*(sender.sealed(n) for n in range(1, 4)))
    async with centre.database.writing() as connection:
        row = {"appliance_id": 0, "received_utc_ms": 0, "reason": "x", "words": "", "line_bytes": 0}
        await connection.execute(insert(refusal), [row | {"evidence": os.urandom(60_000)} for _ in range(200)])
    file, again, url = tmp_path / "b", tmp_path / "again", await asyncio.to_thread(new_url)
    saving = ["backup", file, "--directory", centre.directory, "--passphrase-file", secret]
    for size in (0, 1_000_000):
        await killed(saving, lambda size=size: _size(tmp_path / "b.part") > size)  # type: ignore[misc]
        assert not file.exists()
    await centre.save(file)
    assert not (centre.directory / FOLDER).exists()
    restoring = ["restore", file, again, "--passphrase-file", secret, *(["--database", url] if url else [])]
    for size in (0,) if url else (0, 1_000_000):
        await killed(restoring, lambda size=size: _size(*tmp_path.glob(".again-*/database.dump")) > size)  # type: ignore[misc]
        assert not again.exists()
        if url:
            # The server notices by itself that nobody goes on.
            async with asyncio.timeout(20):
                while not await blanked(url):
                    await asyncio.sleep(0.1)
    assert list(tmp_path.glob(".again-*"))
    found = await restored(file, again, url)
    assert await found.contents() == await centre.contents()
    assert not list(tmp_path.glob(".again-*"))
    await found.database.close()


def _size(*paths: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in paths)
    return 0


def test_the_commands(
    tmp_path: Path, secret: Path, server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    centre, file = tmp_path / "centre", tmp_path / "b"
    assert main(["aggregator", "init", str(centre)]) == 0
    with_secret = ["--passphrase-file", str(secret)]
    saving = ["aggregator", "backup", str(file), "--directory", str(centre), *with_secret]
    assert main(saving) == 0
    assert main(saving) == 64
    assert main(["aggregator", "restore", str(tmp_path / "missing"), str(tmp_path / "new"), *with_secret]) == 65
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["aggregator", "restore", "b", "new", *with_secret]) == 0
    assert "will show as gaps" in capsys.readouterr().err
    assert main(["aggregator", "list", "--directory", "new"]) == 0
    assert main(["aggregator", "restore", "b", ".", *with_secret]) == 64
    address = server.new_database()
    (centre / settings.FILE).write_text(f'[database]\nurl = "{address}"')
    monkeypatch.setattr(programs, "_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    other = ["aggregator", "backup", str(tmp_path / "c"), "--directory", str(centre), *with_secret]
    capsys.readouterr()
    assert main(other) == 74
    assert "or later is needed, and there is none" in capsys.readouterr().err
    (tmp_path / "bin" / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'")
    (tmp_path / "bin" / "pg_dump").chmod(0o755)
    assert main(other) == 74
    assert "and found is version 9" in capsys.readouterr().err
    fails = "#!/bin/sh\n[ $1 = --version ] && echo '(PostgreSQL) 99.1' && exit; echo x >&2; exit 1"
    (tmp_path / "bin" / "pg_dump").write_text(fails)
    assert main(other) == 74
    assert "the database cannot be copied: x" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
    assert list(tmp_path.glob("*.part")) == []


def test_the_programs_are_told_what_the_address_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "of somebody else")
    address = "postgresql://me:p%40ss@/meters?host=one:5432&host=two:5433&target_session_attrs=primary&ssl=require"
    found = programs.environment(Database(address))
    assert {name: value for name, value in found.items() if name.startswith("PG")} == {
        "PGHOST": "one,two", "PGPORT": "5432,5433", "PGUSER": "me", "PGPASSWORD": "p@ss", "PGDATABASE": "meters",
        "PGSSLMODE": "require", "PGTARGETSESSIONATTRS": "primary",
    }  # fmt: skip
