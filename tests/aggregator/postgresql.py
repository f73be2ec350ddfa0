"""A PostgreSQL server of the tests' own: made in a temporary directory, reached by a socket in it, gone at the end."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncpg

STARTS_WITHIN_S = 60
# initdb and the server refuse to run as root; this is the user that Debian's package makes.
USER = "postgres"
SETTINGS = ("listen_addresses=", "max_connections=60", "shared_buffers=128MB")


class Unavailable(Exception):
    """Why there is no server to be had on this machine."""


class Server:
    """A running server; `address` of one of its databases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0

    def address(self, name: str) -> str:
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def run(self, statement: str, database: str = "postgres") -> None:
        """Run a statement by itself."""
        asyncio.run(self._run(statement, database))

    async def _run(self, statement: str, database: str) -> None:
        connection = await asyncpg.connect(user=USER, host=str(self.folder), database=database)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def new_database(self, template: str = "template1") -> str:
        """The address of a new database, a copy of another one that nobody is connected to."""
        self._made += 1
        self.run(f"CREATE DATABASE made_{self._made} TEMPLATE {template}")
        return self.address(f"made_{self._made}")


def programs() -> Path:
    """Where the newest version's programs are. Raises Unavailable."""
    root = Path(os.environ.get("POSTGRESQL", "/usr/lib/postgresql"))
    found = sorted(root.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not found:
        raise Unavailable(f"no PostgreSQL in {root}: 'make setup' installs it, or POSTGRESQL names where it is")
    return found[-1].parent


def _as_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam(USER)
    except KeyError:
        raise Unavailable(f"PostgreSQL does not run as root, and there is no user {USER!r}") from None
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]


@contextlib.contextmanager
def running(*, fsync: bool = False, settings: Sequence[str] = ()) -> Iterator[Server]:
    """A server, from its making to its end; `fsync` if what it commits is to be on the disk. Raises Unavailable."""
    binaries, as_user = programs(), _as_user()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if as_user:
            shutil.chown(folder, USER)
        data = folder / "data"
        make = [*as_user, str(binaries / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "-N"]
        done = subprocess.run([*make, "--locale=C"], cwd=folder, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise Unavailable(f"initdb: {done.stderr[-500:]}")
        told = (*SETTINGS, f"fsync={fsync}", f"unix_socket_directories={folder}", *settings)
        words = [word for setting in told for word in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            command = [*as_user, str(binaries / "postgres"), "-D", str(data), *words]
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            asyncio.run(_answering(folder, server))
            yield Server(folder)
        finally:
            server.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown
            server.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Standby:
    """A server that follows another one, synchronously; `promote` it when that is gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def promote(self) -> None:
        """Let it take writes from now on."""
        command = [*_as_user(), str(programs() / "pg_ctl"), "promote", "-D", str(self.folder / "data")]
        subprocess.run(command, cwd=self.folder, capture_output=True, check=True, timeout=60)


@contextlib.contextmanager
def standby_of(server: Server) -> Iterator[Standby]:
    """A standby, which `server` waits for with each commit from now on."""
    binaries, as_user = programs(), _as_user()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if as_user:
            shutil.chown(folder, USER)
        data = folder / "data"
        copy = [*as_user, str(binaries / "pg_basebackup"), "-h", str(server.folder), "-U", USER, "-D", str(data)]
        options = ["-R", "-X", "stream", "--checkpoint=fast", "--no-sync"]
        subprocess.run([*copy, *options], cwd=folder, capture_output=True, check=True, timeout=120)
        settings = (*SETTINGS, "fsync=off", f"unix_socket_directories={folder}")
        words = [word for setting in settings for word in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            command = [*as_user, str(binaries / "postgres"), "-D", str(data), *words]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            asyncio.run(_answering(folder, process))
            server.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
            server.run("SELECT pg_reload_conf()")
            yield Standby(folder)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _answering(folder: Path, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers. Raises Unavailable."""
    for _ in range(10 * STARTS_WITHIN_S):
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            connection = await asyncpg.connect(user=USER, host=str(folder), database="postgres")
            await connection.close()
            return
        await asyncio.sleep(0.1)
    raise Unavailable(f"PostgreSQL does not start: {(folder / 'log').read_text()[-500:]}")
